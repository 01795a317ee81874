"""Clients with arrays of their own: they overwrite what they passed, and read into arrays.

Clients that pass plain bytes are in ``client.py``.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from gpusim.errors import DeviceFault
from gpusim.ops import (
    AnyDispatch,
    Capture,
    Dispatch,
    DispatchIndirect,
    Read,
    Replay,
    Write,
)
from gpusim.runtime import Ticket
from properties.clients.client import BrokenPromise, Client
from properties.model.target import Delivery
from properties.targets.runtime_target import RuntimeTarget

_EDGE = bytes(range(0xC0, 0xD0))


class MutatingClient(Client):
    """Overwrites its arrays and lists of scalars as soon as the call that took them returns."""

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._turns = count()

    def write(self, op: Write) -> None:
        """Pass the bytes in an array that changes right after."""
        make = _ARRAYS[next(self._turns) % len(_ARRAYS)]
        array, spoil = make(op.data)
        try:
            self.target.write(op.buffer, array, op.offset)
        finally:
            spoil()

    def dispatch(self, op: Dispatch) -> None:
        """Pass the scalars in a list that changes right after."""
        with _lent([op.scalars]) as (passed,):
            self.target.dispatch(op.kernel, op.buffers, passed, op.grid)

    def dispatch_indirect(self, op: DispatchIndirect) -> None:
        """Pass the scalars of an indirect dispatch in the same way."""
        with _lent([op.scalars]) as (passed,):
            self.target.dispatch_indirect(op.kernel, op.buffers, passed, op.counts, op.offset)

    def capture(self, op: Capture) -> None:
        """Pass the scalars of every captured dispatch in the same way; a replay may keep them."""
        dispatches = [command for command in op.commands if isinstance(command, AnyDispatch)]
        with _lent([command.scalars for command in dispatches]) as passed:
            lists = iter(passed)
            lent = [
                replace(command, scalars=next(lists))
                if isinstance(command, AnyDispatch)
                else command
                for command in op.commands
            ]
            self.target.capture(op.graph, lent)

    def replay(self, op: Replay) -> None:
        """Pass the scalars of a replay in the same way."""
        with _lent([] if op.scalars is None else op.scalars) as passed:
            self.target.replay(op.graph, None if op.scalars is None else passed, op.bindings)


class OwnArraysClient(Client):
    """Reads by turns into the middle of an array, as words that it overwrites, and as bytes."""

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._turns = count()

    def read(self, op: Read) -> Delivery:
        buffer, offset, size_bytes = op.buffer, op.offset, op.size_bytes
        turn = next(self._turns) % 3
        runtime, handle = self.target.runtime, self.target.find(buffer)
        fits = 0 <= size_bytes <= handle.size_bytes
        if turn == 0 and fits:
            array = bytearray(_EDGE + bytes(size_bytes) + _EDGE)
            middle = memoryview(array)[len(_EDGE) : len(_EDGE) + size_bytes]
            return _IntoMiddle(runtime.read(handle, offset, size_bytes, out=middle), array, middle)
        if turn == 1 and fits and size_bytes % 4 == 0:
            return _Spoilt(runtime.read(handle, offset, size_bytes, dtype=np.uint32))
        return self.target.read(buffer, offset, size_bytes)


class _Given:
    """A delivery around a ticket."""

    def __init__(self, ticket: Ticket) -> None:
        self._ticket = ticket

    def result(self) -> Any:
        raise NotImplementedError

    def add_done_callback(self, callback: Callable[[Delivery], None]) -> None:
        self._ticket.add_done_callback(lambda _: callback(self))


class _IntoMiddle(_Given):
    """A read into the middle of an array; the runtime must leave its edges alone."""

    def __init__(self, ticket: Ticket, array: bytearray, middle: memoryview) -> None:
        super().__init__(ticket)
        self._array = array
        self._middle = middle

    def result(self) -> Any:
        """The bytes in the client's array, which must not change after the delivery.

        A read that fails leaves them as they were.
        """
        try:
            value = self._ticket.result()
        except DeviceFault:
            if any(self._middle):
                raise BrokenPromise("a read that fails changes the array of its caller") from None
            raise
        if value is not self._middle:
            raise BrokenPromise("a read with out gives another object")
        if self._array[: len(_EDGE)] != _EDGE or self._array[-len(_EDGE) :] != _EDGE:
            raise BrokenPromise("a read into an array changes bytes beside its place")
        return self._middle


class _Spoilt(_Given):
    """A read as an array, which the client then overwrites: the array is the client's alone."""

    def __init__(self, ticket: Ticket) -> None:
        super().__init__(ticket)
        self._data: bytes | None = None

    def result(self) -> bytes:
        """The bytes before they were overwritten."""
        if self._data is None:
            array = self._ticket.result()
            self._data = array.tobytes()
            array.fill(0xEEEEEEEE)
        return self._data


@contextmanager
def _lent(scalars: Sequence[Sequence[int | float] | None]) -> Iterator[list[Any]]:
    """The scalars in lists, and these in a list; all of them change right after the block."""
    lists = [None if each is None else list(each) for each in scalars]
    passed: list[Any] = list(lists)
    try:
        yield passed
    finally:
        for each in lists:
            if each is not None:
                each[:] = [0] * len(each)
        passed.clear()


Spoilt = tuple[Any, Callable[[], None]]


def _plain(data: bytes) -> Spoilt:
    array = bytearray(data)

    def spoil() -> None:
        array[:] = b"\xee" * len(array)

    return array, spoil


def _strided(data: bytes) -> Spoilt:
    """Every other byte of an array, so that it is not contiguous."""
    array = np.zeros(2 * len(data), dtype=np.uint8)
    array[::2] = np.frombuffer(data, dtype=np.uint8)
    return array[::2], lambda: array.fill(0xEE)


def _words(data: bytes) -> Spoilt:
    """Whole words as an array of two dimensions; other lengths as bytes."""
    if len(data) % 8 or not data:
        return _plain(data)
    array = np.frombuffer(bytearray(data), dtype=np.uint32).reshape(2, -1)
    return array, lambda: array.fill(0xEEEEEEEE)


_ARRAYS: Sequence[Callable[[bytes], Spoilt]] = (_plain, _strided, _words)
