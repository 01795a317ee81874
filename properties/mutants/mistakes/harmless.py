"""Mistakes that no value shows: waste, leaks and wrong counts.

Only the laws see them.  A mistake that a value shows is in the file of the part that it breaks.
"""

from gpusim.errors import LimitExceeded
from gpusim.kernels import Kernel
from gpusim.ops import Grid
from gpusim.runtime.batch import Batch, FlushReason, FlushRules, Uploads
from gpusim.runtime.caches import BoundedCache, CacheState
from gpusim.runtime.commands import BindGroup, DeviceBuffer, Launch, Range
from gpusim.runtime.host_writes import QueueClock
from gpusim.runtime.plans import Shapes
from gpusim.runtime.policy import Policy
from gpusim.runtime.readbacks import Readbacks
from gpusim.runtime.recorder import Recorder
from gpusim.runtime.staging import StagingPage, StagingPool
from gpusim.runtime.uniforms import CachedUniforms, PooledUniforms
from properties.mutants.mutant import mutant


@mutant(part="uniforms", found_by="laws")
class SlotBoundWhole(PooledUniforms):
    """A slot that was made for longer scalars is bound as a whole."""

    def take(self, payload: bytes, batch: Batch) -> Range:
        slot = super().take(payload, batch)
        return Range(slot.buffer, 0, slot.buffer.size_bytes)


@mutant(part="uniforms", found_by="laws")
class EvictedUniformLeaked(CachedUniforms):
    """The buffers that the uniform cache evicts are never destroyed."""

    def take(self, payload: bytes, batch: Batch) -> Range:
        before = len(batch.retired)
        taken = super().take(payload, batch)
        del batch.retired[before:]
        return taken


@mutant(part="clock", found_by="laws")
class EmptyBatchSubmitted(QueueClock):
    """A flush of nothing submits an empty batch."""

    @property
    def owes_submit(self) -> bool:
        return True


@mutant(part="recorder", found_by="laws")
class BatchEncodedTwice(Recorder):
    """A batch of more than four commands is encoded twice, and submitted once."""

    def _hand_over(self, batch: Batch, reason: FlushReason) -> None:
        if len(batch.commands) > 4:
            self._driver.encode(batch.commands, reason.value, merge_passes=self._merge_passes)
        super()._hand_over(batch, reason)


@mutant(part="flush_rules", found_by="laws")
class EarlyBatchesHalved(FlushRules):
    """The first batch after a sync has half of ``first_batch``, or 1 command if that is None."""

    def after_sync(self) -> None:
        super().after_sync()
        self._set_early(max(1, self._early // 2))


@mutant(part="flush_rules", found_by="laws")
class EarlyBatchesStayLong(FlushRules):
    """Batches that have grown stay long after a sync."""

    def after_sync(self) -> None:
        if not hasattr(self, "soonest"):
            super().after_sync()


@mutant(part="readbacks", found_by="laws")
class PageMappedWhole(Readbacks):
    """All of a staging page is mapped, whatever was copied to it."""

    def submitted(self, pages: list[StagingPage]) -> None:
        for page in pages:
            page.used_bytes = page.buffer.size_bytes
        super().submitted(pages)


@mutant(part="staging", found_by="laws")
class StagingPoolKeepsOneMore(StagingPool):
    """The pool keeps one free staging buffer more than its capacity."""

    def give_back(self, buffer: DeviceBuffer) -> None:
        self._capacity += 1
        super().give_back(buffer)
        self._capacity -= 1


@mutant(part="caches", found_by="laws")
class BindGroupCacheOneTooLarge(CacheState):
    """The bind-group cache holds one entry more than its capacity."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.bind_groups: BoundedCache[tuple[int, ...], BindGroup] = BoundedCache(
            policy.bind_group_cache + 1
        )


@mutant(part="shapes", found_by="laws")
class RefusedShapeCounted(Shapes):
    """A grid that is refused counts as a shape that was made."""

    def get(self, kernel: Kernel, grid: Grid) -> Launch:
        try:
            return super().get(kernel, grid)
        except LimitExceeded:
            self.counts.created += 1
            raise


@mutant(part="uploads", found_by="laws")
class UploadBufferLeaked(Uploads):
    """The upload buffer outlives its runtime."""

    def clear(self) -> list[DeviceBuffer]:
        super().clear()
        return []
