"""Mistakes in how bind groups are found again."""

from collections.abc import Callable
from typing import Any

from gpusim.runtime.caches import BindGroupStore, CachedBindGroups, CacheState, make_bind_groups
from gpusim.runtime.commands import BindGroup, DeviceBuffer, Pipeline, Range, Role
from gpusim.runtime.drivers.driver import Driver, WgpuDriver
from gpusim.runtime.parts import Parts
from gpusim.runtime.policy import Policy
from properties.mutants.mutant import Mutant, mutant
from properties.mutants.overlay import Overlay

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
        """Sound, whatever the key holds: by what the group binds."""
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


class BindGroupKeyLacksKernel(_KeyedBindGroups):
    """The key holds the buffers and not the pipeline."""

    def _key(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> Key:
        return tuple(_numbers(ranges))


class BindGroupKeyJoined(_KeyedBindGroups):
    """The key is its parts joined to one string with nothing between the numbers."""

    def _key(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> Key:
        numbers = [str(bound.buffer.uid) for bound in ranges]
        return (pipeline.kernel.name + "".join(numbers),)


class BindGroupKeyUnordered(_KeyedBindGroups):
    """The key forgets which buffer is bound where."""

    def _key(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> Key:
        return pipeline.uid, *sorted(_numbers(ranges))


class BindGroupKeyLacksUniform(_KeyedBindGroups):
    """The key leaves out the uniform buffer, since it changes all the time."""

    def _key(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> Key:
        storage = tuple(bound for bound in ranges if bound.buffer.role is Role.STORAGE)
        return pipeline.uid, *_numbers(storage)


class BindGroupKeyOfThree(_KeyedBindGroups):
    """The key holds the last three bindings at most."""

    def _key(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> Key:
        return pipeline.uid, *_numbers(ranges[-3:])


class BindGroupKeyOfSizes(_KeyedBindGroups):
    """A storage buffer appears in the key by its size alone, where more than one is bound."""

    def _key(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> Key:
        first, *rest = _numbers(ranges)
        return pipeline.uid, first if len(ranges) < 3 else first[1:], *rest


class BindGroupOfOldestAtCapacity(CachedBindGroups):
    """A full cache hands out the group that it evicts where its pipeline is the same."""

    def get(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> BindGroup:
        oldest = next(iter(self._cache._entries.items()), None)
        evicted = self._cache.counts.evicted
        group = super().get(pipeline, ranges)
        if oldest is not None and self._cache.counts.evicted > evicted:
            key, old = oldest
            if key[0] == pipeline.uid:
                return old
        return group


class BindGroupSurvivesFree(CachedBindGroups):
    """A freed buffer's number is given again, and a bind group of the old one is found."""

    def forget(self, buffer: DeviceBuffer) -> None:
        """Nothing goes."""


class NumbersGivenAgain(Overlay):
    """A driver that gives the number of a destroyed buffer to the next of its size."""

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


def _only_cached(make: Callable[..., BindGroupStore]) -> Parts:
    def made(driver: Driver, policy: Policy, caches: CacheState) -> BindGroupStore:
        if policy.cache_bind_groups:
            return make(driver, caches)
        return make_bind_groups(driver, policy, caches)

    return Parts(bind_groups=made)


def _cached(broken: type[CachedBindGroups], **about: Any) -> Mutant:
    return mutant(broken, parts=_only_cached(broken), **about)


MUTANTS = (
    _cached(BindGroupKeyLacksKernel, ancestor="TVM 18871, first version"),
    _cached(BindGroupKeyJoined, ancestor="TVM 18871, review", hard=True),
    _cached(BindGroupKeyUnordered),
    _cached(BindGroupKeyLacksUniform),
    _cached(BindGroupKeyOfThree, hard=True, rare=True),
    _cached(BindGroupKeyOfSizes, hard=True),
    _cached(BindGroupOfOldestAtCapacity),
    _cached(
        BindGroupSurvivesFree,
        ancestor="TVM 18871; sokol#1066; pixijs#12080",
        make_driver=lambda device: NumbersGivenAgain(WgpuDriver(device)),
    ),
)
