"""Reads on their way back: tickets, the order in which they are delivered, and what is done.

A readback is *recorded* until its batch is submitted, then mapped, and *done*
once its bytes were taken, which shows how far the queue has got.  Tickets settle
in the order in which their reads were issued, each exactly once, and only here.
"""

import logging
from collections import deque
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from gpusim.errors import DeviceFault, DeviceLost, InternalError, InvalidData, MapFailed, Refused
from gpusim.runtime.buffers import Buffer
from gpusim.runtime.commands import StagingMap
from gpusim.runtime.drivers.driver import Driver, Receive, Value
from gpusim.runtime.host_data import Destination
from gpusim.runtime.staging import StagingPage, StagingPool

_log = logging.getLogger("gpusim")
_NOTHING = memoryview(b"")


class Ticket:
    """A read on its way: its value, or its own error, whenever asked.

    ``begin`` gets its read under way, before ``readbacks`` settles it.
    """

    def __init__(
        self,
        begin: "Callable[[Ticket], None]",
        readbacks: "Readbacks",
        page: StagingPage | None = None,
    ) -> None:
        self._begin = begin
        self._readbacks = readbacks
        self._page = page
        self._settled = False
        self._value: Any = None
        self._error: DeviceFault | None = None
        self._callbacks: list[Callable[[Ticket], object]] = []
        self.span: tuple[Buffer, int, int] | None = None
        """The buffer that it reads, from which byte, and how many; None for a runtime's own."""

    def done(self) -> bool:
        """Whether it has a value or an error; never waits."""
        return self._settled

    def result(self) -> Any:
        """The value, waiting for it and for every read issued before it.

        Raises:
            MapFailed, SubmitFailed, DeviceLost: its own error, each time it is asked.
        """
        if not self._settled:
            self._begin(self)
            self._readbacks.settle_through(self)
        return self._outcome()

    def add_done_callback(self, callback: Callable[["Ticket"], object]) -> None:
        """Call ``callback(self)`` once it is settled, at once where it is already.

        Callbacks run in the thread of the runtime, inside the call that settles
        the ticket, and may use the runtime.  What one raises is logged.

        Raises:
            Refused: it cannot be called.
        """
        if not callable(callback):
            raise Refused(
                f"cannot add the done callback {callback!r} because it cannot be called "
                "(probably the result of a call was passed, instead of what is to be called)"
            )
        if self._settled:
            _call(callback, self)
        else:
            self._callbacks.append(callback)

    def __await__(self) -> Generator[Any, None, Any]:
        if not self._settled:
            self._begin(self)
            yield from self._readbacks.settle_through_async(self).__await__()
        return self._outcome()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        """The value as an array, waiting for it: of bytes where no dtype was asked for."""
        value = self.result()
        array = np.frombuffer(value, np.uint8) if isinstance(value, bytes) else np.asarray(value)
        made = array.astype(dtype or array.dtype, copy=bool(copy))
        if copy is False and made is not array:
            raise InvalidData(
                f"cannot make an array of {self!r} without a copy because it holds {array.dtype} "
                "(probably the dtype belongs to the read)"
            )
        return made

    def __repr__(self) -> str:
        what = "a fence" if self.span is None else "{2} bytes at {1} of {0!r}".format(*self.span)
        state = "pending" if not self._settled else "done"
        if self._error is not None:
            state = f"failed with {type(self._error).__name__}"
        return f"<read of {what}, {state}>"

    @property
    def is_recorded(self) -> bool:
        """Whether its read waits in the open batch."""
        return self._page is not None and self._page.is_recorded

    def settle(self, value: Any, error: DeviceFault | None) -> None:
        """Give it its outcome, once; called by its runtime only."""
        if self._settled:
            raise InternalError("cannot settle a ticket because it was settled before")
        self._settled = True
        self._value, self._error = value, error
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            _call(callback, self)

    def _outcome(self) -> Any:
        if self._error is not None:
            # A fresh object each time, so that tracebacks do not pile up on one.
            raise type(self._error)(*self._error.args) from self._error
        return self._value


def _call(callback: Callable[[Ticket], object], ticket: Ticket) -> None:
    try:
        callback(ticket)
    except Exception:
        _log.exception("a done callback of a read raised")


class QueueClock:
    """Counts the acts of one queue: its writes and its submits.

    A queued write starts with the submit that follows it, so that after nothing
    but a write a submit is still owed.
    """

    def __init__(self) -> None:
        self.acts = 0
        self.submits = 0
        self.done = 0
        self._submitted = 0

    def wrote(self) -> None:
        """The queue was given a write."""
        self.acts += 1

    def submitted(self) -> None:
        """The queue was given a command buffer; every write before it starts too."""
        self.acts += 1
        self.submits += 1
        self._submitted = self.acts

    def finished(self, act: int) -> None:
        """Everything up to ``act`` is done: the queue works in order."""
        self.done = max(self.done, act)

    @property
    def owes_submit(self) -> bool:
        """Whether a queued write still waits for a submit to start it."""
        return self.acts > self._submitted

    @property
    def is_idle(self) -> bool:
        """Whether all the queue was given is done."""
        return self.done == self.acts


