"""Pending reads: their tickets, the order of deliveries, and what the queue has done.

A readback is *recorded* until its batch is submitted, then it is mapped, and it is
*done* once its bytes were taken.  A read that is done shows that the queue has finished its
batch.  Tickets settle only here, each once, in the order in which their reads were issued.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import KW_ONLY, dataclass
from time import monotonic
from typing import Any

import numpy as np

from gpusim.errors import DeviceFault, InternalError, InvalidData, MapFailed, Refused
from gpusim.runtime import checks
from gpusim.runtime.buffers import Buffer
from gpusim.runtime.commands import StagingMap
from gpusim.runtime.drivers.driver import Driver, Receive, Value
from gpusim.runtime.handles import Handle
from gpusim.runtime.host_data import Destination
from gpusim.runtime.host_writes import QueueClock
from gpusim.runtime.loop_polls import LoopPolls
from gpusim.runtime.staging import StagingPage, StagingPool

_log = logging.getLogger("gpusim")


class Ticket(Handle):
    """Stands for a read, and gives the read's value or its error, whenever asked.

    ``begin`` checks a timeout, and submits the read if it is still recorded; then ``readbacks``
    settles it.
    """

    _instead = "its result() was meant"

    def __init__(
        self,
        begin: "Callable[[Ticket, float | None], float | None]",
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
        """The read's buffer, first byte and number of bytes; None for the fence of a runtime."""

    def done(self) -> bool:
        """Whether the read has a value or an error, without waiting."""
        return self._settled

    def result(self, timeout: float | None = None) -> Any:
        """The value, waiting for it and for every read issued before it.

        ``timeout`` is in seconds; None is the policy's ``wait_seconds``.

        Raises:
            MapFailed, SubmitFailed, DeviceLost: the read's own error, at each call.
            WaitTimedOut: a TimeoutError; the read is still pending, and may be asked again.
        """
        if not self._settled:
            seconds = self._begin(self, timeout)
            self._readbacks.settle_through(self, seconds)
        return self._outcome()

    def add_done_callback(self, callback: Callable[["Ticket"], object]) -> None:
        """Call ``callback(self)`` once the ticket is settled, or now if it already is.

        Callbacks run in the thread of the runtime, inside the call that settles the
        ticket, and may use the runtime.  An exception of a callback is logged.  A running
        asyncio loop settles reads whose batch was submitted (see ``Runtime.flush``).
        Without a running loop, waits and ``Runtime.poll`` settle them.

        Raises:
            Refused: ``callback`` cannot be called.
        """
        if not callable(callback):
            raise Refused(
                f"cannot add the done callback {callback!r} because it cannot be called "
                "(probably the result of a call was passed instead of the function)"
            )
        if self._settled:
            _call([callback], self)
            return
        self._callbacks.append(callback)
        if len(self._callbacks) == 1:
            self._readbacks.listen()

    def __await__(self) -> Generator[Any, None, Any]:
        if not self._settled:
            self._begin(self, None)
            yield from self._readbacks.settle_through_async(self).__await__()
        return self._outcome()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        """Wait for the value, as an array; an array of bytes if the read has no dtype."""
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
    def has_callbacks(self) -> bool:
        """Whether the ticket has done callbacks."""
        return bool(self._callbacks)

    @property
    def is_recorded(self) -> bool:
        """Whether the read waits in the open batch."""
        return self._page is not None and self._page.is_recorded

    def settle(self, value: Any, error: DeviceFault | None) -> None:
        """Set the outcome, once; only the runtime of the ticket calls this."""
        if self._settled:
            raise InternalError("cannot settle a ticket because it was settled before")
        self._settled = True
        self._value, self._error = value, error
        # The page may be much larger than the read, and the caller may keep the ticket.
        self._page = None
        callbacks, self._callbacks = self._callbacks, []
        _call(callbacks, self)

    def _outcome(self) -> Any:
        if self._error is not None:
            # A new object each time, so that tracebacks do not accumulate on one error.
            raise type(self._error)(*self._error.args) from self._error
        return self._value


