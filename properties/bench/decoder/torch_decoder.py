"""The decoder in PyTorch, with the same weights: eager, and captured once as a CUDA graph.

Its kernels are those of PyTorch and cuBLAS.  So its time differs from the runtime's by the quality
of the kernels and by the cost of a launch.  PyTorch is imported when a decoder is made.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from properties.bench.decoder.shape import EPSILON, Floats, Shape, rotary_table
from properties.bench.timing import Sample, Watch

_DEVICE = "cuda"


class TorchDecoding:
    """A decoder on a CUDA device, and the text that it has made.

    A step takes its token and its position from two tensors, and leaves the next token in that of
    the token.  All shapes are the same at every position, so one captured graph makes every token.
    """

    submits_per_token: float | None = None
    """PyTorch counts no submits."""

    def __init__(self, shape: Shape, weights: Mapping[str, Floats], *, graph: bool) -> None:
        self.tokens: list[int] = []
        self._torch: Any = import_module("torch")
        self._shape = shape
        self._weights = {name: self._filled(weight) for name, weight in weights.items()}
        self._table = self._filled(rotary_table(shape))
        kept = (shape.layers, shape.key_heads, shape.context, shape.head_width)
        self._keys, self._values = self._filled(np.zeros(kept)), self._filled(np.zeros(kept))
        whole = {"dtype": self._torch.int64, "device": _DEVICE}
        self._places = self._torch.arange(shape.context, **whole)
        self._token = self._torch.zeros(1, **whole)
        self._position = self._torch.zeros(1, **whole)
        self._logits = self._torch.zeros(shape.vocabulary, device=_DEVICE)
        self._advance = self._captured() if graph else self._step

    def start(self) -> Floats:
        """Put the prompt through the decoder.  Returns the logits that follow it."""
        for position, token in enumerate(self._shape.prompt):
            self._token.fill_(token)
            self._position.fill_(position)
            self._run()
        logits: Floats = self._logits.cpu().numpy()
        self.tokens = [int(self._token.item())]
        return logits

    def play(self) -> Sample:
        """Make the next token and read it back.  Returns the time that this took."""
        watch = Watch()
        self._position.fill_(len(self._shape.prompt) + len(self.tokens) - 1)
        self._run()
        watch.pause()
        self.tokens.append(int(self._token.item()))
        return watch.stop()

    def close(self) -> None:
        """Drop everything."""
        self._weights.clear()
        del self._advance, self._keys, self._values

    def _run(self) -> None:
        with self._torch.no_grad():
            self._advance()

    def _captured(self) -> Any:
        """The step as a CUDA graph; PyTorch wants the step run on another stream first."""
        cuda, graph = self._torch.cuda, self._torch.cuda.CUDAGraph()
        stream = cuda.Stream()
        stream.wait_stream(cuda.current_stream())
        with cuda.stream(stream), self._torch.no_grad():
            for _ in range(3):
                self._step()
        cuda.current_stream().wait_stream(stream)
        with cuda.graph(graph), self._torch.no_grad():
            self._step()
        return graph.replay

    def _step(self) -> None:
        """Put the token through every layer; leave the logits and the next token."""
        weights, functional = self._weights, self._torch.nn.functional
        x = weights["embedding"].index_select(0, self._token)[0]
        # Positions after this one have no keys yet.
        later = self._places > self._position
        turn = self._table.index_select(0, self._position)[0]
        for layer in range(self._shape.layers):
            x = x + self._attention(layer, self._norm(x, weights[f"{layer}.norm"]), turn, later)
            normed = self._norm(x, weights[f"{layer}.mlp_norm"])
            gate, up = self._torch.mv(weights[f"{layer}.gate_up"], normed).chunk(2)
            x = x + self._torch.mv(weights[f"{layer}.down"], functional.silu(gate) * up)
        last = self._norm(x, weights["last_norm"])
        self._torch.mv(weights["embedding"], last, out=self._logits)
        self._token.copy_(self._logits.argmax(dim=0, keepdim=True))

    def _attention(self, layer: int, normed: Any, turn: Any, later: Any) -> Any:
        torch, shape = self._torch, self._shape
        qkv = torch.mv(self._weights[f"{layer}.qkv"], normed)
        heads, key_heads = shape.heads, shape.key_heads
        turned = (heads + key_heads) * shape.head_width
        rotated = self._rotated(qkv[:turned].view(heads + key_heads, 2, -1), turn)
        keys, values = self._keys[layer], self._values[layer]
        keys.index_copy_(1, self._position, rotated[heads:, None])
        values.index_copy_(1, self._position, qkv[turned:].view(key_heads, 1, -1))
        queries = rotated[:heads].view(key_heads, heads // key_heads, -1)
        scores = torch.bmm(queries, keys.transpose(1, 2)) * shape.head_width**-0.5
        shares = torch.softmax(scores.masked_fill(later, float("-inf")), dim=2)
        return torch.mv(self._weights[f"{layer}.out"], torch.bmm(shares, values).view(-1))

    def _rotated(self, heads: Any, turn: Any) -> Any:
        """Rotary embedding of heads, each given as two halves."""
        cosines, sines = turn
        first, second = heads[:, 0], heads[:, 1]
        halves = (first * cosines - second * sines, second * cosines + first * sines)
        return self._torch.cat(halves, dim=1)

    def _norm(self, x: Any, gain: Any) -> Any:
        return self._torch.nn.functional.rms_norm(x, x.shape, gain, EPSILON)

    def _filled(self, data: Any) -> Any:
        return self._torch.tensor(np.asarray(data, dtype=np.float32), device=_DEVICE)
