"""Every fault of a small program: each device call fails alone, and together with each submit.

A random fault plan seldom hits the call at which a part of the runtime changes its state, such as
the first submit of a replay, or the new buffer of a ring that grows.  Here the calls of a small
program (a sketch) fail in turn: each call that leaves an event in the trace, and each pair of a
submit and another such call.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from gpusim.devices import SIMULATED
from gpusim.program import Program
from gpusim.runtime.policy import PRESETS, Policy
from gpusim.simulated import FaultPlan
from properties.model.case import ALIGNED, FIELD_OF_CALL, Case, DeviceSpec
from properties.model.failure import Failure
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import TargetFactory

_GROWING = """\
alloc a 64
write a 0 01000000020000000300000004000000
dispatch affine a 3,5 1x1x1
flush
dispatch many a 3,5,7,9,11,-13,15,-17,4.75,5.25,5.75,6.25 1x1x1
dispatch affine a 7,9 1x1x1
dispatch affine a 11,13 1x1x1
dispatch affine a 15,17 1x1x1
read a 0 64 -> r0
sync
dispatch affine a 19,21 1x1x1
read a 0 64 -> r1
sync
"""
"""One dispatch needs a larger ring for its many scalars; the later dispatches have few."""
_RESETTING = """\
alloc a 16
alloc b 16
alloc c 16
write a 0 01000000020000000300000004000000
write b 0 05000000060000000700000008000000
capture g dispatch affine c 3,5 1x1x1; copy a 0 b 0 16; dispatch affine b 7,9 1x1x1
dispatch affine b 11,13 1x1x1
flush
replay g * -
read b 0 16 -> r0
dispatch affine b 15,17 1x1x1
replay g * -
read b 0 16 -> r1
sync
read c 0 16 -> r2
sync
"""
"""Ops change buffer b.  Then a replayed graph overwrites b and dispatches a kernel over it."""
_PIECEMEAL = """\
alloc a 16
alloc b 16
write a 0 01000000020000000300000004000000
copy a 0 b 1 11
read b 0 16 -> r0
write b 3 0a0b0c0d0e
dispatch affine b 3,5 1x1x1
read b 1 9 -> r1
free b
alloc c 16
copy a 0 c 0 16
read c 0 16 -> r2
sync
"""
"""Unaligned ops, which take several commands each, and a buffer made after another was freed."""
SKETCHES: Mapping[str, str] = {
    "growing": _GROWING,
    "resetting": _RESETTING,
    "piecemeal": _PIECEMEAL,
}


def _policies() -> Iterator[Policy]:
    """The presets, and ``ring`` with a ring of uniforms that must grow.

    Two more policies have that ring: one submits each command, the other each pair of commands.
    """
    yield from PRESETS.values()
    ring = replace(PRESETS["ring"], uniform_ring_bytes=40)
    yield ring
    yield replace(ring, batch_commands=1)
    yield replace(ring, batch_commands=2, join_reads=False, flush_on_conflict=False)


def cases(name: str) -> Iterator[Case]:
    """The sketch of that name under each policy, on a device without faults."""
    for policy in _policies():
        yield Case(
            program=Program.parse(SKETCHES[name]),
            policy=policy,
            device=DeviceSpec(name=SIMULATED, limits=ALIGNED),
        )


def _every_plan(case: Case, factory: TargetFactory) -> Iterator[FaultPlan]:
    """Each plan in which one call fails, or a submit and one other call."""
    kinds = judge(case, factory, MEANING_ONLY).execution.trace.kinds()
    calls = [(field, at) for kind, field in FIELD_OF_CALL.items() for at in range(kinds[kind])]
    for field, at in calls:
        yield FaultPlan(**{field: (at,)})  # type: ignore[arg-type]
    for submit in range(kinds["submit"]):
        for field, at in calls:
            if field != "failed_submits":
                yield FaultPlan(failed_submits=(submit,), **{field: (at,)})  # type: ignore[arg-type]
            elif at > submit:
                yield FaultPlan(failed_submits=(submit, at))


def fail_everywhere(case: Case, factory: TargetFactory) -> tuple[int, Failure | None]:
    """Judges ``case`` under one plan after another, until it fails.

    Returns the number of plans under which it passed, and the failure (None if it never failed).
    """
    for number, plan in enumerate(_every_plan(case, factory)):
        failing = replace(case, device=replace(case.device, faults=plan))
        failure = judge(failing, factory, MEANING_ONLY).failure
        if failure is not None:
            return number, replace(failure, notes=(*failure.notes, f"the device fails: {plan}"))
    return number + 1, None
