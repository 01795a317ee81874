"""What is drawn beside a program: how its caller behaves, or what must change nothing.

Both are drawn apart from the program, so as not to change it, and belong to the
case from then on.  A program has one or the other or, mostly, neither: each
costs an execution or makes one slower.
"""

from dataclasses import replace
from typing import Any

from gpusim.kernels import Kernels
from properties.callers import CallerSubject, draw_caller
from properties.case import PLAIN, Case
from properties.oracles.metamorphic import (
    Execution,
    Executor,
    Transformation,
    Violation,
    WithoutFaults,
    draw_transformations,
    judge_without_faults,
    parse_transformation,
    transform,
    write_transformation,
)
from properties.oracles.metamorphic.compare import compare_image
from properties.programs.choices import SeededChoices
from properties.session.devices import shown_faults
from properties.session.limits import case_limits
from properties.session.promised import is_promised
from properties.session.subject import Subject
from properties.session.verdict import Failure, Verdict, judge

RELATION = "relation"
"""The kind of a failure that a transformation shows."""
_IN_EIGHT = {"caller": 2, "relations": 2, "without faults": 2}


def with_drawn(case: Case, kernels: Kernels, *, refuses: bool, callers: bool = True) -> Case:
    """``case`` with a caller, where any of ``callers`` could drive it, or with transformations.

    Planned faults come at a call by its number, which neither leaves as it was:
    there the faults are what is left out.
    """
    choices = SeededChoices(f"drawn {case.seed}")
    turn = choices.integer(0, 7)
    if shown_faults(case.device):
        sometimes = turn < _IN_EIGHT["without faults"]
        return with_transformations(case, (WithoutFaults(),)) if sometimes else case
    if turn < _IN_EIGHT["caller"]:
        return replace(case, caller=draw_caller(choices)) if callers else case
    if turn < _IN_EIGHT["caller"] + _IN_EIGHT["relations"]:
        drawn = draw_transformations(choices, case, refuses=refuses, kernels=kernels)
        return replace(case, transformations=tuple(map(write_transformation, drawn)))
    return case


def judge_drawn(case: Case, subject: Subject, kernels: Kernels, **oracles: Any) -> Verdict:
    """``judge``, driven by the caller of the case and with its transformations tried as well."""
    driven = subject if case.caller == PLAIN else CallerSubject(subject, case.caller)
    verdict = judge(case, driven, kernels, **oracles)
    if verdict.failure is not None or not case.transformations:
        return verdict
    violation = _violation(case, subject, kernels, verdict)
    if violation is None:
        return verdict
    words = "; ".join(entry.words for entry in transformations_of(case))
    text = f"{violation}\n  with: {words}"
    return replace(verdict, failure=Failure(kind=RELATION, trait=violation.kind, text=text))


def transformations_of(case: Case) -> tuple[Transformation, ...]:
    """The transformations of a case, out of their text."""
    return tuple(map(parse_transformation, case.transformations))


def with_transformations(case: Case, transformations: tuple[Transformation, ...]) -> Case:
    """The case with others."""
    return replace(case, transformations=tuple(map(write_transformation, transformations)))


def _violation(
    case: Case, subject: Subject, kernels: Kernels, verdict: Verdict
) -> Violation | None:
    """What the image shows otherwise than the execution that was judged already."""
    if shown_faults(case.device):
        return judge_without_faults(case, Executor(subject), kernels)
    plain = replace(case, transformations=())
    image = transform(plain, transformations_of(case), kernels)
    if image is None:
        return None
    limits = case_limits(subject.limits, image.case)
    if not is_promised(image.case.program, subject.capabilities, kernels, limits):
        return None
    transformed = Executor(subject)(image.case)
    original = Execution(history=verdict.history, capabilities=transformed.capabilities)
    return compare_image(case.program, image, original, transformed, kernels)
