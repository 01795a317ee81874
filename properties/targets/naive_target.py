"""A deliberately naive target on plain wgpu-py: every op at once, nothing kept for later.

It knows nothing of our runtime.  Bytes that are no whole words it handles on
the host, over a copy of the whole buffer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import wgpu

from gpusim.kernels import BUILTIN, Kernel
from gpusim.limits import Limits
from gpusim.program import Grid
from properties.target import Arrived, Capabilities

_USAGE = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST


class NaiveTarget:
    """For valid ops only: it refuses nothing by itself."""

    capabilities = Capabilities(refuses=False, orders_deliveries=False)

    def __init__(self, device: Any, kernels: Mapping[str, Kernel] = BUILTIN) -> None:
        self.limits, self._device, self._kernels = Limits(), device, kernels
        self._buffers: dict[str, tuple[Any, int]] = {}

    def alloc(self, buffer: str, size_bytes: int) -> None:
        padded = max(size_bytes + 3 & ~3, 4)
        self._buffers[buffer] = self._device.create_buffer(size=padded, usage=_USAGE), size_bytes

    def write(self, buffer: str, offset: int, data: bytes) -> None:
        content = bytearray(self._content(buffer))
        content[offset : offset + len(data)] = data
        self._device.queue.write_buffer(self._buffers[buffer][0], 0, content)

    def dispatch(
        self, kernel: str, buffers: Sequence[str], scalars: Sequence[int | float], grid: Grid
    ) -> None:
        groups = grid[0] * grid[1] * grid[2]
        if not groups:
            return
        device, meaning = self._device, self._kernels[kernel]
        module = device.create_shader_module(code=meaning.wgsl())
        pipeline = device.create_compute_pipeline(layout="auto", compute={"module": module})
        bound = [
            (native, size // 4 * 4) for native, size in (self._buffers[name] for name in buffers)
        ]
        if meaning.uniform_bytes:
            payload = meaning.pack(scalars, groups)
            usage = wgpu.BufferUsage.UNIFORM
            bound.append((device.create_buffer_with_data(data=payload, usage=usage), len(payload)))
        entries = [
            {"binding": number, "resource": {"buffer": native, "offset": 0, "size": size}}
            for number, (native, size) in enumerate(bound)
        ]
        group = device.create_bind_group(layout=pipeline.get_bind_group_layout(0), entries=entries)
        encoder = device.create_command_encoder()
        compute_pass = encoder.begin_compute_pass()
        compute_pass.set_pipeline(pipeline)
        compute_pass.set_bind_group(0, group)
        compute_pass.dispatch_workgroups(
            *(grid if max(grid) <= 65535 else (65535, groups // 65535 + 1))
        )
        compute_pass.end()
        device.queue.submit([encoder.finish()])

    def copy(
        self, source: str, source_offset: int, target: str, target_offset: int, size_bytes: int
    ) -> None:
        self.write(target, target_offset, self._content(source)[source_offset:][:size_bytes])

    def read(self, buffer: str, offset: int, size_bytes: int) -> Arrived:
        return Arrived(self._content(buffer)[offset : offset + size_bytes])

    def free(self, buffer: str) -> None:
        self._buffers.pop(buffer)[0].destroy()

    def flush(self) -> None: ...
    def sync(self) -> None: ...
    def close(self) -> None: ...
    def _content(self, buffer: str) -> bytes:
        return bytes(self._device.queue.read_buffer(self._buffers[buffer][0]))
