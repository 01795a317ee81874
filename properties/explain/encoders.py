"""Compares batches by their commands: was a batch encoded twice, or is it like an earlier one?

WebGPU refuses a command buffer that is submitted a second time.  A runtime that keeps the command
buffer of a batch for a later, equal batch submits it a second time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from gpusim.limits import WORD_BYTES
from gpusim.program import Program
from properties.explain.calls import Call, calls
from properties.explain.clocks import Traced
from properties.explain.experiments import Judge, fails, instead_of
from properties.explain.told import NOTHING, Told
from properties.explain.trials import LIFTED
from properties.model.case import PLAIN
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws import catalogue as laws

_COUNTS = range(1, 10)
_MOST_COMMANDS = 256
_DISPATCH = "dispatch affine x 3,1 1x1x1\n"
_ENDING = ("flush", "sync")
_SUBMITTED = "command buffer"
"""Words in which a device refuses a command buffer that was submitted before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Batch:
    """The call that began a batch, its commands, and the call that submitted it."""

    begun: Call
    commands: tuple[str, ...]
    submit: Call | None = None


def tell_encoded(verdict: Verdict, failure: Failure, traced: Traced, again: Judge | None) -> Told:
    """Tells of a batch that was encoded twice, that is empty, or that loses a command."""
    if traced.broken is not None and traced.broken.trait == laws.C5.name:
        return _encoded_twice(verdict, again)
    if again is None:
        return NOTHING
    if failure.kind is FailureKind.LAW and failure.trait == laws.C2.name:
        return _of_nothing(verdict, again)
    return _of_many(verdict, failure, traced, again)


def _encoded_twice(verdict: Verdict, again: Judge | None) -> Told:
    """Tells of two encoders with the same commands, of which the first was never submitted."""
    for one, other in pairwise(_batches(verdict)):
        if one.commands and one.commands == other.commands and one.submit is None:
            sentence = (
                f"a batch was encoded twice: the command encoder of call {one.begun.number} was "
                f"given {len(one.commands)} commands and never submitted, and that of call "
                f"{other.begun.number} was given the same ones, in {other.begun.place}"
            )
            facts = () if again is None else tuple(_by_count(verdict, again))
            return Told(sentence=sentence, rule=laws.C5, facts=facts)
    return NOTHING


def _by_count(verdict: Verdict, again: Judge) -> Iterator[str]:
    """From how many commands on a batch of dispatches alone goes wrong."""
    case = verdict.execution.case
    if case.follows_no_policy or len(case.device.faults):
        return
    lifted = replace(case, policy=replace(case.policy, **LIFTED))
    lone = replace(verdict, execution=replace(verdict.execution, case=lifted))
    wrong = [n for n in _COUNTS if fails(lone, f"alloc x 4\n{_DISPATCH * n}flush\n", again)]
    right = [str(n) for n in _COUNTS if n not in wrong]
    said = f"those of {', '.join(map(str, wrong))} go wrong" if wrong else "none goes wrong"
    passing = f"; right are those of {', '.join(right)}" if wrong and right else ""
    yield (
        f"tried batches of 1 to {_COUNTS[-1]} dispatches, with no write and no read: "
        f"{said}{passing}"
    )


def _of_many(verdict: Verdict, failure: Failure, traced: Traced, again: Judge) -> Told:
    """Which of how many commands of one batch have no effect, if a longer batch loses some.

    Only asked if the runtime's calls are right, so that the device lost the command.
    """
    case = verdict.execution.case
    longest = max((len(batch.commands) for batch in _batches(verdict)), default=0)
    is_long = _COUNTS[-1] < longest <= _MOST_COMMANDS
    is_fit = failure.kind is FailureKind.VALUE and is_long and not traced.broken
    if not is_fit or case.follows_no_policy or len(case.device.faults):
        return NOTHING
    low, high = 1, 2 * longest
    if _lost(verdict, low, again) or not _lost(verdict, high, again):
        return NOTHING
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _lost(verdict, middle, again) else (middle, high)
    told = [f"of {n} commands {_lost(verdict, n, again)} has no effect" for n in (high, 2 * high)]
    return Told(
        facts=(
            f"tried batches of copies alone: of {low} commands all are right; {'; '.join(told)}",
        )
    )


