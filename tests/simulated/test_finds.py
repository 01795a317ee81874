"""Mistakes that the simulated device shows and the real adapters hide.

Each is a small target with one mistake, driven by the same code on both sides:
on the simulated device some schedule, or some fault, shows it; on a real
adapter it never shows.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import wgpu

from gpusim.devices import adapters, open_device
from gpusim.simulated import FaultPlan, Scheduler, explore
from gpusim.simulated import open_device as open_simulated
from tests.simulated.conformance.player import SWING
from tests.simulated.recording import bind, record

U = wgpu.BufferUsage
STAGING = U.MAP_READ | U.COPY_DST
COPIED = U.COPY_SRC | U.COPY_DST
REPEATS = 10
REAL = [adapter.name for adapter in adapters() if adapter.name != "simulated"]
NONE = [pytest.param(None, marks=pytest.mark.skip(reason="this machine has no adapter"))]


class Reads:
    """Two buffers with known bytes, each copied to a staging buffer by one submit."""

    def __init__(self, device: Any) -> None:
        encoder = device.create_command_encoder()
        self.staging = []
        for value in (1, 2):
            source = device.create_buffer_with_data(data=bytes([value] * 8), usage=COPIED)
            staging = device.create_buffer(size=8, usage=STAGING)
            encoder.copy_buffer_to_buffer(source, 0, staging, 0, 8)
            self.staging.append(staging)
        device.queue.submit([encoder.finish()])
        self.maps = [staging.map_async("READ_NOSYNC") for staging in self.staging]

    def take(self, index: int) -> int:
        """The first byte of a map that has settled."""
        self.maps[index].sync_wait()
        return int(bytes(self.staging[index].read_mapped(0, 8))[0])


def sync_waits_for_the_last_read_only(device: Any) -> bool:
    """It takes the others for arrived, since the queue works in order."""
    reads = Reads(device)
    reads.maps[-1].sync_wait()
    return bool(reads.maps[0]._state == "pending")


def reads_are_told_apart_by_their_order(device: Any) -> bool:
    """Whichever settles first is taken for the first."""
    reads = Reads(device)
    waiting, results = [0, 1], []
    while waiting:
        settled = next((i for i in waiting if reads.maps[i]._state != "pending"), None)
        if settled is None:
            reads.maps[waiting[0]]._thread_event.wait(0.01)
            continue
        waiting.remove(settled)
        results.append(reads.take(settled))
    return results != [1, 2]


def failed_map_loses_its_staging_buffer(device: Any) -> bool:
    """A pool of one: what is not given back is missed by the next read."""
    pool = [device.create_buffer(size=8, usage=STAGING)]
    for _ in range(2):
        if not pool:
            return True
        staging = pool.pop()
        promise = staging.map_async("READ_NOSYNC")
        try:
            promise.sync_wait()
        except RuntimeError:
            continue
        staging.unmap()
        pool.append(staging)
    return False


def batch_is_lost_to_one_aliased_dispatch(device: Any) -> bool:
    """A copy, then a dispatch of one buffer bound twice for writing, in one batch."""
    module = device.create_shader_module(code=SWING.wgsl())
    pipeline = device.create_compute_pipeline(layout="auto", compute={"module": module})
    source = device.create_buffer_with_data(data=b"abcdabcd", usage=COPIED)
    target = device.create_buffer(size=8, usage=COPIED)
    twice = device.create_buffer(size=64, usage=U.STORAGE)
    uniform = device.create_buffer(size=16, usage=U.UNIFORM)
    group = bind(device, pipeline.get_bind_group_layout(0), twice, twice, uniform)
    encoder = device.create_command_encoder()
    encoder.copy_buffer_to_buffer(source, 0, target, 0, 8)
    record(encoder, pipeline, group)
    with suppress(wgpu.GPUValidationError):
        device.queue.submit([encoder.finish()])
    return bytes(device.queue.read_buffer(target)) != b"abcdabcd"


Mistake = Callable[[Any], bool]
MISTAKES: dict[Mistake, FaultPlan] = {
    sync_waits_for_the_last_read_only: FaultPlan(),
    reads_are_told_apart_by_their_order: FaultPlan(),
    failed_map_loses_its_staging_buffer: FaultPlan(failed_maps=(0,)),
    batch_is_lost_to_one_aliased_dispatch: FaultPlan(),
}
"""Each mistake, and the faults it needs to show."""


def name_of(mistake: Mistake) -> str:
    return getattr(mistake, "__name__", "")


def outcomes(mistake: Mistake, faults: FaultPlan) -> Iterator[bool]:
    """Whether the mistake shows, under every schedule."""

    def attempt(scheduler: Scheduler) -> bool:
        return mistake(open_simulated(scheduler=scheduler, faults=faults))

    return (shows for _, shows in explore(attempt))


@pytest.mark.parametrize("mistake", MISTAKES, ids=name_of)
def test_the_simulated_device_shows_it(mistake: Mistake) -> None:
    assert any(outcomes(mistake, MISTAKES[mistake]))


@pytest.mark.parametrize("name", REAL or NONE)
def test_a_real_adapter_hides_them(name: str) -> None:
    """In a child, which leaves without giving back: maps that nobody takes are still polled for."""
    child = (
        "import importlib.util, os, sys\n"
        "spec = importlib.util.spec_from_file_location('finds', sys.argv[1])\n"
        "finds = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(finds)\n"
        "print(finds.shown_by(sys.argv[2]), flush=True)\n"
        "os._exit(0)\n"
    )
    words = [sys.executable, "-c", child, __file__, name]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr[-2000:]


def shown_by(name: str) -> list[str]:
    """The mistakes that show on the adapter of that name."""
    device = open_device(name)
    return [
        name_of(mistake) for mistake in MISTAKES if any(mistake(device) for _ in range(REPEATS))
    ]


def test_without_its_fault_a_mistake_stays_hidden() -> None:
    assert not any(outcomes(failed_map_loses_its_staging_buffer, FaultPlan()))
