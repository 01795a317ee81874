"""One step of the decoder, as a plain sequence of dispatches on a runtime."""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

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

Changing = Literal["token", "position", "positions"] | None
"""What changes with each token: its number, its position, or the number of tokens so far."""


class Step(NamedTuple):
    """One dispatch of a token: kernel, buffers, scalars and grid.

    ``changing`` names the first scalar, which depends on the token; None if no scalar does.
    """

    kernel: Kernel
    buffers: tuple[Buffer, ...]
    changing: Changing
    fixed: tuple[int, ...]
    grid: int


class Decoder:
    """The weights and the cache of one decoder, on one runtime.

    ``steps`` put one token through every layer; ``last_steps`` make the next token from the result.
    """

    def __init__(self, runtime: Runtime, shape: Shape, weights: Mapping[str, Floats]) -> None:
        self.runtime = runtime
        self.shape = shape
        self._weights = {name: self._filled(weight) for name, weight in weights.items()}
        self._table = self._filled(rotary_table(shape))
        self._x, self._normed = self._empty(shape.width), self._empty(shape.width)
        self._qkv = self._empty(shape.query_width + 2 * shape.key_width)
        self._queries, self._mixed = self._empty(shape.query_width), self._empty(shape.query_width)
        self._gated = self._empty(shape.hidden)
        self.logits = self._empty(shape.vocabulary)
        self.token = self._empty(1)
        self.steps = list(self._make_steps())
        self.last_steps = self._make_last_steps()

    def advance(self, token: int, position: int, *, logits: bool = True) -> None:
        """Dispatch one token at ``position``; with ``logits``, compute the next token too."""
        dispatch = self.runtime.dispatch
        first = first_scalars(token, position)
        for kernel, buffers, changing, fixed, grid in self.steps:
            dispatch(kernel, buffers, first[changing] + fixed, grid)
        if logits:
            for kernel, buffers, _, fixed, grid in self.last_steps:
                dispatch(kernel, buffers, fixed, grid)

    def read_token(self) -> int:
        """Read back the token that has the largest logit."""
        return int(self.runtime.read(self.token, dtype=np.uint32).result()[0])

    def free(self) -> None:
        """Free every buffer."""
        for buffer in self.runtime.live_buffers():
            self.runtime.free(buffer)

    def _make_steps(self) -> Iterator[Step]:
        width = self.shape.width
        embedded = (self._weights["embedding"], self._x)
        yield Step(EMBED, embedded, "token", (width,), _groups(width))
        for layer in range(self.shape.layers):
            yield from self._attention(layer)
            yield from self._mlp(layer)

    def _make_last_steps(self) -> list[Step]:
        width, vocabulary = self.shape.width, self.shape.vocabulary
        weights, normed = self._weights, self._normed
        return [
            Step(NORM, (self._x, weights["last_norm"], normed), None, (width,), 1),
            Step(PROJECT, (weights["embedding"], normed, self.logits), None, (width,), vocabulary),
            Step(LARGEST, (self.logits, self.token), None, (vocabulary,), 1),
        ]

    def _attention(self, layer: int) -> Iterator[Step]:
        shape, weights = self.shape, self._weights
        x, normed, qkv = self._x, self._normed, self._qkv
        kept = shape.context * shape.key_width
        keys, values = self._empty(kept), self._empty(kept)
        heads = (shape.heads, shape.key_heads, shape.head_width)
        rows = shape.query_width + 2 * shape.key_width
        yield Step(NORM, (x, weights[f"{layer}.norm"], normed), None, (shape.width,), 1)
        yield Step(PROJECT, (weights[f"{layer}.qkv"], normed, qkv), None, (shape.width,), rows)
        rotated = (qkv, self._table, self._queries, keys, values)
        yield Step(ROTATE, rotated, "position", heads, _groups(rows))
        attended = (self._queries, keys, values, self._mixed)
        yield Step(ATTEND, attended, "positions", heads, shape.heads)
        out = (weights[f"{layer}.out"], self._mixed, x)
        yield Step(ADD, out, None, (shape.query_width,), shape.width)

    def _mlp(self, layer: int) -> Iterator[Step]:
        shape, weights = self.shape, self._weights
        x, normed, gated = self._x, self._normed, self._gated
        yield Step(NORM, (x, weights[f"{layer}.mlp_norm"], normed), None, (shape.width,), 1)
        gate_up = (weights[f"{layer}.gate_up"], normed, gated)
        yield Step(GATE, gate_up, None, (shape.width, shape.hidden), shape.hidden)
        down = (weights[f"{layer}.down"], gated, x)
        yield Step(ADD, down, None, (shape.hidden,), shape.width)

    def _empty(self, words: int) -> Buffer:
        return self.runtime.alloc(_WORD * words)

    def _filled(self, data: Floats) -> Buffer:
        buffer = self._empty(data.size)
        self.runtime.write(buffer, data)
        return buffer


class ReplayingDecoder(Decoder):
    """A decoder whose steps are captured once, and replayed for each token."""

    def __init__(self, runtime: Runtime, shape: Shape, weights: Mapping[str, Floats]) -> None:
        super().__init__(runtime, shape, weights)
        with runtime.capture() as self._graph:
            super().advance(0, 0, logits=False)
        with runtime.capture() as self._last_graph:
            for kernel, buffers, _, fixed, grid in self.last_steps:
                runtime.dispatch(kernel, buffers, fixed, grid)

    def advance(self, token: int, position: int, *, logits: bool = True) -> None:
        """Replay one token at ``position``."""
        first = first_scalars(token, position)
        self._graph.replay(
            [first[step.changing] + step.fixed if step.changing else None for step in self.steps]
        )
        if logits:
            self._last_graph.replay()


def first_scalars(token: int, position: int) -> dict[Changing, tuple[int, ...]]:
    """For each value of ``Step.changing``, the scalar that such a step has first."""
    return {None: (), "token": (token,), "position": (position,), "positions": (position + 1,)}


def _groups(lanes: int) -> int:
    return -(-lanes // 64)
