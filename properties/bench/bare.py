"""The floor: one pass, one ring of uniforms, and cffi calls into wgpu-native for each dispatch.

It uses nothing of this project: no check, no cache and no batch; at most forty lines of code.
"""

import struct
from time import perf_counter, thread_time
from typing import Any


def bare(device: Any, wgsl: str, words: int, scalars: list[tuple[int, ...]], groups: int) -> Any:
    """Plays one round: seconds and CPU seconds to the submit, seconds in all, and the buffer."""
    from wgpu.backends.wgpu_native._api import ffi, lib

    set_group = lib.wgpuComputePassEncoderSetBindGroup
    run = lib.wgpuComputePassEncoderDispatchWorkgroups
    step, args = device.limits["min-uniform-buffer-offset-alignment"], f"<{len(scalars[0])}I"
    pack, size, data = struct.Struct(args).pack_into, 4 * words, bytearray(step * len(scalars))
    # Storage and copy source; uniform and copy target; mapped for reading and copy target.
    uses = (size, 132), (len(data), 72), (size, 9)
    x, ring, out = (device.create_buffer(size=n, usage=use) for n, use in uses)
    kinds = {"type": "storage"}, {"type": "uniform", "has_dynamic_offset": True}
    entries: Any = [{"binding": n, "visibility": 4, "buffer": k} for n, k in enumerate(kinds)]
    layout = device.create_bind_group_layout(entries=entries)
    stage = {"module": device.create_shader_module(code=wgsl), "entry_point": "main"}
    layouts = device.create_pipeline_layout(bind_group_layouts=[layout])
    pipeline = device.create_compute_pipeline(layout=layouts, compute=stage)
    bound = {"buffer": x}, {"buffer": ring, "offset": 0, "size": struct.calcsize(args)}
    entries = [{"binding": n, "resource": resource} for n, resource in enumerate(bound)]
    group, offset = device.create_bind_group(layout=layout, entries=entries), ffi.new("uint32_t[1]")

    def play() -> tuple[float, float, float, bytes]:
        start, cpu, encoder = perf_counter(), thread_time(), device.create_command_encoder()
        compute_pass = encoder.begin_compute_pass()
        compute_pass.set_pipeline(pipeline)
        native, bind_group = compute_pass._internal, group._internal
        for number, values in enumerate(scalars):
            offset[0] = at = number * step
            pack(data, at, *values)
            set_group(native, 0, bind_group, 1, offset)
            run(native, groups, 1, 1)
        compute_pass.end()
        encoder.copy_buffer_to_buffer(x, 0, out, 0, size)
        device.queue.write_buffer(ring, 0, data)
        device.queue.submit([encoder.finish()])
        recorded, cpu = perf_counter() - start, thread_time() - cpu
        out.map_async("READ_NOSYNC").sync_wait()
        value = bytes(out.read_mapped(copy=False))
        out.unmap()
        return recorded, cpu, perf_counter() - start, value

    return play
