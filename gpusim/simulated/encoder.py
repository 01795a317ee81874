"""Command encoders and command buffers: commands gathered for the queue.

An encoder is open, locked by a pass, or ended.  A mistake invalidates it, and
``finish`` raises.  Nothing is executed here.
Source: WebGPU specification, section 12 "Command Encoding" and 11 "Command Buffers".
"""

from functools import partial
from typing import Any

import wgpu

from gpusim.simulated.buffer import DESTROYED, GPUBuffer
from gpusim.simulated.compute_pass import EncodedCommand, GPUComputePassEncoder, Opened, PassOwner
from gpusim.simulated.profile import device_lost, invalid, unsigned
from gpusim.simulated.state import DeviceState, next_uid

_COPY_SRC, _COPY_DST = wgpu.BufferUsage.COPY_SRC, wgpu.BufferUsage.COPY_DST


class GPUCommandBuffer:
    """Commands to be submitted once; made by ``GPUCommandEncoder.finish``."""

    __slots__ = ("__weakref__", "_device", "commands", "label", "spent", "uid", "used")

    def __init__(
        self,
        device: DeviceState,
        label: str,
        commands: list[EncodedCommand],
        used: dict[GPUBuffer, None],
    ) -> None:
        self._device = device
        self.label = label
        self.uid = next_uid()
        self.commands = commands
        self.used = used
        self.spent = False


