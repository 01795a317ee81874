"""Mistakes that show only if a device fails, and only with some clients, verbs or device profiles.

A fault may come while a task awaits a sync, at a close with reads in flight, or at the first use of
a kernel.  Devices also differ in how they report their loss.
"""

from asyncio import CancelledError
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import wgpu

from gpusim.errors import DeviceFault
from gpusim.kernels import Kernel
from gpusim.limits import WORD_BYTES
from gpusim.ops import Scalars
from gpusim.runtime.batch import Batch, FlushReason, RingUniforms
from gpusim.runtime.buffers import Buffer
from gpusim.runtime.commands import Pipeline
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.host_writes import HostWrites, Submit
from gpusim.runtime.readbacks import Readback, Readbacks, Ticket
from gpusim.runtime.reads import Reads
from gpusim.runtime.recorder import Recorder
from gpusim.runtime.replays import BoundGraph, Replays
from gpusim.runtime.runs import Run
from gpusim.runtime.staging import StagingPage
from gpusim.runtime.transfers import Transfers
from properties.mutants.mutant import Overlay, mutant


@mutant(part="reads", found_by="faults")
class SyncStopsAtFault(Reads):
    """A sync whose submit fails raises at once, and leaves earlier reads pending."""

    def wait_for_all(self, seconds: float | None = None) -> None:
        goal = self.goal_of_sync()
        if goal is not None:
            self._readbacks.settle_through(goal, seconds)
        self._recorder.after_sync()


@mutant(part="reads", found_by="faults", hard=True)
class AwaitedSyncStopsAtFault(Reads):
    """An awaited sync whose submit fails raises at once, and leaves earlier reads pending."""

    async def wait_for_all_async(self, seconds: float | None = None) -> None:
        goal = self.goal_of_sync()
        fence = self._readbacks.fence_of(self._clock.acts)
        if goal is not None:
            await self._readbacks.settle_through_async(goal, seconds)
        self._after_sync(None, fence)


@mutant(part="reads", found_by="faults", hard=True)
class AwaitedSyncForgetsFault(Reads):
    """An awaited sync that fails or times out returns without an error."""

    async def wait_for_all_async(self, seconds: float | None = None) -> None:
        try:
            await super().wait_for_all_async(seconds)
        except DeviceFault:
            self._recorder.after_sync()


@mutant(part="reads", found_by="faults", hard=True)
class FailedCloseLeavesReads(Reads):
    """A close whose submit fails leaves earlier reads pending."""

    def finish(self, seconds: float | None) -> DeviceFault | None:
        try:
            if not self._driver.lost:
                self._recorder.submit(FlushReason.CLOSE)
        except DeviceFault as fault:
            return fault
        return super().finish(seconds)


@mutant(part="readbacks", found_by="faults", hard=True)
class FailedReadSpoilsOut(Readbacks):
    """A failed read into the caller's array fills it with bytes of 0xff."""

    def _value(self, readback: Readback, page: StagingPage) -> Any:
        value = super()._value(readback, page)
        if page.error is not None:
            readback.destination.deliver(memoryview(b"\xff" * readback.size_bytes))
        return value


@mutant(part="driver", found_by="faults", hard=True)
class CompileFailureKept(Overlay):
    """A kernel that could not be compiled once is never tried again."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._failed: dict[Kernel, DeviceFault] = {}

    def compile(self, kernel: Kernel, *, dynamic_uniforms: bool) -> Pipeline:
        if kernel in self._failed:
            raise self._failed[kernel]
        try:
            made: Pipeline = self._inner.compile(kernel, dynamic_uniforms=dynamic_uniforms)
        except DeviceFault as fault:
            self._failed[kernel] = fault
            raise
        return made


@mutant(part="uniforms")
class EmptyRingWritten(RingUniforms):
    """The ring is written before every submit, even where no scalars were gathered."""

    def before_submit(self, batch: Batch) -> None:
        if self._ring is not None:
            self._driver.write_buffer(self._ring, 0, batch.uniform_data)


@mutant(part="driver", found_by="faults", hard=True)
class LossTrustedToPromise(Overlay):
    """A loss is noticed only by the device's own promise, and wgpu-native has no such promise."""

    @property
    def lost(self) -> bool:
        promise = self._inner._loss
        return promise is not None and promise._state != "pending"


