"""Immediates in compute passes: a dispatch has those that were set before it."""

from typing import Any

import numpy as np
import pytest
import wgpu

from gpusim.devices import Adapter, adapters
from gpusim.simulated import GPU

TEXT = """
struct Words { a: u32, b: array<u32, 3> }
var<immediate> words: Words;
@group(0) @binding(0) var<storage, read_write> o: array<u32>;
@compute @workgroup_size(4) fn main(@builtin(global_invocation_id) g: vec3u) {
    o[g.x] = o[g.x] * 10u + words.a + words.b[g.x % 3u];
}
"""


SIMULATED = Adapter(name="simulated", description="", native=GPU().request_adapter_sync())
ADAPTERS = [
    SIMULATED,
    *(each for each in adapters() if each.native and "immediates" in each.native.features),
]


def open_device(adapter: Adapter) -> Any:
    return adapter.native.request_device_sync(
        required_features=["immediates"], required_limits={"max-immediate-size": 16}
    )


def dispatched(device: Any, *calls: tuple[int, list[int]]) -> list[int]:
    entries = [{"binding": 0, "visibility": 4, "buffer": {"type": "storage"}}]
    layout = device.create_bind_group_layout(entries=entries)
    pipeline = device.create_compute_pipeline(
        layout=device.create_pipeline_layout(bind_group_layouts=[layout], immediate_size=16),
        compute={"module": device.create_shader_module(code=TEXT), "entry_point": "main"},
    )
    buffer = device.create_buffer(size=16, usage="STORAGE|COPY_SRC")
    bound = [{"binding": 0, "resource": {"buffer": buffer}}]
    encoder = device.create_command_encoder()
    compute_pass = encoder.begin_compute_pass()
    compute_pass.set_pipeline(pipeline)
    compute_pass.set_bind_group(0, device.create_bind_group(layout=layout, entries=bound))
    for offset, words in calls:
        compute_pass.set_immediates(offset, np.array(words, np.uint32), 0, 4 * len(words))
        compute_pass.dispatch_workgroups(1)
    compute_pass.end()
    device.queue.submit([encoder.finish()])
    words_read: list[int] = device.queue.read_buffer(buffer).cast("I").tolist()
    return words_read


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.name)
def test_each_dispatch_has_the_immediates_that_were_set_before_it(adapter: Adapter) -> None:
    device = open_device(adapter)
    assert dispatched(device, (0, [1, 2, 3, 4])) == [3, 4, 5, 3]
    assert dispatched(device, (0, [1, 2, 3, 4]), (4, [0, 0])) == [31, 41, 55, 31]


def test_immediates_past_the_limit_are_refused() -> None:
    device = open_device(SIMULATED)
    with pytest.raises(wgpu.GPUValidationError, match="set immediates"):
        dispatched(device, (8, [1, 2, 3]))
    with pytest.raises(ValueError, match="data_offset"):
        device.create_command_encoder().begin_compute_pass().set_immediates(0, b"1234", 8, 4)


def test_a_device_without_the_feature_takes_no_such_shader() -> None:
    device = GPU().request_adapter_sync().request_device_sync()
    with pytest.raises(wgpu.GPUValidationError, match="lacks the feature immediates"):
        device.create_shader_module(code=TEXT)
