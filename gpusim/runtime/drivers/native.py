"""A driver that calls wgpu-native directly where that is measurably faster than wgpu-py.

wgpu-py opens an error scope for each call; this driver opens one for each compute pass, and
one for copies in a row.  wgpu-py polls the device in a thread while a map is pending; this driver
polls only in the call that waits for the map.  This driver records the same commands in the
same order as ``WgpuDriver``.

wgpu-native calls back from any call that polls the device, in any thread, perhaps when
nobody waits any more.  So the callback of maps lives as long as the process, and finds
its map by a number.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from time import monotonic, sleep
from typing import Any

import wgpu

from gpusim.errors import DeviceLost, MapFailed, SubmitFailed
from gpusim.runtime.commands import (
    CopyCommand,
    DeviceBuffer,
    DispatchCommand,
    GridAt,
    StagingMap,
)
from gpusim.runtime.drivers.driver import Receive, Value, WgpuDriver, poll_delays


class NativeDriver(WgpuDriver):
    """A ``WgpuDriver`` for devices of wgpu-py's own backend."""

    def __init__(self, device: Any) -> None:
        super().__init__(device)
        from wgpu.backends.wgpu_native import _api

        self._api = _api
        self._lib = _api.lib
        self._safe = _api.libf
        self._maps = native_maps()
        self._offsets = _api.ffi.new("uint32_t[1]")
        self._submission = 0
        self._no_bindings = _api.ffi.new("WGPUBindGroupLayoutDescriptor *")
        self._empty_layout = self._new_empty_layout()

    def write_buffer(self, buffer: DeviceBuffer, offset: int, data: Any) -> None:
        """Write whole words.  Submitted commands act before the write, all other commands after."""
        queue, native = self._queue._internal, buffer.native._internal
        source = self._api.ffi.from_buffer(data)
        try:
            self._safe.wgpuQueueWriteBuffer(queue, native, offset, source, len(source))
        except wgpu.GPUError as error:
            raise self._fault(error, SubmitFailed, f"write to buffer {buffer.uid}") from error

    def submit(self, command_buffer: Any) -> None:
        """Hand a command buffer to the queue."""
        command_buffers = self._api.ffi.new("WGPUCommandBuffer[1]", [command_buffer])
        queue = self._queue._internal
        try:
            self._submission = self._safe.wgpuQueueSubmitForIndex(queue, 1, command_buffers)
        except wgpu.GPUError as error:
            raise self._fault(error, SubmitFailed, "submit a batch") from error

    def map(self, buffer: DeviceBuffer, size_bytes: int) -> StagingMap:
        """Ask for the first ``size_bytes`` bytes of a staging buffer."""
        expected, callback = self._maps.expect(self._submission)
        native, mode = buffer.native._internal, self._lib.WGPUMapMode_Read
        try:
            self._safe.wgpuBufferMapAsync(native, mode, 0, size_bytes, callback)
        except wgpu.GPUError as error:
            raise self._fault(error, MapFailed, f"map buffer {buffer.uid}") from error
        return StagingMap(buffer=buffer, size_bytes=size_bytes, native=expected)

    def drain(self, seconds: float | None = None) -> bool:
        """Wait until all submitted work is done and wgpu-native's memory for it is free."""
        if seconds is None:
            self._finish_submission(self._submission)
            self._check_alive()
            return True
        return self._comes_true(self._is_queue_empty, seconds)

    def wait(self, mapping: StagingMap, seconds: float | None = None) -> bool:
        """Wait for a map; returns whether it settled in time.  DeviceLost if it never will.

        wgpu-native's own wait has no timeout, so a wait with a timeout polls repeatedly
        instead.
        """
        if seconds is not None:
            return self._comes_true(lambda: not self._is_pending(mapping), seconds)
        while mapping.native.is_pending:
            self._finish_submission(mapping.native.submission)
            if mapping.native.is_pending:
                self._check_alive()
        return True

    def take(self, mapping: StagingMap, receive: Receive[Value]) -> Value:
        """The value that ``receive`` makes of the mapped bytes; then unmap the buffer.

        A map may succeed on a destroyed device, and asking for its bytes then aborts the
        process.  So the device is checked first.
        """
        self.wait(mapping)
        self._check_alive()
        buffer, size_bytes = mapping.buffer, mapping.size_bytes
        if mapping.native.refusal is not None:
            error = RuntimeError(mapping.native.refusal)
            raise self._fault(error, MapFailed, f"map buffer {buffer.uid}")
        native = buffer.native._internal
        try:
            start = self._safe.wgpuBufferGetMappedRange(native, 0, size_bytes)
            with memoryview(self._api.ffi.buffer(start, size_bytes)).toreadonly() as mapped:
                value = receive(mapped)
            self._safe.wgpuBufferUnmap(native)
        except wgpu.GPUError as error:
            raise self._fault(error, MapFailed, f"map buffer {buffer.uid}") from error
        return value

    def _is_pending(self, mapping: StagingMap) -> bool:
        """Poll if the map is pending; returns whether it is still pending."""
        if mapping.native.is_pending:
            self._is_queue_empty()
        return bool(mapping.native.is_pending)

    def _is_queue_empty(self) -> bool:
        """Poll; returns whether all submitted work is done."""
        null = self._api.ffi.NULL
        return bool(self._lib.wgpuDevicePoll(self._device._internal, False, null))

    def _finish_submission(self, number: int) -> None:
        """Wait, in one native call, for a submission and all before it."""
        submission = self._api.ffi.new("WGPUSubmissionIndex *", number)
        self._lib.wgpuDevicePoll(self._device._internal, True, submission)

    def _comes_true(self, has_come: Callable[[], bool], seconds: float) -> bool:
        """Ask ``has_come`` repeatedly for up to ``seconds``; returns whether it came true."""
        end, delays = monotonic() + seconds, poll_delays()
        while not has_come():
            left = end - monotonic()
            self._check_alive()
            if left <= 0:
                return False
            sleep(min(left, next(delays)))
        return True

    def _check_alive(self) -> None:
        """Raise DeviceLost if the device was destroyed.

        A destroyed device refuses to make anything.  The cheapest thing to ask for is a layout that
        exists already; an encoder would cost a command pool, a tenth of a millisecond.
        """
        try:
            self._new_empty_layout()
        except wgpu.GPUError as error:
            raise self._fault(error, DeviceLost, "wait for the device") from error

    def _new_empty_layout(self) -> Any:
        create = self._safe.wgpuDeviceCreateBindGroupLayout
        native = create(self._device._internal, self._no_bindings)
        return self._api.ffi.gc(native, self._lib.wgpuBindGroupLayoutRelease)

    def _new_encoder(self, label: str) -> Any:
        text = self._api.ffi.from_buffer(label.encode())
        descriptor = self._api.ffi.new("WGPUCommandEncoderDescriptor *")
        descriptor.label.data, descriptor.label.length = text, len(text)
        native = self._safe.wgpuDeviceCreateCommandEncoder(self._device._internal, descriptor)
        return self._api.ffi.gc(native, self._lib.wgpuCommandEncoderRelease)

    def _finish(self, encoder: Any) -> Any:
        native = self._safe.wgpuCommandEncoderFinish(encoder, self._api.ffi.NULL)
        return self._api.ffi.gc(native, self._lib.wgpuCommandBufferRelease)

    def _encode_pass(self, encoder: Any, dispatches: list[DispatchCommand]) -> None:
        native = self._safe.wgpuCommandEncoderBeginComputePass(encoder, self._api.ffi.NULL)
        compute_pass = self._api.ffi.gc(native, self._lib.wgpuComputePassEncoderRelease)
        with self._scope("compute pass"):
            self._dispatch(compute_pass, dispatches)
        self._safe.wgpuComputePassEncoderEnd(compute_pass)

    def _encode_copies(self, encoder: Any, copies: list[CopyCommand]) -> None:
        copy = self._lib.wgpuCommandEncoderCopyBufferToBuffer
        with self._scope("copies"):
            for source, source_offset, target, target_offset, size_bytes in copies:
                source, target = source.native._internal, target.native._internal
                copy(encoder, source, source_offset, target, target_offset, size_bytes)

    def _dispatch(self, native: Any, dispatches: list[DispatchCommand]) -> None:
        set_pipeline = self._lib.wgpuComputePassEncoderSetPipeline
        set_bind_group = self._lib.wgpuComputePassEncoderSetBindGroup
        dispatch = self._lib.wgpuComputePassEncoderDispatchWorkgroups
        dispatch_indirect = self._lib.wgpuComputePassEncoderDispatchWorkgroupsIndirect
        offsets, null = self._offsets, self._api.ffi.NULL
        last_pipeline, last_group, last_offset = None, None, None
        for pipeline, group, groups, offset in dispatches:
            if pipeline is not last_pipeline:
                last_pipeline = pipeline
                set_pipeline(native, pipeline.native._internal)
            if group is not last_group or offset != last_offset:
                last_group, last_offset = group, offset
                if offset is None:
                    set_bind_group(native, 0, group.native._internal, 0, null)
                else:
                    offsets[0] = offset
                    set_bind_group(native, 0, group.native._internal, 1, offsets)
            if type(groups) is GridAt:
                dispatch_indirect(native, groups.buffer.native._internal, groups.offset)
            else:
                dispatch(native, *groups)

    @contextmanager
    def _scope(self, name: str) -> Iterator[None]:
        """One error scope for all calls in the block; raises the error that they leave."""
        handler = self._api.error_handler
        handler.capture(name)
        error = None
        try:
            yield
        finally:
            error = handler.release(name)
        if error is not None:
            raise self._api.GPUValidationError(error[1])


