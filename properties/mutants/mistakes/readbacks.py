"""Mistakes in reads: their staging buffers, their deliveries, and what a sync waits for.

A staging buffer belongs to the reads of one batch until their bytes were taken; a
result belongs to the caller.
"""

from typing import Any

from gpusim.errors import DeviceFault
from gpusim.runtime.batch import FlushReason
from gpusim.runtime.byte_plans import words_down
from gpusim.runtime.commands import DeviceBuffer, Role
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.host_data import Destination
from gpusim.runtime.host_writes import QueueClock
from gpusim.runtime.readbacks import Readback, Readbacks, Ticket
from gpusim.runtime.reads import Reads
from gpusim.runtime.staging import StagingPage, StagingPool
from properties.mutants.mutant import mutant


@mutant(part="staging", origin="tinygrad; wgpu#5173")
class StagingReusedTooSoon(StagingPool):
    """A buffer is free again as soon as it was handed out."""

    def take(self, size_bytes: int) -> DeviceBuffer:
        buffer = super().take(size_bytes)
        self._free.append(buffer)
        return buffer

    def give_back(self, buffer: DeviceBuffer) -> None:
        """Do nothing: the buffer was given back before."""


@mutant(part="staging")
class StagingPoolGivesSmaller(StagingPool):
    """The smallest free buffer is handed out, even if it is too small for the read."""

    def take(self, size_bytes: int) -> DeviceBuffer:
        return super().take(min([size_bytes, *(buffer.size_bytes for buffer in self._free)]))


@mutant(part="staging")
class StagingSizeRoundedDown(StagingPool):
    """The size of a staging buffer is rounded down to a power of two."""

    def take(self, size_bytes: int) -> DeviceBuffer:
        return super().take(1 << (size_bytes.bit_length() - 1))


@mutant(part="staging")
class StagingEvictsUnread(StagingPool):
    """If more buffers are in use than the pool keeps, the one handed out first is destroyed."""

    def __init__(self, driver: Driver, capacity: int, class_bytes: int) -> None:
        super().__init__(driver, capacity, class_bytes)
        self._out: list[DeviceBuffer] = []

    def take(self, size_bytes: int) -> DeviceBuffer:
        if len(self._out) > max(self._capacity, 1):
            self._driver.destroy_buffer(self._out.pop(0))
        buffer = super().take(size_bytes)
        self._out.append(buffer)
        return buffer

    def give_back(self, buffer: DeviceBuffer) -> None:
        if buffer in self._out:
            self._out.remove(buffer)
        super().give_back(buffer)


@mutant(part="staging")
class StagingEvictedStaysFree(StagingPool):
    """A full pool lists a returned buffer one time too often, even if it was just destroyed."""

    def give_back(self, buffer: DeviceBuffer) -> None:
        full = len(self._free) >= self._capacity > 0
        super().give_back(buffer)
        if full:
            self._free.append(buffer)


@mutant(part="staging", origin="noon#166", found_by="faults")
class FailedMapRecycled(StagingPool):
    """A buffer whose map failed goes back to the pool."""

    def discard(self, buffer: DeviceBuffer) -> None:
        self.give_back(buffer)


@mutant(part="staging")
class LargeStagingShared(StagingPool):
    """All reads of more than 4096 bytes share one staging buffer."""

    def __init__(self, driver: Driver, capacity: int, class_bytes: int) -> None:
        super().__init__(driver, capacity, class_bytes)
        self._large: DeviceBuffer | None = None

    def take(self, size_bytes: int) -> DeviceBuffer:
        if size_bytes <= 4096:
            return super().take(size_bytes)
        if self._large is None or self._large.size_bytes < size_bytes:
            self._large = self._driver.create_buffer(size_bytes, Role.STAGING)
        return self._large

    def give_back(self, buffer: DeviceBuffer) -> None:
        if buffer is not self._large:
            super().give_back(buffer)


@mutant(part="readbacks", origin="TVM 18871, mended by 20059")
class SyncForgetsRead(Readbacks):
    """A wait for a read drops all reads before it, which are never delivered."""

    def settle_through(self, ticket: Ticket, seconds: float | None = None) -> None:
        while len(self._queue) > 1 and self._queue[0].ticket is not ticket:
            self._queue.popleft()
        super().settle_through(ticket, seconds)


@mutant(part="readbacks")
class ReadsDeliveredBackwards(Readbacks):
    """A wait delivers all pending reads, the last one first."""

    def settle_through(self, ticket: Ticket, seconds: float | None = None) -> None:
        self._queue.reverse()
        while self._queue:
            super().settle_through(self._queue[0].ticket, seconds)


@mutant(part="readbacks")
class EmptyReadDeliveredEarly(Readbacks):
    """A read of nothing is delivered at its issue, before the reads that came before it."""

    def issue(self, readback: Readback) -> None:
        if readback.size_bytes:
            super().issue(readback)
        else:
            readback.ticket.settle(readback.destination.deliver(memoryview(b"")), None)


@mutant(part="readbacks")
class MappingsCrossed(Readbacks):
    """Two successive pending reads of the same size, if on two pages, swap their pages."""

    def settle_through(self, ticket: Ticket, seconds: float | None = None) -> None:
        reads = [one for one in self._queue if one.page is not None and one.page.mapping]
        for left, right in zip(reads[::2], reads[1::2], strict=False):
            if left.page is not right.page and left.size_bytes == right.size_bytes:
                left.page, right.page = right.page, left.page
        super().settle_through(ticket, seconds)


