"""The device, which makes all other objects.  The checks of each object are in its own file.

Source: WebGPU specification, section 4.4 "GPUDevice".
"""

from collections.abc import Iterable, Sequence
from typing import Any

import wgpu

from gpusim.errors import ProgramError
from gpusim.simulated.bindings import (
    GPUBindGroup,
    GPUBindGroupLayout,
    GPUPipelineLayout,
    make_bind_group,
    make_layout,
    make_pipeline_layout,
)
from gpusim.simulated.buffer import GPUBuffer, flag_bits
from gpusim.simulated.encoder import GPUCommandEncoder
from gpusim.simulated.pipeline import (
    GPUComputePipeline,
    GPUShaderModule,
    make_module,
    make_pipeline,
)
from gpusim.simulated.profile import LARGER_LIMIT, aborting, device_lost, invalid, unsigned
from gpusim.simulated.promise import Promise
from gpusim.simulated.queue import GPUQueue
from gpusim.simulated.scheduler import Scheduler
from gpusim.simulated.state import DeviceState, next_uid
from gpusim.simulated.texture import GPUTexture, make_texture

_USAGES = 0x3FF
"""The bits that BufferUsage defines, MAP_READ to QUERY_RESOLVE."""
_MAP_USAGES = (
    (wgpu.BufferUsage.MAP_READ, wgpu.BufferUsage.COPY_DST),
    (wgpu.BufferUsage.MAP_WRITE, wgpu.BufferUsage.COPY_SRC),
)


_SOUND_USAGES = frozenset(
    usage
    for usage in range(1, _USAGES + 1)
    if not any(
        usage & map_usage and usage & ~(map_usage | copy_usage)
        for map_usage, copy_usage in _MAP_USAGES
    )
)