class Readback:
    """One read's way back: ``size_bytes`` bytes from ``page_offset`` of its page, if it has one."""

    __slots__ = ("destination", "page", "page_offset", "size_bytes", "ticket")

    def __init__(
        self,
        ticket: Ticket,
        destination: Destination,
        *,
        page: StagingPage | None,
        page_offset: int,
        size_bytes: int,
    ) -> None:
        self.ticket = ticket
        self.destination = destination
        self.page = page
        self.page_offset = page_offset
        self.size_bytes = size_bytes

    def value_in(self, data: memoryview) -> Any:
        """The value, out of the bytes of its page: a copy, and the only one there is."""
        start = self.page_offset
        return self.destination.deliver(data[start : start + self.size_bytes])


class Readbacks:
    """Every read that has not been delivered, in the order of issue."""

    def __init__(self, driver: Driver, staging: StagingPool, clock: QueueClock) -> None:
        self.unseen: DeviceFault | None = None
        """A fault that no call has raised yet."""
        self._driver = driver
        self._staging = staging
        self._clock = clock
        self._queue: deque[Readback] = deque()

    def issue(self, readback: Readback) -> None:
        """Queue a read that was just accepted."""
        self._queue.append(readback)

    def submitted(self, pages: list[StagingPage]) -> None:
        """Map the staging pages of a batch that was just submitted."""
        for page in pages:
            page.act = self._clock.acts
            try:
                page.mapping = self._driver.map(page.buffer, page.used_bytes)
            except DeviceFault as fault:
                self.fail(page, fault)
                self.unseen = self.unseen or fault

    def fail(self, page: StagingPage, fault: DeviceFault) -> None:
        """Give every read of a page its error; its buffer is never used again."""
        if page.error is None and not page.is_taken:
            page.error = fault
            page.mapping = None
            self._staging.discard(page.buffer)

    def fail_all(self, fault: DeviceFault) -> None:
        """Give every undelivered read the same error, and deliver that."""
        while self._queue:
            readback = self._queue[0]
            if readback.page is not None:
                self.fail(readback.page, fault)
            self._deliver(readback)

    @property
    def last_ticket(self) -> Ticket | None:
        """The ticket of the read that was issued last and is not delivered."""
        return self._queue[-1].ticket if self._queue else None

    def covers(self, act: int) -> bool:
        """Whether a map that is under way waits for act ``act`` of the queue."""
        pages = (readback.page for readback in reversed(self._queue))
        return any(page is not None and page.act == act and page.mapping for page in pages)

    def settle_through(self, ticket: Ticket) -> None:
        """Wait for and deliver every read up to that of ``ticket``, all of them submitted."""
        while not ticket.done() and self._queue:
            readback = self._queue[0]
            page = readback.page
            if page is not None and page.mapping is not None:
                try:
                    self._driver.wait(page.mapping)
                except DeviceLost as fault:
                    self.fail(page, fault)
            self._deliver(readback)

    async def settle_through_async(self, ticket: Ticket) -> None:
        """The same; while it waits, other tasks may deliver the very same reads."""
        while not ticket.done() and self._queue:
            readback = self._queue[0]
            page = readback.page
            if page is not None and page.mapping is not None:
                try:
                    await self._driver.wait_async(page.mapping)
                except DeviceLost as fault:
                    self.fail(page, fault)
            if self._queue and self._queue[0] is readback:
                self._deliver(readback)

    def _deliver(self, readback: Readback) -> None:
        """Take the bytes and settle the ticket; the queue is whole before callbacks run."""
        page = readback.page
        value = (
            readback.destination.deliver(_NOTHING) if page is None else self._value(readback, page)
        )
        self._queue.popleft()
        readback.ticket.settle(value, None if page is None else page.error)

    def _value(self, readback: Readback, page: StagingPage) -> Any:
        """The value of a read, None where its page has an error.

        A read that is alone on its page gets its bytes straight from the map.
        Those of a page that is shared are kept, since each read's destination
        may be written only when its own turn comes.
        """
        if page.mapping is not None and page.reads > 1:
            self._take(page, page.mapping, page.keep)
        if page.mapping is not None:
            return self._take(page, page.mapping, readback.value_in)
        if page.is_recorded:
            raise InternalError("cannot deliver a read because its batch was never submitted")
        return None if page.error is not None else readback.value_in(page.data)

    def _take(
        self, page: StagingPage, mapping: StagingMap, receive: Receive[Value]
    ) -> Value | None:
        """What ``receive`` makes of a page's bytes; None where they cannot be had."""
        try:
            value = self._driver.take(mapping, receive)
        except (MapFailed, DeviceLost) as fault:
            self.fail(page, fault)
            self.unseen = self.unseen or fault
            return None
        page.mapping, page.is_taken = None, True
        self._staging.give_back(page.buffer)
        self._clock.finished(page.act)
        return value
