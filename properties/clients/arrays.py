"""Clients that pass objects of every legal form, or read into objects of their own.

The form follows from the op alone, so it stays the same when other ops are deleted.
Clients that pass plain bytes and tuples are in ``client``.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from gpusim.errors import DeviceFault
from gpusim.kernels import Kernel
from gpusim.limits import WORD_BYTES
from gpusim.ops import (
    Alloc,
    AnyDispatch,
    Capture,
    Copy,
    Dispatch,
    DispatchIndirect,
    Op,
    Read,
    Replay,
    Sync,
    Write,
)
from gpusim.runtime import Buffer, Graph
from gpusim.text import write_op
from properties.clients import forms
from properties.clients.client import Client
from properties.clients.deliveries import (
    EDGE,
    EDGE_BYTES,
    AsArray,
    IntoMiddle,
    IntoOne,
    Joined,
    Spoilt,
    outs_of,
)
from properties.generate.choices import SeededChoices
from properties.model.target import Delivery
from properties.targets.runtime_target import RuntimeTarget

_BITS = (None, (WORD_BYTES - 1, 0x80), (0, 0x01))
"""What an array holds before a read fills it.  None: bytes of no meaning.  Otherwise the words that
the read brings, each with one bit changed, given as the byte of the word and the mask: the sign
bit, which leaves a float zero equal to zero, or the lowest bit."""
INTO_ONE, _IN_WORDS = "into one", "in words"
_WAYS = ("bytes", "as array", "into", INTO_ONE, _IN_WORDS)
"""The ways in which a client with its own arrays reads; each has a method."""
_MANY_PIECES, _MOST_PIECES = 100, 300
"""A read of 100 words or more is often done in pieces, at most 300: too many for a byte to count.
"""


def drawn_for(op: Op) -> SeededChoices:
    """The choices that follow from an op alone."""
    return SeededChoices(f"forms {write_op(op)}")


class MutatingClient(Client):
    """Passes arguments in many forms, and overwrites them as soon as the call returns."""

    def alloc(self, op: Alloc) -> None:
        size_bytes = _number(drawn_for(op), op.size_bytes)
        buffer = self.target.runtime.alloc(size_bytes, label=op.buffer)
        self.target.name(op.buffer, buffer)

    def write(self, op: Write) -> None:
        choices = drawn_for(op)
        data, spoil = choices.pick(forms.data_forms(op.data))(op.data)
        offset = {} if not op.offset and choices.chance(1, 2) else {"offset": op.offset}
        try:
            self.target.runtime.write(
                self.target.find(op.buffer), data, **_numbers(choices, **offset)
            )
        finally:
            spoil()

    def copy(self, op: Copy) -> None:
        choices = drawn_for(op)
        source = self.target.find(op.source)
        left_out = {
            "source_offset": not op.source_offset,
            "target_offset": not op.target_offset,
            "size_bytes": op.size_bytes == source.size_bytes - op.source_offset,
        }
        given = {
            name: getattr(op, name)
            for name, may_be in left_out.items()
            if not may_be or choices.chance(1, 2)
        }
        self.target.runtime.copy(source, self.target.find(op.target), **_numbers(choices, **given))

    def dispatch(self, op: Dispatch) -> None:
        choices = drawn_for(op)
        given = _grid(op, choices)
        self._dispatch(op, choices, self.target.runtime.dispatch, given)

    def dispatch_indirect(self, op: DispatchIndirect) -> None:
        choices = drawn_for(op)
        given = _numbers(choices, offset=op.offset) if op.offset or choices.chance(1, 2) else {}
        given["counts"] = self.target.find(op.counts)
        self._dispatch(op, choices, self.target.runtime.dispatch_indirect, given)

    def _dispatch(
        self,
        op: AnyDispatch,
        choices: SeededChoices,
        call: Callable[..., None],
        given: dict[str, Any],
    ) -> None:
        kernel = self.target.kernels[op.kernel]
        handles = [self.target.find_bound(bound) for bound in op.buffers]
        buffers = choices.pick(forms.sequence_forms(handles))
        scalars = choices.pick(forms.scalar_forms(kernel, op.scalars))
        try:
            if not op.scalars and choices.chance(1, 2):
                call(kernel, buffers, **given)
            else:
                call(kernel, buffers, scalars, **given)
        finally:
            for form in (buffers, scalars, given.get("grid")):
                forms.overwrite(form)

    def capture(self, op: Capture) -> None:
        with self.target.runtime.capture() as graph:
            for command in op.commands:
                self.perform(command)
        self.target.graphs[op.graph] = graph

    def replay(self, op: Replay) -> None:
        choices, graph = drawn_for(op), self.target.graphs[op.graph]
        find = self.target.find
        bindings = {find(old): find(new) for old, new in op.bindings}
        entries = None if op.scalars is None else _entries(choices, op, graph)
        try:
            if entries is None and not bindings:
                kept: tuple[Any, ...] = ((), (None,), (None, None), ([None] * _size(graph),))
                graph.replay(*choices.pick(kept))
            else:
                graph.replay(entries, bindings)
        finally:
            for form in (*(entries or ()), entries, bindings):
                forms.overwrite(form)


def _grid(op: Dispatch, choices: SeededChoices) -> dict[str, Any]:
    """The grid as it is passed; a grid of one workgroup may be left out."""
    grid = choices.pick(forms.grid_forms(op.grid))
    return {} if op.grid == (1, 1, 1) and choices.chance(1, 2) else {"grid": grid}


def forms_of(op: Dispatch, kernel: Kernel) -> tuple[Any, Any]:
    """The forms in which the mutating client passes the buffers and the scalars of ``op``."""
    choices = drawn_for(op)
    _grid(op, choices)
    buffers = choices.pick(forms.sequence_forms(op.buffers))
    return buffers, choices.pick(forms.scalar_forms(kernel, op.scalars))


def grid_of(op: Dispatch) -> Any:
    """The form in which the mutating client passes the grid of ``op``; None if it passes none."""
    return _grid(op, drawn_for(op)).get("grid")


def data_of(op: Write) -> Any:
    """The form in which the mutating client passes the data of ``op``."""
    return drawn_for(op).pick(forms.data_forms(op.data))(op.data)[0]


def _size(graph: Graph) -> int:
    return len(graph.scalars)


def _entries(choices: SeededChoices, op: Replay, graph: Graph) -> Any:
    scalars = op.scalars or ()
    if len(scalars) != _size(graph):
        return list(scalars)
    entries = [
        None if entry is None else choices.pick(forms.scalar_forms(kernel, entry))
        for entry, kernel in zip(scalars, graph.kernels, strict=True)
    ]
    return choices.pick((entries, tuple(entries)))


def _number(choices: SeededChoices, number: int) -> Any:
    return choices.pick(forms.number_forms(number))(number)


def _numbers(choices: SeededChoices, **numbers: int) -> dict[str, Any]:
    return {name: _number(choices, number) for name, number in numbers.items()}


def way_of(op: Read, buffer_bytes: int) -> str:
    """The way in which the client with its own arrays makes the read ``op`` of a buffer."""
    choices = drawn_for(op)
    span = _numbers(choices, offset=op.offset, size_bytes=op.size_bytes)
    return _way(choices, op, buffer_bytes, span)


def _way(choices: SeededChoices, op: Read, buffer_bytes: int, span: dict[str, Any]) -> str:
    """Draws a way to read; also drops arguments of ``span`` that may be left out."""
    if op.offset + op.size_bytes == buffer_bytes and choices.chance(1, 2):
        del span["size_bytes"]
    if not op.offset and choices.chance(1, 2):
        del span["offset"]
    is_long = op.size_bytes >= WORD_BYTES * _MANY_PIECES
    if is_long and choices.chance(1, 2):
        return _IN_WORDS
    return choices.pick(_WAYS)


class OwnArraysClient(Client):
    """Reads into its own arrays, or gets new arrays and overwrites them."""

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        ways = (self._bytes, self._as_array, self._into, self._into_one, self._in_words)
        self._ways = dict(zip(_WAYS, ways, strict=True))
        self._shared: list[IntoOne] = []
        self._met_fault = False

    def perform(self, op: Op) -> Delivery | None:
        """See ``Target``."""
        try:
            return super().perform(op)
        except DeviceFault:
            self._met_fault = True
            raise

    def sync(self, op: Sync) -> None:
        """Sync; after that nobody may hold the client's arrays.

        This is not checked once a fault was met, since the traceback of its error may hold an
        array.
        """
        self.target.perform(op)
        if not self._met_fault:
            self._shared = [each for each in self._shared if not each.check_given_back()]

    def read(self, op: Read) -> Delivery:
        choices, handle = drawn_for(op), self.target.find(op.buffer)
        span = _numbers(choices, offset=op.offset, size_bytes=op.size_bytes)
        if not 0 <= op.offset <= op.offset + op.size_bytes <= handle.size_bytes:
            return self.target.runtime.read(handle, **span)
        way = _way(choices, op, handle.size_bytes, span)
        return self._ways[way](choices, op, handle, span)

    def _bytes(
        self, choices: SeededChoices, op: Read, handle: Buffer, span: dict[str, Any]
    ) -> Delivery:
        ticket = self.target.runtime.read(handle, **span)
        return AsArray(ticket) if choices.chance(1, 2) else ticket

    def _as_array(
        self, choices: SeededChoices, op: Read, handle: Buffer, span: dict[str, Any]
    ) -> Delivery:
        """Two equal reads as arrays: each array is the client's alone."""
        asked, dtype, shape = choices.pick(_layouts(op.size_bytes))
        runtime = self.target.runtime
        tickets = [runtime.read(handle, **span, **asked) for _ in range(2)]
        return Spoilt(tickets, np.dtype(dtype), shape)

    def _in_words(
        self, choices: SeededChoices, op: Read, handle: Buffer, span: dict[str, Any]
    ) -> Delivery:
        """A read for each word; hundreds of these reads may share a page."""
        end = op.offset + op.size_bytes
        starts = range(op.offset, end, WORD_BYTES)[:_MOST_PIECES] or [op.offset]
        ends = [*starts[1:], end]
        read = self.target.runtime.read
        return Joined([read(handle, at, to - at) for at, to in zip(starts, ends, strict=True)])

    def _into(
        self, choices: SeededChoices, op: Read, handle: Buffer, span: dict[str, Any]
    ) -> Delivery:
        base = np.full(op.size_bytes + 2 * EDGE_BYTES, EDGE, np.uint8)
        out = choices.pick(outs_of(base[EDGE_BYTES : EDGE_BYTES + op.size_bytes]))
        into, bit = IntoMiddle(base, out), choices.pick(_BITS)
        read = self.target.runtime.read
        if bit is not None:
            read(handle, **span).add_done_callback(partial(into.put_before, bit=bit))
        return into.follow(read(handle, **span, out=out))

    def _into_one(
        self, choices: SeededChoices, op: Read, handle: Buffer, span: dict[str, Any]
    ) -> Delivery:
        """Two reads into one array: each delivery fills the array."""
        runtime, size_bytes = self.target.runtime, op.size_bytes
        out, first = bytearray(size_bytes), handle.size_bytes - size_bytes
        same = runtime.read(handle, first, size_bytes)
        shared = IntoOne(same, out)
        shared.follow(
            runtime.read(handle, first, size_bytes, out=out), runtime.read(handle, **span, out=out)
        )
        self._shared.append(shared)
        return shared


