"""Tells which limits the driver gave wrongly, and which bytes a dispatch over a part changes.

A runtime keeps to the limits that its driver gives.  If such a limit is not the device's, calls are
refused, or buffers overlap, though the runtime is right.
"""

import re
from collections.abc import Iterator
from dataclasses import fields, replace

from gpusim.limits import Limits
from gpusim.ops import Dispatch
from properties.explain.kinds import refusal_of
from properties.explain.neighbours import instead
from properties.explain.told import NOTHING, Told, told
from properties.explain.trials import Evidence, Trials, by_trial, sides
from properties.model.failure import FailureKind

_DEFAULT = " (what WebGPU guarantees)"
_KINDS = (
    FailureKind.ERROR,
    FailureKind.LATE_ERROR,
    FailureKind.VALUE,
    FailureKind.CRASH,
    FailureKind.WORDS,
)
_SIZE, _START, _END = 1024, 256, 320
_TRIED = (
    f"alloc x {_SIZE}\nwrite x 0 {'01000000' * (_SIZE // 4)}\n"
    f"dispatch affine x[{_START}:{_END}] 3,1 8x1x1\nread x 0 {_SIZE} -> r\n"
)


def tell_limits(evidence: Evidence) -> Told:
    """Tells which limits the driver gave wrongly, and what the device said.

    If the limit of workgroups is too high, a grid one above the device's limit is tried.
    """
    execution, at = evidence.verdict.execution, evidence.at
    if evidence.failure.kind not in _KINDS or execution.told_limits is None:
        return NOTHING
    refusal, names = refusal_of(evidence.failure), [field.name for field in fields(Limits)]
    given = {name: getattr(execution.told_limits, name) for name in names}
    held = {name: getattr(execution.limits, name) for name in names}
    wrong = [
        f"{name}={given[name]}{_DEFAULT * (given[name] == getattr(Limits(), name))}, and the "
        f"device has {name}={held[name]}"
        for name in names
        if given[name] != held[name]
    ]
    if not wrong:
        return Told(later=(*_named(refusal, held),))
    return Told(
        sentence=f"the driver gave the runtime a wrong limit: {'; '.join(wrong)}",
        culprit=at,
        facts=(
            *_between(evidence, execution.told_limits.max_groups_per_dimension),
            f"so op {at} ({evidence.failure.op}) kept to the driver's limit and failed: {refusal}",
        ),
    )


def _between(evidence: Evidence, given: int) -> Iterator[str]:
    """Tries one workgroup more than the device allows, if the driver's limit allows it."""
    at, op, trials = evidence.at, evidence.op, evidence.trials
    most = evidence.verdict.execution.limits.max_groups_per_dimension
    if trials is not None and isinstance(op, Dispatch) and given > most:
        more = replace(op, grid=(1, 1, most + 1))
        judged = trials.run(instead(evidence.program, at, more))
        error = judged.execution.history.outcomes[at].error
        yield (
            f"tried: over 1x1x{most + 1} groups, one more than the device's limit, op {at} "
            f"{f'raises {error}' if error else 'is accepted'}, but must be refused with "
            f"{judged.expected.outcomes[at].error}: the limit itself is wrong, not only the "
            "words of an error"
        )


def _named(refusal: str, held: dict[str, int]) -> Iterator[str]:
    """Names the device's alignments in a refusal that says "multiple" and has several of them."""
    numbers = dict.fromkeys(map(int, re.findall(r"\b\d+\b", refusal)))
    named = [
        f"{number} is its {name}"
        for number in numbers
        for name, value in held.items()
        if "alignment" in name and value == number
    ]
    if "multiple" in refusal and len(named) > 1:
        yield f"of the device's limits: {', '.join(named)}"


@by_trial()
def tell_part(evidence: Evidence, trials: Trials) -> Told:
    """If the op to blame seems to bind a wrong part: tells which bytes such a dispatch changes."""
    if evidence.kind != "part":
        return NOTHING
    meant, got = sides(trials.run(_TRIED))[-1]
    if got is None or got == meant:
        return NOTHING
    changed = [n for n in range(0, len(got), 4) if got[n : n + 4] != b"\1\0\0\0"]
    if not changed:
        return NOTHING
    at, end = evidence.argument.culprit, changed[-1] + 4
    fact = (
        f"tried alone: a dispatch over bytes {_START} to {_END - 1} of a buffer of {_SIZE} changes "
        f"bytes {changed[0]} to {end - 1}"
    )
    if evidence.failure.kind is FailureKind.ERROR:
        # A refused op shows no bytes of its own; those of the trial show the mistake.
        place = evidence.place(evidence.at)
        return Told(sentence=f"{place} was given other bytes than those of its parts; {fact}")
    if (changed[0], end) != (_START, _SIZE) or at < 0:
        return told(fact)
    said = "was given a part up to the end of its buffer, whatever the part's size"
    return Told(sentence=f"{evidence.place(at)} {said}", culprit=at, facts=(fact,))
