"""Stores of uniforms, for the scalars of dispatches: fresh, pooled by position, cached by content.

A slot is on the *submitted* clock: it may be written again once the batch that reads it
is submitted, because the queue runs the later write after the batch.  The ring, the
fourth store, is in ``batch.py``.
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
    """Whether all ranges share one binding, and differ only in their dynamic offset."""

    def is_full(self, batch: Batch, size_bytes: int) -> bool:
        """Whether the batch must be submitted before ``size_bytes`` more can be taken."""
        ...

    def take(self, payload: bytes, batch: Batch) -> PlainRange:
        """A range for ``payload`` that holds nothing else until ``batch`` is submitted.

        Raises OutOfMemory.
        """
        ...

    def before_submit(self, batch: Batch) -> None:
        """Write the payloads of ``batch`` that are not written yet; called before its submit."""
        ...

    def clear(self) -> list[DeviceBuffer]:
        """Drop every buffer; the caller destroys them."""
        ...


class DynamicUniforms(UniformStore, Protocol):
    """A store whose ranges share one binding: ``is_dynamic`` is true.

    Several payloads may be taken as one payload, each padded to a multiple of the alignment that
    the device needs for uniforms.
    """

    capacity_bytes: int
    """The bytes that one batch may take; the number grows if one payload needs more."""

    def ring_for(self, size_bytes: int, batch: Batch) -> DeviceBuffer:
        """The buffer that all ranges lie in, with room for ``size_bytes``; raises OutOfMemory.

        ``size_bytes`` may exceed the capacity only if the batch has taken nothing.
        """
        ...


class FreshUniforms:
    """A new buffer for each dispatch, destroyed after the submit of its batch."""

    is_dynamic = False

    def __init__(self, driver: Driver) -> None:
        self.counts = Counts()
        self._driver = driver

    def is_full(self, batch: Batch, size_bytes: int) -> bool:
        """Never: a new buffer can always be made."""
        return False

    def take(self, payload: bytes, batch: Batch) -> Range:
        """A new buffer with ``payload``; it is destroyed after the submit of ``batch``."""
        buffer = _written_buffer(self._driver, payload)
        batch.retired.append(buffer)
        self.counts.created += 1
        return Range(buffer, 0, len(payload))

    def before_submit(self, batch: Batch) -> None:
        """Do nothing: each buffer was written when it was made."""

    def clear(self) -> list[DeviceBuffer]:
        """Do nothing: every buffer belongs to a batch."""
        return []


class PooledUniforms:
    """One slot for each position in the batch, used again by the next batch.

    The batch counts the positions, so nothing has to be undone here when a dispatch
    fails after its slot was written.
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
        """Do nothing: each slot was written when it was taken."""

    def clear(self) -> list[DeviceBuffer]:
        """Drop every slot; the caller destroys them."""
        slots, self._slots = self._slots, []
        self.counts.held = 0
        return slots

    def _put(self, position: int, buffer: DeviceBuffer) -> DeviceBuffer:
        """Store the slot of a new position, or replace a slot that the batch has not used."""
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
    """One buffer for each content; an evicted one is destroyed after the open batch's submit."""

    is_dynamic = False

    def __init__(self, driver: Driver, caches: CacheState) -> None:
        self._driver = driver
        self._cache = caches.uniforms
        self.counts = self._cache.counts

    def is_full(self, batch: Batch, size_bytes: int) -> bool:
        """Never: an evicted buffer lives until the batch is submitted."""
        return False

    def take(self, payload: bytes, batch: Batch) -> Range:
        """The buffer with exactly this content."""
        key = uniform_key(payload)
        buffer = self._cache.get(key)
        if buffer is None:
            buffer = _written_buffer(self._driver, payload)
            batch.retired += self._cache.put(key, buffer)
        return Range(buffer, 0, len(payload))

    def before_submit(self, batch: Batch) -> None:
        """Do nothing: each buffer was written when it was made."""

    def clear(self) -> list[DeviceBuffer]:
        """Drop every entry; the caller destroys the buffers."""
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
