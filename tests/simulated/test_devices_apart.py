"""Devices of one process share nothing: each has its faults, its schedule and its limits alone.

What a device shows alone, it shows also where another one works in between.
"""

from collections.abc import Callable
from typing import Any

import pytest
import wgpu

from gpusim.devices import adapters
from gpusim.simulated import FaultPlan, make_adapter, open_device, strategy

STAGING = wgpu.BufferUsage.MAP_READ | wgpu.BufferUsage.COPY_DST
REAL = [adapter for adapter in adapters() if adapter.native is not None]
NONE = [pytest.param(None, marks=pytest.mark.skip(reason="this machine has no adapter"))]


def works(device: Any) -> None:
    """A call of each verb whose calls a plan of faults counts."""
    staging = device.create_buffer(size=8, usage=STAGING)
    source = device.create_buffer(size=8, usage=wgpu.BufferUsage.COPY_SRC | STAGING & ~1)
    device.queue.write_buffer(source, 0, bytes(8))
    encoder = device.create_command_encoder()
    encoder.copy_buffer_to_buffer(source, 0, staging, 0, 8)
    device.queue.submit([encoder.finish()])
    promises = [each.map_async(1) for each in (staging, *_stagings(device))]
    for promise in reversed(promises):
        promise.sync_wait()


def _stagings(device: Any) -> list[Any]:
    return [device.create_buffer(size=8, usage=STAGING) for _ in range(4)]


def failures(device: Any, between: Callable[[], None]) -> list[str]:
    """What each of six rounds of work ends with."""
    shown = []
    for _ in range(6):
        try:
            works(device)
            shown.append("ok")
        except (RuntimeError, wgpu.GPUError) as error:
            shown.append(type(error).__name__)
        between()
    return shown


PLANS = (
    FaultPlan(failed_maps=(12,)),
    FaultPlan(out_of_memory=(13,)),
    FaultPlan(failed_submits=(2,)),
    FaultPlan(failed_writes=(3,)),
    FaultPlan(failed_encodes=(1, 4)),
    FaultPlan(lost_at_submit=3),
    FaultPlan(lost_at_map=17),
)


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_a_plan_of_faults_counts_the_calls_of_its_own_device(plan: FaultPlan) -> None:
    other = open_device()
    alone = failures(open_device(faults=plan), lambda: None)
    assert {*alone} != {"ok"}
    assert failures(open_device(faults=plan), lambda: works(other)) == alone
    assert failures(other, lambda: None) == ["ok"] * 6


def settled(seed: int, between: Callable[[], None]) -> str:
    """The order in which the maps of a device settle under a random schedule."""
    order: list[str] = []

    def emit(kind: str, **about: Any) -> None:
        if kind == "settle":
            order.append(about["promise"][-1])

    device = open_device(scheduler=strategy("random", seed), emit=emit)
    promises = [buffer.map_async(1) for buffer in _stagings(device)]
    for promise in promises:
        between()
        promise.sync_wait()
    return "".join(order)


def test_a_random_schedule_is_that_of_its_own_device() -> None:
    alone = [settled(seed, lambda: None) for seed in range(20)]
    other = open_device(scheduler=strategy("random", 99))
    assert [settled(seed, lambda: works(other)) for seed in range(20)] == alone
    assert len({*alone}) > 5


@pytest.mark.parametrize(
    "adapter",
    [pytest.param(None, id="simulated"), *(REAL or NONE)],
    ids=lambda adapter: getattr(adapter, "name", None),
)
def test_the_limits_of_a_device_are_not_its_adapters(adapter: Any) -> None:
    """Specification, "Limits": a device has the default where none is asked for."""
    native = make_adapter() if adapter is None else adapter.native
    before = dict(native.limits)
    plain = native.request_device_sync()
    first = native.request_device_sync(required_limits={"max-bind-groups": 1})
    second = native.request_device_sync()
    assert first.limits["max-bind-groups"] == 1
    assert dict(native.limits) == before
    assert second.limits == plain.limits
    assert second.limits["max-bind-groups"] > 1
