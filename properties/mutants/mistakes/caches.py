"""Mistakes in the caches of uniforms, launch shapes, bind groups and checked dispatches.

A key must hold everything that its value depends on.  An entry must be dropped when one of these
things is freed.  Mistakes in the cache of captured graphs are in ``replays``.
"""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from gpusim.kernels import Kernel
from gpusim.ops import Grid
from gpusim.runtime.buffers import (
    Buffer,
    BufferPart,
)
from gpusim.runtime.caches import (
    BoundedCache,
    CachedBindGroups,
    CacheState,
)
from gpusim.runtime.commands import BindGroup, DeviceBuffer, Launch, Pipeline, Range, Role
from gpusim.runtime.graph import GridIn
from gpusim.runtime.plans import AnyPlan, DispatchPlan, Plans, Shapes, plan_launch
from gpusim.runtime.policy import Policy
from properties.mutants.mutant import Overlay, mutant

K = TypeVar("K")


V = TypeVar("V")


def _in_caches(*names: str) -> Callable[[type[BoundedCache[Any, Any]]], Callable[..., CacheState]]:
    """Returns a ``make`` for ``mutant``, which turns a broken class into the maker of all caches.

    The maker takes a policy; the caches of these ``names`` are of the broken class.
    """

    def make(broken: type[BoundedCache[Any, Any]]) -> Callable[[Policy], CacheState]:
        def made(policy: Policy) -> CacheState:
            caches = CacheState(policy)
            for name in names:
                sound = getattr(caches, name)
                setattr(caches, name, broken(sound._capacity, by_recency=sound._by_recency))
            return caches

        return made

    return make


@mutant(part="caches", hard=True, make=_in_caches("uniforms", "bind_groups"))
class PutKeepsOldestKey(BoundedCache[K, V]):
    """A full cache of uniforms or bind groups puts a new value under the oldest entry's key."""

    def put(self, key: K, value: V) -> list[V]:
        if len(self._entries) < self._capacity:
            return super().put(key, value)
        oldest = next(iter(self._entries))
        evicted = self._entries[oldest]
        self._entries[oldest] = value
        self.counts.created += 1
        self.counts.evicted += 1
        return [evicted]


@mutant(part="caches", make=_in_caches("uniforms"))
class EvictsWhatItAdded(BoundedCache[K, V]):
    """A full cache of uniforms drops its oldest entry, but destroys the buffer of the new one."""

    def put(self, key: K, value: V) -> list[V]:
        if not super().put(key, value):
            return []
        return [value]


@mutant(part="caches", hard=True, make=_in_caches("uniforms"))
class EvictedStillFound(BoundedCache[K, V]):
    """A uniform buffer that was evicted and destroyed is still found by its content."""

    def put(self, key: K, value: V) -> list[V]:
        before = dict(self._entries)
        evicted = super().put(key, value)
        self._entries.update(before)
        return evicted


@mutant(part="shapes", hard=True)
class ShapeKeyLacksKernel(Shapes):
    """A launch is found by its grid alone."""

    def get(self, kernel: Kernel, grid: Grid) -> Launch:
        launch = next((one for (_, g), one in self._cache._entries.items() if g == grid), None)
        return launch or super().get(kernel, grid)


@mutant(part="shapes")
class ShapeKeyLacksDepth(Shapes):
    """A launch is found by its kernel and the first two dimensions of its grid."""

    def get(self, kernel: Kernel, grid: Grid) -> Launch:
        key = (kernel, grid[:2])
        for (known, (x, y, _)), launch in self._cache._entries.items():
            if (known, (x, y)) == key:
                return launch
        return super().get(kernel, grid)


@mutant(part="shapes", origin="TVM cache_state; web-llm#844")
class ShapeCacheDisposesHeld(Shapes):
    """A launch whose shape evicts another from the cache runs over one workgroup."""

    def get(self, kernel: Kernel, grid: Grid) -> Launch:
        evicted = self.counts.evicted
        launch = super().get(kernel, grid)
        if self.counts.evicted > evicted:
            return Launch(launch.groups, (1, 1, 1))
        return launch


