"""Tries other programs, if a finding shows only a wrong count, a leftover or a misuse accepted.

A program that was made small shows a mistake in the way that needs the fewest ops.  A cache whose
key lacks something may first show in its counts; the wrong bytes come only where the key matters.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from gpusim.program import Program
from gpusim.runtime.policy import PRESETS
from gpusim.text import write_op
from properties.explain.argument import Argument
from properties.explain.experiments import Judge
from properties.explain.refused import tell_refused
from properties.explain.told import NOTHING, Told
from properties.model.case import PLAIN, Case
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict

_SHOWN = (FailureKind.VALUE, FailureKind.ERROR, FailureKind.LATE_ERROR)
_LEFT, _PROMISE, _COUNTED = "LeftBehind: <", "BrokenPromise: an array as a buffer", " shapes "
"""Words of the failures that are looked into: what is kept, a wrong buffer, and a wrong count."""
_PROGRAMS = (
    "alloc x 4; dispatch tally x 1 1x1x1; dispatch tally x 2 2x1x1; dispatch tally x 3 2x3x1; "
    "dispatch tally x 4 2x3x2; read x 0 4 -> r",
    "alloc x 4; dispatch tally x 1 {wide}x1x1; dispatch affine x 3,1 {wide}x1x1; read x 0 4 -> r",
    "alloc x 4; dispatch affine x 3,1 0x{wide}x1",
    "alloc x 4; alloc y 4; alloc z 4; write x 0 01000000; dispatch mix x,y,z 3,1 1x1x1; "
    "dispatch mix y,x,z 5,2 1x1x1; read z 0 4 -> r",
    "alloc x 4; dispatch affine x 3,1 1x1x1; free x; dispatch affine x 3,1 1x1x1",
    "alloc x 4; alloc y 12; dispatch_indirect affine x 3,1 y 0; free y; "
    "dispatch_indirect affine x 3,1 y 0",
    "alloc x 4; alloc y 4; free y; dispatch affine x 3,1 1x1x1; dispatch affine y 3,1 1x1x1; "
    "dispatch affine x 5,2 1x1x1; read x 0 4 -> r",
    "alloc x 4; capture g dispatch affine x 3,1 1x1x1; replay g 5,2 -; replay g 7,4 -; "
    "read x 0 4 -> r",
    "alloc x 4; capture g dispatch affine x 3,1 1x1x1; replay g 5,2 -; replay g * -; "
    "read x 0 4 -> r",
    "alloc x 4; alloc y 4; alloc z 4; capture g dispatch affine x 3,1 1x1x1; replay g * x=y; "
    "replay g * x=z; read z 0 4 -> r",
    "alloc x 4; capture g dispatch affine x 3,1 1x1x1; replay g * -; free x; replay g * -",
    "alloc x 4; read x 0 4 -> r0; sync; write x 0 05000000; read x 0 4 -> r1",
)
"""Programs that use one thing twice, with one difference."""


def tell_elsewhere(
    verdict: Verdict, failure: Failure, again: Judge | None, argue: Callable[[Verdict], Argument]
) -> Told:
    """The first of the programs that gives wrong bytes or a wrong error, and what went wrong in it.

    ``argue`` explains a failing program by itself, without more trials.
    """
    case, fits = verdict.execution.case, verdict.execution.capabilities
    said = " ".join((failure.reason, *(shown for _, shown in failure.sides)))
    is_small = failure.kind in (FailureKind.STATISTICS, FailureKind.CRASH)
    is_fit = fits.indirect and fits.replays and not len(case.device.faults)
    if again is None or not (is_small and is_fit) or case.follows_no_policy:
        return NOTHING
    if not any(words in f"{said} " for words in (_LEFT, _PROMISE, _COUNTED)):
        return NOTHING
    wide = verdict.execution.limits.max_groups_per_dimension + 2
    for text in _PROGRAMS:
        ops = text.format(wide=wide)
        program = Program.parse(f"{ops.replace('; ', chr(10))}\n")
        for tried in _cases(case, program):
            judged = again(tried)
            if judged.failure is not None and judged.failure.kind in _SHOWN:
                name = "" if tried.policy == case.policy else f" under policy {tried.policy.name}"
                told = _refused(judged, again)
                # What is said of a law that was broken on the way stands before "; so ".
                said = told.sentence or argue(judged).sentence.rpartition("; so ")[2]
                facts = (*told.facts, f"the other program{name} is {ops}")
                if told.sentence:
                    return replace(told, sentence=f"in another program, {said}", facts=facts)
                said = ": ".join(filter(None, (*told.facts[:1], said)))
                return Told(facts=(f"tried another program{name}: {said}; it is {ops}",))
    return NOTHING


def _refused(verdict: Verdict, again: Judge) -> Told:
    """What an op that was rightly refused did to the dispatches around it; NOTHING if nothing."""
    pairs = zip(verdict.expected.outcomes, verdict.execution.history.outcomes, strict=True)
    for at, (meant, got) in enumerate(pairs):
        if meant.error is not None and meant.error == got.error:
            told = tell_refused(verdict, at, again)
            if not told.facts:
                return NOTHING
            op = f"op {at} ({write_op(verdict.execution.case.program[at])})"
            first, *more = told.facts
            return replace(told, facts=(f"{op} raises {meant.error}, rightly; {first}", *more))
    return NOTHING


def _cases(case: Case, program: Program) -> Iterator[Case]:
    """The program under the policy of the case, under one with batches, and with every cache."""
    plain = replace(case, program=program, client=PLAIN, transformations=())
    yield plain
    yield from (replace(plain, policy=PRESETS[name]) for name in ("lazy", "ring"))
