"""Mistakes in the storage of the scalars of dispatches.

A slot may be rewritten once the batch that reads it was submitted, and not before.
Mistakes in the cache of uniforms are here too.
"""

import threading

from gpusim.runtime.batch import Batch, RingUniforms
from gpusim.runtime.caches import CacheState
from gpusim.runtime.commands import PlainRange, Range
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.uniforms import (
    CachedUniforms,
    FreshUniforms,
    PooledUniforms,
)
from properties.mutants.mutant import mutant


@mutant(part="uniforms", origin="tfjs#1968")
class UniformShared(PooledUniforms):
    """All dispatches of a batch write one uniform buffer."""

    def take(self, payload: bytes, batch: Batch) -> Range:
        first = Batch()
        return super().take(payload, first)


@mutant(part="uniforms", origin="TVM 18871, review")
class UniformIndexResetEarly(PooledUniforms):
    """The slot counter of a full pool starts anew without a submit."""

    def is_full(self, batch: Batch, size_bytes: int) -> bool:
        if super().is_full(batch, size_bytes):
            batch.uniform_slots = 0
        return False


@mutant(part="uniforms", origin="llama.cpp, its arena")
class RingWrapsOverPending(RingUniforms):
    """A full ring wraps onto the payloads that the open batch still needs."""

    def is_full(self, batch: Batch, size_bytes: int) -> bool:
        return False

    def take(self, payload: bytes, batch: Batch) -> PlainRange:
        stride = len(payload) + self._rest & self._mask
        if not super().is_full(batch, len(payload)):
            return super().take(payload, batch)
        assert self._ring is not None
        batch.uniform_data[:stride] = payload.ljust(stride, b"\0")
        return Range(self._ring, 0, len(payload))


@mutant(part="uniforms")
class RingCursorKept(RingUniforms):
    """The uniforms of a batch are written behind those of the last, but bound from the start."""

    def before_submit(self, batch: Batch) -> None:
        if batch.uniform_data and self._ring is not None:
            size = len(batch.uniform_data)
            start = self._cursor if self._cursor + size <= self._ring.size_bytes else 0
            self._driver.write_buffer(self._ring, start, batch.uniform_data)
            self._cursor = start + size

    _cursor = 0


@mutant(part="uniforms", hard=True)
class RingNotRewrittenWhenAlike(RingUniforms):
    """Uniforms are not written if their length and first 8 bytes are those of the last batch."""

    def before_submit(self, batch: Batch) -> None:
        start = len(batch.uniform_data), bytes(batch.uniform_data[:8])
        if start != self._held:
            super().before_submit(batch)
        self._held = start if batch.uniform_data else self._held

    _held: tuple[int, bytes] | None = None


@mutant(part="uniforms", hard=True)
class RingWriteCut(RingUniforms):
    """Only the first 2048 bytes of a batch's uniforms are written."""

    def before_submit(self, batch: Batch) -> None:
        if self._ring is not None and batch.uniform_data:
            self._driver.write_buffer(self._ring, 0, batch.uniform_data[:2048])


@mutant(part="uniforms", origin="llama.cpp#16452, #19772", hangs=True)
class PoolWaitsForItself(PooledUniforms):
    """An exhausted pool waits for a slot that only this very thread could give back."""

    def is_full(self, batch: Batch, size_bytes: int) -> bool:
        if super().is_full(batch, size_bytes):
            returned = threading.Semaphore(0)
            returned.acquire()
        return False


@mutant(part="uniforms")
class SlotTooSmall(PooledUniforms):
    """A payload that is longer than its slot is cut to the size of the slot."""

    def take(self, payload: bytes, batch: Batch) -> Range:
        if batch.uniform_slots < len(self._slots):
            slot = self._slots[batch.uniform_slots]
            return super().take(payload[: slot.size_bytes], batch)
        return super().take(payload, batch)


@mutant(part="uniforms", hard=True)
class SlotNotRewrittenWhenAlike(PooledUniforms):
    """A slot is not written again if only bytes after the payload's first four have changed."""

    def __init__(self, driver: Driver, capacity: int) -> None:
        super().__init__(driver, capacity)
        self._held: dict[int, bytes] = {}

    def take(self, payload: bytes, batch: Batch) -> Range:
        position = batch.uniform_slots
        held = self._held.get(position, b"")
        if len(held) == len(payload) and held[:4] == payload[:4]:
            return Range(self._slots[position], 0, len(payload))
        self._held[position] = payload
        return super().take(payload, batch)


