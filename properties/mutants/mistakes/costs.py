"""Mistakes of cost: every result is right, and the host or the device does more than it should.

No value shows what is kept too long, searched too often or made again.
"""

from collections.abc import Callable, Hashable
from typing import Any

from gpusim.runtime.batch import Batch, FlushReason, FlushRules
from gpusim.runtime.buffers import Buffer, BufferTable
from gpusim.runtime.caches import BoundedCache, CacheState
from gpusim.runtime.commands import DeviceBuffer, RecordedCommand, Role
from gpusim.runtime.host_writes import QueueClock
from gpusim.runtime.plans import DispatchPlan, Plans
from gpusim.runtime.policy import Policy
from gpusim.runtime.readbacks import Readback, Readbacks, Ticket
from gpusim.runtime.reads import Reads
from gpusim.runtime.recorder import Recorder
from gpusim.runtime.replays import Replays
from gpusim.runtime.runs import Run
from gpusim.runtime.staging import StagingPage, StagingPool
from properties.mutants.mutant import Overlay, mutant

COSTS = "costs"
"""The name of the oracle that counts the lines that the host runs and the bytes that it keeps."""


@mutant(part="staging")
class StagingNeverReused(StagingPool):
    """The pool keeps free staging buffers, but always makes a new one."""

    def take(self, size_bytes: int) -> DeviceBuffer:
        free, self._free = self._free, []
        try:
            return super().take(size_bytes)
        finally:
            self._free = free
            self.counts.held = len(free)


@mutant(part="staging")
class StagingOfOneSizeEach(StagingPool):
    """The pool reuses a staging buffer only for a read of exactly its size."""

    def take(self, size_bytes: int) -> DeviceBuffer:
        fitting = [buffer for buffer in self._free if buffer.size_bytes == size_bytes]
        others = [buffer for buffer in self._free if buffer not in fitting]
        self._free = fitting
        try:
            return super().take(size_bytes)
        finally:
            self._free += others
            self.counts.held = len(self._free)


@mutant(part="reads")
class PageForEachRead(Reads):
    """Each read has a staging page of its own, though the policy lets reads share one."""

    def _page_for(self, size_bytes: int) -> StagingPage:
        return StagingPage(self._staging.take(max(size_bytes, self._page_bytes)))


@mutant(part="reads")
class FenceForEachSync(Reads):
    """A sync submits a fence, though a read under way already shows when the queue is done."""

    def goal_of_sync(self) -> Ticket | None:
        if self._recorder.has_reads:
            self._recorder.submit(FlushReason.SYNC)
        if not self._recorder.is_empty or not self._clock.is_idle:
            self._issue_fence()
        return self._readbacks.last_ticket


@mutant(part="flush_rules")
class JoinedReadsSubmit(FlushRules):
    """Every read submits the batch, though the policy lets reads share a submit."""

    def after_read(self, batch: Batch) -> FlushReason | None:
        return FlushReason.READ


@mutant(part="caches")
class UniformsMissedNowAndThen(CacheState):
    """Every fourth lookup in the cache of uniforms misses, even if the content is there."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.uniforms = _Forgetful(policy.uniform_cache)


class _Forgetful(BoundedCache[bytes, DeviceBuffer]):
    """A cache that misses at every fourth lookup, and then replaces the entry."""

    _asked = 0

    def get(self, key: bytes) -> DeviceBuffer | None:
        self._asked += 1
        return None if not self._asked % 4 else super().get(key)

    def put(self, key: bytes, value: DeviceBuffer) -> list[DeviceBuffer]:
        replaced = self._entries.pop(key, None)
        evicted = super().put(key, value)
        if replaced is not None:
            self.counts.evicted += 1
            evicted.append(replaced)
        return evicted


@mutant(part="readbacks", found_by=COSTS)
class ReadsKeptForEver(Readbacks):
    """A list keeps every read that was ever issued."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._all: list[Readback] = []

    def issue(self, readback: Readback) -> None:
        self._all.append(readback)
        super().issue(readback)


@mutant(part="buffers", found_by=COSTS)
class HandlesKeptForEver(BufferTable):
    """The table keeps the handle of every buffer that was freed."""

    def __init__(self) -> None:
        super().__init__()
        self._freed: list[Buffer] = []

    def remove(self, buffer: Buffer) -> DeviceBuffer:
        self._freed.append(buffer)
        return super().remove(buffer)


