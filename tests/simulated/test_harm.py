"""Every strategy and every fault does harm: it changes what a hasty target shows.

The hasty target is the naive one with its waits left out.  A strategy, or a
kind of fault, that never changes an outcome of it would test nothing.
"""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import wgpu

from gpusim.history import History
from gpusim.ops import Alloc, Dispatch, Op, Read, Sync, Write
from gpusim.program import Program
from gpusim.simulated import (
    AsEarly,
    AsLate,
    AtRandom,
    Drawn,
    FaultPlan,
    Recording,
    Replaying,
    Scheduler,
    open_device,
)
from properties.execute import run
from properties.targets.adapters import as_target
from properties.targets.naive_target import NaiveTarget

STAGING = wgpu.BufferUsage.MAP_READ | wgpu.BufferUsage.COPY_DST
PROGRAMS = 40


class HastyTarget(NaiveTarget):
    """Reads without waiting: what has not arrived reads as zeros."""

    def read(self, buffer: str, offset: int, size_bytes: int) -> bytes:
        native, _ = self._buffers[buffer]
        staging = self.device.create_buffer(size=native.size, usage=STAGING)
        encoder = self.device.create_command_encoder()
        encoder.copy_buffer_to_buffer(native, 0, staging, 0, native.size)
        self.device.queue.submit([encoder.finish()])
        promise = staging.map_async("READ_NOSYNC")
        if promise._state == "pending":
            return bytes(size_bytes)
        promise.sync_wait()
        return bytes(staging.read_mapped())[offset : offset + size_bytes]


def program(seed: int) -> Program:
    """Writes, dispatches and reads over two buffers."""
    random = Random(seed)
    ops: list[Op] = [Alloc(buffer="a", size_bytes=64), Alloc(buffer="b", size_bytes=64)]
    for number in range(6):
        buffer = random.choice("ab")
        data = bytes(random.randrange(1, 256) for _ in range(64))
        ops.append(Write(buffer=buffer, offset=0, data=data))
        scalars = (random.randrange(1, 99), number)
        ops.append(Dispatch(kernel="affine", buffers=(buffer,), scalars=scalars, grid=(1, 1, 1)))
        ops.append(Read(buffer=buffer, offset=0, size_bytes=16, result=f"r{number}"))
    return Program((*ops, Sync()))


def history(seed: int, scheduler: Scheduler, faults: FaultPlan | None = None) -> History:
    """What the hasty target shows."""
    device = open_device(scheduler=scheduler, faults=faults or FaultPlan())
    return run(program(seed), as_target(HastyTarget(device)))


def drawn(seed: int) -> Scheduler:
    """Drawn from a generator, as Hypothesis would."""
    random = Random(seed)
    return Drawn(random.randrange)


def replayed(seed: int) -> Scheduler:
    """A schedule that was recorded on the same program, with a few choices changed."""
    recording = Recording(AtRandom(seed))
    history(seed, recording)
    return Replaying((*recording.schedule[:3], 1, 1), runs=recording.runs)


STRATEGIES: dict[str, tuple[Callable[[int], Any], Callable[[], Scheduler]]] = {
    "early": (lambda seed: AsEarly(), AsLate),
    "late": (lambda seed: AsLate(), AsEarly),
    "random": (AtRandom, AsEarly),
    "variants": (drawn, AsEarly),
    "replay": (replayed, AsEarly),
}
"""Each strategy, and the extreme it is held against."""
FAULTS = {
    "failed_maps": FaultPlan(failed_maps=(2,)),
    "refused_maps": FaultPlan(refused_maps=(2,)),
    "out_of_memory": FaultPlan(out_of_memory=(4,)),
    "internal_errors": FaultPlan(internal_errors=(1,)),
    "failed_submits": FaultPlan(failed_submits=(3,)),
    "failed_writes": FaultPlan(failed_writes=(3,)),
    "failed_bind_groups": FaultPlan(failed_bind_groups=(2,)),
    "failed_encodes": FaultPlan(failed_encodes=(3,)),
    "lost_at_submit": FaultPlan(lost_at_submit=3),
    "lost_at_write": FaultPlan(lost_at_write=3),
    "lost_at_map": FaultPlan(lost_at_map=2),
    "lost_at_unmap": FaultPlan(lost_at_unmap=2),
    "lost_at_buffer": FaultPlan(lost_at_buffer=4),
    "lost_at_destroy": FaultPlan(lost_at_destroy=2),
    "lost_at_bind_group": FaultPlan(lost_at_bind_group=2),
    "lost_at_pipeline": FaultPlan(lost_at_pipeline=1),
    "lost_at_encode": FaultPlan(lost_at_encode=3),
}
"""One plan for each field of FaultPlan."""


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_changes_outcomes(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    make, extreme = STRATEGIES[name]
    changed = sum(history(seed, make(seed)) != history(seed, extreme()) for seed in range(PROGRAMS))
    record_property("changed_outcomes", f"{changed} of {PROGRAMS}")
    assert changed > PROGRAMS // 4


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_changes_outcomes(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    seeds = range(PROGRAMS)
    changed = sum(history(s, AsEarly(), FAULTS[name]) != history(s, AsEarly()) for s in seeds)
    record_property("changed_outcomes", f"{changed} of {PROGRAMS}")
    assert changed > PROGRAMS // 4


def test_every_fault_is_held_to_it() -> None:
    assert list(FAULTS) == list(FaultPlan.__dataclass_fields__)


def test_a_strategy_that_does_nothing_would_fail() -> None:
    unchanged = [history(seed, AsEarly()) == history(seed, AsEarly()) for seed in range(PROGRAMS)]
    assert all(unchanged)
