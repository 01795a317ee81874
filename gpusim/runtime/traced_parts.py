"""Decorators that trace what happens inside pools and caches, without changing it.

Every rise of a count of a pool or cache becomes an event, ``<part>.<count>``.  ``drivers.traced``
traces what reaches the device.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, cast

from gpusim.kernels import Kernel
from gpusim.ops import Grid
from gpusim.runtime.batch import Batch
from gpusim.runtime.caches import BindGroupStore, CacheState
from gpusim.runtime.commands import BindGroup, DeviceBuffer, Launch, Pipeline, PlainRange, Range
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.parts import Parts
from gpusim.runtime.plans import Shapes
from gpusim.runtime.policy import Policy
from gpusim.runtime.staging import StagingPool
from gpusim.runtime.stats import RISING, Counts, rising
from gpusim.runtime.uniforms import DynamicUniforms, UniformStore
from gpusim.trace import Event, Trace


def traced_parts(parts: Parts, trace: Trace) -> Parts:
    """``parts`` with pools and caches wrapped so that every rise of a count is an event."""
    return replace(
        parts,
        uniforms=_watched(parts.uniforms, _TracedUniforms, trace),
        bind_groups=_watched(parts.bind_groups, _TracedBindGroups, trace),
        shapes=_watched(parts.shapes, _TracedShapes, trace),
        staging=_watched(parts.staging, _TracedStaging, trace),
    )


def _watched(
    make: Callable[..., Any], wrap: Callable[..., Any], trace: Trace
) -> Callable[..., Any]:
    def made(driver: Driver, policy: Policy, caches: CacheState) -> Any:
        return wrap(make(driver, policy, caches), trace)

    return made


@cache
def _rises_of(name: str) -> list[Event]:
    """One event for each count; events are shared, since nobody changes them."""
    return [Event(f"{name}.{count}", {}) for count in RISING]


class _Watch:
    """Emits what has risen in a part's counts, as ``<part>.<count>`` events."""

    def __init__(self, name: str, counts: Counts, trace: Trace) -> None:
        self._rises = _rises_of(name)
        self._counts = counts
        self._events = trace.events
        self._seen = rising(counts)

    def look(self) -> None:
        """Emit what has risen since the last look."""
        seen, now = self._seen, rising(self._counts)
        if now == seen:
            return
        self._seen = now
        for place, count in enumerate(now):
            if count > seen[place]:
                self._events += [self._rises[place]] * (count - seen[place])


class _TracedUniforms:
    def __init__(self, inner: UniformStore, trace: Trace) -> None:
        self.counts = inner.counts
        self.is_dynamic = inner.is_dynamic
        self.before_submit = inner.before_submit
        self.clear = inner.clear
        self._inner = inner
        self._watch = _Watch("uniforms", inner.counts, trace)

    @property
    def capacity_bytes(self) -> int:
        return self._dynamic.capacity_bytes

    def ring_for(self, size_bytes: int, batch: Batch) -> DeviceBuffer:
        try:
            return self._dynamic.ring_for(size_bytes, batch)
        finally:
            self._watch.look()

    @property
    def _dynamic(self) -> DynamicUniforms:
        return cast(DynamicUniforms, self._inner)

    def is_full(self, batch: Batch, size_bytes: int) -> bool:
        full = self._inner.is_full(batch, size_bytes)
        if full:
            self._watch.look()
        return full

    def take(self, payload: bytes, batch: Batch) -> PlainRange:
        try:
            return self._inner.take(payload, batch)
        finally:
            self._watch.look()


class _TracedBindGroups:
    def __init__(self, inner: BindGroupStore, trace: Trace) -> None:
        self.counts = inner.counts
        self.clear = inner.clear
        self._inner = inner
        self._watch = _Watch("bind_groups", inner.counts, trace)

    def get(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> BindGroup:
        try:
            return self._inner.get(pipeline, ranges)
        finally:
            self._watch.look()

    def forget(self, buffer: DeviceBuffer) -> None:
        try:
            self._inner.forget(buffer)
        finally:
            self._watch.look()


class _TracedShapes:
    def __init__(self, inner: Shapes, trace: Trace) -> None:
        self.counts = inner.counts
        self._inner = inner
        self._watch = _Watch("shapes", inner.counts, trace)

    def get(self, kernel: Kernel, grid: Grid) -> Launch:
        try:
            return self._inner.get(kernel, grid)
        finally:
            self._watch.look()


class _TracedStaging:
    def __init__(self, inner: StagingPool, trace: Trace) -> None:
        self.counts = inner.counts
        self.clear = inner.clear
        self.discard = inner.discard
        self._inner = inner
        self._watch = _Watch("staging", inner.counts, trace)

    def take(self, size_bytes: int) -> DeviceBuffer:
        try:
            return self._inner.take(size_bytes)
        finally:
            self._watch.look()

    def give_back(self, buffer: DeviceBuffer) -> None:
        try:
            self._inner.give_back(buffer)
        finally:
            self._watch.look()
