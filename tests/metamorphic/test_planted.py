"""What the relations see of broken runtimes, each by itself and without the reference."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gpusim.kernels import BUILTIN
from properties.case import Case
from properties.oracles.metamorphic import (
    Executor,
    Transformation,
    Violation,
    draw_transformations,
    judge,
    reduce_violation,
    signature,
)
from properties.programs.choices import SeededChoices
from properties.session.devices import SCHEDULERS
from properties.session.loading import load
from properties.session.numbered import numbered_case
from properties.session.subject import RuntimeSubject

PLANTED: Any = load(f"{Path(__file__).with_name('planted.py')}:PLANTED")
COMMON = [planted for planted in PLANTED if not planted.rare]

Found = tuple[Case, tuple[Transformation, ...]]
Judge = Callable[[Case, Sequence[Transformation]], Violation | None]

_MOST_PROGRAMS = 150


def judge_of(planted: Any) -> tuple[RuntimeSubject, Judge]:
    subject = RuntimeSubject(
        "simulated", BUILTIN, parts=planted.parts, make_driver=planted.make_driver
    )
    executor = Executor(subject)
    return subject, lambda case, transformations: judge(case, transformations, executor)


def drawn(planted: Any, subject: RuntimeSubject, kinds: tuple[str, ...]) -> Iterator[Found]:
    for number in range(_MOST_PROGRAMS):
        case = numbered_case(
            6,
            number,
            presets=planted.policies,
            schedulers=SCHEDULERS,
            device="simulated",
            kernels=BUILTIN,
            limits=subject.limits,
        )
        choices = SeededChoices(f"planted {number}")
        yield case, draw_transformations(choices, case, kinds=kinds, kernels=BUILTIN)


def find(planted: Any, kinds: tuple[str, ...]) -> Found | None:
    subject, violates = judge_of(planted)
    return next((found for found in drawn(planted, subject, kinds) if violates(*found)), None)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_relation_alone_sees_a_broken_part(planted: Any) -> None:
    assert find(planted, (planted.seen_by,)) is not None


@pytest.mark.parametrize("planted", COMMON, ids=lambda planted: planted.name)
def test_transformations_drawn_together_see_it_too(planted: Any) -> None:
    found = find(planted, ())
    assert found is not None


@pytest.mark.parametrize("planted", COMMON[:4], ids=lambda planted: planted.name)
def test_a_violation_is_made_small_and_each_part_of_it_is_needed(planted: Any) -> None:
    found = find(planted, ())
    assert found is not None
    _, violates = judge_of(planted)
    small = reduce_violation(*found, violates, seconds=math.inf)
    assert len(small.case.program) <= 8
    assert len(small.transformations) == 1
    violation = violates(small.case, small.transformations)
    assert violation is not None
    assert str(violation) == str(small.violation)
    assert violation.as_it_is != violation.transformed
    assert signature(small.transformations, violation)[2:] == (small.transformations[0].name,)
    assert small.transformations[0].words in str(small)