@mutant(part="plans", found_by=COSTS)
class PlansKeptByBuffer(Plans[DispatchPlan]):
    """A dropped plan leaves its key in the lists of keys by buffer."""

    def _drop(self, key: Hashable) -> None:
        del self._plans[key]

    def forget(self, buffer: Buffer) -> None:
        for key in list(self._keys_by_buffer.get(buffer, ())):
            self._plans.pop(key, None)


@mutant(part="caches", found_by=COSTS)
class ShapesBesideTheCache(CacheState):
    """Every launch shape that the cache evicts is kept in a list."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.shapes = _Remembering(policy.shape_cache, by_recency=True)


class _Remembering(BoundedCache[Any, Any]):
    """A cache that keeps everything it has evicted."""

    def __init__(self, capacity: int, *, by_recency: bool) -> None:
        super().__init__(capacity, by_recency=by_recency)
        self._gone: list[Any] = []

    def put(self, key: Any, value: Any) -> list[Any]:
        evicted = super().put(key, value)
        self._gone += evicted
        return evicted


@mutant(part="clock", found_by=COSTS)
class ActsKeptForEver(QueueClock):
    """The clock keeps an entry for every submit."""

    def __init__(self) -> None:
        super().__init__()
        self._log: list[tuple[int, int, str]] = []

    def submitted(self) -> None:
        super().submitted()
        self._log.append((self.acts, self.waiting_bytes, f"submit {self.submits}"))


@mutant(part="buffers", found_by=COSTS)
class EveryBufferSearched(BufferTable):
    """Each lookup of a handle's device buffer searches all live handles."""

    def device_buffer(self, buffer: Buffer) -> DeviceBuffer:
        for live in self._live.values():
            if live is buffer:
                break
        return super().device_buffer(buffer)


@mutant(part="recorder", found_by=COSTS)
class EveryCommandSearched(Recorder):
    """Before a host write every command of the open batch is looked at."""

    def before_write(self, target: DeviceBuffer, start: int, end: int) -> bool:
        for command in self._batch.commands:
            self._names(command, target)
        return super().before_write(target, start, end)

    def _names(self, command: RecordedCommand, target: DeviceBuffer) -> bool:
        return any(part is target for part in command)


@mutant(part="readbacks", found_by=COSTS)
class ReadsCountedEachTime(Readbacks):
    """Each read counts the reads that wait before it."""

    def issue(self, readback: Readback) -> None:
        waiting = [one for one in self._queue if not one.ticket.done()]
        super().issue(readback if len(waiting) >= 0 else waiting[0])


@mutant(part="replays", found_by=COSTS)
class EveryStepLooksAtAll(Replays):
    """Each step of a replay without a run looks at every live buffer of the runtime."""

    def _play_step(self, step: Any, payloads: Any) -> str:
        for buffer in self._buffers_of(step):
            if not buffer.is_live:
                return ""
        return super()._play_step(step, payloads)

    def _buffers_of(self, step: Any) -> list[Buffer]:
        every: Callable[[], Any] = self._planner._buffers.__iter__
        return list(every())


class _Doubling(Overlay):
    def create_buffer(self, size_bytes: int, role: Role) -> DeviceBuffer:
        made: DeviceBuffer = self._inner.create_buffer(2 * size_bytes, role)
        return made


@mutant(part="staging")
class StagingOfTwiceTheSize(StagingPool):
    """A staging buffer is twice as large as its class."""

    def __init__(self, driver: Any, capacity: int, class_bytes: int) -> None:
        super().__init__(_Doubling(driver), capacity, class_bytes)


@mutant(part="plans", found_by=COSTS)
class NewPlanComparedWithAll(Plans[DispatchPlan]):
    """A new plan is compared with all kept plans."""

    def put(self, key: Hashable, plan: DispatchPlan) -> None:
        if not any(known is plan for known in self._plans.values()):
            super().put(key, plan)


@mutant(part="recorder", found_by=COSTS)
class RunKeepsItsUniforms(Recorder):
    """A run keeps the uniforms of every replay as long as its graph is bound."""

    def record_run(self, run: Run, payload: bytes) -> None:
        vars(run).setdefault("payloads", []).append(payload)
        super().record_run(run, payload)


@mutant(part="device", found_by=COSTS)
class EncodersKeptForEver(Overlay):
    """A device keeps every encoder that it has made."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._made: list[Any] = []

    def create_command_encoder(self, **about: Any) -> Any:
        self._made.append(self._inner.create_command_encoder(**about))
        return self._made[-1]
