"""The verbs through which the runtime calls a device, and one driver over wgpu-py.

Here a device's errors become ours.  Nothing here decides when a command is issued.  Only
drivers call the objects of a device.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, count, groupby, repeat
from math import inf
from time import monotonic
from traceback import clear_frames
from typing import Any, Protocol, TypeAlias, TypeVar

import wgpu

from gpusim.errors import (
    DeviceFault,
    DeviceLost,
    MapFailed,
    OutOfMemory,
    ProgramError,
    SubmitFailed,
)
from gpusim.kernels import Kernel
from gpusim.limits import WORD_BYTES, Limits
from gpusim.runtime.byte_plans import words_down
from gpusim.runtime.commands import (
    BindGroup,
    CopyCommand,
    DeviceBuffer,
    DispatchCommand,
    GridAt,
    Pipeline,
    Range,
    RecordedCommand,
    Role,
    StagingMap,
)
from gpusim.runtime.drivers.adoption import check_adoptable
from gpusim.runtime.drivers.package import first_line, package_of, promise_of_loss, says_lost

_USAGE = {
    Role.STORAGE: wgpu.BufferUsage.STORAGE
    | wgpu.BufferUsage.INDIRECT
    | wgpu.BufferUsage.COPY_SRC
    | wgpu.BufferUsage.COPY_DST,
    Role.UNIFORM: wgpu.BufferUsage.UNIFORM | wgpu.BufferUsage.COPY_DST,
    Role.UPLOAD: wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST,
    Role.STAGING: wgpu.BufferUsage.MAP_READ | wgpu.BufferUsage.COPY_DST,
}
_POLL_DELAYS_SECONDS = (0.0, 0.0, 0.0, 0.0001, 0.0002, 0.0005)

Value = TypeVar("Value")
Receive: TypeAlias = Callable[[memoryview], Value]
"""A function that makes a value from mapped bytes, which are valid only until it returns."""


class Driver(Protocol):
    """A device as the runtime sees it; every verb raises only ``DeviceFault`` classes.

    ``device`` is the device that the driver calls.  ``adopt_buffer`` raises ``Refused`` classes.
    ``lost`` is true once a verb has found the device gone, or the device says so itself.
    ``compile`` may also raise ``ProgramError``, for a kernel whose WGSL the device refuses.
    ``take`` raises whatever ``receive`` raises, and may then be called again.
    ``wait`` and ``drain`` say whether they succeeded within ``seconds``; None waits as
    long as it takes, and 0 does not wait.  ``wait_async`` ends once the map is given up.
    """

    limits: Limits
    device: Any

    @property
    def lost(self) -> bool: ...
    def adopt_buffer(self, native: Any) -> DeviceBuffer: ...
    def create_buffer(self, size_bytes: int, role: Role) -> DeviceBuffer: ...
    def destroy_buffer(self, buffer: DeviceBuffer) -> None: ...
    def write_buffer(self, buffer: DeviceBuffer, offset: int, data: Any) -> None: ...
    def compile(self, kernel: Kernel, *, dynamic_uniforms: bool) -> Pipeline: ...
    def create_bind_group(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> BindGroup: ...
    def encode(
        self, commands: Sequence[RecordedCommand], label: str, *, merge_passes: bool
    ) -> Any: ...
    def submit(self, command_buffer: Any) -> None: ...
    def map(self, buffer: DeviceBuffer, size_bytes: int) -> StagingMap: ...
    def drain(self, seconds: float | None = None) -> bool: ...
    def wait(self, mapping: StagingMap, seconds: float | None = None) -> bool: ...
    async def wait_async(self, mapping: StagingMap) -> None: ...
    def take(self, mapping: StagingMap, receive: Receive[Value]) -> Value: ...


class WgpuDriver:
    """A Driver over a wgpu-py device, or over one with its interface.

    Compiled kernels are kept for the life of the driver, so runtimes that share a driver
    compile each kernel once.
    """

    def __init__(self, device: Any) -> None:
        self.limits = limits_of(device)
        self._package = package_of(device)
        self._errors = self._package.errors
        self._found_lost = False
        self._loss = promise_of_loss(device)
        self.device = self._device = device
        self._queue = device.queue
        self.uids = count(1)
        self._pipelines: dict[tuple[Kernel, bool], Pipeline] = {}

    @property
    def lost(self) -> bool:
        """Whether a verb has found the device lost, or the device's promise of a loss has settled.

        After a loss WebGPU reports no errors (specification, section 22 "Errors & Debugging").
        """
        if self._found_lost or self._loss is None:
            return self._found_lost
        if self._package.tick is not None:
            self._package.tick()
        return bool(self._loss._state != "pending")

    def create_buffer(self, size_bytes: int, role: Role) -> DeviceBuffer:
        """A zeroed buffer; ``size_bytes`` is a positive multiple of four."""
        try:
            native = self._device.create_buffer(size=size_bytes, usage=_USAGE[role])
        except self._errors.GPUError as error:
            raise self._fault(
                error, OutOfMemory, f"create a {role} buffer of {size_bytes} bytes"
            ) from error
        return DeviceBuffer(uid=next(self.uids), native=native, size_bytes=size_bytes, role=role)

    def adopt_buffer(self, native: Any) -> DeviceBuffer:
        """A buffer of the caller's; InvalidHandle or InvalidBinding if it is not fit for ops."""
        check_adoptable(native, self._device)
        return DeviceBuffer(
            uid=next(self.uids),
            native=native,
            size_bytes=native.size,
            role=Role.STORAGE,
            is_adopted=True,
            holds_grids=bool(native.usage & wgpu.BufferUsage.INDIRECT),
        )

    def destroy_buffer(self, buffer: DeviceBuffer) -> None:
        """Free the buffer, unless the caller owns it; submitted work still finishes."""
        if not buffer.is_adopted:
            buffer.native.destroy()

    def write_buffer(self, buffer: DeviceBuffer, offset: int, data: Any) -> None:
        """Write whole words.  Submitted commands act before the write, all other commands after."""
        try:
            self._queue.write_buffer(buffer.native, offset, data)
        except self._errors.GPUError as error:
            raise self._fault(error, SubmitFailed, f"write to buffer {buffer.uid}") from error

    def compile(self, kernel: Kernel, *, dynamic_uniforms: bool) -> Pipeline:
        """The pipeline of ``kernel``, made at its first use."""
        key = kernel, dynamic_uniforms
        pipeline = self._pipelines.get(key)
        if pipeline is None:
            pipeline = self._pipelines[key] = self._compile(kernel, dynamic_uniforms)
        return pipeline

    def create_bind_group(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> BindGroup:
        """Bind ``ranges`` in the order of the kernel's signature, uniforms last."""
        entries = [
            {
                "binding": number,
                "resource": {"buffer": buffer.native, "offset": offset, "size": size_bytes},
            }
            for number, (buffer, offset, size_bytes) in enumerate(ranges)
        ]
        try:
            native = self._device.create_bind_group(layout=pipeline.layout, entries=entries)
        except self._errors.GPUError as error:
            raise self._fault(
                error, OutOfMemory, f"bind buffers for {pipeline.kernel.name}"
            ) from error
        return BindGroup(uid=next(self.uids), native=native, ranges=ranges)

    def encode(self, commands: Sequence[RecordedCommand], label: str, *, merge_passes: bool) -> Any:
        """A command buffer of ``commands`` in order.

        A compute pass has one dispatch, or with ``merge_passes`` all dispatches in a row.  That
        changes no result: WebGPU runs the dispatches of a pass in order, each as a usage scope of
        its own (specification, "Synchronization").

        Encode right before the submit: ``finish`` raises on a device that was destroyed
        meanwhile, and a submit to such a device aborts the process (gfx-rs/wgpu-native#588).
        """
        try:
            encoder = self._new_encoder(label)
            for is_pass, group in _passes(commands, merge_passes):
                (self._encode_pass if is_pass else self._encode_copies)(encoder, group)
            return self._finish(encoder)
        except self._errors.GPUError as error:
            what = f"encode a batch of {len(commands)} commands"
            raise self._fault(error, SubmitFailed, what) from error

    def submit(self, command_buffer: Any) -> None:
        """Submit a command buffer to the queue."""
        try:
            self._queue.submit([command_buffer])
        except self._errors.GPUError as error:
            raise self._fault(error, SubmitFailed, "submit a batch") from error

    def map(self, buffer: DeviceBuffer, size_bytes: int) -> StagingMap:
        """Ask for the first ``size_bytes`` bytes of a staging buffer.

        READ_NOSYNC leaves out the empty submit that wgpu-py makes before a map; the
        submit that fills the staging buffer has been made already.
        """
        try:
            promise = buffer.native.map_async("READ_NOSYNC", 0, size_bytes)
        except self._errors.GPUError as error:
            raise self._fault(error, MapFailed, f"map buffer {buffer.uid}") from error
        return StagingMap(buffer=buffer, size_bytes=size_bytes, native=promise)

    def drain(self, seconds: float | None = None) -> bool:
        """Wait until all submitted work is done and its memory is free; False if time ran out.

        The promise of submitted work does not work in wgpu-py 0.32, so this reads four
        bytes instead.
        """
        buffers: list[DeviceBuffer] = []
        try:
            for role in (Role.STORAGE, Role.STAGING):
                buffers.append(self.create_buffer(WORD_BYTES, role))
            source, target = buffers
            copy = CopyCommand(source, 0, target, 0, WORD_BYTES)
            self.submit(self.encode([copy], "drain", merge_passes=False))
            mapping = self.map(target, WORD_BYTES)
            is_done = self.wait(mapping, seconds)
            if is_done:
                self.take(mapping, bytes)
        finally:
            for buffer in buffers:
                self.destroy_buffer(buffer)
        return is_done

    def wait(self, mapping: StagingMap, seconds: float | None = None) -> bool:
        """Wait for a map; returns whether it settled in time.  DeviceLost if it never will."""
        end = inf if seconds is None else monotonic() + seconds
        while self._is_pending(mapping):
            left = end - monotonic()
            settled = left > 0 and mapping.native._thread_event.wait(
                min(left, self._package.look_seconds)
            )
            if not settled:
                self._check_alive()
            if left <= 0:
                return False
        return True

    async def wait_async(self, mapping: StagingMap) -> None:
        """``wait`` without blocking the event loop; it also ends once the map is given up."""
        delays = poll_delays()
        while not mapping.is_given_up and self._is_pending(mapping):
            delay = next(delays)
            await asyncio.sleep(delay)
            if delay >= _POLL_DELAYS_SECONDS[-1]:
                self._check_alive()

    def take(self, mapping: StagingMap, receive: Receive[Value]) -> Value:
        """The value that ``receive`` makes of the mapped bytes; then unmap the buffer."""
        native = mapping.buffer.native
        try:
            mapping.native.sync_wait()
            with native.read_mapped(0, mapping.size_bytes, copy=False) as mapped:
                value = receive(mapped)
            native.unmap()
        except (self._errors.GPUError, RuntimeError) as error:
            self._check_alive()
            raise self._fault(error, MapFailed, f"map buffer {mapping.buffer.uid}") from error
        return value

    def _is_pending(self, mapping: StagingMap) -> bool:
        # wgpu-py has no public way to check whether a promise has settled.
        promise = mapping.native
        if promise._state == "pending" and self._package.tick is not None:
            self._package.tick()
        return bool(promise._state == "pending")

    def _new_encoder(self, label: str) -> Any:
        return self._device.create_command_encoder(label=label)

    def _finish(self, encoder: Any) -> Any:
        return encoder.finish()

    def _encode_pass(self, encoder: Any, dispatches: list[DispatchCommand]) -> None:
        """Encode one compute pass; set a pipeline or bind group only if it changes."""
        compute_pass = encoder.begin_compute_pass()
        last_pipeline, last_group, last_offset = None, None, None
        for pipeline, group, groups, offset in dispatches:
            if pipeline is not last_pipeline:
                last_pipeline = pipeline
                compute_pass.set_pipeline(pipeline.native)
            if group is not last_group or offset != last_offset:
                last_group, last_offset = group, offset
                compute_pass.set_bind_group(0, group.native, () if offset is None else (offset,))
            if type(groups) is GridAt:
                compute_pass.dispatch_workgroups_indirect(groups.buffer.native, groups.offset)
            else:
                compute_pass.dispatch_workgroups(*groups)
        compute_pass.end()

    def _encode_copies(self, encoder: Any, copies: list[CopyCommand]) -> None:
        for source, source_offset, target, target_offset, size_bytes in copies:
            encoder.copy_buffer_to_buffer(
                source.native, source_offset, target.native, target_offset, size_bytes
            )

    def _compile(self, kernel: Kernel, dynamic_uniforms: bool) -> Pipeline:
        device = self._device
        try:
            layout = device.create_bind_group_layout(
                entries=_layout_entries(kernel, dynamic_uniforms)
            )
            module = device.create_shader_module(code=kernel.wgsl())
            native = device.create_compute_pipeline(
                layout=device.create_pipeline_layout(bind_group_layouts=[layout]),
                compute={"module": module, "entry_point": "main"},
            )
        except self._errors.GPUError as error:
            if says_lost(error) or isinstance(error, self._errors.GPUInternalError):
                raise self._fault(error, DeviceFault, f"compile kernel {kernel.name}") from error
            raise ProgramError(
                f"cannot compile kernel {kernel.name} because the device refuses its WGSL "
                f"(probably a slip in its body):\n{error}"
            ) from error
        return Pipeline(
            uid=next(self.uids),
            kernel=kernel,
            dynamic_uniforms=dynamic_uniforms,
            native=native,
            layout=layout,
        )

    def _check_alive(self) -> None:
        """Raise DeviceLost if the device was destroyed: the maps of such a device never settle."""
        try:
            self._device.create_command_encoder(label="alive?").finish()
        except self._errors.GPUError as error:
            raise self._fault(error, DeviceLost, "wait for the device") from error
        if self.lost:
            raise self._fault(RuntimeError("`lost` has settled"), DeviceLost, "wait for the device")

    def _fault(self, error: Exception, kind: type[DeviceFault], what: str) -> DeviceFault:
        # An error of wgpudawn forms a cycle with the frame that held the bytes of a write, and
        # collecting that cycle ends the process.
        clear_frames(error.__traceback__)
        if kind is DeviceLost or says_lost(error):
            self._found_lost = True
            return DeviceLost(
                f"cannot {what} because the device is lost (probably it was destroyed, or its "
                f"driver was reset): {first_line(error)}"
            )
        if isinstance(error, self._errors.GPUOutOfMemoryError):
            kind = OutOfMemory
        return kind(f"cannot {what} because the device refused: {first_line(error)}")


def limits_of(device: Any) -> Limits:
    """The limits of a wgpu-py device, as ``Limits``."""
    limits = device.limits
    return Limits(
        max_buffer_bytes=words_down(limits["max-buffer-size"]),
        max_binding_bytes=words_down(limits["max-storage-buffer-binding-size"]),
        max_groups_per_dimension=limits["max-compute-workgroups-per-dimension"],
        max_storage_buffers=limits["max-storage-buffers-per-shader-stage"],
        storage_offset_alignment_bytes=limits["min-storage-buffer-offset-alignment"],
        uniform_offset_alignment_bytes=limits["min-uniform-buffer-offset-alignment"],
    )


@lru_cache(maxsize=64)
def _layout_entries(kernel: Kernel, dynamic_uniforms: bool) -> list[dict[str, Any]]:
    layouts: list[dict[str, Any]] = [
        {"type": "storage" if binding.access == "read_write" else "read-only-storage"}
        for binding in kernel.buffers
    ]
    if kernel.uniform_bytes:
        layouts.append({"type": "uniform", "has_dynamic_offset": dynamic_uniforms})
    return [
        {"binding": number, "visibility": wgpu.ShaderStage.COMPUTE, "buffer": layout}
        for number, layout in enumerate(layouts)
    ]


def _passes(commands: Sequence[RecordedCommand], merge: bool) -> Iterator[tuple[bool, list[Any]]]:
    """The commands in groups: whether the group is a pass, and its commands."""
    if not merge:
        return ((isinstance(command, DispatchCommand), [command]) for command in commands)
    return ((kind is DispatchCommand, list(group)) for kind, group in groupby(commands, type))


def poll_delays() -> Iterator[float]:
    """Seconds between the polls of a map; always short, since somebody awaits the map."""
    return chain(_POLL_DELAYS_SECONDS, repeat(_POLL_DELAYS_SECONDS[-1]))
