"""Runs a compute shader on an adapter, or as compiled by ``gpusim.wgsl``.

Both take the same: a text, an entry point, the bytes of each binding by its number, and a grid.
Both give the bytes of the bindings that the shader may write.  Only group 0 is used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import wgpu

from gpusim.wgsl import compile_module

Bytes = Mapping[int, bytes]
_STORAGE = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC
_FEATURES = ("shader-f16",)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A shader and its data."""

    text: str
    inputs: Bytes
    entry: str = "main"
    groups: tuple[int, int, int] = (1, 1, 1)
    uniforms: tuple[int, ...] = ()
    read_only: tuple[int, ...] = ()


class Adapter:
    """A device of a real adapter; ``name`` is Vulkan or OpenGL."""

    def __init__(self, name: str) -> None:
        found = [
            adapter
            for adapter in wgpu.gpu.enumerate_adapters_sync()
            if adapter.info["backend_type"] == name
        ]
        if not found:
            raise SystemExit(f"cannot compare with {name} because no adapter offers it")
        features = [feature for feature in _FEATURES if feature in found[0].features]
        self.name = name
        self.has_f16 = "shader-f16" in features
        self.device: Any = found[0].request_device_sync(required_features=features)

    def refusal(self, text: str) -> str | None:
        """Why the adapter refuses a text; None where it takes it."""
        try:
            self.device.create_shader_module(code=text)
        except wgpu.GPUError as error:
            return str(error)
        return None

    def run(self, job: Job) -> dict[int, bytes]:
        """What the shader writes."""
        device = self.device
        module = device.create_shader_module(code=job.text)
        pipeline = device.create_compute_pipeline(
            layout="auto", compute={"module": module, "entry_point": job.entry}
        )
        buffers = {
            number: device.create_buffer_with_data(
                data=data,
                usage=wgpu.BufferUsage.UNIFORM | wgpu.BufferUsage.COPY_SRC
                if number in job.uniforms
                else _STORAGE,
            )
            for number, data in job.inputs.items()
        }
        group = device.create_bind_group(
            layout=pipeline.get_bind_group_layout(0),
            entries=[
                {"binding": number, "resource": {"buffer": buffer}}
                for number, buffer in buffers.items()
            ],
        )
        encoder = device.create_command_encoder()
        work = encoder.begin_compute_pass()
        work.set_pipeline(pipeline)
        work.set_bind_group(0, group)
        work.dispatch_workgroups(*job.groups)
        work.end()
        device.queue.submit([encoder.finish()])
        skipped = (*job.uniforms, *job.read_only)
        return {
            number: bytes(device.queue.read_buffer(buffer))
            for number, buffer in buffers.items()
            if number not in skipped
        }


def run_compiled(job: Job) -> dict[int, bytes]:
    """What the compiled shader writes."""
    entry = compile_module(job.text).entry(job.entry)
    memory = {number: np.frombuffer(data, np.uint8).copy() for number, data in job.inputs.items()}
    run = entry.bind([memory[each.binding] for each in entry.point.bindings])
    run(*job.groups)
    skipped = (*job.uniforms, *job.read_only)
    return {number: each.tobytes() for number, each in memory.items() if number not in skipped}
