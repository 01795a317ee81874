"""Compares the limits that the driver gave the runtime with the limits of the device.

A runtime keeps to the limits that its driver gives.  If such a limit is not the device's, calls are
refused, or buffers overlap, though the runtime is right.
"""

import re
from dataclasses import fields

from gpusim.limits import Limits
from properties.explain.told import NOTHING, Told
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict

_KINDS = (FailureKind.ERROR, FailureKind.LATE_ERROR, FailureKind.VALUE, FailureKind.CRASH)


def tell_limits(verdict: Verdict, failure: Failure, refusal: str) -> Told:
    """The limits that the driver gave wrongly; ``refusal`` is what the device said."""
    execution = verdict.execution
    if failure.kind not in _KINDS or execution.told_limits is None:
        return NOTHING
    wrong = [
        f"{name}={told}, and the device has {name}={held}"
        for name, told, held in _pairs(execution.told_limits, execution.limits)
        if told != held
    ]
    if not wrong:
        return Told(later=_named(refusal, execution.limits))
    sentence = f"the driver gave the runtime a wrong limit: {'; '.join(wrong)}"
    shown = (
        f"so op {failure.position} ({failure.op}) kept to the driver's limit and failed: {refusal}"
    )
    return Told(sentence=sentence, culprit=failure.position, facts=(shown,))


def _named(refusal: str, limits: Limits) -> tuple[str, ...]:
    """The limits of the device whose values stand in a refusal about a multiple."""
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
