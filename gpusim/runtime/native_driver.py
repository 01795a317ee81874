"""A driver whose compute passes go straight to wgpu-native, below wgpu-py's methods.

Only the inner loop of a pass is here, since only there is anything measured to
matter: wgpu-py opens an error scope for each call, this opens one for each
pass.  The native calls and their order are those of ``WgpuDriver``.
"""

from typing import Any

from gpusim.runtime.commands import DispatchCommand
from gpusim.runtime.driver import WgpuDriver


class NativeDriver(WgpuDriver):
    """A ``WgpuDriver`` for devices of wgpu-py's own backend."""

    def __init__(self, device: Any) -> None:
        super().__init__(device)
        from wgpu.backends.wgpu_native import _api

        self._api = _api
        self._lib = _api.lib
        self._offsets = _api.ffi.new("uint32_t[1]")

    def _encode_pass(self, encoder: Any, dispatches: list[DispatchCommand]) -> None:
        compute_pass = encoder.begin_compute_pass()
        handler = self._api.error_handler
        handler.capture("compute pass")
        try:
            self._issue(compute_pass._internal, dispatches)
        finally:
            error = handler.release("compute pass")
        if error is not None:
            raise self._api.GPUValidationError(error[1])
        compute_pass.end()

    def _issue(self, native: Any, dispatches: list[DispatchCommand]) -> None:
        set_pipeline = self._lib.wgpuComputePassEncoderSetPipeline
        set_bind_group = self._lib.wgpuComputePassEncoderSetBindGroup
        dispatch = self._lib.wgpuComputePassEncoderDispatchWorkgroups
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
            dispatch(native, *groups)


def driver_for(device: Any) -> WgpuDriver:
    """The fastest sound driver: below wgpu-py where the device is of its own backend."""
    if type(device).__module__.startswith("wgpu.backends.wgpu_native"):
        return NativeDriver(device)
    return WgpuDriver(device)
