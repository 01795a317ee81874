"""Broken parts of the runtime, a few lines each, for the relations to find."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpusim.kernels import Kernel
from gpusim.ops import Grid
from gpusim.runtime import Driver, Parts, Policy, WgpuDriver
from gpusim.runtime.batch import Batch, FlushReason, FlushRules
from gpusim.runtime.caches import CachedBindGroups, CacheState, make_bind_groups
from gpusim.runtime.commands import (
    BindGroup,
    CopyCommand,
    DeviceBuffer,
    Launch,
    Pipeline,
    Range,
    RecordedCommand,
    Role,
)
from gpusim.runtime.plans import Shapes
from gpusim.runtime.staging import StagingPool
from gpusim.runtime.uniforms import CachedUniforms, PooledUniforms, make_uniforms


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A mistake, and where it goes."""

    name: str
    seen_by: str
    """A relation that sees it alone."""
    rare: bool = False
    """Whether it takes one program in several hundred to show it."""
    policies: tuple[str, ...] = ("pooled", "cached")
    parts: Parts = field(default_factory=Parts)
    make_driver: Callable[[Any], Driver] = WgpuDriver
    aborts: bool = False
    """Whether a real device may end the process for it."""


class WriteOvertakes(FlushRules):
    def before_write(
        self, batch: Batch, buffer: DeviceBuffer, start: int, end: int
    ) -> FlushReason | None:
        return None


class WriteOvertakesOne(FlushRules):
    """Only a batch of two commands and more is submitted first."""

    def before_write(
        self, batch: Batch, buffer: DeviceBuffer, start: int, end: int
    ) -> FlushReason | None:
        return super().before_write(batch, buffer, start, end) if len(batch) > 1 else None


class SlotsWrapRound(PooledUniforms):
    """Where all slots are used, the batch goes on with the first."""

    def is_full(self, batch: Batch, size_bytes: int) -> bool:
        return False

    def take(self, payload: bytes, batch: Batch) -> Range:
        used, batch.uniform_slots = batch.uniform_slots, batch.uniform_slots % self._capacity
        bound = super().take(payload, batch)
        batch.uniform_slots = used
        return bound


class SlotsNeverReused(PooledUniforms):
    """Each dispatch has a slot of its own: every result is right, and the pool grows for ever."""

    def take(self, payload: bytes, batch: Batch) -> Range:
        buffer = self._driver.create_buffer(len(payload) + 3 & ~3, Role.UNIFORM)
        self._driver.write_buffer(buffer, 0, payload)
        self._slots.append(buffer)
        return Range(buffer, 0, len(payload))


class LengthIsContent(CachedUniforms):
    """Payloads of one length share a buffer, which is written again for each."""

    def take(self, payload: bytes, batch: Batch) -> Range:
        buffer = self._cache.get(len(payload).to_bytes(4, "little"))
        if buffer is None:
            buffer = self._driver.create_buffer(len(payload) + 3 & ~3, Role.UNIFORM)
            batch.retired += self._cache.put(len(payload).to_bytes(4, "little"), buffer)
        self._driver.write_buffer(buffer, 0, payload)
        return Range(buffer, 0, len(payload))


