"""What the programs share: usages, and a kernel with its scalars, ready to be recorded."""

from typing import Any

from wgpu import BufferUsage

from gpusim.kernels import BUILTIN

STORAGE = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST
STAGING = BufferUsage.MAP_READ | BufferUsage.COPY_DST


class Prepared:
    """The pipeline of a built-in kernel, and its scalars."""

    def __init__(self, device: Any, kernel: str = "affine", scalars: Any = (3, 1)) -> None:
        self.device = device
        module = device.create_shader_module(code=BUILTIN[kernel].wgsl())
        self.pipeline = device.create_compute_pipeline(
            layout="auto", compute={"module": module, "entry_point": "main"}
        )
        self.scalars = device.create_buffer_with_data(
            data=BUILTIN[kernel].pack(scalars, 1), usage=BufferUsage.UNIFORM
        )

    def record(self, encoder: Any, *parts: tuple[Any, int, int]) -> None:
        """Record one dispatch over parts: a buffer, an offset and a size each."""
        ranges = [*parts, (self.scalars, 0, self.scalars.size)]
        resources = [{"buffer": one, "offset": at, "size": size} for one, at, size in ranges]
        group = self.device.create_bind_group(
            layout=self.pipeline.get_bind_group_layout(0),
            entries=[{"binding": at, "resource": each} for at, each in enumerate(resources)],
        )
        compute_pass = encoder.begin_compute_pass()
        compute_pass.set_pipeline(self.pipeline)
        compute_pass.set_bind_group(0, group)
        compute_pass.dispatch_workgroups(1)
        compute_pass.end()
