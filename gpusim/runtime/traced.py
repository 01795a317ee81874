"""Decorators that write down what a runtime does, without changing any of it.

``TracedDriver`` emits the device events; ``traced_parts`` wraps collaborators
so that what happens inside them is emitted as well.  Wrapped or not is all
there is: no other module asks whether it is being traced.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gpusim.errors import DeviceFault
from gpusim.kernels import Kernel
from gpusim.program import Grid
from gpusim.runtime.batch import Batch
from gpusim.runtime.bind_groups import BindGroupStore
from gpusim.runtime.cache_state import CacheState
from gpusim.runtime.commands import (
    BindGroup,
    Command,
    DeviceBuffer,
    DispatchCommand,
    Mapping,
    Pipeline,
    Range,
    Role,
)
from gpusim.runtime.driver import Driver
from gpusim.runtime.launch import Launch
from gpusim.runtime.parts import Parts
from gpusim.runtime.policy import Policy
from gpusim.runtime.shapes import Shapes
from gpusim.runtime.staging import StagingPool
from gpusim.runtime.stats import Counts
from gpusim.runtime.uniforms import UniformStore
from gpusim.trace import Trace


class TracedDriver:
    """A driver that emits an event for each verb, before the verb is carried out.

    A verb that raises is followed by a ``failed`` event.
    Objects appear by the order in which this trace first saw them, so that two
    runs of one program leave equal traces on a driver they share.
    """

    def __init__(self, driver: Driver, trace: Trace) -> None:
        self.trace = trace
        self.limits = driver.limits
        self._driver = driver
        self._numbers: dict[int, int] = {}

    @property
    def lost(self) -> bool:
        """Whether the device is gone."""
        return self._driver.lost

    def create_buffer(self, size_bytes: int, role: Role) -> DeviceBuffer:
        """See ``Driver``; emitted after the buffer exists, since it has no number before."""
        buffer: DeviceBuffer = self._carry_out(
            "create_buffer", self._driver.create_buffer, size_bytes, role
        )
        number = self._number(buffer.uid)
        self.trace.emit("create_buffer", buffer=number, role=role.value, size_bytes=size_bytes)
        return buffer

    def destroy_buffer(self, buffer: DeviceBuffer) -> None:
        """See ``Driver``."""
        self.trace.emit("destroy_buffer", buffer=self._number(buffer.uid), role=buffer.role.value)
        self._driver.destroy_buffer(buffer)

    def write_buffer(self, buffer: DeviceBuffer, offset: int, data: Any) -> None:
        """See ``Driver``."""
        self.trace.emit(
            "write_buffer",
            buffer=self._number(buffer.uid),
            role=buffer.role.value,
            offset=offset,
            data=bytes(data),
        )
        self._carry_out("write_buffer", self._driver.write_buffer, buffer, offset, data)

    def compile(self, kernel: Kernel, *, dynamic_uniforms: bool) -> Pipeline:
        """See ``Driver``; no event, since a driver compiles a kernel once for all its runtimes."""
        try:
            return self._driver.compile(kernel, dynamic_uniforms=dynamic_uniforms)
        except DeviceFault as fault:
            self._fail("compile", fault)
            raise

    def create_bind_group(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> BindGroup:
        """See ``Driver``."""
        group: BindGroup = self._carry_out(
            "create_bind_group", self._driver.create_bind_group, pipeline, ranges
        )
        self.trace.emit(
            "create_bind_group",
            group=self._number(group.uid),
            kernel=pipeline.kernel.name,
            ranges=self._ranges(ranges),
        )
        return group

    def encode(self, commands: Sequence[Command], label: str, *, merge_passes: bool) -> Any:
        """See ``Driver``; one event for the encoder, then one a command."""
        self.trace.emit("encode", reason=label, commands=len(commands))
        for command in commands:
            self._emit_command(command)
        try:
            return self._driver.encode(commands, label, merge_passes=merge_passes)
        except DeviceFault as fault:
            self._fail("encode", fault)
            raise

    def submit(self, command_buffer: Any) -> None:
        """See ``Driver``."""
        self.trace.emit("submit")
        self._carry_out("submit", self._driver.submit, command_buffer)

    def map(self, buffer: DeviceBuffer, size_bytes: int) -> Mapping:
        """See ``Driver``."""
        self.trace.emit("map", buffer=self._number(buffer.uid), size_bytes=size_bytes)
        mapping: Mapping = self._carry_out("map", self._driver.map, buffer, size_bytes)
        return mapping

    def wait(self, mapping: Mapping) -> None:
        """See ``Driver``."""
        self.trace.emit("wait", buffer=self._number(mapping.buffer.uid))
        self._carry_out("wait", self._driver.wait, mapping)

    async def wait_async(self, mapping: Mapping) -> None:
        """See ``Driver``."""
        self.trace.emit("wait", buffer=self._number(mapping.buffer.uid))
        try:
            await self._driver.wait_async(mapping)
        except DeviceFault as fault:
            self._fail("wait", fault)
            raise

    def take(self, mapping: Mapping) -> bytes:
        """See ``Driver``."""
        self.trace.emit("take", buffer=self._number(mapping.buffer.uid))
        data: bytes = self._carry_out("take", self._driver.take, mapping)
        return data

    def _emit_command(self, command: Command) -> None:
        if isinstance(command, DispatchCommand):
            self.trace.emit(
                "dispatch",
                kernel=command.pipeline.kernel.name,
                group=self._number(command.bind_group.uid),
                ranges=self._ranges(command.ranges),
                groups=command.groups,
            )
        else:
            self.trace.emit(
                "copy",
                source=self._number(command.source.uid),
                source_offset=command.source_offset,
                target=self._number(command.target.uid),
                target_role=command.target.role.value,
                target_offset=command.target_offset,
                size_bytes=command.size_bytes,
            )

    def _ranges(self, ranges: tuple[Range, ...]) -> tuple[tuple[int, int, int], ...]:
        return tuple(
            (self._number(bound.buffer.uid), bound.offset, bound.size_bytes) for bound in ranges
        )

    def _carry_out(self, verb: str, act: Callable[..., Any], *given: Any) -> Any:
        try:
            return act(*given)
        except DeviceFault as fault:
            self._fail(verb, fault)
            raise

    def _fail(self, verb: str, fault: DeviceFault) -> None:
        self.trace.emit("failed", verb=verb, error=type(fault).__name__)

    def _number(self, uid: int) -> int:
        return self._numbers.setdefault(uid, len(self._numbers) + 1)


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


class _Watch:
    """Emits what rose in a part's counts while the block ran, as ``<part>.<count>`` events."""

    def __init__(self, name: str, counts: Counts, trace: Trace) -> None:
        self._name = name
        self._counts = counts
        self._trace = trace

    def __enter__(self) -> None:
        self._before = self._counts.copy()

    def __exit__(self, *error: object) -> None:
        for count, rise in self._counts.since(self._before).items():
            for _ in range(rise):
                self._trace.emit(f"{self._name}.{count}")


