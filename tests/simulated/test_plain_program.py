"""A plain wgpu-py compute program, which knows nothing of gpusim's runtime, runs unchanged."""

from typing import Any

import numpy as np
import pytest
import wgpu

from gpusim.devices import adapters
from gpusim.simulated import GPU, PROFILES
from tests.simulated.conformance.player import SWING

U = wgpu.BufferUsage
REAL = [adapter for adapter in adapters() if adapter.native is not None]
NONE = [pytest.param(None, marks=pytest.mark.skip(reason="this machine has no adapter"))]


def program(adapter: Any) -> list[int]:
    """x <- 3x + y, then y <- y xor x, twice, over 100 words in two groups."""
    device = adapter.request_device_sync(required_limits={"max-bind-groups": 1})
    x = np.arange(100, dtype=np.uint32)
    first = device.create_buffer_with_data(data=x, usage=U.STORAGE | U.COPY_SRC)
    second = device.create_buffer_with_data(data=x * 7, usage=U.STORAGE | U.COPY_SRC)
    scalar = device.create_buffer_with_data(data=np.array([3], np.uint32), usage=U.UNIFORM)
    module = device.create_shader_module(code=SWING.wgsl())
    pipeline = device.create_compute_pipeline(
        layout="auto", compute={"module": module, "entry_point": "main"}
    )
    group = device.create_bind_group(
        layout=pipeline.get_bind_group_layout(0),
        entries=[
            {"binding": 0, "resource": {"buffer": first, "offset": 0, "size": first.size}},
            {"binding": 1, "resource": {"buffer": second}},
            {"binding": 2, "resource": scalar},
        ],
    )
    encoder = device.create_command_encoder(label="two dispatches")
    compute_pass = encoder.begin_compute_pass()
    compute_pass.set_pipeline(pipeline)
    compute_pass.set_bind_group(0, group)
    compute_pass.dispatch_workgroups(2, 1, 1)
    compute_pass.dispatch_workgroups(2)
    compute_pass.end()
    device.queue.submit([encoder.finish()])
    words = [np.frombuffer(device.queue.read_buffer(it), np.uint32) for it in (first, second)]
    return [int(word) for buffer in words for word in buffer]


def expected() -> list[int]:
    x = np.arange(100, dtype=np.uint32)
    y = x * np.uint32(7)
    for _ in range(2):
        x = x * np.uint32(3) + y
        y = y ^ x
    return [*map(int, x), *map(int, y)]


@pytest.mark.parametrize("profile", PROFILES)
def test_it_runs_on_the_simulated_adapter(profile: str) -> None:
    gpu = GPU(profile=profile)
    adapter = gpu.request_adapter_sync(power_preference="high-performance")
    assert program(adapter) == expected()
    assert [each.info for each in gpu.enumerate_adapters_sync()] == [adapter.info]


@pytest.mark.parametrize(
    "adapter", REAL or NONE, ids=lambda adapter: getattr(adapter, "name", None)
)
def test_it_runs_the_same_on_a_real_one(adapter: Any) -> None:
    assert program(adapter.native) == expected()


def test_what_the_adapter_lacks_is_refused() -> None:
    adapter = GPU().request_adapter_sync()
    with pytest.raises(KeyError, match="no-such-limit"):
        adapter.request_device_sync(required_limits={"no-such-limit": 1})
    with pytest.raises(RuntimeError, match="the adapter supports 4"):
        adapter.request_device_sync(required_limits={"max_bind_groups": 5})
    with pytest.raises(RuntimeError, match="has only shader-f16, immediates"):
        adapter.request_device_sync(required_features=["timestamp-query"])
    device = adapter.request_device_sync(required_limits={"maxBindGroups": 2})
    assert device.limits["max-bind-groups"] == 2


def limits_of_two(adapter: Any) -> list[tuple[int, int]]:
    """Two limits of the adapter and of two devices, where only the first device asks for less."""
    asked = {"max-bind-groups": 1, "max-buffer-size": 4096}
    devices = [adapter.request_device_sync(required_limits=wanted) for wanted in (asked, {})]
    return [tuple(one.limits[name] for name in asked) for one in (adapter, *devices)]


@pytest.mark.parametrize("profile", PROFILES)
def test_what_one_device_asks_for_is_no_other_s(profile: str) -> None:
    """Limits are a device's own (specification, section 3.6.2 "Limits")."""
    adapter, first, second = limits_of_two(GPU(profile=profile).request_adapter_sync())
    assert first == (1, 4096)
    assert adapter == second != first


@pytest.mark.parametrize(
    "adapter", REAL or NONE, ids=lambda adapter: getattr(adapter, "name", None)
)
def test_nor_is_it_on_a_real_one(adapter: Any) -> None:
    before = {**adapter.native.limits}
    limits_of_two(adapter.native)
    assert {**adapter.native.limits} == before
