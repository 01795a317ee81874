"""What the simulated device costs a fuzzing night, beside the real adapters.

A dispatch here is one with fresh scalars and a bind group of its own, recorded
and executed with all validation.  Times are of the processor, since a busy
machine changes them least.  Nothing here is asserted about time.
"""

import time
from typing import Any

import numpy as np
import pytest
import wgpu
from pytest_benchmark.fixture import BenchmarkFixture

from gpusim import simulated
from gpusim.devices import adapters, open_device
from gpusim.kernels import AFFINE

U = wgpu.BufferUsage
DISPATCHES = 100
WORDS = 64
NAMES = [adapter.name for adapter in adapters() if adapter.name != "simulated"]
NONE = [pytest.param(None, marks=pytest.mark.skip(reason="this machine has no adapter"))]


class Dispatches:
    """A pipeline, a buffer of 64 words, and a uniform buffer a dispatch."""

    def __init__(self, device: Any) -> None:
        self.device = device
        types = ("storage", "uniform")
        self._layout = device.create_bind_group_layout(
            entries=[
                {
                    "binding": number,
                    "visibility": wgpu.ShaderStage.COMPUTE,
                    "buffer": {"type": kind},
                }
                for number, kind in enumerate(types)
            ]
        )
        module = device.create_shader_module(code=AFFINE.wgsl())
        self._pipeline = device.create_compute_pipeline(
            layout=device.create_pipeline_layout(bind_group_layouts=[self._layout]),
            compute={"module": module, "entry_point": "main"},
        )
        usage = U.STORAGE | U.COPY_SRC | U.COPY_DST
        self.words = device.create_buffer(size=WORDS * 4, usage=usage)
        self._uniforms = [
            device.create_buffer(size=8, usage=U.UNIFORM | U.COPY_DST) for _ in range(DISPATCHES)
        ]

    def run(self) -> None:
        """All dispatches in one pass, and a byte read back to see them executed."""
        device = self.device
        encoder = device.create_command_encoder()
        compute_pass = encoder.begin_compute_pass()
        for number, uniform in enumerate(self._uniforms):
            device.queue.write_buffer(uniform, 0, b"\3\0\0\0" + number.to_bytes(4, "little"))
            entries = [
                {"binding": 0, "resource": {"buffer": self.words, "offset": 0, "size": WORDS * 4}},
                {"binding": 1, "resource": {"buffer": uniform, "offset": 0, "size": 8}},
            ]
            group = device.create_bind_group(layout=self._layout, entries=entries)
            compute_pass.set_pipeline(self._pipeline)
            compute_pass.set_bind_group(0, group)
            compute_pass.dispatch_workgroups(WORDS // 64)
        compute_pass.end()
        device.queue.submit([encoder.finish()])
        device.queue.read_buffer(self.words, 0, 4)

    def expected(self) -> int:
        """What one run makes of a word that was zero."""
        value = 0
        for number in range(DISPATCHES):
            value = (3 * value + number) % 2**32
        return value


@pytest.mark.benchmark(timer=time.process_time, disable_gc=True)
@pytest.mark.parametrize("strategy", simulated.STRATEGIES)
def test_simulated_dispatches(benchmark: BenchmarkFixture, strategy: str) -> None:
    """Each strategy in turn."""
    device = simulated.open_device(scheduler=simulated.strategy(strategy, 1))
    dispatches = Dispatches(device)
    dispatches.run()
    assert np.frombuffer(device.queue.read_buffer(dispatches.words), np.uint32)[0] == (
        dispatches.expected()
    )
    benchmark.extra_info["dispatches"] = DISPATCHES
    benchmark(dispatches.run)


@pytest.mark.parametrize("name", NAMES or NONE)
def test_real_dispatches(benchmark: BenchmarkFixture, name: str) -> None:
    """The same on the adapters of this machine, its GPU's work included."""
    dispatches = Dispatches(open_device(name))
    benchmark.extra_info["dispatches"] = DISPATCHES
    benchmark(dispatches.run)


@pytest.mark.benchmark(timer=time.process_time)
def test_opening_a_device(benchmark: BenchmarkFixture) -> None:
    """A device, with nothing done on it."""
    benchmark(simulated.open_device)