def _call(callbacks: Sequence[Callable[[Ticket], object]], ticket: Ticket) -> None:
    for at, callback in enumerate(callbacks):
        try:
            callback(ticket)
        except (Exception, asyncio.CancelledError):
            # The result of a cancelled future raises CancelledError, which cancels nothing here.
            _log.exception("a done callback of a read raised")
        except BaseException:
            # After a KeyboardInterrupt nothing else would call the callbacks behind this one.
            _call(callbacks[at + 1 :], ticket)
            raise


@dataclass(slots=True, eq=False)
class Readback:
    """One pending read: ``size_bytes`` bytes from ``page_offset`` of its page.

    A read of no bytes has no page.
    """

    ticket: Ticket
    destination: Destination
    _: KW_ONLY
    page: StagingPage | None
    page_offset: int
    size_bytes: int
    error: DeviceFault | None = None
    """Why the value could not be made of the bytes that have arrived."""

    def value_in(self, data: memoryview) -> Any:
        """The value, copied from the bytes of its page; None, with ``error`` set, if that fails."""
        start = self.page_offset
        try:
            return self.destination.deliver(data[start : start + self.size_bytes])
        except Exception as error:
            # The error itself is not kept, since its frames hold views on mapped memory.
            self.error = MapFailed(
                f"cannot deliver {self.size_bytes} bytes because of {error!r} (probably the host "
                "has no memory left)"
            )
            return None


