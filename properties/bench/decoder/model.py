"""One step of the decoder, as a plain sequence of dispatches on a runtime."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gpusim.kernels import Kernel
from gpusim.runtime import Buffer, Runtime
from properties.bench.decoder.kernels import (
    ADD,
    ATTEND,
    EMBED,
    GATE,
    LARGEST,
    NORM,
    PROJECT,
    ROTATE,
)
from properties.bench.decoder.shape import Floats, Shape, rotary_table

_WORD = 4


@dataclass(frozen=True, slots=True)
class Step:
    """One dispatch of a token: what ``Runtime.dispatch`` takes, in its order."""

    kernel: Kernel
    buffers: tuple[Buffer, ...]
    scalars: tuple[int, ...]
    grid: int


class Decoder:
    """The weights and the cache of one decoder, on one runtime."""

    def __init__(self, runtime: Runtime, shape: Shape, weights: Mapping[str, Floats]) -> None:
        self.runtime = runtime
        self.shape = shape
        self._weights = {name: self._filled(weight) for name, weight in weights.items()}
        self._table = self._filled(rotary_table(shape))
        self._x, self._normed = self._empty(shape.width), self._empty(shape.width)
        self._qkv = self._empty(shape.query_width + 2 * shape.key_width)
        self._queries, self._mixed = self._empty(shape.query_width), self._empty(shape.query_width)
        self._gated = self._empty(shape.hidden)
        kept = shape.context * shape.key_width
        self._keys = [self._empty(kept) for _ in range(shape.layers)]
        self._values = [self._empty(kept) for _ in range(shape.layers)]
        self.logits = self._empty(shape.vocabulary)
        self.token = self._empty(1)

    def advance(self, token: int, position: int, *, logits: bool = True) -> None:
        """Dispatch one token at ``position``; with ``logits``, what comes next is known too."""
        dispatch = self.runtime.dispatch
        for step in self.steps(token, position):
            dispatch(step.kernel, step.buffers, step.scalars, step.grid)
        if logits:
            for step in self.last_steps():
                dispatch(step.kernel, step.buffers, step.scalars, step.grid)

    def read_token(self) -> int:
        """Wait for the token that has the largest logit."""
        return int(self.runtime.read(self.token, dtype=np.uint32).result()[0])

    def steps(self, token: int, position: int) -> Iterator[Step]:
        """The dispatches that put one token through every layer."""
        width = self.shape.width
        yield Step(EMBED, (self._weights["embedding"], self._x), (token, width), _groups(width))
        for layer in range(self.shape.layers):
            yield from self._attention(layer, position)
            yield from self._mlp(layer)

    def last_steps(self) -> Sequence[Step]:
        """The dispatches from the last layer to the next token."""
        width, vocabulary = self.shape.width, self.shape.vocabulary
        weights, normed = self._weights, self._normed
        return (
            Step(NORM, (self._x, weights["last_norm"], normed), (width,), 1),
            Step(PROJECT, (weights["embedding"], normed, self.logits), (width,), vocabulary),
            Step(LARGEST, (self.logits, self.token), (vocabulary,), 1),
        )

    def free(self) -> None:
        """Free every buffer."""
        for buffer in self.runtime.live_buffers():
            self.runtime.free(buffer)

    def _attention(self, layer: int, position: int) -> Iterator[Step]:
        shape, weights = self.shape, self._weights
        x, normed, qkv = self._x, self._normed, self._qkv
        keys, values = self._keys[layer], self._values[layer]
        heads = (shape.heads, shape.key_heads, shape.head_width)
        rows = shape.query_width + 2 * shape.key_width
        yield Step(NORM, (x, weights[f"{layer}.norm"], normed), (shape.width,), 1)
        yield Step(PROJECT, (weights[f"{layer}.qkv"], normed, qkv), (shape.width,), rows)
        rotated = (qkv, self._table, self._queries, keys, values)
        yield Step(ROTATE, rotated, (position, *heads), _groups(rows))
        attended = (self._queries, keys, values, self._mixed)
        yield Step(ATTEND, attended, (position + 1, *heads), shape.heads)
        out = (weights[f"{layer}.out"], self._mixed, x)
        yield Step(ADD, out, (shape.query_width,), shape.width)

    def _mlp(self, layer: int) -> Iterator[Step]:
        shape, weights = self.shape, self._weights
        x, normed, gated = self._x, self._normed, self._gated
        yield Step(NORM, (x, weights[f"{layer}.mlp_norm"], normed), (shape.width,), 1)
        gate_up = (weights[f"{layer}.gate_up"], normed, gated)
        yield Step(GATE, gate_up, (shape.width, shape.hidden), shape.hidden)
        yield Step(ADD, (weights[f"{layer}.down"], gated, x), (shape.hidden,), shape.width)

    def _empty(self, words: int) -> Buffer:
        return self.runtime.alloc(_WORD * words)

    def _filled(self, data: Floats) -> Buffer:
        buffer = self._empty(data.size)
        self.runtime.write(buffer, data)
        return buffer


def _groups(lanes: int) -> int:
    return -(-lanes // 64)
