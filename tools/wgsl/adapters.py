"""Runs a compute shader on an adapter, or as compiled by ``gpusim.wgsl``.

Both take the same Job, and give the bytes of the bindings that the shader may write.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import wgpu

from gpusim.wgsl import compile_module

Slot = tuple[int, int]
"""A group and a binding."""
_FEATURES = ("shader-f16",)
_USAGE = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC


@dataclass(frozen=True, kw_only=True)
class Job:
    """A shader and its data; ``read_only`` are the slots that it does not write."""

    text: str
    inputs: Mapping[Slot, bytes]
    entry: str = "main"
    groups: tuple[int, int, int] = (1, 1, 1)
    read_only: tuple[Slot, ...] = ()
    uniforms: tuple[Slot, ...] = ()
    constants: Mapping[str, float] = field(default_factory=dict)

    @property
    def written(self) -> tuple[Slot, ...]:
        """The slots whose bytes are compared."""
        return tuple(slot for slot in self.inputs if slot not in (*self.read_only, *self.uniforms))


class Runner(Protocol):
    """Runs shaders: an adapter, or what stands in for one."""

    name: str

    def run(self, job: Job) -> dict[Slot, bytes]:
        """What the shader writes."""
        raise NotImplementedError


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
        """Why the adapter refuses a text; None if it takes it."""
        try:
            self.device.create_shader_module(code=text)
        except wgpu.GPUError as error:
            return str(error)
        return None

    def run(self, job: Job) -> dict[Slot, bytes]:
        """What the shader writes; GPUError if the adapter refuses it."""
        device = self.device
        module = device.create_shader_module(code=job.text)
        stage = {"module": module, "entry_point": job.entry, "constants": dict(job.constants)}
        pipeline = device.create_compute_pipeline(layout="auto", compute=stage)
        buffers = {slot: self._buffer(job, slot) for slot in job.inputs}
        encoder = device.create_command_encoder()
        work = encoder.begin_compute_pass()
        work.set_pipeline(pipeline)
        for index in sorted({group for group, _ in buffers}):
            entries = [
                {"binding": binding, "resource": {"buffer": buffer}}
                for (group, binding), buffer in buffers.items()
                if group == index
            ]
            layout = pipeline.get_bind_group_layout(index)
            work.set_bind_group(index, device.create_bind_group(layout=layout, entries=entries))
        work.dispatch_workgroups(*job.groups)
        work.end()
        device.queue.submit([encoder.finish()])
        return {slot: bytes(device.queue.read_buffer(buffers[slot])) for slot in job.written}

    def _buffer(self, job: Job, slot: Slot) -> Any:
        usage = wgpu.BufferUsage.UNIFORM if slot in job.uniforms else _USAGE
        return self.device.create_buffer_with_data(data=job.inputs[slot], usage=usage)


def run_compiled(job: Job, *, varied: bool = False) -> dict[Slot, bytes]:
    """What the compiled shader writes; ShaderError if the compiler refuses it.

    ``varied``: where WGSL leaves something open, decide it in another way.
    """
    entry = compile_module(job.text).entry(job.entry, job.constants)
    memory = {slot: np.frombuffer(data, np.uint8).copy() for slot, data in job.inputs.items()}
    bound = [memory[each.group, each.binding] for each in entry.point.bindings]
    run = entry.bind(bound, varied=varied)
    run(*job.groups)
    return {slot: memory[slot].tobytes() for slot in job.written}