def _lost(verdict: Verdict, count: int, again: Judge) -> str:
    """Which copies of a batch of ``count`` copies have no effect; empty if all have one."""
    case, size = verdict.execution.case, WORD_BYTES * count
    copies = "".join(f"copy x {at} y {at} {WORD_BYTES}\n" for at in range(0, size, WORD_BYTES))
    program = Program.parse(
        f"alloc x {size}\nalloc y {size}\nwrite x 0 {'01' * size}\nflush\n{copies}flush\n"
        f"read y 0 {size} -> r\n"
    )
    policy = replace(case.policy, **LIFTED)
    judged = again(replace(case, program=program, policy=policy, client=PLAIN, transformations=()))
    data = judged.execution.history.outcomes[-1].data or b""
    lost = [
        f"number {at // WORD_BYTES + 1}" for at in range(0, len(data), WORD_BYTES) if not data[at]
    ]
    return " and ".join(lost[:2]) + (f" and {len(lost) - 2} others" if len(lost) > 2 else "")


def tell_like_batch(verdict: Verdict, refusal: str) -> Told:
    """Tells which earlier batch has the commands of the batch whose submit was refused.

    ``refusal`` is what the device said.  If that is not about a command buffer, or if faults were
    planned, nothing is concluded.
    """
    if _SUBMITTED not in refusal:
        return NOTHING
    refused = [each for each in calls(verdict.execution.trace) if each.failed]
    planned = len(verdict.execution.case.device.faults) > 0
    if planned or not refused or refused[0].event["verb"] != "submit":
        return NOTHING
    batches = [each for each in _batches(verdict) if each.begun.number < refused[0].number]
    last = batches[-1] if batches else None
    for each in batches[:-1]:
        if last is not None and each.commands == last.commands and each.submit is not None:
            fact = (
                f"the batch of call {last.begun.number} ({last.begun.place}) has the same commands "
                f"as that of call {each.begun.number} ({each.begun.place}), which was submitted: "
                "likeliest the earlier command buffer was kept for the later batch"
            )
            return Told(facts=(fact,))
    return NOTHING


def _of_nothing(verdict: Verdict, again: Judge) -> Told:
    """Tells whether a flush and whether a sync submits an empty batch if nothing waits."""
    empty = [verb for verb in _ENDING if _submits_nothing(verdict, verb, again)]
    full = [verb for verb in _ENDING if verb not in empty]
    said = [f"a {verb} of nothing submits an empty batch too" for verb in empty]
    said += [f"a {verb} of nothing submits none" for verb in full]
    return Told(facts=(f"each tried alone, {'; '.join(said)}",))


def _submits_nothing(verdict: Verdict, verb: str, again: Judge) -> bool:
    made = calls(instead_of(verdict, f"alloc x 4\n{verb}\n", again).execution.trace)
    return any(
        call.event.kind == "encode" and call.position == 1 and not call.event["commands"]
        for call in made
        if not call.failed
    )


def _batches(verdict: Verdict) -> list[_Batch]:
    seen: list[_Batch] = []
    begun: Call | None = None
    commands: list[str] = []
    for call in calls(verdict.execution.trace):
        kind = call.event.kind
        if kind == "encode":
            if begun is not None:
                seen.append(_Batch(begun=begun, commands=tuple(commands)))
            begun, commands = call, []
        elif kind in ("dispatch", "copy"):
            commands.append(str(call.event))
        elif kind == "submit" and begun is not None:
            seen.append(_Batch(begun=begun, commands=tuple(commands), submit=call))
            begun = None
    return seen
