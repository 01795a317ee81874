"""The queue: calls are checked at once, and executed later in their order.

Source: WebGPU specification, section 18 "Queues".
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import wgpu

from gpusim.simulated.buffer import AVAILABLE, DESTROYED, UNAVAILABLE, GPUBuffer
from gpusim.simulated.encoder import GPUCommandBuffer
from gpusim.simulated.profile import aborting, device_lost, invalid, submit_lost
from gpusim.simulated.promise import Promise
from gpusim.simulated.state import DeviceState, next_uid

_COPY_DST = wgpu.BufferUsage.COPY_DST
_STATES = {UNAVAILABLE: "mapped, or about to be", DESTROYED: "destroyed"}


class GPUQueue:
    """The one queue of a device; ``GPUDevice.queue``."""

    __slots__ = ("__weakref__", "_device", "_owner", "label", "uid")

    def __init__(self, device: DeviceState, owner: Any) -> None:
        self._device = device
        self._owner = owner
        self.label = ""
        self.uid = next_uid()

    def serve(self, device: DeviceState) -> None:
        """Use the new state of the device; called when the device is reset."""
        self._device = device

    def submit(self, command_buffers: Sequence[GPUCommandBuffer]) -> None:
        """Put all the commands on the queue, or none.

        Raises:
            GPUValidationError: a command buffer was submitted before, or refers to a
                mapped or destroyed buffer.  After that, none of ``command_buffers`` can be
                submitted.
            GPUInternalError: a planned fault.
        """
        device = self._device
        buffers = list(command_buffers)
        foreign = [buffer for buffer in buffers if buffer._device is not device]
        number = device.count("submit")
        if device.timeline.lost:
            if not device.profile.loss_is_silent:
                raise submit_lost(device.profile)
            return
        because = _submit_refusal(buffers, foreign)
        for command_buffer in buffers:
            command_buffer.spent = True
        if because:
            error = invalid("submit", because, "it is used too early, too late or twice")
            raise aborting(error, device.profile.submit_raises)
        if number in device.timeline.faults.failed_submits:
            raise wgpu.GPUInternalError(
                f"cannot submit because a fault was planned for submit {number}"
            )
        self._enqueue(buffers)

    def write_buffer(
        self,
        buffer: GPUBuffer,
        buffer_offset: int,
        data: Any,
        data_offset: int = 0,
        size: int | None = None,
    ) -> None:
        """Write ``data`` in the order of the queue; ``data`` is copied now.

        Raises:
            ValueError: a range outside the data or the buffer.
            GPUValidationError: the offset or size is not whole words, or the
                buffer is mapped, destroyed, or lacks COPY_DST.
            GPUInternalError: a planned fault.
        """
        source = _bytes_of(data)
        skip = int(data_offset)
        start, length = self._write_range(buffer, int(buffer_offset), source, skip, size)
        device = self._device
        number = device.count("write")
        if device.timeline.lost:
            if not device.profile.loss_is_silent:
                raise device_lost("write to a buffer")
            return
        if (
            buffer._device is not device
            or buffer.state is not AVAILABLE
            or not buffer.usage & _COPY_DST
            or start % 4
            or length % 4
        ):
            because = _write_refusal(device, buffer, start, length)
            raise invalid("write to a buffer", because, "a wrong buffer, offset or size")
        if number in device.timeline.faults.failed_writes:
            raise wgpu.GPUInternalError(
                f"cannot write to a buffer because a fault was planned for write {number}"
            )
        taken = source[skip : skip + length].tobytes()
        write = partial(_write, buffer.contents, start, taken)
        buffer.last_use = device.timeline.enqueue(write, length)

    def read_buffer(
        self, buffer: GPUBuffer, buffer_offset: int = 0, size: int | None = None
    ) -> memoryview:
        """Read a range and wait for its bytes; as in wgpu-py, a size of 0 means all."""
        length = int(size) if size else buffer.size - buffer_offset
        if not 0 <= buffer_offset < buffer.size:
            raise ValueError("Invalid buffer_offset")
        if length > buffer.size - buffer_offset:
            raise ValueError("Invalid data_length")
        usage = wgpu.BufferUsage.MAP_READ | _COPY_DST
        staging = self._owner.create_buffer(size=length, usage=usage)
        try:
            encoder = self._owner.create_command_encoder()
            encoder.copy_buffer_to_buffer(buffer, buffer_offset, staging, 0, length)
            self.submit([encoder.finish()])
            staging.map_async(wgpu.MapMode.READ).sync_wait()
            data: memoryview = staging.read_mapped()
        finally:
            staging.destroy()
        return data

    def on_submitted_work_done_async(self) -> Promise:
        """A promise that settles when everything submitted so far is done."""
        device = self._device
        number = device.count("done")
        if not device.profile.tells_work_done:
            raise TypeError("initializer for ctype 'void(*)(WGPUQueueWorkDoneStatus, ...)'")
        timeline = device.timeline
        promise = Promise(timeline, f"done {number}", after=timeline.enqueued, ordered=True)
        timeline.expect(promise)
        return promise

    def on_submitted_work_done_sync(self) -> None:
        """Wait until everything submitted so far is done."""
        self.on_submitted_work_done_async().sync_wait()

    def _enqueue(self, command_buffers: list[GPUCommandBuffer]) -> None:
        commands = [command for buffer in command_buffers for command in buffer.commands]
        timeline = self._device.timeline
        operation = timeline.submitted = timeline.enqueue(partial(_execute, commands))
        for command_buffer in command_buffers:
            for buffer in command_buffer.used:
                buffer.last_use = operation

    def _write_range(
        self, buffer: GPUBuffer, start: int, source: memoryview, skip: int, size: int | None
    ) -> tuple[int, int]:
        """Checks a range as wgpu-py does.  Returns where to write, and how many bytes."""
        total = source.nbytes
        nothing = self._device.profile.writes_nothing
        length = total - skip if size is None or (size == 0 and not nothing) else int(size)
        slack = 1 if nothing else 0
        if not 0 <= start < buffer.size + slack:
            raise ValueError("Invalid buffer_offset")
        if not 0 <= skip < total + slack:
            raise ValueError("Invalid data_offset")
        if not 0 <= length <= total - skip or length > buffer.size - start:
            raise ValueError("Invalid data_length")
        return start, length


def _bytes_of(data: Any) -> memoryview:
    if type(data) is bytes:
        return memoryview(data)
    view = memoryview(data)
    if not view.contiguous:
        raise ValueError("The given data is not contiguous")
    if not view.c_contiguous:
        raise BufferError("The given data is not contiguous in the order of C")
    return view.cast("B") if view.nbytes else memoryview(b"")


def _write_refusal(device: DeviceState, buffer: GPUBuffer, start: int, length: int) -> str:
    if buffer._device is not device:
        return "the buffer is another device's"
    if buffer.state is not AVAILABLE:
        return f"the buffer is {_STATES[buffer.state]}"
    if not buffer.usage & _COPY_DST:
        return f"usage {buffer.usage} lacks COPY_DST"
    return f"offset {start} and size {length} are not multiples of 4"


def _submit_refusal(buffers: list[GPUCommandBuffer], foreign: list[GPUCommandBuffer]) -> str | None:
    if foreign:
        return "a command buffer is another device's"
    for place, command_buffer in enumerate(buffers):
        if command_buffer.spent or command_buffer in buffers[:place]:
            return "a command buffer was submitted before"
        for buffer in command_buffer.used:
            if buffer.state is not AVAILABLE:
                return f"a buffer it uses is {_STATES[buffer.state]}"
    return None


def _write(contents: memoryview, start: int, data: bytes) -> None:
    contents[start : start + len(data)] = data


def _execute(commands: list[Any]) -> None:
    for command in commands:
        command()
