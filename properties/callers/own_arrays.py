"""A caller that reads into arrays of its own, and writes on arrays it was given."""

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np

from gpusim.runtime import Ticket
from properties.callers.forwarding import BrokenPromise, Forwarding
from properties.target import Delivery
from properties.targets.runtime_target import RuntimeTarget

_EDGE = bytes(range(0xC0, 0xD0))


class OwnArraysCaller(Forwarding):
    """In turn: into the middle of an array, as an array of words that is spoilt, as bytes."""

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._turns = count()

    def read(self, buffer: str, offset: int, size_bytes: int) -> Delivery:
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
    """A read into the middle of an array, whose edges are nobody's business."""

    def __init__(self, ticket: Ticket, array: bytearray, middle: memoryview) -> None:
        super().__init__(ticket)
        self._array = array
        self._middle = middle

    def result(self) -> Any:
        """The caller's own array, which nobody writes to after the delivery."""
        if self._ticket.result() is not self._middle:
            raise BrokenPromise("a read with out gives another object than out")
        if self._array[: len(_EDGE)] != _EDGE or self._array[-len(_EDGE) :] != _EDGE:
            raise BrokenPromise("a read into an array changes bytes beside its place")
        return self._middle


class _Spoilt(_Given):
    """A read as an array that the caller then writes on: it is the caller's alone."""

    def __init__(self, ticket: Ticket) -> None:
        super().__init__(ticket)
        self._data: bytes | None = None

    def result(self) -> bytes:
        """The bytes as they were before they were spoilt."""
        if self._data is None:
            array = self._ticket.result()
            self._data = array.tobytes()
            array.fill(0xEEEEEEEE)
        return self._data
