"""``bench parts``: the cost of each part that a runtime can make anew for a dispatch, or share.

The arm "all shared" shares all: one encoder, one pass, one bind group, one write of all uniforms
and one submit.  Each arm from "a set_pipeline" to "a submit" is compared with the arm that
``beside`` of its ``Form`` names, and makes one part more than that arm for every dispatch.  (A new
pass also needs its pipeline set, and a submit of each dispatch needs a queue write of its
uniforms.)  The time that this adds is the price of the part, including what the part costs later:
when the encoder is finished, and on the GPU.  These arms make native calls without the runtime's
checks, so a price here is not what the part costs in the runtime.  Each policy of the runtime is a
further arm, and a second table has the native calls of ``ring``.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from wgpu import BufferUsage

from gpusim.errors import ProgramError
from gpusim.runtime import PRESETS, driver_for
from properties.bench.arms import Arm, Chain, check_same, runtime_arm
from properties.bench.dispatch import Timing, probe
from properties.bench.native_calls import profile
from properties.bench.timing import Asked, Results, Row, Sample, Watch, rows_of

_CHAIN = Chain(name="parts of a dispatch", dispatches=1000)


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """The parts that each dispatch makes anew.

    ``beside`` names the arm that makes one part fewer; None if the form is compared with no arm.
    """

    beside: str | None = None
    sets_pipeline: bool = False
    writes: bool = False
    """A queue write of its own, to its place in the one buffer of uniforms."""
    has_group: bool = False
    has_buffer: bool = False
    """A uniform buffer, made, written and destroyed; it needs a bind group."""
    has_pass: bool = False
    has_encoder: bool = False
    is_submitted: bool = False


FORMS: Mapping[str, Form] = {
    "all shared": Form(),
    "a set_pipeline": Form(beside="all shared", sets_pipeline=True),
    "a queue write": Form(beside="all shared", writes=True),
    "a bind group": Form(beside="all shared", has_group=True),
    "a uniform buffer": Form(beside="a bind group", has_group=True, has_buffer=True),
    "a pass": Form(beside="all shared", sets_pipeline=True, has_pass=True),
    "an encoder": Form(beside="a pass", sets_pipeline=True, has_pass=True, has_encoder=True),
    "a submit": Form(
        beside="an encoder",
        sets_pipeline=True,
        has_pass=True,
        has_encoder=True,
        is_submitted=True,
    ),
    "as lazy does": Form(sets_pipeline=True, has_pass=True, has_group=True, has_buffer=True),
    "as pooled does": Form(sets_pipeline=True, has_pass=True, has_group=True, writes=True),
}
"""The form of each arm, by name.

