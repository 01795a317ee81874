"""A dispatch is planned once for its pipeline and bind group, however often it is encoded."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import wgpu

import gpusim.simulated
from gpusim.simulated import open_device
from tests.simulated.recording import bind, record

U = wgpu.BufferUsage
CODE = """
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(4)
fn main(@builtin(global_invocation_id) at: vec3u) { x[at.x] = x[at.x] * 3u + 1u; }
"""
FOLDER = str(Path(gpusim.simulated.__path__[0]))


@contextmanager
def called() -> Iterator[Counter[str]]:
    """How often each function of the device is called in the block, by its name."""
    calls: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(FOLDER):
            calls[frame.f_code.co_qualname] += 1

    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def dispatched(device: Any, pipeline: Any, group: Any) -> Counter[str]:
    """The calls of the device while one dispatch is encoded, submitted and finished."""
    with called() as calls:
        encoder = record(device.create_command_encoder(), pipeline, group)
        device.queue.submit([encoder.finish()])
    return calls


def test_a_dispatch_is_planned_once_for_its_pipeline_and_bind_group() -> None:
    device = open_device()
    module = device.create_shader_module(code=CODE)
    compute = {"module": module, "entry_point": "main"}
    pipeline = device.create_compute_pipeline(layout="auto", compute=compute)
    x = device.create_buffer(size=16, usage=U.STORAGE | U.COPY_SRC)
    group = bind(device, pipeline.get_bind_group_layout(0), x)
    first, *others = [dispatched(device, pipeline, group) for _ in range(4)]
    planning = "Plan.__init__"
    assert first[planning] == 1
    assert [calls[planning] for calls in others] == [0, 0, 0]
    assert others[0] == others[-1]
    assert bytes(device.queue.read_buffer(x)) == (40).to_bytes(4, "little") * 4
