"""What the sanitizer adds to a chain of small dispatches on plain wgpu-py.

    python -m pytest benchmarks/test_sanitizer.py --benchmark-only

A dispatch here is an encoder, a pass and a submit of its own, or one of a hundred in one pass.
Times are of the calling thread's processor, since a busy machine changes them least.  Nothing
here is asserted about time.
"""

import time
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from wgpu import BufferUsage

from gpusim.devices import adapters, open_device
from gpusim.kernels import AFFINE
from gpusim.layer import Sanitizer

DISPATCHES = 1000
NAMES = [adapter.name for adapter in adapters()]


class Chain:
    """A pipeline and a bind group over 64 words."""

    def __init__(self, device: Any) -> None:
        self.device = device
        module = device.create_shader_module(code=AFFINE.wgsl())
        self._pipeline = device.create_compute_pipeline(layout="auto", compute={"module": module})
        usage = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST
        self._words = device.create_buffer(size=256, usage=usage)
        scalars = device.create_buffer_with_data(
            data=AFFINE.pack((3, 1), 1), usage=BufferUsage.UNIFORM
        )
        entries = [
            {"binding": at, "resource": {"buffer": each, "offset": 0, "size": each.size}}
            for at, each in enumerate((self._words, scalars))
        ]
        layout = self._pipeline.get_bind_group_layout(0)
        self._group = device.create_bind_group(layout=layout, entries=entries)

    def run(self, in_a_pass: int) -> None:
        """All dispatches, and the words read back."""
        device = self.device
        for _ in range(DISPATCHES // in_a_pass):
            encoder = device.create_command_encoder()
            compute_pass = encoder.begin_compute_pass()
            for _ in range(in_a_pass):
                compute_pass.set_pipeline(self._pipeline)
                compute_pass.set_bind_group(0, self._group)
                compute_pass.dispatch_workgroups(1)
            compute_pass.end()
            device.queue.submit([encoder.finish()])
        device.queue.read_buffer(self._words)


@pytest.mark.parametrize("sanitized", [False, True], ids=["plain", "sanitized"])
@pytest.mark.parametrize("in_a_pass", [1, 100])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.benchmark(timer=time.thread_time, min_rounds=15)
def test_chain(benchmark: BenchmarkFixture, name: str, in_a_pass: int, sanitized: bool) -> None:
    device = open_device(name)
    with Sanitizer(on_report=lambda report: None) as sanitizer:
        if sanitized:
            sanitizer.watch(device)
        chain = Chain(device)
        benchmark.group = f"{name}: {DISPATCHES} dispatches, {in_a_pass} in a pass"
        benchmark(chain.run, in_a_pass)
    assert sanitizer.reports == []