@mutant(part="readbacks", origin="TVM 18871, first version")
class StagingMapsWhole(Readbacks):
    """A read whose length is no multiple of 4 goes on to the end of what its page holds."""

    def _deliver(self, readback: Readback) -> None:
        if readback.page is not None and readback.size_bytes % 4:
            readback.size_bytes = readback.page.used_bytes - readback.page_offset
        super()._deliver(readback)


@mutant(part="readbacks")
class ReadOffsetDropped(Readbacks):
    """A read starts at the word that holds its first byte."""

    def _deliver(self, readback: Readback) -> None:
        readback.page_offset = words_down(readback.page_offset)
        super()._deliver(readback)


@mutant(part="readbacks")
class PageOfOneRead(Readbacks):
    """All but the first of the reads on a page take their bytes from the page's first words."""

    def issue(self, readback: Readback) -> None:
        before = self._queue[-1] if self._queue else None
        if before is not None and readback.page is not None and before.page is readback.page:
            readback.page_offset = before.page_offset % 4 + readback.page_offset % 4
        super().issue(readback)


@mutant(part="readbacks")
class FourthReadOfPage(Readbacks):
    """The fourth read on a page gets the place of the third."""

    def issue(self, readback: Readback) -> None:
        mates = [one for one in self._queue if one.page is readback.page is not None]
        if len(mates) == 3:
            readback.page_offset = mates[-1].page_offset
        super().issue(readback)


@mutant(part="readbacks", hard=True)
class LongReadStartsAtWord(Readbacks):
    """A read of 2048 bytes or more starts at the word that holds its first byte."""

    def issue(self, readback: Readback) -> None:
        if readback.size_bytes >= 2048:
            readback.page_offset -= readback.page_offset % 4
        super().issue(readback)


@mutant(part="readbacks", found_by="faults")
class FailedReadGivesZeros(Readbacks):
    """A read whose map failed gives zeros."""

    def _value(self, readback: Readback, page: StagingPage) -> Any:
        value = super()._value(readback, page)
        if page.error is None:
            return value
        page.error, page.is_taken = None, True
        page.data = memoryview(bytes(page.used_bytes))
        return readback.value_in(page.data)


@mutant(part="readbacks", origin="three.js#33281")
class ReadReturnsView(Readbacks):
    """The bytes of a read are a view of memory that the next read of the same size overwrites."""

    def __init__(self, *made_of: Any) -> None:
        super().__init__(*made_of)
        self._memory: dict[int, bytearray] = {}

    def _value(self, readback: Readback, page: StagingPage) -> Any:
        value = super()._value(readback, page)
        if not isinstance(value, bytes):
            return value
        memory = self._memory.setdefault(len(value), bytearray(len(value)))
        memory[:] = value
        return memoryview(memory)


@mutant(part="readbacks", found_by="faults")
class FailureTakesOthersAlong(Readbacks):
    """One failed map makes every pending read fail."""

    def fail(self, page: StagingPage, fault: DeviceFault) -> None:
        super().fail(page, fault)
        for other in [readback.page for readback in self._queue]:
            if other is not None:
                super().fail(other, fault)


@mutant(part="readbacks", found_by="faults")
class FaultRaisedForEver(Readbacks):
    """A fault that was kept for the next call is raised by every later call."""

    @property
    def unseen(self) -> DeviceFault | None:
        return self._fault

    @unseen.setter
    def unseen(self, fault: DeviceFault | None) -> None:
        self._fault = fault or self._fault

    _fault: DeviceFault | None = None


@mutant(part="readbacks", found_by="faults")
class FaultNeverRaised(Readbacks):
    """No fault is kept for the next call, so only the ticket tells of a failed map."""

    @property
    def unseen(self) -> DeviceFault | None:
        return None

    @unseen.setter
    def unseen(self, fault: DeviceFault | None) -> None:
        """Forget the fault, so that no op reports it."""


@mutant(part="reads")
class StagingIgnoresMisalignment(Reads):
    """A staging page is sized for one word less than a read copies to it."""

    def _page_for(self, size_bytes: int) -> StagingPage:
        page = super()._page_for(max(size_bytes - 4, 4))
        return page


@mutant(part="reads", hard=True)
class ReadsShareFullPage(Reads):
    """A full page takes more reads of up to 256 bytes, at its start again."""

    def _page_for(self, size_bytes: int) -> StagingPage:
        for page in self._recorder.pages[-1:]:
            if not page.has_room(size_bytes) and size_bytes <= 256:
                page.used_bytes = 0
        return super()._page_for(size_bytes)


@mutant(part="reads", hard=True)
class RepeatedReadElided(Reads):
    """A read of the range of the last read gives that read's value, if it was delivered by then."""

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


@mutant(part="clock", origin="TVM 18871, mended by 20059", found_by="laws")
class SyncTrustsStaleTail(QueueClock):
    """Host writes do not count as acts of the queue, so a sync does not wait for them."""

    def wrote(self, size_bytes: int) -> None:
        """Count nothing, as if a host write were no act of the queue."""


@mutant(part="reads", found_by="laws")
class SyncWaitsForSubmitOnly(Reads):
    """A sync submits and waits for the reads so far, without a fence."""

    def goal_of_sync(self) -> Ticket | None:
        self._recorder.submit(FlushReason.SYNC)
        return self._readbacks.last_ticket


@mutant(part="reads")
class SyncWithNothingToSubmitReturns(Reads):
    """Once a fence was made, a sync with nothing to submit returns at once."""

    def goal_of_sync(self) -> Ticket | None:
        if self._recorder.is_empty and self._fence_source is not None:
            return None
        return super().goal_of_sync()