def _layouts(size_bytes: int) -> list[tuple[dict[str, Any], Any, tuple[int, ...]]]:
    """Arguments of a read, with the dtype and the shape of the array that it must give."""
    words, rest = divmod(size_bytes, 4)
    found: list[tuple[dict[str, Any], Any, tuple[int, ...]]] = [
        ({"shape": size_bytes}, "u1", (size_bytes,)),
        ({"shape": (1, np.int64(size_bytes)), "dtype": "i1"}, "i1", (1, size_bytes)),
        ({"dtype": np.uint8}, "u1", (size_bytes,)),
    ]
    if not size_bytes % 2:
        found += [({"dtype": dtype}, dtype, (size_bytes // 2,)) for dtype in ("u2", "f2")]
    if rest:
        return found
    named = {"u32": "u4", "i32": "i4", "f32": "f4", np.float32: "f4", np.dtype("u4"): "u4"}
    found += [({"dtype": name}, dtype, (words,)) for name, dtype in named.items()]
    found += [({"dtype": "u32", "shape": [words, 1]}, "u4", (words, 1))]
    found += [({"dtype": "f4", "shape": ()}, "f4", ())] if words == 1 else []
    if not words % 2:
        found.append(({"dtype": "u4", "shape": (2, words // 2)}, "u4", (2, words // 2)))
        found.append(({"dtype": "c8"}, "c8", (words // 2,)))
        found.append(({"dtype": "u4,f4"}, "u4,f4", (words // 2,)))
    return found
