"""What a program drops is collected, though work that uses it still waits in the queue.

The queue of WebGPU keeps the memory of a buffer, and not the object that the program had.
"""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import wgpu

from gpusim import open_device, simulated
from tests.simulated.recording import bind, record

U = wgpu.BufferUsage
ANY = U.COPY_SRC | U.COPY_DST | U.STORAGE | U.INDIRECT
STAGING = U.MAP_READ | U.COPY_DST
WGSL = """
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(1) fn main() { x[0] += 1; }
"""
WITH_IMMEDIATE = "var<immediate> one: u32;" + WGSL.replace("+= 1", "+= one")


@pytest.fixture(params=["simulated", "best"])
def device(request: pytest.FixtureRequest) -> Any:
    """The simulated device, and one that shows what others do."""
    return open_device(request.param)


def make(device: Any) -> Any:
    return device.create_buffer(size=16, usage=ANY)


def pipeline_of(device: Any, text: str = WGSL) -> Any:
    stage = {"module": device.create_shader_module(code=text), "entry_point": "main"}
    return device.create_compute_pipeline(layout="auto", compute=stage)


def live_buffers() -> int:
    gc.collect()
    return sum(type(each).__name__ == "GPUBuffer" for each in gc.get_objects())


def copies(device: Any, encoder: Any) -> None:
    encoder.copy_buffer_to_buffer(make(device), 0, make(device), 0, 16)


def clears(device: Any, encoder: Any) -> None:
    encoder.clear_buffer(make(device))


def dispatches(device: Any, encoder: Any) -> None:
    pipeline = pipeline_of(device)
    record(encoder, pipeline, bind(device, pipeline.get_bind_group_layout(0), make(device)))


def dispatches_indirectly(device: Any, encoder: Any) -> None:
    pipeline = pipeline_of(device)
    opened = encoder.begin_compute_pass()
    opened.set_pipeline(pipeline)
    opened.set_bind_group(0, bind(device, pipeline.get_bind_group_layout(0), make(device)))
    opened.dispatch_workgroups_indirect(make(device), 0)
    opened.end()


def submit(device: Any, records: Callable[[Any, Any], None]) -> None:
    encoder = device.create_command_encoder()
    records(device, encoder)
    device.queue.submit([encoder.finish()])


@pytest.mark.parametrize("records", [copies, clears, dispatches, dispatches_indirectly])
def test_what_is_dropped_after_its_submit_is_collected(
    device: Any, records: Callable[[Any, Any], None]
) -> None:
    before = live_buffers()
    submit(device, records)
    assert live_buffers() == before


def test_what_is_dropped_after_a_dispatch_with_immediates_is_collected() -> None:
    def dispatches_with_one(device: Any, encoder: Any) -> None:
        pipeline = pipeline_of(device, WITH_IMMEDIATE)
        opened = encoder.begin_compute_pass()
        opened.set_pipeline(pipeline)
        opened.set_bind_group(0, bind(device, pipeline.get_bind_group_layout(0), make(device)))
        opened.set_immediates(0, b"\x01\0\0\0")
        opened.dispatch_workgroups(1)
        opened.end()

    device = simulated.open_device(limits={"max-immediate-size": 4})
    before = live_buffers()
    submit(device, dispatches_with_one)
    assert live_buffers() == before


def test_what_is_dropped_after_its_unmap_is_collected(device: Any) -> None:
    before = live_buffers()
    device.create_buffer_with_data(data=bytes(4), usage=ANY)
    assert live_buffers() == before


def test_what_is_dropped_while_it_is_mapped_is_collected(device: Any) -> None:
    before = live_buffers()
    device.create_buffer(size=8, usage=STAGING).map_sync("READ")
    device.create_buffer(size=8, usage=ANY, mapped_at_creation=True)
    assert live_buffers() == before


def test_what_is_dropped_has_its_effect(device: Any) -> None:
    kept = device.create_buffer(size=4, usage=ANY)
    dropped = device.create_buffer_with_data(data=b"abcd", usage=ANY)
    encoder = device.create_command_encoder()
    encoder.copy_buffer_to_buffer(dropped, 0, kept, 0, 4)
    device.queue.submit([encoder.finish()])
    del dropped, encoder
    gc.collect()
    assert bytes(device.queue.read_buffer(kept)) == b"abcd"


def test_every_object_can_be_referred_to_weakly(device: Any) -> None:
    """A cache may be a ``WeakKeyDictionary``, of devices for instance."""
    buffer, staging = make(device), device.create_buffer(size=8, usage=STAGING)
    pipeline = pipeline_of(device)
    layout = device.create_bind_group_layout(entries=[])
    encoder = device.create_command_encoder()
    opened = encoder.begin_compute_pass()
    opened.end()
    promise = staging.map_async("READ")
    things = [
        *(device, device.adapter, device.queue, buffer, staging, promise, encoder, opened),
        *(encoder.finish(), pipeline, device.create_shader_module(code=WGSL), layout),
        device.create_pipeline_layout(bind_group_layouts=[layout]),
        bind(device, pipeline.get_bind_group_layout(0), buffer),
    ]
    assert all(weakref.ref(each)() is each for each in things)
    promise.sync_wait()