The last two make anew the same parts as the policies ``lazy`` and ``pooled``.  ``pooled`` is the
first phase of Apache TVM's pull request 18871.
"""


def bench(asked: Asked) -> Results:
    """A row for each form of a dispatch, for each policy, and for each native call of ``ring``.

    Raises:
        ProgramError: the device is not wgpu-native's.
    """
    device, tell = asked.device, asked.tell
    if not type(device).__module__.startswith("wgpu.backends.wgpu_native"):
        raise ProgramError(
            "cannot measure the parts of a dispatch because they are calls of wgpu-native, and "
            f"the device is a {type(device).__module__} (probably another --device is meant)"
        )
    driver = driver_for(device)
    tell("probing the adapter's speed")
    timing = Timing(driver, probe(driver), asked.rounds)
    arms: dict[str, Arm] = {name: form_arm(device, form, _CHAIN) for name, form in FORMS.items()}
    arms |= {name: runtime_arm(driver, policy, _CHAIN) for name, policy in PRESETS.items()}
    tell(f"{_CHAIN.dispatches} dispatches, each with parts of its own")
    samples = timing.samples(arms)
    check_same(_CHAIN.name, arms)
    for arm in arms.values():
        arm.close()
    timing.close()
    rows = [_priced(row, samples) for row in rows_of(_CHAIN.name, samples, _CHAIN.dispatches)]
    cpu_us = {row.arm: row.cpu_us for row in rows}
    tell("the native calls of ring")
    return Results(rows=rows + profile(device, PRESETS["ring"], _CHAIN, cpu_us["ring"]))


def _priced(row: Row, samples: Mapping[str, Sequence[Sample]]) -> Row:
    """Adds to ``row`` the price of its part: how much longer its arm takes than ``beside``.

    A row whose arm is compared with no arm stays as it is.
    """
    beside = FORMS[row.arm].beside if row.arm in FORMS else None
    if beside is None:
        return row
    pairs = list(zip(samples[row.arm], samples[beside], strict=True))
    each = 1e6 / _CHAIN.dispatches
    adds = {
        "adds_us": median(mine.total_seconds - its.total_seconds for mine, its in pairs) * each,
        "adds_cpu_us": median(mine.cpu_seconds - its.cpu_seconds for mine, its in pairs) * each,
    }
    return replace(row, more=adds)


def form_arm(device: Any, form: Form, chain: Chain) -> Arm:
    """The chain in native calls, with the parts of ``form`` made for each dispatch."""
    return Arm(_Forming(device, form, chain).play)


class _Forming:
    """A chain on one buffer, and the native objects that its dispatches share."""

    def __init__(self, device: Any, form: Form, chain: Chain) -> None:
        from wgpu.backends.wgpu_native import _api

        self._ffi, self._lib, self._device, self._form = _api.ffi, _api.lib, device, form
        self._native, self._queue = device._internal, device.queue._internal
        self._scalars, self._groups = chain.scalars, chain.groups
        self._packer = struct.Struct(f"<{len(chain.scalars[0])}I")
        alignment = device.limits["min-uniform-buffer-offset-alignment"]
        self._step = -(-self._packer.size // alignment) * alignment
        self._data = bytearray(self._step * chain.dispatches)
        size_bytes, usage = 4 * chain.words, BufferUsage
        made = device.create_buffer
        self._x = made(size=size_bytes, usage=usage.STORAGE | usage.COPY_SRC)
        self._ring = made(size=len(self._data), usage=usage.UNIFORM | usage.COPY_DST)
        self._out = made(size=size_bytes, usage=usage.MAP_READ | usage.COPY_DST)
        self._compile(chain)
        self._offset = self._ffi.new("uint32_t[1]")
        self._describe()
        self._kept = self._new_group(self._ring._internal)

    def _compile(self, chain: Chain) -> None:
        kinds = {"type": "storage"}, {"type": "uniform", "has_dynamic_offset": True}
        self._layout = self._device.create_bind_group_layout(
            entries=[
                {"binding": n, "visibility": 4, "buffer": kind} for n, kind in enumerate(kinds)
            ]
        )
        module = self._device.create_shader_module(code=chain.kernel.wgsl())
        self._pipeline = self._device.create_compute_pipeline(
            layout=self._device.create_pipeline_layout(bind_group_layouts=[self._layout]),
            compute={"module": module, "entry_point": "main"},
        )

    def _describe(self) -> None:
        """Make the descriptors of the objects that each dispatch may make anew."""
        self._entries = entries = self._ffi.new("WGPUBindGroupEntry[2]")
        entries[0].buffer, entries[0].size = self._x._internal, self._x.size
        entries[1].binding, entries[1].size = 1, self._packer.size
        self._of_group = self._ffi.new("WGPUBindGroupDescriptor *")
        self._of_group.layout, self._of_group.entries = self._layout._internal, entries
        self._of_group.entryCount = len(entries)
        self._of_buffer = self._ffi.new("WGPUBufferDescriptor *")
        self._of_buffer.size = self._packer.size
        self._of_buffer.usage = int(BufferUsage.UNIFORM | BufferUsage.COPY_DST)

    def play(self) -> tuple[Sample, bytes]:
        """The sample of one round, and the bytes of the chain's buffer."""
        watch = Watch()
        self._record()
        watch.pause()
        device = self._device
        encoder = device.create_command_encoder()
        encoder.copy_buffer_to_buffer(self._x, 0, self._out, 0, self._out.size)
        device.queue.submit([encoder.finish()])
        self._out.map_async("READ_NOSYNC").sync_wait()
        value = bytes(self._out.read_mapped(copy=False))
        self._out.unmap()
        return watch.stop(), value

    def _record(self) -> None:
        form, lib, pack = self._form, self._lib, self._packer.pack_into
        set_group, run = (
            lib.wgpuComputePassEncoderSetBindGroup,
            lib.wgpuComputePassEncoderDispatchWorkgroups,
        )
        data, step, offset, group = self._data, self._step, self._offset, self._kept
        retired: list[Any] = []
        finished: list[Any] = []
        encoder = compute_pass = None
        for number, values in enumerate(self._scalars):
            offset[0] = at = number * step
            pack(data, at, *values)
            if encoder is None:
                encoder = lib.wgpuDeviceCreateCommandEncoder(self._native, self._ffi.NULL)
            if compute_pass is None:
                compute_pass = self._begin(encoder)
            if form.sets_pipeline:
                lib.wgpuComputePassEncoderSetPipeline(compute_pass, self._pipeline._internal)
            if form.writes:
                self._write(self._ring._internal, at, data[at : at + self._packer.size])
            if form.has_group:
                group = self._group_of(at, retired)
                offset[0] = 0 if form.has_buffer else at
            set_group(compute_pass, 0, group, 1, offset)
            run(compute_pass, self._groups, 1, 1)
            if form.has_group:
                lib.wgpuBindGroupRelease(group)
            if form.has_pass:
                self._end(compute_pass)
                compute_pass = None
            if form.has_encoder:
                finished.append(self._finish(encoder))
                encoder = None
            if form.is_submitted:
                self._write(self._ring._internal, at, data[at : at + self._packer.size])
                self._submit(finished)
        if compute_pass is not None:
            self._end(compute_pass)
        if encoder is not None:
            finished.append(self._finish(encoder))
        if not (form.writes or form.has_buffer or form.is_submitted):
            self._write(self._ring._internal, 0, data)
        self._submit(finished)
        for buffer in retired:
            lib.wgpuBufferDestroy(buffer)
            lib.wgpuBufferRelease(buffer)

    def _begin(self, encoder: Any) -> Any:
        begun = self._lib.wgpuCommandEncoderBeginComputePass(encoder, self._ffi.NULL)
        if not self._form.sets_pipeline:
            self._lib.wgpuComputePassEncoderSetPipeline(begun, self._pipeline._internal)
        return begun

    def _end(self, compute_pass: Any) -> None:
        self._lib.wgpuComputePassEncoderEnd(compute_pass)
        self._lib.wgpuComputePassEncoderRelease(compute_pass)

    def _finish(self, encoder: Any) -> Any:
        command_buffer = self._lib.wgpuCommandEncoderFinish(encoder, self._ffi.NULL)
        self._lib.wgpuCommandEncoderRelease(encoder)
        return command_buffer

    def _submit(self, finished: list[Any]) -> None:
        """Submit the command buffers, and empty the list."""
        if finished:
            native = self._ffi.new("WGPUCommandBuffer[]", finished)
            self._lib.wgpuQueueSubmit(self._queue, len(finished), native)
            for command_buffer in finished:
                self._lib.wgpuCommandBufferRelease(command_buffer)
            finished.clear()

    def _write(self, buffer: Any, at: int, data: bytes | bytearray) -> None:
        source = self._ffi.from_buffer(data)
        self._lib.wgpuQueueWriteBuffer(self._queue, buffer, at, source, len(source))

    def _group_of(self, at: int, retired: list[Any]) -> Any:
        """A new bind group, over a new buffer of uniforms if the form has one."""
        if not self._form.has_buffer:
            return self._new_group(self._ring._internal)
        buffer = self._lib.wgpuDeviceCreateBuffer(self._native, self._of_buffer)
        self._write(buffer, 0, self._data[at : at + self._packer.size])
        retired.append(buffer)
        return self._new_group(buffer)

    def _new_group(self, uniforms: Any) -> Any:
        self._entries[1].buffer = uniforms
        return self._lib.wgpuDeviceCreateBindGroup(self._native, self._of_group)