@mutant(part="uniforms")
class SlotsGrownUnderBatch(PooledUniforms):
    """If a slot is too small, all slots are destroyed, even those that the open batch uses."""

    def take(self, payload: bytes, batch: Batch) -> Range:
        position = batch.uniform_slots
        if position < len(self._slots) and self._slots[position].size_bytes < len(payload):
            for slot in self._slots:
                self._driver.destroy_buffer(slot)
            batch.uniform_slots = 0
            self._slots.clear()
        return super().take(payload, batch)


@mutant(part="uniforms")
class SlotWrittenOnce(PooledUniforms):
    """A slot keeps its first payload until a longer payload needs another slot."""

    def take(self, payload: bytes, batch: Batch) -> Range:
        position = batch.uniform_slots
        if position < len(self._slots) and self._slots[position].size_bytes >= len(payload):
            return Range(self._slots[position], 0, len(payload))
        return super().take(payload, batch)


@mutant(part="uniforms")
class FreshUniformDestroyedAtNext(FreshUniforms):
    """A dispatch destroys all buffers that wait for the submit, such as the last uniforms."""

    def take(self, payload: bytes, batch: Batch) -> Range:
        for buffer in batch.retired:
            self._driver.destroy_buffer(buffer)
        batch.retired.clear()
        return super().take(payload, batch)


@mutant(part="uniforms", origin="TVM 18871, first version")
class EvictDestroysPending(CachedUniforms):
    """An evicted buffer is destroyed at once, though the open batch refers to it."""

    def take(self, payload: bytes, batch: Batch) -> Range:
        probe = Batch()
        taken = super().take(payload, probe)
        for buffer in probe.retired:
            self._driver.destroy_buffer(buffer)
        return taken


@mutant(part="uniforms", hard=True)
class CachedUniformRewritten(CachedUniforms):
    """A full cache rewrites its oldest buffer, even if the open batch refers to it."""

    def take(self, payload: bytes, batch: Batch) -> Range:
        probe = Batch()
        taken = super().take(payload, probe)
        if not probe.retired or probe.retired[0].size_bytes < len(payload):
            batch.retired += probe.retired
            return taken
        old = probe.retired[0]
        self._driver.write_buffer(old, 0, payload)
        batch.retired.append(old)
        return Range(old, 0, len(payload))


@mutant(part="uniforms", hard=True)
class LeastIntegerLost(RingUniforms):
    """A word of uniforms that is the least i32 (or -0.0) is packed as zero."""

    def take(self, payload: bytes, batch: Batch) -> PlainRange:
        words = [payload[at : at + 4] for at in range(0, len(payload), 4)]
        kept = [bytes(4) if word == b"\0\0\0\x80" else word for word in words]
        return super().take(b"".join(kept), batch)


@mutant(part="uniforms", hard=True)
class UniformKeySum(CachedUniforms):
    """Cached uniforms are found by their length and the sum of their bytes."""

    def __init__(self, driver: Driver, caches: CacheState) -> None:
        super().__init__(driver, caches)
        self._by_sum: dict[tuple[int, int], bytes] = {}

    def take(self, payload: bytes, batch: Batch) -> Range:
        alike = self._by_sum.setdefault((len(payload), sum(payload)), payload)
        return super().take(alike, batch)


@mutant(part="uniforms", hard=True)
class UniformKeyShort(CachedUniforms):
    """Cached uniforms are found by their length and their first 40 bytes."""

    def __init__(self, driver: Driver, caches: CacheState) -> None:
        super().__init__(driver, caches)
        self._by_start: dict[tuple[int, bytes], bytes] = {}

    def take(self, payload: bytes, batch: Batch) -> Range:
        alike = self._by_start.setdefault((len(payload), payload[:40]), payload)
        return super().take(alike, batch)


@mutant(part="uniforms", hard=True)
class UniformKeyFloats(CachedUniforms):
    """In cached uniforms a word of -0.0 (or the least i32) becomes 0."""

    def take(self, payload: bytes, batch: Batch) -> Range:
        words = [payload[at : at + 4] for at in range(0, len(payload), 4)]
        same = b"".join(bytes(4) if word == b"\0\0\0\x80" else word for word in words)
        return super().take(same, batch)


@mutant(part="uniforms")
class CachedUniformDestroyedBySubmit(CachedUniforms):
    """A buffer made after a miss is destroyed with its batch, but stays in the cache."""

    def take(self, payload: bytes, batch: Batch) -> Range:
        made = self.counts.created
        taken = super().take(payload, batch)
        if self.counts.created > made:
            batch.retired.append(taken.buffer)
        return taken
