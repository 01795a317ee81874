"""The floor: one pass, one ring of uniforms, and cffi calls into wgpu-native for each dispatch.

It uses nothing of this project: no check, no cache and no batch.  ``bare`` makes a function that
plays one round over ``buffers`` buffers of ``words`` words.  That function returns the seconds and
the CPU seconds until its submit has returned, the seconds until the bytes of all buffers are in
host memory, and these bytes.
"""

import struct
from time import perf_counter, thread_time
from typing import Any


def bare(
    device: Any,
    wgsl: str,
    words: int,
    scalars: list[tuple[int, ...]],
    groups: int,
    buffers: int = 1,
) -> Any:
    """Returns a function that plays one round; this file's docstring says what that one returns."""
    from wgpu.backends.wgpu_native._api import ffi, lib

    set_group = lib.wgpuComputePassEncoderSetBindGroup
    run = lib.wgpuComputePassEncoderDispatchWorkgroups
    step, args = device.limits["min-uniform-buffer-offset-alignment"], f"<{len(scalars[0])}I"
    pack, size, data = struct.Struct(args).pack_into, 4 * words, bytearray(step * len(scalars))
    # The usages: uniform, copy target (72); read mapping, copy target (9); storage, copy source.
    uses = (len(data), 72), (size * buffers, 9), *[(size, 132)] * buffers
    ring, out, *xs = (device.create_buffer(size=n, usage=use) for n, use in uses)
    kinds = {"type": "storage"}, {"type": "uniform", "has_dynamic_offset": True}
    entries: Any = [{"binding": n, "visibility": 4, "buffer": k} for n, k in enumerate(kinds)]
    layout = device.create_bind_group_layout(entries=entries)
    stage = {"module": device.create_shader_module(code=wgsl), "entry_point": "main"}
    pipeline = device.create_compute_pipeline(
        layout=device.create_pipeline_layout(bind_group_layouts=[layout]), compute=stage
    )
    part = {"binding": 1, "resource": {"buffer": ring, "offset": 0, "size": struct.calcsize(args)}}
    offset, made = (
        ffi.new("uint32_t[1]"),
        [
            device.create_bind_group(
                layout=layout, entries=[{"binding": 0, "resource": {"buffer": x}}, part]
            )
            for x in xs
        ],
    )

    def play() -> tuple[float, float, float, bytes]:
        start, cpu, encoder = perf_counter(), thread_time(), device.create_command_encoder()
        compute_pass = encoder.begin_compute_pass()
        compute_pass.set_pipeline(pipeline)
        native, bound = compute_pass._internal, [group._internal for group in made]
        for number, values in enumerate(scalars):
            offset[0] = at = number * step
            pack(data, at, *values)
            set_group(native, 0, bound[number % buffers], 1, offset)
            run(native, groups, 1, 1)
        compute_pass.end()
        for number, x in enumerate(xs):
            encoder.copy_buffer_to_buffer(x, 0, out, number * size, size)
        device.queue.write_buffer(ring, 0, data)
        device.queue.submit([encoder.finish()])
        recorded, cpu = perf_counter() - start, thread_time() - cpu
        out.map_async("READ_NOSYNC").sync_wait()
        value = bytes(out.read_mapped(copy=False))
        out.unmap()
        return recorded, cpu, perf_counter() - start, value

    return play
