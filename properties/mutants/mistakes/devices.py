"""Mistakes between the runtime and its device, and of the device itself.

A broken driver wraps the sound one.  A broken device is a simulated device that does not do what
WebGPU says.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import wgpu

from gpusim.kernels import Kernel
from gpusim.limits import WORD_BYTES, Limits
from gpusim.runtime.commands import (
    CopyCommand,
    DeviceBuffer,
    Pipeline,
    RecordedCommand,
    Role,
    StagingMap,
)
from gpusim.runtime.drivers.driver import Receive, Value
from properties.mutants.mutant import Overlay, mutant


@mutant(part="driver", origin="ORT#28974")
class ReuseKeepsOldBytes(Overlay):
    """A buffer that comes back from a pool of destroyed ones is not zero."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._pool: dict[tuple[int, Role], list[DeviceBuffer]] = {}

    def create_buffer(self, size_bytes: int, role: Role) -> DeviceBuffer:
        pooled = self._pool.get((size_bytes, role))
        if pooled:
            old = pooled.pop()
            return DeviceBuffer(
                uid=next(self._inner.uids), native=old.native, size_bytes=size_bytes, role=role
            )
        buffer: DeviceBuffer = self._inner.create_buffer(size_bytes, role)
        return buffer

    def destroy_buffer(self, buffer: DeviceBuffer) -> None:
        if buffer.role is Role.STORAGE:
            self._pool.setdefault((buffer.size_bytes, buffer.role), []).append(buffer)
        else:
            self._inner.destroy_buffer(buffer)


@mutant(part="driver", origin="ORT#16893")
class PoolKeyLacksUsage(Overlay):
    """A destroyed uniform buffer is reused for the next buffer of its size, of whatever usage."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._pool: dict[int, list[DeviceBuffer]] = {}

    def create_buffer(self, size_bytes: int, role: Role) -> DeviceBuffer:
        pooled = self._pool.get(size_bytes)
        if not pooled:
            buffer: DeviceBuffer = self._inner.create_buffer(size_bytes, role)
            return buffer
        self._inner.write_buffer(pooled[-1], 0, bytes(size_bytes))
        native = pooled.pop().native
        uid = next(self._inner.uids)
        return DeviceBuffer(uid=uid, native=native, size_bytes=size_bytes, role=role)

    def destroy_buffer(self, buffer: DeviceBuffer) -> None:
        if buffer.role is Role.UNIFORM:
            self._pool.setdefault(buffer.size_bytes, []).append(buffer)
        else:
            self._inner.destroy_buffer(buffer)


@mutant(part="driver")
class PipelineFoundByArity(Overlay):
    """Kernels with the same accesses to buffers and the same uniform size share a pipeline."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._found: dict[tuple[Any, ...], Pipeline] = {}

    def compile(self, kernel: Kernel, *, dynamic_uniforms: bool) -> Pipeline:
        key = (*(binding.access for binding in kernel.buffers), kernel.uniform_bytes)
        pipeline = self._inner.compile(kernel, dynamic_uniforms=dynamic_uniforms)
        return self._found.setdefault((*key, dynamic_uniforms), pipeline)


@mutant(part="driver")
class LongBatchLosesOne(Overlay):
    """A batch of more than 16 commands loses the seventeenth."""

    def encode(self, commands: Sequence[RecordedCommand], label: str, *, merge_passes: bool) -> Any:
        if len(commands) > 16:
            commands = [*commands[:16], *commands[17:]]
        return self._inner.encode(commands, label, merge_passes=merge_passes)


@mutant(part="driver", hard=True)
class FullEncoderLosesOne(Overlay):
    """An encoder takes 40 commands, and the command that finds it full is lost."""

    def encode(self, commands: Sequence[RecordedCommand], label: str, *, merge_passes: bool) -> Any:
        if len(commands) > 40:
            commands = [*commands[:40], *commands[41:]]
        return self._inner.encode(commands, label, merge_passes=merge_passes)


@mutant(part="driver")
class EncodedBatchReused(Overlay):
    """A batch with the commands of an earlier batch submits the earlier command buffer again."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._encoded: dict[tuple[RecordedCommand, ...], Any] = {}

    def encode(self, commands: Sequence[RecordedCommand], label: str, *, merge_passes: bool) -> Any:
        key = tuple(commands)
        if key not in self._encoded or not key:
            self._encoded[key] = self._inner.encode(commands, label, merge_passes=merge_passes)
        return self._encoded[key]


@mutant(part="driver")
class MiddlePageLost(Overlay):
    """A host write from before byte 4092 to past byte 4096 loses the word between them."""

    def write_buffer(self, buffer: DeviceBuffer, offset: int, data: Any) -> None:
        if buffer.role is Role.STORAGE and offset < 4092 and offset + len(data) > 4096:
            self._inner.write_buffer(buffer, offset, data[: 4092 - offset])
            self._inner.write_buffer(buffer, 4096, data[4096 - offset :])
        else:
            self._inner.write_buffer(buffer, offset, data)


@mutant(part="driver", hard=True)
class LongWriteCut(Overlay):
    """A queue write is cut after 8192 bytes."""

    def write_buffer(self, buffer: DeviceBuffer, offset: int, data: Any) -> None:
        self._inner.write_buffer(buffer, offset, data[:8192])


@mutant(part="driver")
class LongCopyCut(Overlay):
    """Of a copy, the bytes after the first 8192 go to the start of the target range."""

    def encode(self, commands: Sequence[RecordedCommand], label: str, *, merge_passes: bool) -> Any:
        split: list[RecordedCommand] = []
        for command in commands:
            if isinstance(command, CopyCommand) and command.size_bytes > 8192:
                rest = command.size_bytes - 8192
                source, start = command.source, command.source_offset + 8192
                target = command.target
                split.append(
                    CopyCommand(
                        command.source, command.source_offset, target, command.target_offset, 8192
                    )
                )
                split.append(CopyCommand(source, start, target, command.target_offset, rest))
            else:
                split.append(command)
        return self._inner.encode(split, label, merge_passes=merge_passes)


@mutant(part="driver", hard=True)
class EqualWriteElided(Overlay):
    """A host write is left out if the last one at its offset in the buffer had the same bytes."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._last: dict[tuple[int, int], bytes] = {}

    def write_buffer(self, buffer: DeviceBuffer, offset: int, data: Any) -> None:
        taken = bytes(data)
        if buffer.role is Role.STORAGE and self._last.get((buffer.uid, offset)) == taken:
            return
        self._last[buffer.uid, offset] = taken
        self._inner.write_buffer(buffer, offset, data)