@mutant(part="shapes")
class ZeroGridNotChecked(Shapes):
    """A grid with a zero in it is accepted, whatever its other dimensions are."""

    def get(self, kernel: Kernel, grid: Grid) -> Launch:
        return Launch(0, grid) if 0 in grid else super().get(kernel, grid)


@mutant(part="shapes")
class WideGridCut(Shapes):
    """Each dimension past the limit is cut to the limit, instead of spreading the grid."""

    def get(self, kernel: Kernel, grid: Grid) -> Launch:
        most = self._max_groups_per_dimension
        plan_launch(kernel, grid, most)
        x, y, z = (min(size, most) for size in grid)
        return Launch(x * y * z, (x, y, z))


@mutant(part="shapes", origin="TVM codegen", hard=True)
class GridRunsOneMore(Shapes):
    """If a grid is spread over three dimensions, the kernel also runs the groups that this adds."""

    def get(self, kernel: Kernel, grid: Grid) -> Launch:
        launch = super().get(kernel, grid)
        if launch.spread == grid:
            return launch
        x, y, z = launch.spread
        return Launch(x * y * z, launch.spread)


Key = tuple[Any, ...]


class _KeyedBindGroups(CachedBindGroups):
    """A cache whose key a subclass computes in its own way."""

    def get(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> BindGroup:
        key = self._key(pipeline, ranges)
        group = self._cache.get(key)
        if group is None:
            group = self._driver.create_bind_group(pipeline, ranges)
            self._cache.put(key, group)
        return group

    def forget(self, buffer: DeviceBuffer) -> None:
        """Drop the groups that bind ``buffer``, whatever their keys hold."""
        stale = [
            key
            for key, group in self._cache._entries.items()
            if any(bound.buffer is buffer for bound in group.ranges)
        ]
        self._cache.invalidate(lambda key: key in stale)

    def _key(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> Key:
        raise NotImplementedError


def _numbers(ranges: tuple[Range, ...]) -> list[tuple[int, int, int]]:
    return [(bound.buffer.uid, bound.offset, bound.size_bytes) for bound in ranges]


@mutant(part="bind_groups", origin="TVM 18871, first version")
class BindGroupKeyLacksKernel(_KeyedBindGroups):
    """The key of a bind group holds the ranges, and not the pipeline."""

    def _key(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> Key:
        return tuple(_numbers(ranges))


@mutant(part="bind_groups", origin="TVM 18871, review", hard=True)
class BindGroupKeyJoined(_KeyedBindGroups):
    """The key of a bind group joins the kernel's name and the buffers' numbers to one string."""

    def _key(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> Key:
        numbers = [str(bound.buffer.uid) for bound in ranges]
        return (pipeline.kernel.name + "".join(numbers),)


@mutant(part="bind_groups")
class BindGroupKeyUnordered(_KeyedBindGroups):
    """The key of a bind group ignores the order of the ranges."""

    def _key(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> Key:
        return pipeline.uid, *sorted(_numbers(ranges))


@mutant(part="bind_groups")
class BindGroupKeyLacksUniform(_KeyedBindGroups):
    """The key of a bind group leaves out the uniform buffer, as if it were always the same."""

    def _key(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> Key:
        storage = tuple(bound for bound in ranges if bound.buffer.role is Role.STORAGE)
        return pipeline.uid, *_numbers(storage)


@mutant(part="bind_groups", hard=True, rare=True)
class BindGroupKeyOfThree(_KeyedBindGroups):
    """The key of a bind group holds only the last three ranges."""

    def _key(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> Key:
        return pipeline.uid, *_numbers(ranges[-3:])


@mutant(part="bind_groups", hard=True)
class BindGroupKeyLacksFirst(_KeyedBindGroups):
    """If three or more ranges are bound, the key lacks the number of the first range's buffer."""

    def _key(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> Key:
        first, *rest = _numbers(ranges)
        return pipeline.uid, first if len(ranges) < 3 else first[1:], *rest


@mutant(part="bind_groups")
class BindGroupOfOldestAtCapacity(CachedBindGroups):
    """A full cache hands out the evicted bind group instead of a new one of the same pipeline."""

    def get(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> BindGroup:
        oldest = next(iter(self._cache._entries.items()), None)
        evicted = self._cache.counts.evicted
        group = super().get(pipeline, ranges)
        if oldest is not None and self._cache.counts.evicted > evicted:
            key, old = oldest
            if key[0] == pipeline.uid:
                return old
        return group


class NumbersGivenAgain(Overlay):
    """A driver that gives a destroyed buffer's number to the next buffer of its size and role."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._free: list[tuple[int, Role, int]] = []

    def create_buffer(self, size_bytes: int, role: Role) -> DeviceBuffer:
        buffer: DeviceBuffer = self._inner.create_buffer(size_bytes, role)
        for entry in self._free:
            if entry[:2] == (size_bytes, role):
                self._free.remove(entry)
                buffer.uid = entry[2]
                break
        return buffer

    def destroy_buffer(self, buffer: DeviceBuffer) -> None:
        self._free.append((buffer.size_bytes, buffer.role, buffer.uid))
        self._inner.destroy_buffer(buffer)


@mutant(
    part="bind_groups",
    origin="TVM 18871; sokol#1066; pixijs#12080",
    beside={"driver": NumbersGivenAgain},
)
class BindGroupSurvivesFree(CachedBindGroups):
    """A freed buffer's number is given again, and the freed buffer's bind group is found."""

    def forget(self, buffer: DeviceBuffer) -> None:
        """Drop nothing."""


class KeyedPlans(Plans[AnyPlan]):
    """Plans that are kept under a wrong key, which a subclass makes of the right key."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.get = self._get

    def put(self, key: Hashable, plan: AnyPlan) -> None:
        assert isinstance(key, tuple)
        super().put(self._key(key), plan)

    def _get(self, key: Hashable, default: Any = None) -> Any:
        assert isinstance(key, tuple)
        return self._plans.get(self._key(key), default)

    def _key(self, key: tuple[Any, ...]) -> Hashable:
        raise NotImplementedError


@mutant(part="plans")
class PlanKeyLacksGrid(KeyedPlans[DispatchPlan]):
    """A checked dispatch is found by its kernel and buffers, whatever its grid."""

    def _key(self, key: tuple[Any, ...]) -> Hashable:
        kernel, _, *buffers = key
        return (kernel, *buffers)


@mutant(part="plans")
class PlanKeyLacksOrder(KeyedPlans[DispatchPlan]):
    """A checked dispatch is found by what it binds, in any order."""

    def _key(self, key: tuple[Any, ...]) -> Hashable:
        kernel, grid, *buffers = key
        parts = [one if isinstance(one, BufferPart) else BufferPart(one, 0, -1) for one in buffers]
        return (kernel, grid, *sorted((one.buffer.uid, *one[1:]) for one in parts))


@mutant(part="plans")
class PlanKeyLacksKernel(KeyedPlans[DispatchPlan]):
    """A checked dispatch is found by its grid, its buffers and how it accesses each of them."""

    def _key(self, key: tuple[Any, ...]) -> Hashable:
        kernel, grid, *buffers = key
        return (tuple(binding.access for binding in kernel.buffers), grid, *buffers)


@mutant(part="plans", hard=True, rare=True)
class PlanKeyProduct(KeyedPlans[DispatchPlan]):
    """A checked dispatch is found by the number of its groups, whatever their x, y and z."""

    def _key(self, key: tuple[Any, ...]) -> Hashable:
        kernel, grid, *buffers = key
        is_plain = isinstance(grid, int | GridIn)
        groups = grid if is_plain else abs(grid[0] * grid[1] * grid[2])
        return (kernel, groups, *buffers)


@mutant(part="plans", hard=True)
class PlanSurvivesFree(Plans[DispatchPlan]):
    """A checked dispatch is still found after one of its buffers was freed."""

    def forget(self, buffer: Buffer) -> None:
        """Drop nothing."""
