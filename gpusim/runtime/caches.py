"""The three caches of phase two of TVM's pull request 18871: keys, capacities, invalidation.

Every key is computed here and nowhere else, beside the reason why it is right.

==========  ====================  =========================================
cache       entry is stale when   when the object of a dropped entry may go
==========  ====================  =========================================
uniforms    never: the key is     after the next submit: until then the
            the content           open batch may use the buffer
bind group  a buffer that it      at once: an encoder keeps the groups that
            binds is freed        it uses alive
shapes      never: pure values    at once: it is no object of the device
==========  ====================  =========================================

The bind groups' store is here too; uniforms and shapes have their own files.
"""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from gpusim.kernels import Kernel
from gpusim.ops import Grid
from gpusim.runtime.commands import BindGroup, DeviceBuffer, Launch, Pipeline, Range
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.policy import Policy
from gpusim.runtime.stats import Counts

BindGroupKey = tuple[int, ...]
ShapeKey = tuple[Kernel, Grid]
K = TypeVar("K")
V = TypeVar("V")


class BoundedCache(Generic[K, V]):
    """A mapping that never holds more entries than its capacity.

    A new entry evicts the oldest one, or with ``by_recency`` the least recently used one.  The
    mapping knows nothing of its values: the caller of ``put`` disposes of the evicted values.
    """

    def __init__(self, capacity: int, *, by_recency: bool = False) -> None:
        self.counts = Counts()
        self._capacity = capacity
        self._by_recency = by_recency
        self._entries: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """The value of ``key``, counted as reused; None if ``key`` has no entry."""
        value = self._entries.get(key)
        if value is None:
            return None
        self.counts.reused += 1
        if self._by_recency:
            self._entries[key] = self._entries.pop(key)
        return value

    def put(self, key: K, value: V) -> list[V]:
        """Add a new entry; gives the evicted values."""
        evicted = []
        while len(self._entries) >= self._capacity:
            evicted.append(self._entries.pop(next(iter(self._entries))))
        self._entries[key] = value
        self.counts.created += 1
        self.counts.evicted += len(evicted)
        self.counts.held = len(self._entries)
        return evicted

    def invalidate(self, stale: Callable[[K], bool]) -> list[V]:
        """Remove every entry whose key is ``stale``; gives their values."""
        removed = [self._entries.pop(key) for key in [k for k in self._entries if stale(k)]]
        self.counts.invalidated += len(removed)
        self.counts.held = len(self._entries)
        return removed

    def clear(self) -> list[V]:
        """Remove everything; gives the values."""
        values = list(self._entries.values())
        self._entries.clear()
        self.counts.held = 0
        return values


def uniform_key(payload: bytes) -> bytes:
    """The content itself, never a hash of it.

    A uniform buffer is written once, when it is made, so buffers of equal content are
    interchangeable.  The length is part of the content.
    """
    return payload


def bind_group_key(pipeline: Pipeline, ranges: tuple[Range, ...]) -> BindGroupKey:
    """The pipeline, then buffer, offset and size of each binding in order.

    Two kernels may share a name, arity and buffers and still differ in layout, so the
    key holds the pipeline's uid.  Uids are never given twice, so a new buffer never
    finds the entry of a freed one.
    """
    key = [pipeline.uid]
    for bound in ranges:
        key += (bound.buffer.uid, bound.offset, bound.size_bytes)
    return tuple(key)


def mentions(key: BindGroupKey, buffer: DeviceBuffer) -> bool:
    """Whether a key names ``buffer``: every third number, from the second, is a buffer."""
    return buffer.uid in key[1::3]


def shape_key(kernel: Kernel, grid: Grid) -> ShapeKey:
    """The kernel object and the grid: the launch depends on the kernel's guard and group size."""
    return kernel, grid


class CacheState:
    """The three caches, each with the capacity that the policy gives it."""

    def __init__(self, policy: Policy) -> None:
        self.uniforms: BoundedCache[bytes, DeviceBuffer] = BoundedCache(policy.uniform_cache)
        self.bind_groups: BoundedCache[BindGroupKey, BindGroup] = BoundedCache(
            policy.bind_group_cache
        )
        self.shapes: BoundedCache[ShapeKey, Launch] = BoundedCache(
            policy.shape_cache, by_recency=True
        )


class BindGroupStore(Protocol):
    """Gives each dispatch the bind group of its pipeline and ranges."""

    counts: Counts

    def get(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> BindGroup:
        """The bind group that binds ``ranges`` in order."""
        ...

    def forget(self, buffer: DeviceBuffer) -> None:
        """Drop every group that binds ``buffer``."""
        ...

    def clear(self) -> None:
        """Drop every entry."""
        ...


class FreshBindGroups:
    """Makes a new bind group for each dispatch, and keeps none."""

    def __init__(self, driver: Driver) -> None:
        self.counts = Counts()
        self._driver = driver

    def get(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> BindGroup:
        """A new bind group."""
        group = self._driver.create_bind_group(pipeline, ranges)
        self.counts.created += 1
        return group

    def forget(self, buffer: DeviceBuffer) -> None:
        """Do nothing: no group is kept."""

    def clear(self) -> None:
        """Do nothing: no group is kept."""


class CachedBindGroups:
    """Keeps bind groups by pipeline and ranges; a new one evicts the oldest."""

    def __init__(self, driver: Driver, caches: CacheState) -> None:
        self._driver = driver
        self._cache = caches.bind_groups
        self.counts = self._cache.counts

    def get(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> BindGroup:
        """The bind group made before for this pipeline and these ranges, or a new one."""
        key = bind_group_key(pipeline, ranges)
        group = self._cache.get(key)
        if group is None:
            group = self._driver.create_bind_group(pipeline, ranges)
            self._cache.put(key, group)
        return group

    def forget(self, buffer: DeviceBuffer) -> None:
        """Drop every entry that binds ``buffer``."""
        self._cache.invalidate(lambda key: mentions(key, buffer))

    def clear(self) -> None:
        """Drop every entry."""
        self._cache.clear()


def make_bind_groups(driver: Driver, policy: Policy, caches: CacheState) -> BindGroupStore:
    """The store that ``policy`` names."""
    if policy.cache_bind_groups:
        return CachedBindGroups(driver, caches)
    return FreshBindGroups(driver)
