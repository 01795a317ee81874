"""Deliveries of reads into arrays: the caller's own, or new ones that the caller then overwrites.

Each stands for one ticket or for a few, and checks what the runtime did to the array.
Which reads are made so is drawn in ``arrays``.
"""

import array
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Self

import numpy as np

from gpusim.errors import DeviceFault, MapFailed, SubmitFailed
from gpusim.limits import WORD_BYTES
from gpusim.runtime import Ticket
from properties.clients.client import BrokenPromise
from properties.model.target import Delivery

EDGE_BYTES = 16
EDGE = 0xC5


def outs_of(middle: np.ndarray[Any, Any]) -> list[Any]:
    """Objects that a read may fill: views of ``middle``, and other arrays of the same size."""
    outs: list[Any] = [middle, middle.data, middle.reshape(1, -1), bytearray(middle.size)]
    if middle.size % 4 or not middle.size:
        return outs
    words = middle.view(np.uint32)
    outs += [words, words.view(np.float32), words.data, array.array("I", bytes(middle.size))]
    outs += [words.reshape(())] if words.size == 1 else [words.reshape(-1, 1)]
    outs += [words.reshape(1, -1).view(np.matrix)]
    outs += [] if words.size % 2 else [words.reshape(2, -1), middle.view("u4,f4")]
    return outs


class Given:
    """What the deliveries here share: their callbacks are called when ``ticket`` is settled."""

    def __init__(self, ticket: Ticket) -> None:
        self._ticket = ticket

    def result(self) -> Any:
        raise NotImplementedError

    def add_done_callback(self, callback: Callable[[Delivery], None]) -> None:
        self._ticket.add_done_callback(lambda _: callback(self))


class AsArray(Given):
    """A read of bytes that is asked for as an array."""

    def result(self) -> bytes:
        array = np.asarray(self._ticket)
        if array.dtype != np.uint8:
            raise BrokenPromise(f"a read of bytes gives an array of {array.dtype}")
        return array.tobytes()


class IntoMiddle(Given):
    """A read into the middle of an array; the runtime must leave the array's edges alone."""

    def __init__(self, base: np.ndarray[Any, Any], out: Any) -> None:
        self._base, self._out = base, out
        self._before = memoryview(out).tobytes()

    def follow(self, ticket: Ticket) -> Self:
        """Take the ticket of the read."""
        self._ticket = ticket
        return self

    def put_before(self, same: Ticket, *, bit: tuple[int, int]) -> None:
        """Put into the array what ``same`` has read, with one bit of each word changed.

        ``same`` reads the same bytes, and arrives before this read does.
        """
        with suppress(DeviceFault):
            like = np.frombuffer(same.result(), np.uint8).copy()
            byte, mask = bit
            like[byte::WORD_BYTES] ^= mask
            if like.size:
                np.frombuffer(self._out, np.uint8)[:] = like
                self._before = like.tobytes()

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
        edges = self._base[:EDGE_BYTES], self._base[-EDGE_BYTES:]
        if any((edge != EDGE).any() for edge in edges):
            raise BrokenPromise("a read into an array changed bytes beside its place")
        return memoryview(self._out)


class IntoOne(Given):
    """Two reads into one array, one after the other.

    ``same`` reads the bytes of the first read once more, on its own.
    """

    def __init__(self, same: Ticket, out: bytearray) -> None:
        super().__init__(same)
        self._same, self._out = same, out
        self._tickets: list[Ticket] = []
        self._broken = ""

    def follow(self, first: Ticket, second: Ticket) -> None:
        """Take the tickets of the two reads."""
        self._tickets = [first, second]
        first.add_done_callback(self._compare)
        self._ticket = second

    def check_given_back(self) -> bool:
        """Whether both reads are settled; nobody may hold the array then, so it can grow."""
        if not all(ticket.done() for ticket in self._tickets):
            return False
        try:
            self._out.append(EDGE)
        except BufferError as error:
            raise BrokenPromise(
                f"an array is still held after the reads into it were settled: {error}"
            ) from None
        self._out.pop()
        return True

    def _compare(self, first: Ticket) -> None:
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


class Joined(Given):
    """Reads of pieces, one after the other, which are joined."""

    def __init__(self, tickets: list[Ticket]) -> None:
        super().__init__(tickets[-1])
        self._tickets = tickets

    def result(self) -> bytes:
        return b"".join([ticket.result() for ticket in self._tickets])


class Spoilt(Given):
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
