"""Clients that pass objects of every legal form, or read into objects of their own.

The form follows from the op alone, so it stays the same when other ops are deleted.
Clients that pass plain bytes and tuples are in ``client``.
"""

import array
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import numpy as np

from gpusim.errors import DeviceFault, MapFailed, SubmitFailed
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
    Write,
)
from gpusim.runtime import Buffer, Graph, Ticket
from gpusim.text import write_op
from properties.clients import forms
from properties.clients.client import BrokenPromise, Client
from properties.generate.choices import SeededChoices
from properties.model.target import Delivery
from properties.targets.runtime_target import RuntimeTarget

_EDGE_BYTES = 16
_EDGE = 0xC5
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


class OwnArraysClient(Client):
    """Reads into its own arrays, or gets new arrays and overwrites them."""

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._ways = (self._bytes, self._as_array, self._into, self._into_one, self._in_words)

    def read(self, op: Read) -> Delivery:
        choices, handle = drawn_for(op), self.target.find(op.buffer)
        span = _numbers(choices, offset=op.offset, size_bytes=op.size_bytes)
        if not 0 <= op.offset <= op.offset + op.size_bytes <= handle.size_bytes:
            return self.target.runtime.read(handle, **span)
        if op.offset + op.size_bytes == handle.size_bytes and choices.chance(1, 2):
            del span["size_bytes"]
        if not op.offset and choices.chance(1, 2):
            del span["offset"]
        is_long = op.size_bytes >= WORD_BYTES * _MANY_PIECES
        if is_long and choices.chance(1, 2):
            return self._in_words(choices, op, handle, span)
        return choices.pick(self._ways)(choices, op, handle, span)

    def _bytes(
        self, choices: SeededChoices, op: Read, handle: Buffer, span: dict[str, Any]
    ) -> Delivery:
        ticket = self.target.runtime.read(handle, **span)
        return _Array(ticket) if choices.chance(1, 2) else ticket

    def _as_array(
        self, choices: SeededChoices, op: Read, handle: Buffer, span: dict[str, Any]
    ) -> Delivery:
        """Two equal reads as arrays: each array is the client's alone."""
        asked, dtype, shape = choices.pick(_layouts(op.size_bytes))
        runtime = self.target.runtime
        tickets = [runtime.read(handle, **span, **asked) for _ in range(2)]
        return _Spoilt(tickets, np.dtype(dtype), shape)

    def _in_words(
        self, choices: SeededChoices, op: Read, handle: Buffer, span: dict[str, Any]
    ) -> Delivery:
        """A read for each word; hundreds of these reads may share a page."""
        end = op.offset + op.size_bytes
        starts = range(op.offset, end, WORD_BYTES)[:_MOST_PIECES] or [op.offset]
        ends = [*starts[1:], end]
        read = self.target.runtime.read
        return _Joined([read(handle, at, to - at) for at, to in zip(starts, ends, strict=True)])

    def _into(
        self, choices: SeededChoices, op: Read, handle: Buffer, span: dict[str, Any]
    ) -> Delivery:
        base = np.full(op.size_bytes + 2 * _EDGE_BYTES, _EDGE, np.uint8)
        out = choices.pick(_outs(base[_EDGE_BYTES : _EDGE_BYTES + op.size_bytes]))
        return _IntoMiddle(self.target.runtime.read(handle, **span, out=out), base, out)

    def _into_one(
        self, choices: SeededChoices, op: Read, handle: Buffer, span: dict[str, Any]
    ) -> Delivery:
        """Two reads into one array: each delivery fills the array."""
        runtime, size_bytes = self.target.runtime, op.size_bytes
        out, first = bytearray(size_bytes), handle.size_bytes - size_bytes
        same = runtime.read(handle, first, size_bytes)
        shared = _Shared(same, out)
        runtime.read(handle, first, size_bytes, out=out).add_done_callback(shared.compare)
        shared.follow(runtime.read(handle, **span, out=out))
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


def _outs(middle: np.ndarray[Any, Any]) -> list[Any]:
    """Objects that a read may fill: views of ``middle``, and an array without edges."""
    outs: list[Any] = [middle, middle.data, middle.reshape(1, -1)]
    if middle.size % 4 or not middle.size:
        return outs
    words = middle.view(np.uint32)
    outs += [words, words.view(np.float32), words.data, array.array("I", bytes(middle.size))]
    outs += [words.reshape(())] if words.size == 1 else [words.reshape(-1, 1)]
    outs += [words.reshape(1, -1).view(np.matrix)]
    outs += [] if words.size % 2 else [words.reshape(2, -1), middle.view("u4,f4")]
    return outs