class NativeMap:
    """One map: pending, then settled; with a ``refusal`` if it failed.

    ``submission`` is the index of the last submission before the map.
    """

    __slots__ = ("is_pending", "refusal", "submission")

    def __init__(self, submission: int) -> None:
        self.is_pending = True
        self.refusal: str | None = None
        self.submission = submission


class NativeMaps:
    """Every pending map of this process, by number."""

    def __init__(self, api: Any) -> None:
        self._ffi = ffi = api.ffi
        self._pending: dict[int, NativeMap] = {}
        self._numbers = count(1)
        success = api.lib.WGPUMapAsyncStatus_Success

        @ffi.callback("void(WGPUMapAsyncStatus, WGPUStringView, void *, void *)")  # type: ignore[untyped-decorator]
        def settle(status: int, message: Any, number: Any, unused: Any) -> None:
            settled = self._pending.pop(int(ffi.cast("intptr_t", number)))
            if status != success:
                text = ffi.unpack(message.data, message.length) if message.length else b""
                settled.refusal = text.decode("utf-8", "replace") or f"status {status}"
            settled.is_pending = False

        self._settle = settle
        self._info = ffi.new("WGPUBufferMapCallbackInfo *")
        self._info.mode = api.lib.WGPUCallbackMode_AllowProcessEvents
        self._info.callback = settle

    def expect(self, submission: int) -> tuple[NativeMap, Any]:
        """A map that is about to be requested, and the callback for the request."""
        number = next(self._numbers)
        expected = self._pending[number] = NativeMap(submission)
        self._info.userdata1 = self._ffi.cast("void *", number)
        return expected, self._info[0]


@cache
def native_maps() -> NativeMaps:
    """The maps of this process."""
    from wgpu.backends.wgpu_native import _api

    return NativeMaps(_api)


def driver_for(device: Any) -> WgpuDriver:
    """The fastest driver that is safe: ``NativeDriver`` for a device of wgpu-py's own backend.

    A subclass of the backend's device gets ``WgpuDriver``: the subclass may watch its calls, and
    ``NativeDriver`` calls past it.
    """
    backend = sys.modules.get("wgpu.backends.wgpu_native")
    if backend is not None and type(device) is backend.GPUDevice:
        return NativeDriver(device)
    return WgpuDriver(device)
