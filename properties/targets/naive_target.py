"""A deliberately naive target on plain wgpu-py.

Every op is submitted at once, and bytes that are not whole words are patched on the host.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wgpu import BufferUsage

from gpusim.kernels import BUILTIN, Kernel
from gpusim.ops import Bound, Grid, Part
from properties.model.capabilities import capabilities_of
from properties.model.target import IndirectAdapter


class NaiveTarget(IndirectAdapter):
    """For valid ops only: it refuses nothing by itself, and knows nothing of our runtime."""

    capabilities = capabilities_of(
        refuses=False, orders_deliveries=False, indirect=True, parts=True
    )

    def __init__(self, device: Any, kernels: Mapping[str, Kernel] = BUILTIN) -> None:
        super().__init__(device, kernels)
        self._buffers: dict[str, tuple[Any, int]] = {}

    def alloc(self, buffer: str, size_bytes: int) -> None:
        usage = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST
        usage |= BufferUsage.INDIRECT
        native = self.device.create_buffer(size=max(size_bytes + 3 & ~3, 4), usage=usage)
        self._buffers[buffer] = native, size_bytes

    def write(self, buffer: str, data: bytes, offset: int) -> None:
        content = bytearray(self._content(buffer))
        content[offset : offset + len(data)] = data
        self.device.queue.write_buffer(self._buffers[buffer][0], 0, content)

    def dispatch(
        self, kernel: str, buffers: Sequence[Bound], scalars: Sequence[int | float], grid: Grid
    ) -> None:
        groups = grid[0] * grid[1] * grid[2]
        spread = grid if max(grid) <= 65_535 else (65_535, groups // 65_535 + 1, 1)
        payload = self.kernels[kernel].pack(scalars, groups)
        self._run(kernel, buffers, payload, lambda run: run.dispatch_workgroups(*spread))

    def dispatch_indirect(
        self,
        kernel: str,
        buffers: Sequence[Bound],
        scalars: Sequence[int | float],
        counts: str,
        offset: int,
    ) -> None:
        native, payload = self._buffers[counts][0], self.kernels[kernel].pack(scalars, 2**32 - 1)
        self._run(
            kernel, buffers, payload, lambda run: run.dispatch_workgroups_indirect(native, offset)
        )

    def _run(
        self, kernel: str, buffers: Sequence[Bound], payload: bytes, go: Callable[[Any], None]
    ) -> None:
        device, code = self.device, self.kernels[kernel]
        module = device.create_shader_module(code=code.wgsl())
        pipeline = device.create_compute_pipeline(layout="auto", compute={"module": module})
        parts = [
            Part(one, 0, self._buffers[one][1]) if isinstance(one, str) else one for one in buffers
        ]
        ranges = [(self._buffers[name][0], offset, size // 4 * 4) for name, offset, size in parts]
        if payload:
            uniform = device.create_buffer_with_data(data=payload, usage=BufferUsage.UNIFORM)
            ranges.append((uniform, 0, len(payload)))
        bound = [{"buffer": one, "offset": at, "size": size} for one, at, size in ranges]
        entries = [{"binding": at, "resource": each} for at, each in enumerate(bound)]
        group = device.create_bind_group(layout=pipeline.get_bind_group_layout(0), entries=entries)
        encoder = device.create_command_encoder()
        compute_pass = encoder.begin_compute_pass()
        compute_pass.set_pipeline(pipeline)
        compute_pass.set_bind_group(0, group)
        go(compute_pass)
        compute_pass.end()
        device.queue.submit([encoder.finish()])

    def copy(
        self, source: str, source_offset: int, target: str, target_offset: int, size_bytes: int
    ) -> None:
        data = self._content(source)[source_offset : source_offset + size_bytes]
        self.write(target, data, target_offset)

    def read(self, buffer: str, offset: int, size_bytes: int) -> bytes:
        return self._content(buffer)[offset : offset + size_bytes]

    def free(self, buffer: str) -> None:
        self._buffers.pop(buffer)[0].destroy()

    def _content(self, buffer: str) -> bytes:
        return bytes(self.device.queue.read_buffer(self._buffers[buffer][0]))
