"""Reads on their way back: tickets, and the order in which they are delivered.

A readback is *recorded* until its batch is submitted, then mapped, and *done*
once its bytes were taken.  Tickets settle in the order in which their reads
were issued, each exactly once, and only here.
"""

import logging
from collections import deque
from collections.abc import Callable, Generator
from typing import Any, Protocol

from gpusim.errors import DeviceFault, DeviceLost, InternalError, MapFailed
from gpusim.runtime.commands import DeviceBuffer, Mapping
from gpusim.runtime.driver import Driver
from gpusim.runtime.host_data import Destination
from gpusim.runtime.staging import StagingPool
from gpusim.runtime.timeline import Timeline

_log = logging.getLogger("gpusim")


class Waiter(Protocol):
    """Who can wait for a ticket: the runtime that issued it."""

    def settle_ticket(self, ticket: "Ticket") -> None: ...
    async def settle_ticket_async(self, ticket: "Ticket") -> None: ...


class Ticket:
    """A read on its way: its value, or its own error, whenever asked."""

    def __init__(self, waiter: Waiter) -> None:
        self._waiter = waiter
        self._settled = False
        self._value: Any = None
        self._error: DeviceFault | None = None
        self._callbacks: list[Callable[[Ticket], object]] = []

    def done(self) -> bool:
        """Whether it has a value or an error; never waits."""
        return self._settled

    def result(self) -> Any:
        """The value, waiting for it and for every read issued before it.

        Raises:
            MapFailed, SubmitFailed, DeviceLost: its own error, each time it is asked.
        """
        if not self._settled:
            self._waiter.settle_ticket(self)
        return self._outcome()

    def add_done_callback(self, callback: Callable[["Ticket"], object]) -> None:
        """Call ``callback(self)`` once it is settled, at once where it is already.

        Callbacks run in the thread of the runtime, inside the call that settles
        the ticket, and may use the runtime.  What one raises is logged.
        """
        if self._settled:
            _call(callback, self)
        else:
            self._callbacks.append(callback)

    def __await__(self) -> Generator[Any, None, Any]:
        if not self._settled:
            yield from self._waiter.settle_ticket_async(self).__await__()
        return self._outcome()

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


class Readback:
    """One read's way back: ``size_bytes`` bytes from ``staging_offset`` of its staging buffer."""

    __slots__ = (
        "act",
        "destination",
        "error",
        "mapping",
        "size_bytes",
        "staging",
        "staging_offset",
        "ticket",
    )

    def __init__(
        self,
        ticket: Ticket,
        destination: Destination,
        *,
        staging: DeviceBuffer | None,
        staging_offset: int,
        size_bytes: int,
    ) -> None:
        self.ticket = ticket
        self.destination = destination
        self.staging = staging
        self.staging_offset = staging_offset
        self.size_bytes = size_bytes
        self.mapping: Mapping | None = None
        self.error: DeviceFault | None = None
        self.act = 0

    @property
    def mapped_bytes(self) -> int:
        """How much of the staging buffer is mapped: whole words."""
        return -(-(self.staging_offset + self.size_bytes) // 4) * 4


class Readbacks:
    """Every read that has not been delivered, in the order of issue."""

    def __init__(self, driver: Driver, staging: StagingPool, timeline: Timeline) -> None:
        self.unseen: DeviceFault | None = None
        """A fault that no call has raised yet."""
        self._driver = driver
        self._staging = staging
        self._timeline = timeline
        self._queue: deque[Readback] = deque()

    def issue(self, readback: Readback) -> None:
        """Queue a read that was just accepted."""
        self._queue.append(readback)

    def submitted(self, readbacks: list[Readback]) -> None:
        """Map the staging buffers of a batch that was just submitted."""
        for readback in readbacks:
            assert readback.staging is not None
            readback.act = self._timeline.acts
            try:
                readback.mapping = self._driver.map(readback.staging, readback.mapped_bytes)
            except DeviceFault as fault:
                self.fail(readback, fault)
                self.unseen = self.unseen or fault

    def fail(self, readback: Readback, fault: DeviceFault) -> None:
        """Give a read its error; its staging buffer is never used again."""
        readback.error = fault
        readback.mapping = None
        if readback.staging is not None:
            self._staging.discard(readback.staging)
            readback.staging = None

    def fail_all(self, fault: DeviceFault) -> None:
        """Give every undelivered read the same error, and deliver that."""
        while self._queue:
            readback = self._queue[0]
            if readback.error is None:
                self.fail(readback, fault)
            self._deliver(readback)

    @property
    def last_ticket(self) -> Ticket | None:
        """The ticket of the read that was issued last and is not delivered."""
        return self._queue[-1].ticket if self._queue else None

    def covers(self, act: int) -> bool:
        """Whether a map that is under way waits for act ``act`` of the queue."""
        return any(readback.mapping is not None and readback.act == act for readback in self._queue)

    def settle_through(self, ticket: Ticket) -> None:
        """Wait for and deliver every read up to that of ``ticket``."""
        while not ticket.done() and self._queue:
            readback = self._queue[0]
            self._wait(readback)
            self._deliver(readback)

    async def settle_through_async(self, ticket: Ticket) -> None:
        """The same; while it waits, other tasks may deliver the very same reads."""
        while not ticket.done() and self._queue:
            readback = self._queue[0]
            if readback.mapping is not None:
                try:
                    await self._driver.wait_async(readback.mapping)
                except DeviceLost as fault:
                    if readback.error is None:
                        self.fail(readback, fault)
            if self._queue and self._queue[0] is readback:
                self._deliver(readback)

    def _wait(self, readback: Readback) -> None:
        if readback.mapping is not None:
            try:
                self._driver.wait(readback.mapping)
            except DeviceLost as fault:
                self.fail(readback, fault)

    def _deliver(self, readback: Readback) -> None:
        """Take the bytes and settle the ticket; the queue is whole before callbacks run."""
        data = self._take(readback)
        self._queue.popleft()
        if readback.error is not None:
            readback.ticket.settle(None, readback.error)
            return
        self._timeline.finished(readback.act)
        readback.ticket.settle(readback.destination.deliver(data), None)

    def _take(self, readback: Readback) -> bytes:
        if readback.staging is None:
            return b""
        if readback.mapping is None:
            raise InternalError("cannot deliver a read because its batch was never submitted")
        try:
            words = self._driver.take(readback.mapping)
        except (MapFailed, DeviceLost) as fault:
            self.fail(readback, fault)
            self.unseen = self.unseen or fault
            return b""
        self._staging.give_back(readback.staging)
        start = readback.staging_offset
        return words[start : start + readback.size_bytes]