class Readbacks:
    """Every read that has not been delivered, in the order of issue."""

    def __init__(
        self,
        driver: Driver,
        staging: StagingPool,
        clock: QueueClock,
        wait_seconds: float | None = None,
    ) -> None:
        self.unseen: DeviceFault | None = None
        """A fault that no call has raised yet."""
        self._driver = driver
        self._staging = staging
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._queue: deque[Readback] = deque()
        self._listened = 0
        """How many undelivered reads have done callbacks."""
        self._loop_polls = LoopPolls()

    def issue(self, readback: Readback) -> None:
        """Add a read that was just accepted."""
        self._queue.append(readback)

    def submitted(self, pages: list[StagingPage]) -> None:
        """Map the staging pages of a batch that was just submitted."""
        for page in pages:
            page.act = self._clock.acts
            try:
                page.mapping = self._driver.map(page.buffer, page.used_bytes)
            except DeviceFault as fault:
                self._fail_untold(page, fault)
        if self._listened:
            self._loop_polls.start(self._poll_for_loop)

    def listen(self) -> None:
        """Let a running asyncio loop poll, because one more read has a done callback."""
        self._listened += 1
        if self._is_under_way:
            self._loop_polls.start(self._poll_for_loop)

    def stop(self) -> None:
        """Cancel the polls in any loop."""
        self._loop_polls.stop()

    def fail(self, page: StagingPage, fault: DeviceFault) -> None:
        """Give every read of ``page`` the error ``fault``; the page is never used again."""
        if page.error is None and not page.is_taken:
            page.error = fault
            if page.mapping is not None:
                page.mapping.is_given_up, page.mapping = True, None
            self._staging.discard(page.buffer)
            if self._listened:
                self._loop_polls.start(self._poll_for_loop)

    def fail_all(self, fault: DeviceFault) -> None:
        """Give every undelivered read the same error, and deliver the errors."""
        while self._queue:
            readback = self._queue[0]
            if readback.page is not None:
                self.fail(readback.page, fault)
            self._deliver(readback)

    def give_up(self, fault: DeviceFault) -> None:
        """Deliver every read; those that have not arrived by now get the error ``fault``."""
        while self._deliver_arrived():
            page = self._queue[0].page
            if page is not None:
                self.fail(page, fault)

    @property
    def last_ticket(self) -> Ticket | None:
        """The ticket of the last issued read; None if all reads are delivered."""
        return self._queue[-1].ticket if self._queue else None

    def fence_of(self, act: int) -> StagingPage | None:
        """A page whose pending map waits for act number ``act`` of the ``QueueClock``, if any."""
        pages = (each.page for each in reversed(self._queue) if each.page and each.page.mapping)
        return next((page for page in pages if page.act == act), None)

    def settle_through(self, ticket: Ticket, seconds: float | None = None) -> None:
        """Wait for the reads up to that of ``ticket``, and deliver them; all are submitted by now.

        WaitTimedOut after ``seconds``; None means the policy's ``wait_seconds``.  Reads that were
        delivered by then stay delivered.
        """
        seconds = self._wait_seconds if seconds is None else seconds
        end = None if seconds is None else monotonic() + seconds
        while not ticket.done() and self._queue:
            readback = self._queue[0]
            if not self._has_arrived(readback, end and max(0.0, end - monotonic())):
                raise checks.timed_out("wait for a read", seconds)
            self._deliver(readback)

    def poll(self) -> int:
        """Deliver the reads that have arrived, in order; returns how many are still pending.

        If a read with a done callback is under way, a running asyncio loop polls on by itself.
        """
        pending = self._deliver_arrived()
        if self._listened and self._is_under_way:
            self._loop_polls.start(self._poll_for_loop)
        return pending

    def _deliver_arrived(self) -> int:
        while self._is_under_way:
            readback = self._queue[0]
            if not self._has_arrived(readback, 0):
                break
            self._deliver(readback)
        return len(self._queue)

    async def settle_through_async(self, ticket: Ticket, seconds: float | None = None) -> None:
        """``settle_through`` without blocking the event loop."""
        seconds = self._wait_seconds if seconds is None else seconds
        if seconds is None:
            await self._settle_through_async(ticket)
            return
        try:
            async with asyncio.timeout(seconds):
                await self._settle_through_async(ticket)
        except TimeoutError:
            raise checks.timed_out("wait for a read", seconds) from None

    async def _settle_through_async(self, ticket: Ticket) -> None:
        """Settle; meanwhile other tasks may deliver the same reads."""
        while not ticket.done() and self._queue:
            readback = self._queue[0]
            page = readback.page
            if page is not None and page.mapping is not None:
                try:
                    await self._driver.wait_async(page.mapping)
                except DeviceFault as fault:
                    self._fail_untold(page, fault)
            if self._queue and self._queue[0] is readback:
                self._deliver(readback)

    @property
    def _is_under_way(self) -> bool:
        """Whether the next read to deliver was submitted, or needs no submit."""
        page = self._queue[0].page if self._queue else None
        return bool(self._queue) and (page is None or not page.is_recorded)

    def _has_arrived(self, readback: Readback, seconds: float | None) -> bool:
        """Whether a read can be delivered within ``seconds``: with its bytes, or with an error."""
        page = readback.page
        if page is None or page.mapping is None:
            return True
        try:
            return self._driver.wait(page.mapping, seconds)
        except DeviceFault as fault:
            self._fail_untold(page, fault)
            return True

    def _fail_untold(self, page: StagingPage, fault: DeviceFault) -> None:
        """Like ``fail``; the next op raises the fault, since no call has raised it yet."""
        self.fail(page, fault)
        if page.error is fault:
            self.unseen = self.unseen or fault

    def _poll_for_loop(self) -> bool:
        """Poll; returns whether a callback still waits for a submitted read."""
        before = len(self._queue)
        has_come = self._deliver_arrived() < before
        is_wanted = self._listened > 0 and self._is_under_way
        if has_come and is_wanted:
            # The next read is likely to arrive soon.
            self._loop_polls.start(self._poll_for_loop)
        return is_wanted

    def _deliver(self, readback: Readback) -> None:
        """Take the bytes and settle the ticket; all state is consistent before callbacks run."""
        page = readback.page
        value = readback.value_in(memoryview(b"")) if page is None else self._value(readback, page)
        error = readback.error if page is None else page.error or readback.error
        self._queue.popleft()
        self._listened -= readback.ticket.has_callbacks
        readback.ticket.settle(value, error)

    def _value(self, readback: Readback, page: StagingPage) -> Any:
        """The value of a read, None if its page has an error.

        A read that is alone on its page copies its bytes from the map.  The bytes of a shared page
        are kept, since each read's destination may be written only when its turn comes.
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
        """The value that ``receive`` makes of a page's bytes; None if the map failed."""
        try:
            value = self._driver.take(mapping, receive)
        except DeviceFault as fault:
            self._fail_untold(page, fault)
            return None
        page.mapping, page.is_taken = None, True
        self._staging.give_back(page.buffer)
        self._clock.finished(page.act)
        return value
