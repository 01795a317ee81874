"""A restarted device behaves like a new one, and shows nothing of what went before."""

import weakref
from typing import Any

import pytest
import wgpu

from gpusim.errors import ProgramError
from gpusim.history import History
from gpusim.kernels import BUILTIN
from gpusim.runtime import PRESETS, WgpuDriver
from gpusim.simulated import Recording, open_device, strategy
from properties.execute import run
from properties.generate.cases import draw_case
from properties.generate.choices import SeededChoices
from properties.model.case import Case, DeviceSpec
from properties.targets.runtime_target import RuntimeTarget

COPYABLE = wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST
READABLE = wgpu.BufferUsage.MAP_READ | wgpu.BufferUsage.COPY_DST


def scheduler(number: int) -> Recording:
    return Recording(strategy(("early", "late", "random")[number % 3], number))


def shown(case: Case, driver: WgpuDriver) -> History:
    target = RuntimeTarget(driver, case.policy, kernels=BUILTIN)
    history = run(case.program, target)
    target.close()
    return history


def test_programs_show_the_same_under_the_same_schedules() -> None:
    kept = open_device()
    driver = WgpuDriver(kept)
    for number in range(45):
        preset = list(PRESETS.values())[number % len(PRESETS)]
        case = draw_case(
            SeededChoices(str(number)), preset=preset, device=DeviceSpec(name="simulated")
        )
        anew, new = scheduler(number), scheduler(number)
        kept.restart(anew)
        assert shown(case, driver) == shown(case, WgpuDriver(open_device(scheduler=new)))
        assert anew.schedule == new.schedule


def left_in_the_air(device: Any) -> tuple[Any, Any]:
    """A buffer with a queued write, and its map, which waits for that."""
    buffer = device.create_buffer(size=8, usage=READABLE)
    device.queue.write_buffer(buffer, 0, b"\x07" * 8)
    return buffer, buffer.map_async("READ_NOSYNC", 0, 8)


def test_what_was_in_the_air_never_comes_down() -> None:
    device = open_device()
    buffer, promise = left_in_the_air(device)
    device.restart(strategy("early"))
    device.queue.on_submitted_work_done_sync()
    assert promise.state == "pending"
    assert bytes(buffer.contents) == bytes(8)


def test_what_was_in_the_air_is_kept_by_nobody() -> None:
    device = open_device()
    source, target = (device.create_buffer(size=8, usage=COPYABLE) for _ in range(2))
    encoder = device.create_command_encoder()
    encoder.copy_buffer_to_buffer(source, 0, target, 0, 8)
    device.queue.submit([encoder.finish()])
    memory = weakref.ref(target.memory)
    del source, target, encoder
    assert memory() is not None
    device.restart(strategy("early"))
    assert memory() is None


def test_without_a_restart_it_does() -> None:
    device = open_device()
    buffer, promise = left_in_the_air(device)
    device.queue.on_submitted_work_done_sync()
    assert promise.state != "pending"
    assert bytes(buffer.contents) == b"\x07" * 8


def test_what_was_made_before_is_another_device_s() -> None:
    device = open_device()
    buffer = device.create_buffer(size=8, usage=READABLE)
    device.queue.write_buffer(buffer, 0, bytes(8))
    device.restart(strategy("early"))
    with pytest.raises(wgpu.GPUValidationError, match="another device's"):
        device.queue.write_buffer(buffer, 0, bytes(8))


def test_a_lost_device_stays_lost() -> None:
    device = open_device()
    device.destroy()
    with pytest.raises(ProgramError, match="cannot restart a device because it is lost"):
        device.restart(strategy("late"))
