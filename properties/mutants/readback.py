"""Mistakes in reads on their way back, and in what a sync waits for."""

from typing import Any

from gpusim.errors import DeviceFault
from gpusim.runtime.batch import FlushReason
from gpusim.runtime.byte_plans import words_down
from gpusim.runtime.commands import DeviceBuffer
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.host_data import Destination
from gpusim.runtime.host_writes import QueueClock
from gpusim.runtime.parts import Parts
from gpusim.runtime.readbacks import Readback, Readbacks, Ticket
from gpusim.runtime.reads import Reads
from gpusim.runtime.staging import StagingPage, StagingPool
from properties.mutants.mutant import Mutant, mutant


class SyncForgetsRead(Readbacks):
    """A read is dropped from what a sync awaits once another read was issued."""

    def settle_through(self, ticket: Ticket, seconds: float | None = None) -> None:
        while len(self._queue) > 1 and self._queue[0].ticket is not ticket:
            self._queue.popleft()
        super().settle_through(ticket, seconds)


class ReadsDeliveredBackwards(Readbacks):
    """Of the reads that are ready, the last is delivered first."""

    def settle_through(self, ticket: Ticket, seconds: float | None = None) -> None:
        self._queue.reverse()
        while self._queue:
            super().settle_through(self._queue[0].ticket, seconds)


class EmptyReadDeliveredEarly(Readbacks):
    """A read of nothing is delivered at its issue, before the reads that came before it."""

    def issue(self, readback: Readback) -> None:
        if readback.size_bytes:
            super().issue(readback)
        else:
            readback.ticket.settle(readback.destination.deliver(memoryview(b"")), None)


class MappingsCrossed(Readbacks):
    """Bytes are taken from the page of the next read where the two pages are alike."""

    def settle_through(self, ticket: Ticket, seconds: float | None = None) -> None:
        reads = [one for one in self._queue if one.page is not None and one.page.mapping]
        for left, right in zip(reads[::2], reads[1::2], strict=False):
            if left.page is not right.page and left.size_bytes == right.size_bytes:
                left.page, right.page = right.page, left.page
        super().settle_through(ticket, seconds)


class StagingMapsWhole(Readbacks):
    """The result is all that was mapped from where the read begins."""

    def _deliver(self, readback: Readback) -> None:
        if readback.page is not None and readback.size_bytes % 4:
            readback.size_bytes = readback.page.used_bytes - readback.page_offset
        super()._deliver(readback)


class ReadOffsetDropped(Readbacks):
    """A read starts at the word that holds its first byte."""

    def _deliver(self, readback: Readback) -> None:
        readback.page_offset = words_down(readback.page_offset)
        super()._deliver(readback)


class PageOfOneRead(Readbacks):
    """Of the reads that share a page only the first knows where in it its bytes are."""

    def issue(self, readback: Readback) -> None:
        before = self._queue[-1] if self._queue else None
        if before is not None and readback.page is not None and before.page is readback.page:
            readback.page_offset = before.page_offset % 4 + readback.page_offset % 4
        super().issue(readback)


class FourthReadOfPage(Readbacks):
    """A page knows the places of three reads, and the fourth is given that of the third."""

    def issue(self, readback: Readback) -> None:
        mates = [one for one in self._queue if one.page is readback.page is not None]
        if len(mates) == 3:
            readback.page_offset = mates[-1].page_offset
        super().issue(readback)


class LongReadStartsAtWord(Readbacks):
    """A read of a page or more starts at the word that holds its first byte."""

    def issue(self, readback: Readback) -> None:
        if readback.size_bytes >= 2048:
            readback.page_offset -= readback.page_offset % 4
        super().issue(readback)


class FailedReadGivesZeros(Readbacks):
    """A read whose map failed has the bytes of a buffer that nothing was copied to."""

    def _value(self, readback: Readback, page: StagingPage) -> Any:
        value = super()._value(readback, page)
        if page.error is None:
            return value
        page.error, page.is_taken = None, True
        page.data = memoryview(bytes(page.used_bytes))
        return readback.value_in(page.data)


class ReadReturnsView(Readbacks):
    """The bytes of a read are a view on memory that the next read of its size writes."""

    def __init__(self, driver: Driver, staging: StagingPool, clock: QueueClock) -> None:
        super().__init__(driver, staging, clock)
        self._memory: dict[int, bytearray] = {}

    def _value(self, readback: Readback, page: StagingPage) -> Any:
        value = super()._value(readback, page)
        if not isinstance(value, bytes):
            return value
        memory = self._memory.setdefault(len(value), bytearray(len(value)))
        memory[:] = value
        return memoryview(memory)


