"""The growth of a target's memory: buffers that pile up when a program is repeated.

A program is run again and again, each time on a new target, and the buffers that are neither
destroyed nor collected are counted after each.  They are a failure where every run leaves more.
A pool that is bounded fills first, so the first runs do not count.  A growth that ends within the
runs is no failure.  Nothing here runs on the device of the session.
"""

import gc
from collections.abc import Callable
from dataclasses import replace

from gpusim.ops import Free
from properties.execute import execute
from properties.generate.choices import SeededChoices
from properties.model.case import PLAIN, Case
from properties.model.failure import Failure, FailureKind
from properties.targets.factory import TargetFactory

WARM_UP_RUNS = 4
RUNS = 20
_ONE_IN = 40
"""So many cases are repeated, drawn by their seed, so that a replay repeats its case too."""


def judge_growth(case: Case, factory: TargetFactory) -> Failure | None:
    """The failure where each run of ``case`` leaves more buffers alive than the run before."""
    if not _is_repeated(case):
        return None
    counting = factory.counting()
    if counting is None:
        return None
    alone = replace(case.plain, client=PLAIN, disturbance=None)
    for _ in range(WARM_UP_RUNS):
        execute(alone, counting.factory)
    first = last = _counted(counting.count)
    for _ in range(RUNS):
        execute(alone, counting.factory)
        now = _counted(counting.count)
        if now[0] <= last[0]:
            return None
        last = now
    return _failure(case, last[0] - first[0], last[1] - first[1])


def _is_repeated(case: Case) -> bool:
    if not case.seed or not any(isinstance(op, Free) for op in case.program):
        return False
    return SeededChoices(f"growth {case.seed}").chance(1, _ONE_IN)


def _counted(count: Callable[[], tuple[int, int]]) -> tuple[int, int]:
    gc.collect()
    return count()


def _failure(case: Case, buffers: int, size_bytes: int) -> Failure:
    return Failure(
        kind=FailureKind.GROWTH,
        position=len(case.program),
        op="close",
        reason=(
            f"each of {RUNS} runs leaves more buffers than the one before, all in all {buffers} "
            f"buffers of {size_bytes} bytes that are neither destroyed nor collected"
        ),
    )
