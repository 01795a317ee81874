"""Sketches: small programs by hand, for faults at every place in them.

Each brings a part of the runtime to where it changes its state, and goes on with ops that show
what a fault there left behind.  Drawn programs get there too, but seldom with a fault just then.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from gpusim.kernels import BUILTIN, Kernels
from gpusim.program import Program
from gpusim.runtime.policy import PRESETS, Policy
from gpusim.simulated import FaultPlan
from properties.generate.choices import Choices
from properties.model.case import AskedLimits, Case

FINE: AskedLimits = (
    ("storage_offset_alignment_bytes", 32),
    ("uniform_offset_alignment_bytes", 32),
)
"""Alignments under which one kernel's scalars take a slot of a ring, and another's two."""
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
"""Scalars that need a larger ring, then many that need none."""
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
"""A graph that resets the state which the work before it has changed, and goes on from there."""
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
"""Ops of several commands, and a buffer that takes the place of another."""
SKETCHES: Mapping[str, str] = {
    "growing": _GROWING,
    "resetting": _RESETTING,
    "piecemeal": _PIECEMEAL,
}
_KERNELS = ("affine", "many")
_MOST_CALL = 8
_KINDS = (
    "out_of_memory",
    "failed_submits",
    "failed_bind_groups",
    "failed_encodes",
    "failed_writes",
    "failed_maps",
)


def policies() -> Iterator[Policy]:
    """The presets; and those that submit for each command, or have a ring that must grow."""
    yield from PRESETS.values()
    ring = replace(PRESETS["ring"], uniform_ring_bytes=40)
    yield ring
    yield replace(ring, batch_commands=1)
    yield replace(ring, batch_commands=2, join_reads=False, flush_on_conflict=False)


def draw_sketch(choices: Choices, case: Case, kernels: Kernels) -> Case:
    """A sketch in place of the program of ``case``, under a policy that suits it.

    A few calls of one verb fail, and often submits too.  ``case`` itself where the session lacks a
    kernel of the sketches.
    """
    if any(kernels.get(name) is not BUILTIN[name] for name in _KERNELS):
        return case
    planned: dict[str, Any] = {}
    if choices.chance(1, 2):
        planned["failed_submits"] = _calls(choices)
    planned[choices.pick(_KINDS)] = _calls(choices)
    return replace(
        case,
        program=Program.parse(choices.pick(tuple(SKETCHES.values()))),
        policy=choices.pick(tuple(policies())),
        device=replace(case.device, limits=FINE, faults=FaultPlan(**planned)),
    )


def _calls(choices: Choices) -> tuple[int, ...]:
    """The numbers of one to three calls."""
    return tuple(sorted({choices.integer(0, _MOST_CALL) for _ in range(choices.integer(1, 3))}))