class FailureTakesOthersAlong(Readbacks):
    """A map that fails fails every read under way."""

    def fail(self, page: StagingPage, fault: DeviceFault) -> None:
        super().fail(page, fault)
        for other in [readback.page for readback in self._queue]:
            if other is not None:
                super().fail(other, fault)


class FaultRaisedForEver(Readbacks):
    """A fault that was raised once is raised by every later call."""

    @property
    def unseen(self) -> DeviceFault | None:
        return self._fault

    @unseen.setter
    def unseen(self, fault: DeviceFault | None) -> None:
        self._fault = fault or self._fault

    _fault: DeviceFault | None = None


class FaultNeverRaised(Readbacks):
    """A map that fails is told by its ticket alone."""

    @property
    def unseen(self) -> DeviceFault | None:
        return None

    @unseen.setter
    def unseen(self, fault: DeviceFault | None) -> None:
        """Nobody will ask."""


class StagingIgnoresMisalignment(Reads):
    """A page is as long as its read, though the copy starts at a word before it."""

    def _page_for(self, size_bytes: int) -> StagingPage:
        page = super()._page_for(max(size_bytes - 4, 4))
        return page


class ReadsShareFullPage(Reads):
    """A page has room for as many reads as come, and the last go back to its start."""

    def _page_for(self, size_bytes: int) -> StagingPage:
        for page in self._recorder.pages[-1:]:
            if not page.has_room(size_bytes) and size_bytes <= 256:
                page.used_bytes = 0
        return super()._page_for(size_bytes)


class RepeatedReadElided(Reads):
    """A read of what was read last is answered with the bytes that it had."""

    def issue(
        self,
        origin: DeviceBuffer,
        offset: int,
        size_bytes: int,
        destination: Destination,
        *,
        fence: bool = False,
    ) -> Ticket:
        last, self._last = self._last, (origin.uid, offset, size_bytes)
        if last != self._last or self._ticket is None or not self._ticket.done():
            self._ticket = super().issue(origin, offset, size_bytes, destination, fence=fence)
        return self._ticket

    _last: tuple[int, int, int] | None = None
    _ticket: Ticket | None = None


class SyncTrustsStaleTail(QueueClock):
    """A host write after a readback does not cancel the shortcut "the readback is the last"."""

    def wrote(self, size_bytes: int) -> None:
        """Only submits are acts."""


class SyncWaitsForSubmitOnly(Reads):
    """A sync submits, and returns when the reads so far are there, without a fence."""

    def goal_of_sync(self) -> Ticket | None:
        self._recorder.submit(FlushReason.SYNC)
        return self._readbacks.last_ticket


class SyncWithNothingToSubmitReturns(Reads):
    """A sync waits for the fence it made last where there is nothing to submit."""

    def goal_of_sync(self) -> Ticket | None:
        if self._recorder.is_empty and self._fence_source is not None:
            return None
        return super().goal_of_sync()


def _readbacks(broken: type[Readbacks], **about: Any) -> Mutant:
    def made(driver: Driver, staging: StagingPool, clock: QueueClock) -> Readbacks:
        return broken(driver, staging, clock)

    return mutant(broken, parts=Parts(readbacks=made), **about)


def _reads(broken: type[Reads], **about: Any) -> Mutant:
    return mutant(broken, parts=Parts(reads=broken), **about)


MUTANTS = (
    _readbacks(SyncForgetsRead, ancestor="TVM 18871, mended by 20059"),
    _readbacks(ReadsDeliveredBackwards),
    _readbacks(EmptyReadDeliveredEarly),
    _readbacks(MappingsCrossed),
    _readbacks(StagingMapsWhole, ancestor="TVM 18871, first version"),
    _readbacks(ReadOffsetDropped),
    _readbacks(PageOfOneRead),
    _readbacks(FourthReadOfPage),
    _readbacks(LongReadStartsAtWord, hard=True),
    _readbacks(ReadReturnsView, ancestor="three.js#33281"),
    _readbacks(FailedReadGivesZeros, prey="faults"),
    _readbacks(FailureTakesOthersAlong, prey="faults"),
    _readbacks(FaultRaisedForEver, prey="faults"),
    _readbacks(FaultNeverRaised, prey="faults"),
    _reads(StagingIgnoresMisalignment),
    _reads(ReadsShareFullPage, hard=True),
    _reads(RepeatedReadElided, hard=True),
    _reads(SyncWithNothingToSubmitReturns),
    _reads(SyncWaitsForSubmitOnly, prey="laws"),
    mutant(
        SyncTrustsStaleTail,
        parts=Parts(clock=SyncTrustsStaleTail),
        ancestor="TVM 18871, mended by 20059",
        prey="laws",
    ),
)