class GPUDevice:
    """A WebGPU device with the methods that a compute program needs.

    ``lost_async`` is the specification's ``lost``, by wgpu-py's name.
    """

    __slots__ = ("__weakref__", "_state", "adapter", "features", "label", "queue", "uid")

    def __init__(
        self, state: DeviceState, adapter: Any, label: str, features: Iterable[str] = ()
    ) -> None:
        self._state = state
        self.adapter = adapter
        self.features: set[str] = {*features}
        self.label = label
        self.uid = next_uid()
        self.queue = GPUQueue(state, self)
        state.lost_promise = Promise(state.timeline, "lost")

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__} {self.label!r} at {id(self):#x}>"

    @property
    def limits(self) -> dict[str, int]:
        """The limits, under wgpu-py's names."""
        return self._state.limits

    @property
    def live_buffers(self) -> int:
        """How many buffers were made and not destroyed.  Real devices lack this property."""
        return self._state.live_buffers

    @property
    def calls(self) -> dict[str, int]:
        """How often each kind of call was made.  Real devices lack this property."""
        return {kind: last + 1 for kind, last in self._state.calls.items()}

    @property
    def adapter_info(self) -> Any:
        """The adapter's info."""
        return self.adapter.info

    @property
    def lost_async(self) -> Promise:
        """Settles once the device is lost, before anything else does.

        AttributeError in the wgpu-native profile, as in wgpu-py.
        """
        if not self._state.profile.tells_loss:
            raise AttributeError("lost_async")
        assert self._state.lost_promise is not None
        return self._state.lost_promise

    def restart(self, scheduler: Scheduler) -> None:
        """Reset the device: nothing is queued, pending, mapped, counted or planned any more.

        Layouts, modules and pipelines stay.  Every other object made before is refused from now on,
        as if another device had made it.  ``scheduler`` decides from now on.  Real devices lack
        this method.  ProgramError if the device is lost.
        """
        if self._state.timeline.lost:
            raise ProgramError(
                "cannot restart a device because it is lost (probably a new one should be opened)"
            )
        self._state.timeline.end()
        self._state = self._state.next_life(scheduler)
        self.queue.serve(self._state)

    def create_buffer(
        self, *, label: str = "", size: int, usage: int | str, mapped_at_creation: bool = False
    ) -> GPUBuffer:
        """A buffer of ``size`` bytes, all zero.

        Raises:
            GPUValidationError: a usage or size that the device does not allow.
            GPUOutOfMemoryError: a planned fault.
        """
        state = self._state
        length = unsigned(int(size))
        bits = flag_bits(wgpu.BufferUsage, usage) if isinstance(usage, str) else int(usage)
        number = state.made("buffer")
        if state.timeline.lost:
            self._tell_loss("buffer")
        else:
            _check_buffer(state, length, bits, bool(mapped_at_creation))
            if number in state.timeline.faults.out_of_memory:
                raise wgpu.GPUOutOfMemoryError(
                    f"cannot create buffer {number} because a fault was planned for it"
                )
        buffer = GPUBuffer(state, label, length, bits)
        if mapped_at_creation:
            buffer.map_at_creation()
        return buffer

    def create_buffer_with_data(self, *, label: str = "", data: Any, usage: int | str) -> GPUBuffer:
        """A buffer that holds ``data``, its size rounded up to whole words."""
        view = memoryview(data).cast("B")
        size = (view.nbytes + 3) & ~3
        buffer = self.create_buffer(label=label, size=size, usage=usage, mapped_at_creation=True)
        buffer.write_mapped(view)
        buffer.unmap()
        return buffer

    def create_texture(
        self,
        *,
        label: str = "",
        size: Any,
        mip_level_count: int = 1,
        sample_count: int = 1,
        dimension: str = "2d",
        format: str,
        usage: int | str,
        view_formats: Sequence[str] = (),
        texture_binding_view_dimension: str | None = None,
    ) -> GPUTexture:
        """A texture without content, which commands refuse.

        Raises the errors of ``texture.make_texture``.
        """
        self._made("texture")
        about = {
            "mip_level_count": mip_level_count,
            "sample_count": sample_count,
            "dimension": dimension,
            "format": format,
            "usage": usage,
        }
        return make_texture(self._state, label, size, about)

    def create_bind_group_layout(
        self, *, label: str = "", entries: Sequence[Any]
    ) -> GPUBindGroupLayout:
        """A layout of buffer bindings; raises the errors of ``bindings.make_layout``."""
        self._made("bind group layout")
        return make_layout(self._state, label, entries)

    def create_bind_group(
        self, *, label: str = "", layout: GPUBindGroupLayout, entries: Sequence[Any]
    ) -> GPUBindGroup:
        """Buffers bound to a layout; raises the errors of ``bindings.make_bind_group``.

        GPUOutOfMemoryError if a fault was planned for it.
        """
        number = self._made("bind group")
        if number in self._state.timeline.faults.failed_bind_groups:
            raise wgpu.GPUOutOfMemoryError(
                f"cannot create bind group {number} because a fault was planned for it"
            )
        return make_bind_group(self._state, label, layout, entries)

    def create_pipeline_layout(
        self, *, label: str = "", bind_group_layouts: Sequence[Any], immediate_size: int = 0
    ) -> GPUPipelineLayout:
        """A layout of bind groups; raises the errors of ``bindings.make_pipeline_layout``."""
        self._made("pipeline layout")
        return make_pipeline_layout(self._state, label, bind_group_layouts, immediate_size)

    def create_shader_module(
        self, *, label: str = "", code: str, compilation_hints: Sequence[Any] = ()
    ) -> GPUShaderModule:
        """The module of a WGSL text; GPUValidationError if it is not valid or not supported."""
        self._made("shader module")
        return make_module(self._state, self.features, label, code)

    def create_compute_pipeline(
        self, *, label: str = "", layout: Any, compute: Any
    ) -> GPUComputePipeline:
        """A pipeline; GPUValidationError, or GPUInternalError for a planned fault."""
        number = self._made("pipeline")
        pipeline = make_pipeline(self._state, label, layout, compute)
        if number in self._state.timeline.faults.internal_errors:
            raise wgpu.GPUInternalError(
                f"cannot create pipeline {number} because a fault was planned for it"
            )
        return pipeline

    def create_compute_pipeline_async(
        self, *, label: str = "", layout: Any, compute: Any
    ) -> Promise:
        """The pipeline as a promise; errors are raised at the call, as in wgpu-py."""
        pipeline = self.create_compute_pipeline(label=label, layout=layout, compute=compute)
        return Promise(self._state.timeline, "pipeline").fulfil(pipeline)

    def create_command_encoder(self, *, label: str = "") -> GPUCommandEncoder:
        """A new open encoder; on a lost device, the profile decides whether ``finish`` raises."""
        self._state.made("command encoder")
        return GPUCommandEncoder(self._state, label)

    def destroy(self) -> None:
        """Lose the device, once; in the profile ``spec``, unmap its buffers first."""
        state = self._state
        state.count("device destroy")
        if state.profile.destroy_unmaps:
            for buffer in list(state.mapped):
                buffer.lose()
        state.destroyed = True
        state.lose("destroyed")

    def _poll(self, block: bool = False) -> None:
        # wgpu-py's name; each call asks the scheduler, since a caller may loop on it.
        self._state.timeline.look()

    def _made(self, kind: str) -> int:
        number = self._state.made(kind)
        if self._state.timeline.lost:
            self._tell_loss(kind)
        return number

    def _tell_loss(self, kind: str) -> None:
        if not self._state.profile.loss_is_silent:
            raise device_lost(f"create a {kind}")


def _check_buffer(state: DeviceState, size: int, usage: int, mapped_at_creation: bool) -> None:
    doing = "create a buffer"
    if usage not in _SOUND_USAGES:
        _check_usage(state, usage)
    if mapped_at_creation and size % 4:
        raise invalid(doing, f"{size} bytes are no multiple of 4", "mapping needs whole words")
    limit = state.limits["max-buffer-size"]
    if size > limit:
        raise invalid(doing, f"{size} bytes are more than {limit}", LARGER_LIMIT)


def _check_usage(state: DeviceState, usage: int) -> None:
    doing = "create a buffer"
    if usage & ~_USAGES:
        error = invalid(doing, f"usage {usage} has unknown bits", "a flag of another enum")
        raise aborting(error, state.profile.usage_raises)
    if usage == 0:
        raise invalid(doing, "its usage is 0", "the flags were forgotten")
    because = f"usage {usage} has MAP and more than the one COPY flag that may go with it"
    raise invalid(doing, because, "staging needs a buffer of its own")