@mutant(part="reads", found_by="faults")
class CancelledSyncTakesItAll(Reads):
    """When a sync is cancelled, every fault that no call has raised yet is forgotten."""

    async def wait_for_all_async(self, seconds: float | None = None) -> None:
        try:
            await super().wait_for_all_async(seconds)
        except CancelledError:
            self._readbacks.unseen = None
            raise


@mutant(part="readbacks", found_by="faults")
class AwaitRaisesWhatIsKept(Readbacks):
    """An awaiting task gets the fault of an earlier call at once, before anything is settled."""

    async def settle_through_async(self, ticket: Ticket, seconds: float | None = None) -> None:
        if self.unseen is not None:
            fault, self.unseen = self.unseen, None
            raise fault
        await super().settle_through_async(ticket, seconds)


@mutant(part="device", found_by="faults")
class BindGroupIsTriedAgain(Overlay):
    """A device without memory for a bind group tries once more, and reports nothing."""

    def create_bind_group(self, **about: Any) -> Any:
        try:
            return self._inner.create_bind_group(**about)
        except wgpu.GPUOutOfMemoryError:
            return self._inner.create_bind_group(**about)


@mutant(part="driver", found_by="faults")
class LossFoundByVerbsAlone(Overlay):
    """A driver does not look at the promise of a loss, and so accepts work for a lost device."""

    @property
    def lost(self) -> bool:
        return bool(self._inner._found_lost)


@mutant(part="reads", found_by="faults", hard=True)
class LateSyncHidesItsFault(Reads):
    """A sync that has a fault and times out raises only the timeout; nobody hears of the fault."""

    def wait_for_all(self, seconds: float | None = None) -> None:
        goal, fault = self._goal_or_fault()
        if goal is not None:
            self._readbacks.settle_through(goal, seconds)
        self._after_sync(fault)


@mutant(part="readbacks", found_by="faults", hard=True)
class MapsStopAtFailure(Readbacks):
    """Once the map of one page is refused, the other pages of the batch are not mapped."""

    def submitted(self, pages: list[StagingPage]) -> None:
        for page in pages:
            page.act = self._clock.acts
            try:
                page.mapping = self._driver.map(page.buffer, page.used_bytes)
            except DeviceFault as fault:
                self.fail(page, fault)
                self.unseen = self.unseen or fault
                break
        if self._listened:
            self._loop_polls.start(self._poll_for_loop)


@mutant(part="replays", found_by="faults", hard=True, rare=True)
class HealsBeforeRecording(Replays):
    """What a replay overwrites whole is no longer lost, even if recording the replay fails."""

    def _play_run(self, bound: BoundGraph, run: Run, entries: Sequence[Scalars]) -> None:
        lost = [buffer for buffer in bound.needed if buffer.lost]
        if not lost:
            for buffer in bound.healed:
                buffer.lost = False
        super()._play_run(bound, run, entries)


@mutant(part="recorder", found_by="faults", hard=True)
class RollbackForgetsLoss(Recorder):
    """If a replay is taken back, lost buffers that it had overwritten stay healed."""

    @contextmanager
    def all_or_nothing(self, written: Sequence[Buffer]) -> Iterator[None]:
        batch, healed = self._batch, list[Buffer]()
        try:
            with super().all_or_nothing(written):
                try:
                    yield
                finally:
                    healed = [buffer for buffer in written if not buffer.lost]
        except BaseException:
            if self._batch is batch:
                for buffer in healed:
                    buffer.lost = False
            raise


@mutant(part="transfers", found_by="faults", hard=True)
class HealedByWords(Transfers):
    """A write of as many whole words as a lost buffer has heals it, even if odd bytes stay lost."""

    def write(self, buffer: Buffer, offset: int, data: memoryview) -> None:
        super().write(buffer, offset, data)
        if len(data) // WORD_BYTES == buffer.size_bytes // WORD_BYTES:
            buffer.lost = False


class _CountsAFailedDrain(HostWrites):
    def _make_room(self, size_bytes: int, submit: Submit) -> None:
        is_full = self._clock.held_bytes + size_bytes > 2 * self._most_bytes
        try:
            super()._make_room(size_bytes, submit)
        except DeviceFault:
            if is_full:
                self._clock.drained()
            raise


@mutant(part="recorder", found_by="faults", hard=True)
class DrainedThoughTheDrainFailed(Recorder):
    """If the wait for earlier host writes fails, they count as done all the same."""

    def __init__(self, driver: Driver, **others: Any) -> None:
        super().__init__(driver, **others)
        self._host_writes.__class__ = _CountsAFailedDrain