class _Given:
    """A delivery around a ticket."""

    def __init__(self, ticket: Ticket) -> None:
        self._ticket = ticket

    def result(self) -> Any:
        raise NotImplementedError

    def add_done_callback(self, callback: Callable[[Delivery], None]) -> None:
        self._ticket.add_done_callback(lambda _: callback(self))


class _Array(_Given):
    """A read of bytes that is asked for as an array."""

    def result(self) -> bytes:
        array = np.asarray(self._ticket)
        if array.dtype != np.uint8:
            raise BrokenPromise(f"a read of bytes gives an array of {array.dtype}")
        return array.tobytes()


class _IntoMiddle(_Given):
    """A read into the middle of an array; the runtime must leave the array's edges alone."""

    def __init__(self, ticket: Ticket, base: np.ndarray[Any, Any], out: Any) -> None:
        super().__init__(ticket)
        self._base, self._out = base, out
        self._before = memoryview(out).tobytes()

    def result(self) -> Any:
        """The client's object itself, so that a change after the delivery shows.

        A read whose submit or map fails leaves the object as it was.
        """
        try:
            value = self._ticket.result()
        except (MapFailed, SubmitFailed):
            if memoryview(self._out).tobytes() != self._before:
                raise BrokenPromise("a read that failed changed the array of its caller") from None
            raise
        if value is not self._out:
            raise BrokenPromise("a read with ``out=`` returned another object")
        edges = self._base[:_EDGE_BYTES], self._base[-_EDGE_BYTES:]
        if any((edge != _EDGE).any() for edge in edges):
            raise BrokenPromise("a read into an array changed bytes beside its place")
        return memoryview(self._out)


class _Shared(_Given):
    """Two reads into one array, one after the other.

    ``same`` reads the bytes of the first read once more, on its own.
    """

    def __init__(self, same: Ticket, out: bytearray) -> None:
        super().__init__(same)
        self._same, self._out = same, out
        self._broken = ""

    def follow(self, ticket: Ticket) -> None:
        """Take the ticket of the second read."""
        self._ticket = ticket

    def compare(self, first: Ticket) -> None:
        """Compare the array with the bytes of the first read, which has just arrived."""
        with suppress(DeviceFault):
            if first.result() is not self._out or self._same.result() != self._out:
                self._broken = "the first of two reads into one array did not fill it"

    def result(self) -> Any:
        value = self._ticket.result()
        if value is not self._out:
            raise BrokenPromise("the second of two reads into one array returned another object")
        if self._broken:
            raise BrokenPromise(self._broken)
        return value


class _Joined(_Given):
    """Reads of pieces, one after the other, which are joined."""

    def __init__(self, tickets: list[Ticket]) -> None:
        super().__init__(tickets[-1])
        self._tickets = tickets

    def result(self) -> bytes:
        return b"".join([ticket.result() for ticket in self._tickets])


class _Spoilt(_Given):
    """Equal reads as arrays, each of which the client overwrites; nobody else may see a change."""

    def __init__(self, tickets: list[Ticket], dtype: np.dtype[Any], shape: Iterable[int]) -> None:
        super().__init__(tickets[-1])
        self._tickets = tickets
        self._dtype, self._shape = dtype, tuple(shape)
        self._data: bytes | None = None

    def result(self) -> bytes:
        """The bytes before they were overwritten."""
        if self._data is None:
            found = [self._spoilt(ticket.result()) for ticket in self._tickets]
            if len({*found}) > 1:
                raise BrokenPromise("of two equal reads as arrays, one changed with the other")
            self._data = found[0]
        return self._data

    def _spoilt(self, array: np.ndarray[Any, Any]) -> bytes:
        if array.dtype != self._dtype or array.shape != self._shape:
            raise BrokenPromise(
                f"a read of {self._dtype} in shape {self._shape} gives an array of "
                f"{array.dtype} in shape {array.shape}"
            )
        data = array.tobytes()
        array.reshape(-1).view(np.uint8).fill(0xEE)
        return data