@mutant(part="driver", hard=True)
class WritesGathered(Overlay):
    """Host writes wait for a submit, and a second write of a range takes the place of the first."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._waiting: dict[tuple[DeviceBuffer, int, int], bytes] = {}

    def write_buffer(self, buffer: DeviceBuffer, offset: int, data: Any) -> None:
        self._waiting[buffer, offset, len(data)] = bytes(data)

    def submit(self, command_buffer: Any) -> None:
        for (buffer, offset, _), data in self._waiting.items():
            self._inner.write_buffer(buffer, offset, data)
        self._waiting.clear()
        self._inner.submit(command_buffer)

    def destroy_buffer(self, buffer: DeviceBuffer) -> None:
        for key in [key for key in self._waiting if key[0] is buffer]:
            del self._waiting[key]
        self._inner.destroy_buffer(buffer)


@mutant(part="driver")
class BindingsAsLargeAsBuffers(Overlay):
    """The driver says that a binding may be as large as the largest buffer."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        most = inner.limits.max_buffer_bytes
        self.limits = replace(inner.limits, max_binding_bytes=most)


@mutant(part="driver")
class GroupsOfTheStandard(Overlay):
    """The limit of workgroups per dimension is what WebGPU guarantees, not the device's own."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        most = Limits().max_groups_per_dimension
        self.limits = replace(inner.limits, max_groups_per_dimension=most)


@mutant(part="driver")
class WindowsAlignedToWords(Overlay):
    """The driver says that a binding may start at any word."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.limits = replace(inner.limits, storage_offset_alignment_bytes=WORD_BYTES)


@mutant(part="driver", hard=True)
class MappedBytesKept(Overlay):
    """From the thirteenth map on, a map gives the bytes of an older map of its buffer and size."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._kept: dict[tuple[int, int], bytes] = {}
        self._takes = 0

    def take(self, mapping: StagingMap, receive: Receive[Value]) -> Value:
        self._takes += 1
        key = mapping.buffer.uid, mapping.size_bytes

        def keep(mapped: memoryview) -> Value:
            if self._takes <= 12 or key not in self._kept:
                self._kept[key] = bytes(mapped)
            return receive(memoryview(self._kept[key]))

        value: Value = self._inner.take(mapping, keep)
        return value


_STORAGE = wgpu.BufferUsage.STORAGE


@mutant(part="device")
class QueueWriteJumpsQueue(Overlay):
    """A queue write acts before submitted work that has not run yet."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.queue = _JumpingQueue(inner.queue)


class _JumpingQueue(Overlay):
    def write_buffer(self, buffer: Any, offset: int, data: Any) -> None:
        self._inner.write_buffer(buffer, offset, data)
        timeline = self._inner._device.timeline
        timeline._operations.appendleft(timeline._operations.pop())


@mutant(part="device")
class MapBeforeWork(Overlay):
    """A map settles without waiting for the submit that fills its buffer."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.queue = _ForgetfulQueue(inner.queue)


class _ForgetfulQueue(Overlay):
    def submit(self, command_buffers: Any) -> None:
        used = [buffer for one in command_buffers for buffer in one.used]
        self._inner.submit(command_buffers)
        for buffer in used:
            buffer.last_use = 0


@mutant(part="device")
class BufferNotCleared(Overlay):
    """The last byte of a new storage buffer of 64 bytes or more is not zero."""

    def create_buffer(self, **about: Any) -> Any:
        buffer = self._inner.create_buffer(**about)
        if about["usage"] & _STORAGE and about["size"] >= 64:
            buffer.memory[-1] = 0xA7
        return buffer


@mutant(part="device")
class LastGroupDropped(Overlay):
    """A dispatch of more than 16 workgroups in x runs one too few in x."""

    def create_command_encoder(self, **about: Any) -> Any:
        return _ShortEncoder(self._inner.create_command_encoder(**about))


class _ShortEncoder(Overlay):
    def begin_compute_pass(self) -> Any:
        return _ShortPass(self._inner.begin_compute_pass())


class _ShortPass(Overlay):
    def dispatch_workgroups(self, x: int, y: int = 1, z: int = 1) -> None:
        self._inner.dispatch_workgroups(x - (x > 16), y, z)


@mutant(part="device")
class CopyEndsEarly(Overlay):
    """A copy of several words to the end of a buffer, but not to all of it, lacks the last word."""

    def create_command_encoder(self, **about: Any) -> Any:
        return _EarlyEncoder(self._inner.create_command_encoder(**about))


class _EarlyEncoder(Overlay):
    def copy_buffer_to_buffer(
        self, source: Any, source_offset: int, target: Any, target_offset: int, size: int
    ) -> None:
        short = 4 * (target_offset > 0 and target_offset + size == target.size and size > 4)
        self._inner.copy_buffer_to_buffer(
            source, source_offset, target, target_offset, size - short
        )
