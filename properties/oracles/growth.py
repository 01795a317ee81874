"""The growth of a target's memory: what piles up when a program is repeated.

A program is run again and again, each time on a new target.  After each run, the buffers that are
neither destroyed nor collected are counted.  It is a failure if every run leaves more.  A bounded
pool fills first, so the first runs do not count.  A growth that ends within the runs is no
failure.  Bytes that were written and not submitted are a failure only if the rule
``endless-writes`` says so, since every runtime may have a few.  Nothing here runs on the device of
the session.
"""

from dataclasses import replace

from gpusim.layer import Held
from gpusim.ops import Free
from properties.execute import execute
from properties.generate.choices import SeededChoices
from properties.model.case import PLAIN, Case
from properties.model.failure import Failure, FailureKind
from properties.targets.factory import TargetFactory

WARM_UP_RUNS = 4
RUNS = 20
_MOST_SITES = 2
_ONE_IN = 40
"""Of the cases with a free, one in this many is repeated.

The case's seed decides, so that the case is repeated again when its finding is replayed.
"""


def judge_growth(case: Case, factory: TargetFactory) -> Failure | None:
    """The failure if each run of ``case`` leaves more in memory than the run before."""
    if not _is_repeated(case):
        return None
    counting = factory.counting()
    if counting is None:
        return None
    alone = replace(case.plain, client=PLAIN, disturbance=None)
    counting.memory.begin()
    for _ in range(WARM_UP_RUNS):
        execute(alone, counting.factory)
    first = last = counting.held()
    grows_buffers = grows_queue = True
    for _ in range(RUNS):
        execute(alone, counting.factory)
        now = counting.held()
        grows_buffers &= now.buffers > last.buffers
        grows_queue &= now.queued_bytes > last.queued_bytes
        if not (grows_buffers or grows_queue):
            return None
        last = now
    if grows_buffers:
        return _failure(case, _piled_up(first, last), _makers(first, last))
    endless = counting.memory.reports
    return _failure(case, endless[0].finding) if endless else None


def _is_repeated(case: Case) -> bool:
    if not case.seed or not any([type(op) is Free for op in case.program]):
        return False
    return SeededChoices(f"growth {case.seed}").chance(1, _ONE_IN)


def _piled_up(first: Held, last: Held) -> str:
    return (
        f"each of {RUNS} runs leaves more buffers than the one before, all in all "
        f"{last.buffers - first.buffers} buffers of {last.size_bytes - first.size_bytes} bytes "
        "that are neither destroyed nor collected"
    )


def _makers(first: Held, last: Held) -> tuple[str, ...]:
    """The lines of the target that made most of the buffers."""
    grown = (last.sites - first.sites).most_common(_MOST_SITES)
    return tuple(f"{count} of the buffers were made at {site}" for site, count in grown if site)


def _failure(case: Case, reason: str, notes: tuple[str, ...] = ()) -> Failure:
    return Failure(
        kind=FailureKind.GROWTH,
        position=len(case.program),
        op="close",
        reason=reason,
        notes=notes,
    )