class GPUCommandEncoder(PassOwner):
    """Records commands; made by ``GPUDevice.create_command_encoder``."""

    __slots__ = ("__weakref__", "_device", "_misused", "label", "uid")

    def __init__(self, device: DeviceState, label: str) -> None:
        super().__init__()
        self._device = device
        self.label = label
        self.uid = next_uid()
        self._misused = False

    def begin_compute_pass(
        self, *, label: str = "", timestamp_writes: Any = None
    ) -> GPUComputePassEncoder:
        """Begin a pass; this encoder is locked until the pass ends."""
        opened = self._open_pass()
        self._device.note("compute pass")
        if timestamp_writes is not None:
            doing, because = "begin a compute pass", "it asks for timestamps"
            self._invalidate(doing, because, "the program expects a feature that is missing here")
        return GPUComputePassEncoder(self._device, self, label, opened)

    def clear_buffer(self, buffer: GPUBuffer, offset: int = 0, size: int | None = None) -> None:
        """Fill a range with zeros; ValueError if it is not aligned or not inside."""
        offset = int(offset)
        if offset % 4:
            raise ValueError("offset must be a multiple of 4")
        if size is None:
            if offset > buffer.size:
                raise ValueError("offset is too large")
            length = buffer.size - unsigned(offset)
        else:
            length = self._clear_length(buffer, offset, int(size))
        doing = "clear a buffer"
        if not self._check_open(doing):
            return
        because = self._misuse(buffer, _COPY_DST)
        if because is None and length % 4:
            because = f"{length} bytes are no multiple of 4"
        if because:
            self._invalidate(doing, because, "a wrong buffer or size", buffer)
        self._record(partial(_clear, buffer.memory, offset, length), buffer)

    def copy_buffer_to_buffer(
        self,
        source: GPUBuffer,
        source_offset: int,
        destination: GPUBuffer,
        destination_offset: int,
        size: int | None = None,
    ) -> None:
        """Copy between two buffers; ValueError if an offset or the size is not aligned."""
        _check_alignment(source_offset, destination_offset, size)
        if not isinstance(source, GPUBuffer):
            raise TypeError("copy_buffer_to_buffer() source must be a GPUBuffer.")
        if not isinstance(destination, GPUBuffer):
            raise TypeError("copy_buffer_to_buffer() destination must be a GPUBuffer.")
        source_offset = unsigned(int(source_offset))
        destination_offset = unsigned(int(destination_offset))
        size = None if size is None else unsigned(int(size))
        doing = "copy between buffers"
        if not self._check_open(doing):
            return
        because = None
        if size is None:
            size = source.size - source_offset
            if not self._device.profile.defaults_copy_size:
                because = "wgpu-native has no default size"
        because = (
            self._check_copy(source, source_offset, destination, destination_offset, size)
            or because
        )
        if because:
            blamed = self._blamed(source, destination)
            self._invalidate(doing, because, "a wrong buffer, offset or size", *blamed)
            return
        # The queue keeps memory alive, and no buffer: a program may drop a buffer after its submit.
        memories = (source.contents, source_offset, destination.contents, destination_offset)
        copy = partial(_copy, *memories, size)
        self._record(copy, source, destination)

    def finish(self, *, label: str = "") -> GPUCommandBuffer:
        """End the recording.

        Raises:
            GPUValidationError: a command was not valid.
            GPUInternalError: a planned fault.
        """
        device = self._device
        # A driver finishes an empty encoder to ask whether its device is lost.  Such calls are
        # counted separately, so that they do not shift the numbers in a plan of faults.
        number = device.made("finish" if self._commands else "finish of nothing")
        state, self._state = self._state, "ended"
        doing = "finish this command encoder"
        if device.timeline.lost:
            if not device.profile.loss_is_silent:
                raise device_lost(doing)
        elif state == "ended":
            raise invalid(doing, "it has ended", "finish is called twice")
        elif self._error is not None:
            self._raise_error()
        elif state == "locked":
            raise invalid(doing, "a pass is open", "its end() is missing")
        elif self._debug_depth:
            raise invalid(doing, "a debug group is open", "pop_debug_group() is missing")
        elif self._commands and number in device.timeline.faults.failed_encodes:
            raise wgpu.GPUInternalError(
                f"cannot {doing} because a fault was planned for encoder {number}"
            )
        return GPUCommandBuffer(device, label, self._commands, self._used)

    def _check_open(self, doing: str) -> bool:
        """Whether a command may be recorded (specification, "Validate the encoder state").

        Recording on an encoder that a pass locks makes the encoder invalid.
        """
        if self._state == "open":
            return True
        if self._state == "ended":
            if self._device.timeline.lost and self._device.profile.loss_is_silent:
                return False
            raise invalid(doing, "the encoder has ended", "it was finished")
        self._invalidate(doing, "a pass locks the encoder", "end() is missing")
        self._misused = True
        return False

    def _open_pass(self) -> Opened:
        ended = self._state == "ended"
        if self._misused and not ended and not self._device.profile.ends_nested_passes:
            return Opened.IN_VAIN
        if not self._check_open("begin a compute pass"):
            return Opened.NESTED
        self._state = "locked"
        return Opened.ALONE

    def _invalidate(self, doing: str, because: str, probably: str, *buffers: GPUBuffer) -> None:
        """Keep the first mistake, and its buffers, for ``finish``."""
        if self._error is None:
            self._error = invalid(doing, because, probably)
            self._used.update(dict.fromkeys(buffers))

    def _raise_error(self) -> None:
        destroyed = any(buffer.state is DESTROYED for buffer in self._used)
        if self._error and (self._device.profile.finish_tells_all or not destroyed):
            raise self._error

    def _record(self, command: EncodedCommand, *buffers: GPUBuffer) -> None:
        if self._error is None:
            self._commands.append(command)
            for buffer in buffers:
                self._used[buffer] = None

    def _check_copy(
        self, source: GPUBuffer, start: int, target: GPUBuffer, to: int, size: int
    ) -> str | None:
        """Why a copy is not valid; None if it is valid."""
        because = self._misuse(source, _COPY_SRC) or self._misuse(target, _COPY_DST)
        if because:
            return because
        if source is target:
            return "source and destination are one buffer"
        if size < 0 or start + size > source.size:
            return f"{start} + {size} passes the source's end at {source.size}"
        if to + size > target.size:
            return f"{to} + {size} passes the destination's end at {target.size}"
        return f"{size} bytes are no multiple of 4" if size % 4 else None

    def _blamed(self, source: GPUBuffer, target: GPUBuffer) -> tuple[GPUBuffer, ...]:
        """The buffers that wgpu-native looks up before it refuses a copy.

        If one of these has been destroyed by the time of ``finish``, wgpu-native does not report
        the copy.
        """
        if source is target or source._device is not self._device:
            return ()
        if self._misuse(source, _COPY_SRC) or target._device is not self._device:
            return (source,)
        return (source, target)

    def _misuse(self, buffer: GPUBuffer, usage: int) -> str | None:
        if buffer._device is not self._device:
            return "a buffer is another device's"
        if not buffer.usage & usage:
            return f"usage {buffer.usage} lacks {'COPY_SRC' if usage == _COPY_SRC else 'COPY_DST'}"
        return None

    def _clear_length(self, buffer: GPUBuffer, offset: int, size: int) -> int:
        if size < 0 or (size == 0 and not self._device.profile.clears_nothing):
            raise ValueError("size must be > 0")
        if size % 4:
            raise ValueError("size must be a multiple of 4")
        if offset + size > buffer.size:
            raise ValueError("buffer size out of range")
        unsigned(offset)
        return size


def _check_alignment(source_offset: int, destination_offset: int, size: int | None) -> None:
    if source_offset % 4:
        raise ValueError("source_offset must be a multiple of 4")
    if destination_offset % 4:
        raise ValueError("destination_offset must be a multiple of 4")
    if size is not None and size % 4:
        raise ValueError("size must be a multiple of 4")


def _copy(source: memoryview, start: int, target: memoryview, to: int, size: int) -> None:
    target[to : to + size] = source[start : start + size]


def _clear(memory: Any, offset: int, size: int) -> None:
    memory[offset : offset + size] = 0