class AnyOrder(CachedBindGroups):
    """The key forgets the order of the bindings."""

    def get(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> BindGroup:
        key = (pipeline.uid, *sorted(bound.buffer.uid for bound in ranges))
        group = self._cache.get(key)
        if group is None:
            group = self._driver.create_bind_group(pipeline, ranges)
            self._cache.put(key, group)
        return group


class WithoutUniforms(CachedBindGroups):
    """The key forgets the last binding, which is the uniform's."""

    def get(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> BindGroup:
        key = (pipeline.uid, *(bound.buffer.uid for bound in ranges[:-1] or ranges))
        group = self._cache.get(key)
        if group is None:
            group = self._driver.create_bind_group(pipeline, ranges)
            self._cache.put(key, group)
        return group


class KernelAlone(Shapes):
    """The launch of a kernel is that of its first grid."""

    def __init__(self, caches: CacheState, most: int) -> None:
        super().__init__(caches, most)
        self._first: dict[Kernel, Launch] = {}

    def get(self, kernel: Kernel, grid: Grid) -> Launch:
        launch = super().get(kernel, grid)
        return self._first.setdefault(kernel, launch) if launch.groups else launch


class Eavesdropping:
    """A driver that hands everything on; subclasses break one verb."""

    def __init__(self, device: Any) -> None:
        self._inner: Any = WgpuDriver(device)
        self.limits = self._inner.limits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class CopiesFirst(Eavesdropping):
    """A batch's copies go before its dispatches, but for those into staging buffers."""

    def encode(self, commands: Sequence[RecordedCommand], label: str, **how: Any) -> Any:
        def goes_first(command: RecordedCommand) -> bool:
            return isinstance(command, CopyCommand) and command.target.role is Role.STORAGE

        ordered = sorted(commands, key=lambda command: not goes_first(command))
        return self._inner.encode(ordered, label, **how)


class FifthIsLost(Eavesdropping):
    """A batch of five commands and more goes without its last but one."""

    def encode(self, commands: Sequence[RecordedCommand], label: str, **how: Any) -> Any:
        kept = [*commands[:-2], commands[-1]] if len(commands) >= 5 else commands
        return self._inner.encode(kept, label, **how)


class NotCleared(Eavesdropping):
    """Freed buffers are handed out again as they are."""

    def __init__(self, device: Any) -> None:
        super().__init__(device)
        self._freed: list[DeviceBuffer] = []

    def create_buffer(self, size_bytes: int, role: Role) -> DeviceBuffer:
        for buffer in self._freed:
            if (buffer.size_bytes, buffer.role) == (size_bytes, role):
                self._freed.remove(buffer)
                return buffer
        return self._inner.create_buffer(size_bytes, role)  # type: ignore[no-any-return]

    def destroy_buffer(self, buffer: DeviceBuffer) -> None:
        if buffer.role is Role.STORAGE:
            self._freed.append(buffer)
        else:
            self._inner.destroy_buffer(buffer)


class TornWrites(Eavesdropping):
    """A write of more than 64 bytes loses its last word."""

    def write_buffer(self, buffer: DeviceBuffer, offset: int, data: Any) -> None:
        if buffer.role is Role.STORAGE and len(data) > 64:
            data = bytes(data)[:-4]
        self._inner.write_buffer(buffer, offset, data)


class Spills(Eavesdropping):
    """A copy takes a word more than it should, where there is one."""

    def encode(self, commands: Sequence[RecordedCommand], label: str, **how: Any) -> Any:
        return self._inner.encode([_wider(command) for command in commands], label, **how)


def _wider(command: RecordedCommand) -> RecordedCommand:
    if not isinstance(command, CopyCommand) or command.target.role is not Role.STORAGE:
        return command
    end = command.size_bytes + 4
    fits = command.source_offset + end <= command.source.size_bytes
    if not fits or command.target_offset + end > command.target.size_bytes:
        return command
    return CopyCommand(
        command.source, command.source_offset, command.target, command.target_offset, end
    )


class NothingKept(StagingPool):
    """Staging buffers are destroyed instead of kept, though there is room."""

    def give_back(self, buffer: DeviceBuffer) -> None:
        self._driver.destroy_buffer(buffer)


def _uniforms(kind: type[Any], only: type[Any]) -> Callable[..., Any]:
    """The broken store where the policy asks for the sound one of that kind."""

    def make(driver: Driver, policy: Policy, caches: CacheState) -> Any:
        sound = make_uniforms(driver, policy, caches)
        if not isinstance(sound, only):
            return sound
        capacity = policy.uniform_slots if only is PooledUniforms else caches
        return kind(driver, capacity)

    return make


def _bind_groups(kind: type[Any]) -> Callable[..., Any]:
    def make(driver: Driver, policy: Policy, caches: CacheState) -> Any:
        sound = make_bind_groups(driver, policy, caches)
        return kind(driver, caches) if isinstance(sound, CachedBindGroups) else sound

    return make


PLANTED = (
    Planted(
        name="a write overtakes the batch",
        seen_by="insert_everywhere",
        parts=Parts(flush_rules=WriteOvertakes),
    ),
    Planted(
        name="a write overtakes one command",
        seen_by="insert_everywhere",
        parts=Parts(flush_rules=WriteOvertakesOne),
    ),
    Planted(
        name="slots wrap round",
        seen_by="set_field",
        policies=("pooled",),
        aborts=True,
        parts=Parts(uniforms=_uniforms(SlotsWrapRound, PooledUniforms)),
    ),
    Planted(
        name="slots never reused",
        seen_by="twice",
        policies=("pooled",),
        parts=Parts(uniforms=_uniforms(SlotsNeverReused, PooledUniforms)),
    ),
    Planted(
        name="length is content",
        seen_by="insert_everywhere",
        policies=("cached",),
        parts=Parts(uniforms=_uniforms(LengthIsContent, CachedUniforms)),
    ),
    Planted(
        name="bindings in any order",
        rare=True,
        seen_by="set_preset",
        policies=("cached",),
        parts=Parts(bind_groups=_bind_groups(AnyOrder)),
    ),
    Planted(
        name="bind groups without uniforms",
        seen_by="embed",
        policies=("cached",),
        parts=Parts(bind_groups=_bind_groups(WithoutUniforms)),
    ),
    Planted(
        name="shape of the kernel alone",
        seen_by="interleave",
        parts=Parts(
            shapes=lambda driver, policy, caches: KernelAlone(
                caches, driver.limits.max_groups_per_dimension
            )
        ),
    ),
    Planted(name="copies go first", seen_by="insert_everywhere", make_driver=CopiesFirst),
    Planted(
        name="the last but one of five is lost",
        seen_by="insert_everywhere",
        make_driver=FifthIsLost,
    ),
    Planted(name="recycled buffers not cleared", seen_by="recycle", make_driver=NotCleared),
    Planted(name="torn writes", seen_by="fold_prefix", make_driver=TornWrites),
    Planted(name="copies spill", seen_by="set_preset", make_driver=Spills),
    Planted(
        name="staging never kept",
        seen_by="twice",
        parts=Parts(
            staging=lambda driver, policy, caches: NothingKept(
                driver, policy.staging_buffers, policy.staging_class_bytes
            )
        ),
    ),
)
