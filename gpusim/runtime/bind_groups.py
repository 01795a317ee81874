"""Bind groups: made anew for each dispatch, or found again by their key.

A bind group is on no clock of its own: the encoder keeps the groups it refers
to.  The buffers in it have clocks, so an entry goes when one of them does.
"""

from typing import Protocol

from gpusim.runtime.cache_state import CacheState, bind_group_key, mentions
from gpusim.runtime.commands import BindGroup, DeviceBuffer, Pipeline, Range
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.policy import Policy
from gpusim.runtime.stats import Counts


class BindGroupStore(Protocol):
    """Gives each dispatch the bind group of its pipeline and ranges."""

    counts: Counts

    def get(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> BindGroup:
        """The bind group that binds ``ranges`` in order."""
        ...

    def forget(self, buffer: DeviceBuffer) -> None:
        """Never again hand out a group that binds ``buffer``."""
        ...

    def clear(self) -> None:
        """Give up every entry."""
        ...


class FreshBindGroups:
    """A new bind group each time."""

    def __init__(self, driver: Driver) -> None:
        self.counts = Counts()
        self._driver = driver

    def get(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> BindGroup:
        """A new one."""
        group = self._driver.create_bind_group(pipeline, ranges)
        self.counts.created += 1
        return group

    def forget(self, buffer: DeviceBuffer) -> None:
        """Nothing is remembered."""

    def clear(self) -> None:
        """Nothing is held."""


class CachedBindGroups:
    """Bind groups by pipeline and ranges, first in, first out."""

    def __init__(self, driver: Driver, caches: CacheState) -> None:
        self._driver = driver
        self._cache = caches.bind_groups
        self.counts = self._cache.counts

    def get(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> BindGroup:
        """The one made before for this pipeline and these ranges, or a new one."""
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
        """Give up every entry."""
        self._cache.clear()


def make_bind_groups(driver: Driver, policy: Policy, caches: CacheState) -> BindGroupStore:
    """The store that ``policy`` names."""
    if policy.cache_bind_groups:
        return CachedBindGroups(driver, caches)
    return FreshBindGroups(driver)
