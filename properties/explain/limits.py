"""Compares the limits that the driver gave the runtime with the limits of the device.

A runtime keeps to the limits that its driver gives.  If such a limit is not the device's, calls are
refused, or buffers overlap, though the runtime is right.
"""

import re
from dataclasses import fields, replace

from gpusim.limits import Limits
from gpusim.ops import Dispatch
from properties.explain.experiments import Judge
from properties.explain.neighbours import instead
from properties.explain.told import NOTHING, Told
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict

_DEFAULT = " (what WebGPU guarantees)"
_KINDS = (
    FailureKind.ERROR,
    FailureKind.LATE_ERROR,
    FailureKind.VALUE,
    FailureKind.CRASH,
    FailureKind.WORDS,
)


def tell_limits(verdict: Verdict, failure: Failure, refusal: str, again: Judge | None) -> Told:
    """Tells which limits the driver gave wrongly; ``refusal`` is what the device said.

    If that is the limit of workgroups, a grid between the two values is tried.
    """
    execution = verdict.execution
    if failure.kind not in _KINDS or execution.told_limits is None:
        return NOTHING
    wrong = [
        f"{name}={told}{_DEFAULT * (told == getattr(Limits(), name))}, and the device has "
        f"{name}={held}"
        for name, told, held in _pairs(execution.told_limits, execution.limits)
        if told != held
    ]
    if not wrong:
        return Told(later=_named(refusal, execution.limits))
    sentence = f"the driver gave the runtime a wrong limit: {'; '.join(wrong)}"
    shown = (
        f"so op {failure.position} ({failure.op}) kept to the driver's limit and failed: {refusal}"
    )
    tried = () if again is None else _between(verdict, failure, again)
    return Told(sentence=sentence, culprit=failure.position, facts=(*tried, shown))


def _between(verdict: Verdict, failure: Failure, again: Judge) -> tuple[str, ...]:
    """Tries one workgroup more than the device allows, if the driver's limit allows it."""
    case, at = verdict.execution.case, failure.position
    op = case.program[at] if 0 <= at < len(case.program) else None
    told, held = verdict.execution.told_limits, verdict.execution.limits
    most = held.max_groups_per_dimension
    if not isinstance(op, Dispatch) or told is None or told.max_groups_per_dimension <= most:
        return ()
    more = replace(op, grid=(1, 1, most + 1))
    judged = again(replace(case, program=instead(case.program, at, more)))
    outcome, meant = judged.execution.history.outcomes[at], judged.expected.outcomes[at]
    did = f"raises {outcome.error}" if outcome.error else "is accepted"
    return (
        f"tried: over 1x1x{most + 1} groups, one more than the device's limit, op {at} {did}, but "
        f"must be refused with {meant.error}: the limit itself is wrong, and not the words alone",
    )


def _named(refusal: str, limits: Limits) -> tuple[str, ...]:
    """Names the device's alignments whose values stand in a refusal, if it says "multiple"."""
    if "multiple" not in refusal:
        return ()
    numbers = [int(each) for each in re.findall(r"\b\d+\b", refusal)]
    named = [
        f"{number} is its {field.name}"
        for number in dict.fromkeys(numbers)
        for field in fields(Limits)
        if "alignment" in field.name and getattr(limits, field.name) == number
    ]
    return (f"of the device's limits: {', '.join(named)}",) if len(named) > 1 else ()


def _pairs(told: Limits, held: Limits) -> list[tuple[str, int | None, int | None]]:
    names = [field.name for field in fields(Limits)]
    return [(name, getattr(told, name), getattr(held, name)) for name in names]
