"""From which op on a case can only fail, whatever the simulated device chooses next.

A small program is run under every schedule, so the answer is exact.  A larger program is run under
a few schedules, so the answer is an estimate.  Schedules are data here, as in a finding: the device
replays a schedule, and notes how many options it had at each choice.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from gpusim.simulated import NO_FAULTS
from gpusim.text import write_op
from properties.explain.trials import Judge
from properties.model.case import REPLAYED, UNSEEDED, Case
from properties.model.execution import Execution
from properties.model.failure import Failure
from properties.oracles.judge import Verdict

_MOST_OPS = 16
_MOST_RUNS = 200
"""A case with more schedules is not searched to the end."""
_RANDOM_RUNS = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaf:
    """A schedule: its choices, the op at which each was made, and whether the case fails."""

    choices: tuple[int, ...]
    positions: tuple[int, ...]
    fails: bool


def inevitable(verdict: Verdict, failure: Failure, again: Judge) -> str:
    """From which op on the case could only fail, in words; empty if no trial shows anything."""
    case = verdict.execution.case
    if not case.device.is_simulated or case.follows_no_policy:
        return ""
    leaves = every_schedule(case, failure, again)
    told = [_exact(case, leaves) if leaves else _estimated(case, again), _by_fault(case, again)]
    return "; ".join(filter(None, told))


def every_schedule(case: Case, failure: Failure, again: Judge) -> tuple[Leaf, ...]:
    """The case under each of its schedules, in the order of choices; empty if these are too many.

    Empty for a transformed case as well, since it has several runs with schedules of their own.
    """
    if len(case.program) > _MOST_OPS or case.transformations:
        return ()
    leaves = tuple(islice(_leaves(case, failure, again), _MOST_RUNS + 1))
    return leaves if len(leaves) <= _MOST_RUNS else ()


def _leaves(case: Case, failure: Failure, again: Judge) -> Iterator[Leaf]:
    """Runs the case under every schedule, depth first, in the order of the choices."""
    prefix: list[int] = []
    while True:
        device = replace(case.device, scheduler=REPLAYED, schedule=tuple(prefix), seed=0)
        judged = again(replace(case, device=device))
        counts = [choice.options for choice in judged.execution.choices]
        choices = prefix + [0] * (len(counts) - len(prefix))
        fails = judged.failure is not None and judged.failure.kind is failure.kind
        positions = tuple(_positions(judged.execution))
        yield Leaf(choices=tuple(choices), positions=positions, fails=fails)
        while choices and choices[-1] + 1 == counts[len(choices) - 1]:
            choices.pop()
        if not choices:
            return
        prefix = [*choices[:-1], choices[-1] + 1]


def _positions(execution: Execution) -> Iterator[int]:
    """The op that was under way at each choice."""
    starts = [at for at, event in enumerate(execution.trace) if event.kind in ("op", "close")]
    for choice in execution.choices:
        yield sum(start < choice.event for start in starts) - 1


def deciding(leaves: tuple[Leaf, ...]) -> int | None:
    """The op during which the first failing schedule made the choice that ruled out passing.

    None if no schedule passes, or no schedule fails.
    """
    failing = next((leaf for leaf in leaves if leaf.fails), None)
    passing = [leaf for leaf in leaves if not leaf.fails]
    if failing is None or not passing:
        return None
    shared = max(_shared(failing.choices, leaf.choices) for leaf in passing)
    return failing.positions[shared]


def _shared(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """How many choices two schedules share at their start; neither is the start of the other."""
    pairs = zip(one, other, strict=False)
    return next(at for at, (mine, yours) in enumerate(pairs) if mine != yours)


def _exact(case: Case, leaves: tuple[Leaf, ...]) -> str:
    failed, count = sum(leaf.fails for leaf in leaves), len(leaves)
    at = deciding(leaves)
    if at is None:
        return f"from the start: all {count} schedules fail (exact)" if count == failed > 1 else ""
    program = case.program
    op = write_op(program[at]) if at < len(program) else "the end"
    return (
        f"at op {at} ({op}): until then a schedule could still pass, from then on none could; "
        f"{failed} of all {count} schedules fail (exact)"
    )


def _estimated(case: Case, again: Judge) -> str:
    devices = [replace(case.device, scheduler=name, schedule=()) for name in UNSEEDED]
    devices += [
        replace(case.device, scheduler="random", seed=seed, schedule=())
        for seed in range(1, _RANDOM_RUNS + 1)
    ]
    runs = [again(replace(case, device=device)).failure for device in devices]
    failed = sum(failure is not None for failure in runs)
    if failed == len(runs):
        return ""
    return f"it depends on the schedule: {failed} of {len(runs)} fail (an estimate)"


def _by_fault(case: Case, again: Judge) -> str:
    """A sentence, if the case passes without its planned faults; else empty."""
    if not len(case.device.faults):
        return ""
    sound = replace(case, device=replace(case.device, faults=NO_FAULTS))
    if again(sound).failure is not None:
        return ""
    return f"without the planned fault it passes (exact): {case.device.faults}"
