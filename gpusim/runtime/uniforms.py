"""Where the scalars of a dispatch live: fresh, pooled by position, cached by content, a ring.

A slot is on the *submitted* clock: the queue orders a later write to it after
the batch that reads it, once that batch is submitted, and not before.  The ring
stands beside the batch that it gathers for.
"""

from typing import Protocol

from gpusim.errors import DeviceFault
from gpusim.runtime.batch import Batch, RingUniforms
from gpusim.runtime.byte_plans import words_up
from gpusim.runtime.caches import CacheState, uniform_key
from gpusim.runtime.commands import DeviceBuffer, PlainRange, Range, Role
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.policy import Policy, Uniforms
from gpusim.runtime.stats import Counts


class UniformStore(Protocol):
    """Gives each dispatch a range of a uniform buffer that holds its payload."""

    counts: Counts
    is_dynamic: bool
    """Whether ranges share one binding and differ in their dynamic offset."""

    def is_full(self, batch: Batch, size_bytes: int) -> bool:
        """Whether the batch must be submitted before it can take ``size_bytes`` more."""
        ...

    def take(self, payload: bytes, batch: Batch) -> PlainRange:
        """A range holding ``payload`` until ``batch`` is submitted; OutOfMemory."""
        ...

    def before_submit(self, batch: Batch) -> None:
        """Write what ``batch`` reads and is not written yet; called right before its submit."""
        ...

    def clear(self) -> list[DeviceBuffer]:
        """Give up every buffer, for the caller to destroy."""
        ...


class DynamicUniforms(UniformStore, Protocol):
    """A store whose ranges share one binding: ``is_dynamic`` is true.

    It may be given the payloads of several dispatches as one, each padded to
    its stride.
    """

    capacity_bytes: int
    """What one batch may take; it grows where a single payload needs more."""

    def ring_for(self, size_bytes: int, batch: Batch) -> DeviceBuffer:
        """The buffer of that binding, with room for ``size_bytes``; OutOfMemory.

        Only a batch that has taken nothing may ask for more than the capacity.
        """
        ...


class FreshUniforms:
    """A new buffer a dispatch, retired with its batch."""

    is_dynamic = False

    def __init__(self, driver: Driver) -> None:
        self.counts = Counts()
        self._driver = driver

    def is_full(self, batch: Batch, size_bytes: int) -> bool:
        """Never: there is always a new one."""
        return False

    def take(self, payload: bytes, batch: Batch) -> Range:
        """A new buffer with ``payload``, that ``batch`` destroys after its submit."""
        buffer = _written_buffer(self._driver, payload)
        batch.retired.append(buffer)
        self.counts.created += 1
        return Range(buffer, 0, len(payload))

    def before_submit(self, batch: Batch) -> None:
        """Nothing: each was written when it was made."""

    def clear(self) -> list[DeviceBuffer]:
        """Nothing: every buffer belongs to a batch."""
        return []


class PooledUniforms:
    """One slot for each position in the batch, used again by the next batch.

    The batch counts its positions, so that nothing here has to be undone when a
    dispatch fails after its slot was written.
    """

    is_dynamic = False

    def __init__(self, driver: Driver, capacity: int) -> None:
        self.counts = Counts()
        self._driver = driver
        self._capacity = capacity
        self._slots: list[DeviceBuffer] = []

    def is_full(self, batch: Batch, size_bytes: int) -> bool:
        """Whether the batch has used every slot."""
        full = batch.uniform_slots >= self._capacity
        self.counts.exhausted += full
        return full

    def take(self, payload: bytes, batch: Batch) -> Range:
        """The slot of the batch's next position, written with ``payload``."""
        position = batch.uniform_slots
        if position < len(self._slots) and self._slots[position].size_bytes >= len(payload):
            buffer = self._slots[position]
            self._driver.write_buffer(buffer, 0, payload)
            self.counts.reused += 1
        else:
            buffer = self._put(position, _written_buffer(self._driver, payload))
        return Range(buffer, 0, len(payload))

    def before_submit(self, batch: Batch) -> None:
        """Nothing: each was written when it was taken."""

    def clear(self) -> list[DeviceBuffer]:
        """Give up every slot."""
        slots, self._slots = self._slots, []
        self.counts.held = 0
        return slots

    def _put(self, position: int, buffer: DeviceBuffer) -> DeviceBuffer:
        """Fill a new position, or replace a slot that the open batch has not reached."""
        if position < len(self._slots):
            self._driver.destroy_buffer(self._slots[position])
            self._slots[position] = buffer
            self.counts.evicted += 1
        else:
            self._slots.append(buffer)
        self.counts.created += 1
        self.counts.held = len(self._slots)
        return buffer


class CachedUniforms:
    """One buffer for each content; an evicted one is retired with the open batch."""

    is_dynamic = False

    def __init__(self, driver: Driver, caches: CacheState) -> None:
        self._driver = driver
        self._cache = caches.uniforms
        self.counts = self._cache.counts

    def is_full(self, batch: Batch, size_bytes: int) -> bool:
        """Never: what is evicted lives until the batch is submitted."""
        return False

    def take(self, payload: bytes, batch: Batch) -> Range:
        """The buffer that was written with this very content."""
        key = uniform_key(payload)
        buffer = self._cache.get(key)
        if buffer is None:
            buffer = _written_buffer(self._driver, payload)
            batch.retired += self._cache.put(key, buffer)
        return Range(buffer, 0, len(payload))

    def before_submit(self, batch: Batch) -> None:
        """Nothing: each was written when it was made."""

    def clear(self) -> list[DeviceBuffer]:
        """Give up every entry."""
        return self._cache.clear()


def make_uniforms(driver: Driver, policy: Policy, caches: CacheState) -> UniformStore:
    """The store that ``policy`` names."""
    if policy.uniforms is Uniforms.RING:
        return RingUniforms(driver, policy.uniform_ring_bytes)
    if policy.uniforms is Uniforms.POOLED:
        return PooledUniforms(driver, policy.uniform_slots)
    if policy.uniforms is Uniforms.CACHED:
        return CachedUniforms(driver, caches)
    return FreshUniforms(driver)


def _written_buffer(driver: Driver, payload: bytes) -> DeviceBuffer:
    buffer = driver.create_buffer(words_up(len(payload)), Role.UNIFORM)
    try:
        driver.write_buffer(buffer, 0, payload)
    except DeviceFault:
        driver.destroy_buffer(buffer)
        raise
    return buffer
