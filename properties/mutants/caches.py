"""Mistakes in the caches themselves, and in what is looked up by shape."""

from collections.abc import Callable
from typing import Any, TypeVar

from gpusim.kernels import Kernel
from gpusim.ops import Grid
from gpusim.runtime.caches import BoundedCache, CacheState
from gpusim.runtime.commands import Launch
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.parts import Parts
from gpusim.runtime.plans import Shapes, plan_launch
from gpusim.runtime.policy import Policy
from properties.mutants.mutant import Mutant, mutant

K = TypeVar("K")
V = TypeVar("V")


class PutKeepsOldestKey(BoundedCache[K, V]):
    """A full cache puts the new value under the key of the oldest entry."""

    def put(self, key: K, value: V) -> list[V]:
        if len(self._entries) < self._capacity:
            return super().put(key, value)
        oldest = next(iter(self._entries))
        evicted = self._entries[oldest]
        self._entries[oldest] = value
        self.counts.created += 1
        self.counts.evicted += 1
        return [evicted]


class EvictsWhatItAdded(BoundedCache[K, V]):
    """A full cache gives up the value that it was handed, and remembers it all the same."""

    def put(self, key: K, value: V) -> list[V]:
        if not super().put(key, value):
            return []
        return [value]


class EvictedStillFound(BoundedCache[K, V]):
    """What was evicted and disposed of can still be found under its key."""

    def put(self, key: K, value: V) -> list[V]:
        before = dict(self._entries)
        evicted = super().put(key, value)
        self._entries.update(before)
        return evicted


class ShapeKeyLacksKernel(Shapes):
    """A launch is found by its grid alone."""

    def get(self, kernel: Kernel, grid: Grid) -> Launch:
        launch = next((one for (_, g), one in self._cache._entries.items() if g == grid), None)
        return launch or super().get(kernel, grid)


class ShapeKeyLacksDepth(Shapes):
    """A launch is found by the first two dimensions of its grid."""

    def get(self, kernel: Kernel, grid: Grid) -> Launch:
        key = (kernel, grid[:2])
        for (known, (x, y, _)), launch in self._cache._entries.items():
            if (known, (x, y)) == key:
                return launch
        return super().get(kernel, grid)


class ShapeCacheDisposesHeld(Shapes):
    """Eviction disposes of the launch that the caller is just being given."""

    def get(self, kernel: Kernel, grid: Grid) -> Launch:
        evicted = self.counts.evicted
        launch = super().get(kernel, grid)
        if self.counts.evicted > evicted:
            return Launch(launch.groups, (1, 1, 1))
        return launch


class ZeroGridNotChecked(Shapes):
    """A grid with a nought in it is taken as it is, whatever its other dimensions are."""

    def get(self, kernel: Kernel, grid: Grid) -> Launch:
        return Launch(0, grid) if 0 in grid else super().get(kernel, grid)


class WideGridCut(Shapes):
    """A grid past the limit is cut to the limit instead of being spread."""

    def get(self, kernel: Kernel, grid: Grid) -> Launch:
        most = self._max_groups_per_dimension
        plan_launch(kernel, grid, most)
        x, y, z = (min(size, most) for size in grid)
        return Launch(x * y * z, (x, y, z))


class GridRunsOneMore(Shapes):
    """A grid past the limit is spread, and the guard counts the groups of the whole box."""

    def get(self, kernel: Kernel, grid: Grid) -> Launch:
        launch = super().get(kernel, grid)
        if launch.spread == grid:
            return launch
        x, y, z = launch.spread
        return Launch(x * y * z, launch.spread)


def _caches(broken: Callable[..., BoundedCache[Any, Any]], *names: str) -> Parts:
    def made(policy: Policy) -> CacheState:
        caches = CacheState(policy)
        for name in names:
            sound = getattr(caches, name)
            setattr(caches, name, broken(sound._capacity, by_recency=sound._by_recency))
        return caches

    return Parts(caches=made)


def _shapes(broken: type[Shapes], **about: Any) -> Mutant:
    def made(driver: Driver, policy: Policy, caches: CacheState) -> Shapes:
        return broken(caches, driver.limits.max_groups_per_dimension)

    return mutant(broken, parts=Parts(shapes=made), **about)


MUTANTS = (
    mutant(
        PutKeepsOldestKey, parts=_caches(PutKeepsOldestKey, "uniforms", "bind_groups"), hard=True
    ),
    mutant(EvictsWhatItAdded, parts=_caches(EvictsWhatItAdded, "uniforms")),
    mutant(EvictedStillFound, parts=_caches(EvictedStillFound, "uniforms"), hard=True),
    _shapes(ShapeKeyLacksKernel, hard=True),
    _shapes(ShapeKeyLacksDepth),
    _shapes(ShapeCacheDisposesHeld, ancestor="TVM cache_state; web-llm#844"),
    _shapes(ZeroGridNotChecked),
    _shapes(WideGridCut),
    _shapes(GridRunsOneMore, hard=True, ancestor="TVM codegen"),
)
