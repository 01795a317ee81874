"""The relations find broken runtimes, each relation alone and without the reference."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpusim.kernels import BUILTIN
from properties.execute import execute
from properties.fuzz.loading import load
from properties.generate.cases import CaseSettings, case_for
from properties.generate.choices import SeededChoices
from properties.model.case import Case
from properties.model.failure import Failure
from properties.oracles.metamorphic import draw_transformations, judge_relations, signature
from properties.shrink.reducer import shrink
from properties.targets.factory import RuntimeFactory

PLANTED: Any = load(f"{Path(__file__).with_name('planted.py')}:PLANTED")
COMMON = [planted for planted in PLANTED if not planted.rare]

Judge = Callable[[Case], Failure | None]

_MOST_PROGRAMS = 500
"""The rarest of the common ones fails in about one program of a hundred."""


def judge_of(planted: Any) -> tuple[RuntimeFactory, Judge]:
    factory = RuntimeFactory(
        "simulated", BUILTIN, parts=planted.parts, make_driver=planted.make_driver
    )

    def violates(case: Case) -> Failure | None:
        return judge_relations(execute(case, factory), lambda rewrite: execute(rewrite, factory))

    return factory, violates


def drawn(planted: Any, factory: RuntimeFactory, kinds: tuple[str, ...]) -> Iterator[Case]:
    setting = CaseSettings(device="simulated", limits=factory.limits, presets=planted.policies)
    for number in range(_MOST_PROGRAMS):
        case = case_for(7, number, setting)
        choices = SeededChoices(f"planted {number}")
        transformations = draw_transformations(choices, case, kinds=kinds, kernels=BUILTIN)
        yield replace(case, transformations=transformations)


def find(planted: Any, kinds: tuple[str, ...]) -> Case | None:
    factory, violates = judge_of(planted)
    return next((case for case in drawn(planted, factory, kinds) if violates(case)), None)


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
    at_first = violates(found)
    assert at_first is not None
    shrunk = shrink(found, at_first, violates, seconds=math.inf)
    assert shrunk is not None
    small, failure = shrunk.case, shrunk.failure
    assert len(small.program) <= 8
    assert len(small.transformations) == 1
    violation = violates(small)
    assert violation is not None
    assert str(violation) == str(failure)
    assert [name for name, _ in violation.sides] == ["as it is", "transformed"]
    assert violation.sides[0][1] != violation.sides[1][1]
    assert signature(small.transformations, violation)[2:] == (small.transformations[0].name,)
    assert small.transformations[0].description in str(failure)
