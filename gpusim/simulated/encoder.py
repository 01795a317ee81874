"""Command encoders and command buffers: commands gathered for the queue.

An encoder is open, locked by a pass, or ended; a mistake invalidates it, and
``finish`` tells.
Source: WebGPU specification, section 13 "Command Encoding" and 12 "Command Buffers".
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import wgpu

from gpusim.simulated.buffer import GPUBuffer
from gpusim.simulated.compute_pass import GPUComputePassEncoder
from gpusim.simulated.debug_groups import DebugGroups
from gpusim.simulated.refusals import device_lost, invalid, unsigned
from gpusim.simulated.state import DeviceState

_COPY_SRC, _COPY_DST = wgpu.BufferUsage.COPY_SRC, wgpu.BufferUsage.COPY_DST
Command = Callable[[], None]


class GPUCommandBuffer:
    """Commands that may be submitted once; made by ``GPUCommandEncoder.finish``."""

    __slots__ = ("_device", "commands", "label", "spent", "uid", "used")

    def __init__(
        self,
        device: DeviceState,
        label: str,
        commands: list[Command],
        used: dict[GPUBuffer, None],
    ) -> None:
        self._device = device
        self.label = label
        self.uid = device.next_uid()
        self.commands = commands
        self.used = used
        self.spent = False


class GPUCommandEncoder(DebugGroups):
    """Records commands; made by ``GPUDevice.create_command_encoder``."""

    __slots__ = ("_commands", "_device", "_error", "_state", "_used", "label", "uid")

    def __init__(self, device: DeviceState, label: str) -> None:
        super().__init__()
        self._device = device
        self.label = label
        self.uid = device.next_uid()
        self._state = "open"
        self._error: wgpu.GPUValidationError | None = None
        self._commands: list[Command] = []
        self._used: dict[GPUBuffer, None] = {}

    def begin_compute_pass(
        self, *, label: str = "", timestamp_writes: Any = None
    ) -> GPUComputePassEncoder:
        """Begin a pass, which locks this encoder until its ``end``."""
        valid = self._check_open("begin a compute pass")
        if timestamp_writes is not None:
            self._invalidate("begin a compute pass", "it asks for timestamps", "no feature")
        if valid:
            self._state = "locked"
        return GPUComputePassEncoder(self._device, self, label, valid)

    def clear_buffer(self, buffer: GPUBuffer, offset: int = 0, size: int | None = None) -> None:
        """Fill a range with zeros; ValueError where it is not aligned or not inside."""
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
        if not self._check_buffer(doing, buffer, _COPY_DST):
            return
        if length % 4:
            self._invalidate(doing, f"{length} bytes are no multiple of 4", "an odd buffer")
        self._record(partial(_clear, buffer, offset, length), buffer)

    def copy_buffer_to_buffer(
        self,
        source: GPUBuffer,
        source_offset: int,
        destination: GPUBuffer,
        destination_offset: int,
        size: int | None = None,
    ) -> None:
        """Copy between two buffers; ValueError where something is not aligned."""
        _check_alignment(source_offset, destination_offset, size)
        for buffer, role in ((source, "source"), (destination, "destination")):
            if not isinstance(buffer, GPUBuffer):
                raise TypeError(f"copy_buffer_to_buffer() {role} must be a GPUBuffer.")
        source_offset, destination_offset = unsigned(source_offset), unsigned(destination_offset)
        doing = "copy between buffers"
        if not self._check_open(doing):
            return
        if size is None:
            if not self._device.profile.defaults_copy_size:
                self._invalidate(doing, "wgpu-native has no default size", "the size is left out")
                return
            size = source.size - source_offset
        if self._check_copy(doing, source, source_offset, destination, destination_offset, size):
            copy = partial(
                _copy, source, source_offset, destination, destination_offset, unsigned(size)
            )
            self._record(copy, source, destination)

    def finish(self, *, label: str = "") -> GPUCommandBuffer:
        """End the recording; GPUValidationError where any command was not valid."""
        device = self._device
        device.made("finish")
        state, self._state = self._state, "ended"
        doing = "finish this command encoder"
        if device.timeline.lost:
            if not device.profile.loss_is_silent:
                raise device_lost(doing)
        elif state == "ended":
            raise invalid(doing, "it has ended", "finish is called twice")
        elif self._error is not None:
            raise self._error
        elif state == "locked":
            raise invalid(doing, "a pass is open", "its end() is missing")
        elif self._debug_depth:
            raise invalid(doing, "a debug group is open", "pop_debug_group() is missing")
        return GPUCommandBuffer(device, label, self._commands, self._used)

    def end_pass(
        self,
        error: wgpu.GPUValidationError | None,
        commands: list[Command],
        used: dict[GPUBuffer, None],
    ) -> None:
        """Take over what a pass recorded; called by the pass."""
        self._state = "open"
        if error is not None:
            self._error = self._error or error
            return
        self._commands.extend(commands)
        self._used.update(used)

    @property
    def locked(self) -> bool:
        """Whether a pass is open."""
        return self._state == "locked"

    def _check_open(self, doing: str) -> bool:
        """The specification's "Validate the encoder state"."""
        if self._state == "open":
            return True
        if self._state == "ended":
            if self._device.timeline.lost and self._device.profile.loss_is_silent:
                return False
            raise invalid(doing, "the encoder has ended", "it was finished")
        self._invalidate(doing, "a pass locks the encoder", "end() is missing")
        return False

    def _invalidate(self, doing: str, because: str, probably: str) -> None:
        """Keep the first mistake for ``finish``."""
        self._error = self._error or invalid(doing, because, probably)

    def _record(self, command: Command, *buffers: GPUBuffer) -> None:
        self._commands.append(command)
        for buffer in buffers:
            self._used[buffer] = None

    def _check_buffer(self, doing: str, buffer: GPUBuffer, usage: int) -> bool:
        if buffer._device is not self._device:
            self._invalidate(doing, "a buffer is another device's", "two devices are mixed up")
        elif not buffer.usage & usage:
            self._invalidate(doing, f"usage {buffer.usage} lacks {usage}", "a wrong buffer")
        else:
            return True
        return False

    def _check_copy(
        self, doing: str, source: GPUBuffer, start: int, target: GPUBuffer, to: int, size: int
    ) -> bool:
        if not self._check_buffer(doing, source, _COPY_SRC):
            return False
        if not self._check_buffer(doing, target, _COPY_DST):
            return False
        because = None
        if source is target:
            because = "source and destination are one buffer"
        elif size < 0 or start + size > source.size:
            because = f"{start} + {size} passes the source's end at {source.size}"
        elif to + size > target.size:
            because = f"{to} + {size} passes the destination's end at {target.size}"
        elif size % 4:
            because = f"{size} bytes are no multiple of 4"
        if because:
            self._invalidate(doing, because, "a wrong offset or size")
        return because is None

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


def _copy(source: GPUBuffer, start: int, target: GPUBuffer, to: int, size: int) -> None:
    target.memory[to : to + size] = source.memory[start : start + size]


def _clear(buffer: GPUBuffer, offset: int, size: int) -> None:
    buffer.memory[offset : offset + size] = 0
