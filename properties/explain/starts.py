"""Tries from which first numbers a runtime must count for its failure to come.

A runtime counts its buffers, and its writes and submits on the queue.  A number of too few bits
goes wrong only once it is full.  So a longer program runs with counts that begin a little below.
"""

from dataclasses import replace
from itertools import count

from gpusim.program import Program
from properties.explain.argument import said_shortly
from properties.explain.experiments import Judge
from properties.explain.told import NOTHING, Told
from properties.model.failure import Failure
from properties.oracles.judge import Verdict
from properties.targets.factory import STARTS, first_number

_MORE = "".join(
    f"alloc more{n} 4\ndispatch affine more{n} 1,1 1x1x1\nread more{n} 0 4 -> more{n}\nsync\n"
    for n in range(4)
)


def tell_starts(verdict: Verdict, failure: Failure, again: Judge | None) -> Told:
    """Tells how a longer program ends if counts begin at each number that cases begin at."""
    case = verdict.execution.case
    if again is None or case.follows_no_policy or first_number(case.seed) == 1:
        return NOTHING
    if again(replace(case, seed="")).failure is not None:
        return NOTHING
    program = Program((*case.program.ops, *Program.parse(_MORE).ops))
    ends: dict[int, str] = {}
    for first in sorted({*STARTS}):
        longer = replace(case, program=program, seed=_seed_of(first), transformations=())
        failed = again(longer).failure
        ends[first] = "passes" if failed is None else _said(failed)
    if ends[1] != "passes" or ends[first_number(case.seed)] == "passes":
        return NOTHING
    told = "; ".join(f"from {first}: {end}" for first, end in ends.items() if first > 1)
    return Told(
        facts=(f"tried in a longer program, with buffers, writes and submits counted {told}",)
    )


def _seed_of(first: int) -> str:
    """A seed by which a runtime counts from that number on."""
    return next(seed for seed in map(str, count()) if first_number(seed) == first)


def _said(failure: Failure) -> str:
    shown = failure.sides[-1][1] if failure.sides else failure.reason
    return f"{said_shortly(shown)} in op {failure.position}"
