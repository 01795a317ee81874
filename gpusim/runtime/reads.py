"""Issues reads and the fence of a sync, and waits for them.

Nothing here maps, settles or delivers a read: ``readbacks`` does.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from gpusim.errors import DeviceFault, WaitTimedOut
from gpusim.runtime import checks
from gpusim.runtime.batch import FlushReason
from gpusim.runtime.byte_plans import words_down, words_up
from gpusim.runtime.commands import CopyCommand, DeviceBuffer, Role
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.guard import Guard
from gpusim.runtime.host_data import Destination
from gpusim.runtime.host_writes import QueueClock
from gpusim.runtime.readbacks import Readback, Readbacks, Ticket
from gpusim.runtime.recorder import Recorder
from gpusim.runtime.staging import StagingPage, StagingPool

_FENCE_BYTES = 4


class Reads:
    """Issues the reads of one runtime, and waits for them."""

    def __init__(
        self,
        driver: Driver,
        *,
        recorder: Recorder,
        staging: StagingPool,
        readbacks: Readbacks,
        clock: QueueClock,
        guard: Guard,
        join: bool,
        page_bytes: int,
        wait_seconds: float | None,
    ) -> None:
        self._driver = driver
        self._recorder = recorder
        self._staging = staging
        self._readbacks = readbacks
        self._clock = clock
        self._guard = guard
        self._join = join
        self._wait_seconds = wait_seconds
        self._page_bytes = words_up(page_bytes)
        self._fence_source: DeviceBuffer | None = None

    def issue(
        self,
        origin: DeviceBuffer,
        offset: int,
        size_bytes: int,
        destination: Destination,
        *,
        fence: bool = False,
    ) -> Ticket:
        """Issue a read: record a copy of the whole words around its bytes to a staging page.

        The batch is submitted at once if the read is the ``fence`` of a sync, or if the policy
        does not join reads.
        """
        start = words_down(offset)
        if not size_bytes:
            # Reads are delivered in order, so this read waits for the recorded reads before it.
            before = self._recorder.pages[-1] if self._recorder.pages else None
            ticket = Ticket(self._begin, self._readbacks, before)
            self._readbacks.issue(
                Readback(ticket, destination, page=None, page_offset=0, size_bytes=0)
            )
            return ticket
        copied_bytes = words_up(offset + size_bytes) - start
        page = self._page_for(copied_bytes)
        place = page.reserve(copied_bytes)
        readback = Readback(
            Ticket(self._begin, self._readbacks, page),
            destination,
            page=page,
            page_offset=place + offset - start,
            size_bytes=size_bytes,
        )
        self._readbacks.issue(readback)
        copy = CopyCommand(origin, start, page.buffer, place, copied_bytes)
        self._recorder.record_readback(copy, page, fence=fence)
        return readback.ticket

    def goal_of_sync(self) -> Ticket | None:
        """Submit everything; gives the ticket whose delivery shows that everything is done.

        None if nothing is left to wait for.  The fence is a read after everything else.  A map
        waits for the submit before it, and the queue works in order.  So if the queue's last act
        was to submit a read of the program, that read serves as the fence (TVM's pull request
        18871).  After any later act, even a host write, four bytes are read as the fence.
        """
        if self._recorder.has_reads:
            self._recorder.submit(FlushReason.SYNC)
        is_done = self._recorder.is_empty and self._clock.is_idle
        covered = self._recorder.is_empty and self._readbacks.fence_of(self._clock.acts)
        if not is_done and not covered:
            self._issue_fence()
        return self._readbacks.last_ticket

    def wait_for_all(self, seconds: float | None = None) -> None:
        """Return when every earlier call is done; nothing is pending then.

        If a fault prevents the fence, the fault is raised after every read is settled.
        """
        goal, fault = self._goal_or_fault()
        fence = self._readbacks.fence_of(self._clock.acts)
        with self._raised_or_kept(fault):
            if goal is not None:
                self._readbacks.settle_through(goal, seconds)
        self._after_sync(fault, fence)

    async def wait_for_all_async(self, seconds: float | None = None) -> None:
        """``wait_for_all`` without blocking the event loop."""
        goal, fault = self._goal_or_fault()
        fence = self._readbacks.fence_of(self._clock.acts)
        with self._raised_or_kept(fault):
            if goal is not None:
                await self._readbacks.settle_through_async(goal, seconds)
        self._after_sync(fault, fence)

    def finish(self, seconds: float | None) -> DeviceFault | None:
        """Submit, wait for and settle all that is left; gives a fault that no call has raised yet.

        The ops that done callbacks call meanwhile are finished too.  After ``seconds``, reads that
        have not arrived fail, and every further call is refused.
        """
        seconds = self._wait_seconds if seconds is None else seconds
        end = None if seconds is None else monotonic() + seconds
        self._submit_last()
        try:
            while not self._driver.lost and self._readbacks.last_ticket is not None:
                left = None if end is None else max(0.0, end - monotonic())
                self._readbacks.settle_through(self._readbacks.last_ticket, left)
                if not self._recorder.is_empty:
                    self._submit_last()
        except WaitTimedOut:
            given_up = WaitTimedOut(
                f"cannot finish the ops before a close because the device has not "
                f"answered within {seconds} s (probably it hangs)"
            )
            self._guard.keep(given_up)
            self._guard.is_open = False
            self._readbacks.give_up(given_up)
        self._guard.notice_loss()
        self._readbacks.stop()
        return None if self._driver.lost else self._readbacks.unseen

    def _submit_last(self) -> None:
        """Submit what is recorded, and a fence if one is needed; a fault is kept."""
        try:
            if not self._driver.lost:
                self._recorder.submit(FlushReason.CLOSE)
                self.goal_of_sync()
        except DeviceFault as fault:
            self._guard.keep(fault)

    def clear(self) -> list[DeviceBuffer]:
        """Drop the fence's buffer; the caller destroys it."""
        source, self._fence_source = self._fence_source, None
        return [] if source is None else [source]

    def _begin(self, ticket: Ticket, timeout: float | None) -> float | None:
        """Submit a read that somebody is about to wait for; gives the checked timeout."""
        self._guard.check_wait()
        seconds = checks.seconds("wait for a read", timeout)
        if ticket.is_recorded:
            self._recorder.submit(FlushReason.READ)
        return seconds

    def _goal_or_fault(self) -> tuple[Ticket | None, DeviceFault | None]:
        """``goal_of_sync()`` and None; or the last read and the fault that prevents the fence."""
        try:
            return self.goal_of_sync(), None
        except DeviceFault as fault:
            self._guard.notice_loss()
            return self._readbacks.last_ticket, fault

    @contextmanager
    def _raised_or_kept(self, fault: DeviceFault | None) -> Iterator[None]:
        """Wraps a wait: if it times out and there is a ``fault``, raise the fault instead.

        If another exception leaves the wait, such as a cancellation or Ctrl-C, nobody waits for
        the sync any more.  Then ``fault`` is kept, and the next call raises it.
        """
        try:
            yield
        except WaitTimedOut as late:
            raise fault or late from None
        except BaseException:
            if fault is not None:
                self._guard.keep(fault)
            raise

    def _after_sync(self, fault: DeviceFault | None, fence: StagingPage | None = None) -> None:
        """Raise ``fault``, or the error of ``fence`` if the fence failed.

        Every sync that waited for a failed fence raises, since nothing has shown that the earlier
        calls are done.
        """
        if fault is not None:
            raise fault
        self._recorder.after_sync()
        if fence is not None and fence.error is not None:
            self._guard.raise_fault()
            raise type(fence.error)(*fence.error.args) from fence.error

    def _issue_fence(self) -> None:
        if self._fence_source is None:
            self._fence_source = self._driver.create_buffer(_FENCE_BYTES, Role.STORAGE)
        self.issue(self._fence_source, 0, _FENCE_BYTES, Destination(_FENCE_BYTES), fence=True)

    def _page_for(self, size_bytes: int) -> StagingPage:
        """A page with room in the open batch, or a new page; a large read has its own page."""
        if not self._join or size_bytes > self._page_bytes // 2:
            return StagingPage(self._staging.take(size_bytes))
        for page in self._recorder.pages[-1:]:
            if page.has_room(size_bytes):
                return page
        return StagingPage(self._staging.take(self._page_bytes))
