"""The statistics of a runtime: each figure is held against history and trace."""

from dataclasses import fields, replace
from typing import Any

import pytest

from gpusim.program import Program
from gpusim.runtime.policy import PRESETS
from gpusim.runtime.stats import Counts, Stats
from properties.execute import execute
from properties.model.case import Case, parse_device
from properties.model.failure import FailureKind
from properties.oracles.statistics import judge_statistics
from properties.targets.factory import RuntimeFactory

PROGRAM = Program.parse(
    "alloc a 64\nalloc b 64\nwrite a 0 01020304\ndispatch affine a 3,1 1x1x1\ncopy a 0 b 0 64\n"
    "capture g dispatch affine b 3,1 1x1x1; copy b 0 a 1 3\nreplay g _ -\nread a 0 64 -> r0\n"
    "free b\nread b 0 4 -> r1\nflush\ndispatch fold a,a 1 1x1x1\n"
)
NOT_HELD = {"reused", "shapes", "bind_groups exhausted"}
"""How often something was found again is not known outside of the stores."""


def shown(device: str = "simulated", policy: str = "pooled") -> Any:
    case = Case(program=PROGRAM, device=parse_device(device), policy=PRESETS[policy])
    return execute(case, RuntimeFactory("simulated"))


def spoilt(stats: Any) -> dict[str, Stats]:
    """The same with one figure wrong, by its name."""
    made: dict[str, Any] = {}
    for field in fields(stats):
        value = getattr(stats, field.name)
        if isinstance(value, int):
            made[field.name] = replace(stats, **{field.name: value + 1})
        elif isinstance(value, Counts):
            for count in fields(value):
                wrong = replace(value, **{count.name: getattr(value, count.name) + 1})
                made[f"{field.name} {count.name}"] = replace(stats, **{field.name: wrong})
        else:
            made[field.name] = replace(stats, **{field.name: {**value, "asked": 7}})
    return made


@pytest.mark.parametrize("policy", PRESETS)
@pytest.mark.parametrize("device", ["simulated", "simulated failed_submits=0"])
def test_a_sound_runtime_counts_what_it_does(device: str, policy: str) -> None:
    assert judge_statistics(shown(device, policy)) is None


def test_every_figure_that_can_be_known_is_held() -> None:
    execution = shown()
    for name, stats in spoilt(execution.stats).items():
        failure = judge_statistics(replace(execution, stats=stats))
        if NOT_HELD.isdisjoint([name, *name.split()]):
            assert failure is not None, name
            assert failure.kind == FailureKind.STATISTICS
            assert failure.trait in name


def test_a_figure_that_is_right_again_at_the_end_is_held_in_between() -> None:
    execution = shown(policy="ring")
    looked = execution.looked
    assert looked is not None
    assert looked.ops < len(PROGRAM)
    held_there = {"staging held", "staging created", "uniforms held", "live_bytes", "submits"}
    for name, stats in spoilt(looked.stats).items():
        wrong = replace(execution, looked=replace(looked, stats=stats))
        failure = judge_statistics(wrong)
        assert (failure is not None) >= (name in held_there), name
        assert failure is None or failure.position == looked.ops - 1


def test_a_target_without_statistics_is_not_asked() -> None:
    assert judge_statistics(replace(shown(), stats=None)) is None