class _TracedUniforms:
    def __init__(self, inner: UniformStore, trace: Trace) -> None:
        self.counts = inner.counts
        self._inner = inner
        self._watch = _Watch("uniforms", inner.counts, trace)

    @property
    def is_dynamic(self) -> bool:
        return self._inner.is_dynamic

    def is_full(self, batch: Batch, size_bytes: int) -> bool:
        with self._watch:
            return self._inner.is_full(batch, size_bytes)

    def before_submit(self, batch: Batch) -> None:
        self._inner.before_submit(batch)

    def take(self, payload: bytes, batch: Batch) -> Range:
        with self._watch:
            return self._inner.take(payload, batch)

    def clear(self) -> list[DeviceBuffer]:
        return self._inner.clear()


class _TracedBindGroups:
    def __init__(self, inner: BindGroupStore, trace: Trace) -> None:
        self.counts = inner.counts
        self._inner = inner
        self._watch = _Watch("bind_groups", inner.counts, trace)

    def get(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> BindGroup:
        with self._watch:
            return self._inner.get(pipeline, ranges)

    def forget(self, buffer: DeviceBuffer) -> None:
        with self._watch:
            self._inner.forget(buffer)

    def clear(self) -> None:
        self._inner.clear()


class _TracedShapes:
    def __init__(self, inner: Shapes, trace: Trace) -> None:
        self.counts = inner.counts
        self._inner = inner
        self._watch = _Watch("shapes", inner.counts, trace)

    def get(self, kernel: Kernel, grid: Grid) -> Launch:
        with self._watch:
            return self._inner.get(kernel, grid)


class _TracedStaging:
    def __init__(self, inner: StagingPool, trace: Trace) -> None:
        self.counts = inner.counts
        self._inner = inner
        self._watch = _Watch("staging", inner.counts, trace)

    def take(self, size_bytes: int) -> DeviceBuffer:
        with self._watch:
            return self._inner.take(size_bytes)

    def give_back(self, buffer: DeviceBuffer) -> None:
        with self._watch:
            self._inner.give_back(buffer)

    def discard(self, buffer: DeviceBuffer) -> None:
        self._inner.discard(buffer)

    def clear(self) -> list[DeviceBuffer]:
        return self._inner.clear()
