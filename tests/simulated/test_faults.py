"""Plans of faults: what each does, how it is written, and what no runtime survives."""

from collections.abc import Callable
from typing import Any

import pytest
import wgpu

from gpusim.errors import ProgramError
from gpusim.simulated import NO_FAULTS, FaultPlan, open_device, parse_faults
from tests.simulated.conformance.player import SWING

STAGING = wgpu.BufferUsage.MAP_READ | wgpu.BufferUsage.COPY_DST


def test_a_map_fails_and_the_next_does_not() -> None:
    device = open_device(faults=FaultPlan(failed_maps=(1,)))
    staging = device.create_buffer(size=8, usage=STAGING)
    shown = []
    for _ in range(3):
        promise = staging.map_async(1)
        try:
            promise.sync_wait()
            shown.append(bytes(staging.read_mapped()).hex())
            staging.unmap()
        except RuntimeError:
            shown.append(f"failed, {staging.map_state}")
    assert shown == ["0" * 16, "failed, unmapped", "0" * 16]


def test_a_map_is_refused_at_the_call_and_the_next_is_not() -> None:
    device = open_device(faults=FaultPlan(refused_maps=(0,)))
    staging = device.create_buffer(size=8, usage=STAGING)
    with pytest.raises(wgpu.GPUInternalError):
        staging.map_async(1)
    assert staging.map_state == "unmapped"
    staging.map_async(1).sync_wait()
    assert bytes(staging.read_mapped()) == bytes(8)


def test_memory_runs_out_once() -> None:
    device = open_device(faults=FaultPlan(out_of_memory=(1,)))
    device.create_buffer(size=8, usage=STAGING)
    with pytest.raises(wgpu.GPUOutOfMemoryError):
        device.create_buffer(size=8, usage=STAGING)
    device.create_buffer(size=8, usage=STAGING)


def test_a_pipeline_meets_an_internal_error_once() -> None:
    device = open_device(faults=FaultPlan(internal_errors=(0,)))
    module = device.create_shader_module(code=SWING.wgsl())
    with pytest.raises(wgpu.GPUInternalError):
        device.create_compute_pipeline(layout="auto", compute={"module": module})
    device.create_compute_pipeline(layout="auto", compute={"module": module})


def test_a_submit_raises_and_executes_nothing() -> None:
    device = open_device(faults=FaultPlan(failed_submits=(0,)))
    usage = wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST
    buffer = device.create_buffer(size=8, usage=usage)
    device.queue.write_buffer(buffer, 0, bytes([1] * 8))
    encoder = device.create_command_encoder()
    encoder.clear_buffer(buffer)
    commands = encoder.finish()
    with pytest.raises(wgpu.GPUInternalError):
        device.queue.submit([commands])
    assert bytes(device.queue.read_buffer(buffer)) == bytes([1] * 8)
    with pytest.raises(wgpu.GPUValidationError, match="submitted before"):
        device.queue.submit([commands])


@pytest.mark.parametrize("faults", [FaultPlan(lost_at_map=1), FaultPlan(lost_at_submit=0)])
def test_a_lost_device_fails_its_maps_and_says_nothing_else(faults: FaultPlan) -> None:
    device = open_device(faults=faults)
    staging = device.create_buffer(size=8, usage=STAGING)
    before = staging.map_async(1)
    device.queue.submit([device.create_command_encoder().finish()])
    after = device.create_buffer(size=8, usage=STAGING).map_async(1)
    for promise in (before, after):
        with pytest.raises(RuntimeError, match="the device is lost"):
            promise.sync_wait()
    assert device.lost_async.sync_wait() is None
    device.queue.on_submitted_work_done_sync()


def test_nothing_goes_wrong_unless_planned() -> None:
    assert len(NO_FAULTS) == 0
    assert str(NO_FAULTS) == "none"


@pytest.mark.parametrize(
    "plan",
    [
        NO_FAULTS,
        FaultPlan(failed_maps=(0, 7), lost_at_write=12),
        FaultPlan(out_of_memory=(3,), internal_errors=(0,), failed_submits=(1, 2)),
        FaultPlan(lost_at_submit=0),
    ],
)
def test_a_plan_is_one_line(plan: FaultPlan) -> None:
    assert parse_faults(str(plan)) == plan
    assert "\n" not in str(plan)


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("failed_maps=0,1,2,3,4", "more than 4 failures in a row"),
        ("failed_maps=" + ",".join(map(str, range(0, 34, 2))), "17 faults"),
        ("failed_maps=2,1", "not an ascending list"),
        ("failed_maps=", "does not hold numbers"),
        ("failed_maps=0,", "does not hold numbers"),
        ("failed_maps=\u00b2", "does not hold numbers"),
        ("failed_maps=" + "9" * 5000, "does not hold numbers"),
        ("lost_at_map=1,2", "does not hold one number"),
        ("failed_maps=1 failed_maps=2", "named before"),
        ("broken=1", "no fault"),
    ],
)
def test_a_plan_that_no_runtime_survives_is_refused(text: str, because: str) -> None:
    with pytest.raises(ProgramError, match=because):
        parse_faults(text)


def test_four_in_a_row_may_be_survived() -> None:
    assert len(FaultPlan(failed_maps=(3, 4, 5, 6))) == 4


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ProgramError, match="negative"):
        FaultPlan(lost_at_map=-1)


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
    FaultPlan(refused_maps=(12,)),
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
