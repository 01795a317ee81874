"""Decorators that write down what a runtime does, without changing any of it.

``TracedDriver`` emits the device events; ``traced_parts`` wraps collaborators
so that what happens inside them is emitted as well.  Wrapped or not is all
there is: no other module asks whether it is being traced.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gpusim.errors import DeviceFault, DeviceLost
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
from gpusim.runtime.stats import RISING, Counts
from gpusim.runtime.uniforms import UniformStore
from gpusim.trace import Trace

_VERBS = (
    "create_buffer",
    "write_buffer",
    "compile",
    "create_bind_group",
    "encode",
    "submit",
    "map",
    "wait",
    "take",
)


class _Told:
    """Emits a ``failed`` event where a verb raises a DeviceFault."""

    def __init__(self, verb: str, trace: Trace) -> None:
        self._verb = verb
        self._trace = trace

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if isinstance(error, DeviceFault):
            self._trace.emit("failed", verb=self._verb, error=type(error).__name__)


class TracedDriver:
    """A driver that emits an event for each verb, before the verb is carried out.

    A verb that raises a DeviceFault is followed by a ``failed`` event.  Objects
    appear by the order in which this trace first saw them, so that two runs of
    one program leave equal traces on a driver they share.
    """

    def __init__(self, driver: Driver, trace: Trace) -> None:
        self.trace = trace
        self.limits = driver.limits
        self._driver = driver
        self._numbers: dict[int, int] = {}
        self._told_loss = False
        self._told = {verb: _Told(verb, trace) for verb in _VERBS}

    @property
    def lost(self) -> bool:
        """Whether the device is gone; told once, since no verb need have failed."""
        lost = self._driver.lost
        if lost and not self._told_loss:
            self._told_loss = True
            self.trace.emit("failed", verb="lost", error=DeviceLost.__name__)
        return lost

    def create_buffer(self, size_bytes: int, role: Role) -> DeviceBuffer:
        """See ``Driver``; emitted after the buffer exists, since it has no number before."""
        with self._told["create_buffer"]:
            buffer = self._driver.create_buffer(size_bytes, role)
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
        with self._told["write_buffer"]:
            self._driver.write_buffer(buffer, offset, data)

    def compile(self, kernel: Kernel, *, dynamic_uniforms: bool) -> Pipeline:
        """See ``Driver``; no event, since a driver compiles a kernel once for all its runtimes."""
        with self._told["compile"]:
            return self._driver.compile(kernel, dynamic_uniforms=dynamic_uniforms)

    def create_bind_group(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> BindGroup:
        """See ``Driver``."""
        with self._told["create_bind_group"]:
            group = self._driver.create_bind_group(pipeline, ranges)
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
        with self._told["encode"]:
            return self._driver.encode(commands, label, merge_passes=merge_passes)

    def submit(self, command_buffer: Any) -> None:
        """See ``Driver``."""
        self.trace.emit("submit")
        with self._told["submit"]:
            self._driver.submit(command_buffer)

    def map(self, buffer: DeviceBuffer, size_bytes: int) -> Mapping:
        """See ``Driver``."""
        self.trace.emit("map", buffer=self._number(buffer.uid), size_bytes=size_bytes)
        with self._told["map"]:
            return self._driver.map(buffer, size_bytes)

    def wait(self, mapping: Mapping) -> None:
        """See ``Driver``."""
        self.trace.emit("wait", buffer=self._number(mapping.buffer.uid))
        with self._told["wait"]:
            self._driver.wait(mapping)

    async def wait_async(self, mapping: Mapping) -> None:
        """See ``Driver``."""
        self.trace.emit("wait", buffer=self._number(mapping.buffer.uid))
        with self._told["wait"]:
            await self._driver.wait_async(mapping)

    def take(self, mapping: Mapping) -> bytes:
        """See ``Driver``."""
        self.trace.emit("take", buffer=self._number(mapping.buffer.uid))
        with self._told["take"]:
            return self._driver.take(mapping)

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
        self._kinds = tuple(f"{name}.{count}" for count in RISING)
        self._counts = counts
        self._trace = trace

    def __enter__(self) -> None:
        self._before = self._counts.rising()

    def __exit__(self, *error: object) -> None:
        after = self._counts.rising()
        if after == self._before:
            return
        for kind, before, now in zip(self._kinds, self._before, after, strict=True):
            for _ in range(now - before):
                self._trace.emit(kind)


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
