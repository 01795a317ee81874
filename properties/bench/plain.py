"""Eager wgpu-py without a runtime, as well as its methods allow.

Pipeline, layout, bind group and uniform buffer are made once; each dispatch
has its scalars written to the queue and a command buffer of its own.
"""

import struct
from typing import Any

from wgpu import BufferUsage

from properties.bench.timing import Sample, Watch


class Plain:
    """A chain of dispatches over one buffer."""

    def __init__(
        self, device: Any, wgsl: str, words: int, scalars: list[tuple[int, ...]], groups: int
    ) -> None:
        self._device, self._scalars, self._groups = device, scalars, groups
        self._pack = struct.Struct(f"<{len(scalars[0])}I").pack
        self._x = device.create_buffer(
            size=4 * words, usage=BufferUsage.STORAGE | BufferUsage.COPY_SRC
        )
        self._uniform = device.create_buffer(
            size=4 * len(scalars[0]), usage=BufferUsage.UNIFORM | BufferUsage.COPY_DST
        )
        self._out = device.create_buffer(
            size=4 * words, usage=BufferUsage.MAP_READ | BufferUsage.COPY_DST
        )
        self._pipeline = device.create_compute_pipeline(
            layout="auto",
            compute={"module": device.create_shader_module(code=wgsl), "entry_point": "main"},
        )
        self._group = device.create_bind_group(
            layout=self._pipeline.get_bind_group_layout(0),
            entries=[
                {"binding": number, "resource": {"buffer": buffer}}
                for number, buffer in enumerate((self._x, self._uniform))
            ],
        )

    def play(self) -> tuple[Sample, bytes]:
        """One round, and the buffer it left."""
        watch = Watch()
        device, queue = self._device, self._device.queue
        for values in self._scalars:
            queue.write_buffer(self._uniform, 0, self._pack(*values))
            encoder = device.create_command_encoder()
            compute_pass = encoder.begin_compute_pass()
            compute_pass.set_pipeline(self._pipeline)
            compute_pass.set_bind_group(0, self._group)
            compute_pass.dispatch_workgroups(self._groups)
            compute_pass.end()
            queue.submit([encoder.finish()])
        watch.pause()
        encoder = device.create_command_encoder()
        encoder.copy_buffer_to_buffer(self._x, 0, self._out, 0, self._out.size)
        queue.submit([encoder.finish()])
        self._out.map_async("READ_NOSYNC").sync_wait()
        value = bytes(self._out.read_mapped(copy=False))
        self._out.unmap()
        return watch.stop(), value
