"""What a comparison and a reducer must do, tried on what is known: corruption, and known minima.

A blind comparison never disagrees with a sound runtime, so it is given
histories that were corrupted by hand.  A poor reducer still gives a failing
case, so it is given failures of which the smallest form is known.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from gpusim.history import History, Outcome
from gpusim.kernels import Kernels
from gpusim.limits import Limits
from gpusim.ops import Dispatch, Read, Sync, Write
from gpusim.program import Program
from gpusim.runtime.policy import PRESETS
from properties.execute import CHANGED
from properties.generate.choices import Choices, SeededChoices
from properties.model.case import Case
from properties.model.failure import Failure, FailureKind
from properties.model.target import Capabilities
from properties.mutants.mutant import Mutant
from properties.mutants.oracle import Judgement, Oracle
from properties.shrink.rewriting import without
from reference import run


def _open_corruption(mutant: Mutant, device: str, kernels: Kernels) -> Judgement:
    def judged(case: Case) -> Failure | None:
        limits = Limits(memory_budget_bytes=case.policy.memory_budget_bytes)
        meant = run(case.program, kernels, limits)
        choices = SeededChoices(f"corrupt {case.seed}")
        name = choices.pick(tuple(_CORRUPTIONS))
        corrupted = _CORRUPTIONS[name](choices, case.program, meant)
        if corrupted is None:
            return None
        if mutant.compare(case.program, meant, corrupted, Capabilities()) is not None:
            return None
        return Failure(kind=FailureKind.BLIND, trait=name, reason=f"nobody saw {name}")

    return judged


Corruption = Callable[[Choices, Program, History], History | None]


def _one_of(
    choices: Choices, meant: History, fits: Callable[[int, Outcome], bool]
) -> tuple[int, Outcome] | None:
    places = [n for n, outcome in enumerate(meant.outcomes) if fits(n, outcome)]
    if not places:
        return None
    at = choices.pick(places)
    return at, meant.outcomes[at]


def _with(meant: History, at: int, outcome: Outcome) -> History:
    outcomes = (*meant.outcomes[:at], outcome, *meant.outcomes[at + 1 :])
    return replace(meant, outcomes=outcomes)


def _exact_read(program: Program) -> Callable[[int, Outcome], bool]:
    def fits(at: int, outcome: Outcome) -> bool:
        return isinstance(program[at], Read) and bool(outcome.data) and outcome.error_bound is None

    return fits


def _flip_bit(choices: Choices, program: Program, meant: History) -> History | None:
    found = _one_of(choices, meant, _exact_read(program))
    if found is None:
        return None
    at, outcome = found
    data = bytearray(outcome.data or b"")
    data[choices.integer(0, len(data) - 1)] ^= 1 << choices.integer(0, 7)
    return _with(meant, at, replace(outcome, data=bytes(data)))


def _shorten(choices: Choices, program: Program, meant: History) -> History | None:
    found = _one_of(choices, meant, _exact_read(program))
    if found is None:
        return None
    at, outcome = found
    return _with(meant, at, replace(outcome, data=(outcome.data or b"")[:-1]))


def _change_late(choices: Choices, program: Program, meant: History) -> History | None:
    found = _one_of(choices, meant, _exact_read(program))
    if found is None:
        return None
    at, outcome = found
    return _with(meant, at, replace(outcome, late_error=CHANGED))


def _refuse(choices: Choices, program: Program, meant: History) -> History | None:
    found = _one_of(choices, meant, lambda at, outcome: outcome.error is None)
    if found is None:
        return None
    return _with(meant, found[0], Outcome(error="SubmitFailed"))


def _accept(choices: Choices, program: Program, meant: History) -> History | None:
    found = _one_of(choices, meant, lambda at, outcome: outcome.error is not None)
    return None if found is None else _with(meant, found[0], replace(found[1], error=None))


def _other_error(choices: Choices, program: Program, meant: History) -> History | None:
    found = _one_of(choices, meant, lambda at, outcome: outcome.error is not None)
    if found is None:
        return None
    return _with(meant, found[0], replace(found[1], error="InternalError"))


def _swap_deliveries(choices: Choices, program: Program, meant: History) -> History | None:
    if len(meant.deliveries) < 2:
        return None
    at = choices.integer(0, len(meant.deliveries) - 2)
    names = list(meant.deliveries)
    names[at], names[at + 1] = names[at + 1], names[at]
    outcomes = tuple(
        _renamed(outcome, meant.deliveries, names) if isinstance(op, Sync) else outcome
        for op, outcome in zip(program, meant.outcomes, strict=True)
    )
    closing = meant.closing and _renamed(meant.closing, meant.deliveries, names)
    return History(outcomes=outcomes, deliveries=tuple(names), closing=closing)


def _renamed(outcome: Outcome, meant: tuple[str, ...], names: list[str]) -> Outcome:
    if not outcome.data:
        return outcome
    new = dict(zip(meant, names, strict=True))
    given = outcome.data.decode().split(",")
    return replace(outcome, data=",".join(new[name] for name in given).encode())


_CORRUPTIONS: Mapping[str, Corruption] = {
    "a flipped bit": _flip_bit,
    "a byte too few": _shorten,
    "a change after delivery": _change_late,
    "a refusal that is none": _refuse,
    "an op that was to be refused": _accept,
    "another error": _other_error,
    "deliveries out of order": _swap_deliveries,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    """A failure whose smallest form has ``least_ops`` ops."""

    name: str
    fails: Callable[[Case], bool]
    least_ops: int


def _write_then_read(case: Case) -> bool:
    wrote: list[str] = []
    for op in case.program:
        if isinstance(op, Write) and op.data:
            wrote.append(op.buffer)
        if isinstance(op, Read) and op.size_bytes and op.buffer in wrote:
            return True
    return False


def _dispatch_then_sync(case: Case) -> bool:
    kinds = [type(op) for op in case.program]
    return Dispatch in kinds and Sync in kinds[kinds.index(Dispatch) :]


_KNOWN = (
    _Known(name="a write, then a read", fails=_write_then_read, least_ops=3),
    _Known(name="a dispatch, then a sync", fails=_dispatch_then_sync, least_ops=3),
)


def _open_reduction(mutant: Mutant, device: str, kernels: Kernels) -> Judgement:
    def judged(case: Case) -> Failure | None:
        known = SeededChoices(f"reduce {case.seed}").pick(_KNOWN)
        if not known.fails(case):
            return None
        small = mutant.reduce(case, known.fails, kernels=kernels, seconds=5.0)
        because = _too_large(small, known)
        if because is None:
            return None
        return Failure(kind=FailureKind.BLIND, trait=because, reason=f"{known.name}: {because}")

    return judged


def _too_large(small: Case, known: _Known) -> str | None:
    if not known.fails(small):
        return "the result does not fail"
    if len(small.program) > known.least_ops:
        return f"it has more than {known.least_ops} ops"
    for at in range(len(small.program)):
        if known.fails(replace(small, program=without(small.program, [at]))):
            return "an op of it can go"
    if small.policy not in PRESETS.values():
        return "its policy is special"
    return None


CORRUPTION = Oracle(name="corruption", open=_open_corruption)
REDUCTION = Oracle(name="reduction", open=_open_reduction)
