"""The statistics of a runtime: each figure is held against history and trace."""

from dataclasses import fields, replace
from typing import Any

import pytest

from gpusim.program import Program
from gpusim.runtime import Parts
from gpusim.runtime.caches import BoundedCache, CacheState
from gpusim.runtime.plans import Plans
from gpusim.runtime.policy import PRESETS, Policy
from gpusim.runtime.stats import Counts, Stats
from properties.execute import execute
from properties.model.case import Case, parse_device
from properties.model.failure import FailureKind
from properties.oracles.lookups import Lookups
from properties.oracles.statistics import judge_statistics
from properties.targets.factory import RuntimeFactory

PROGRAM = Program.parse(
    "alloc a 64\nalloc b 64\nwrite a 0 01020304\ndispatch affine a 3,1 1x1x1\ncopy a 0 b 0 64\n"
    "capture g dispatch affine b 3,1 1x1x1; copy b 0 a 1 3\nreplay g _ -\nread a 0 64 -> r0\n"
    "free b\nread b 0 4 -> r1\nflush\ndispatch fold a,a 1 1x1x1\n"
)
NOT_HELD = {"reused", "shapes exhausted", "bind_groups exhausted"}
"""Of most stores, how often something was found again is not known outside."""


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


class TheFirstStay(Plans[Any]):
    """A full cache takes no new plan."""

    def put(self, key: Any, plan: Any) -> None:
        if len(self._plans) < self._capacity:
            super().put(key, plan)


class KeepsAll(Plans[Any]):
    """A capacity of 0 is no limit."""

    def put(self, key: Any, plan: Any) -> None:
        self._capacity = self._capacity or 1000
        super().put(key, plan)


class ByAge(CacheState):
    """The oldest shape goes first, though it was used just now."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.shapes = BoundedCache(policy.shape_cache)


_GRIDS = "".join(f"dispatch affine a 3,1 {x}x1x1\n" for x in (1, 2, 1, 3, 1))
_GRAPH = "alloc b 64\ncapture g dispatch affine a 3,1 1x1x1\nreplay g * -\n"
_ELSEWHERE = "replay g * a=b\n" * 2


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (Parts(plans=KeepsAll), f"alloc a 64\n{_GRIDS}"),
        (Parts(caches=ByAge), f"alloc a 64\n{_GRIDS}"),
        (Parts(bound_graphs=TheFirstStay), f"alloc a 64\n{_GRAPH}{_ELSEWHERE}"),
        (Parts(bound_graphs=KeepsAll), f"alloc a 64\n{_GRAPH}{_ELSEWHERE}replay g * -\n"),
    ],
)
def test_what_a_cache_finds_again_follows_from_the_ops(parts: Parts, text: str) -> None:
    graphs = 0 if parts.bound_graphs is KeepsAll else 1
    policy = replace(PRESETS["cached"], shape_cache=2, plan_cache=0, graph_cache=graphs)
    case = Case(program=Program.parse(text), device=parse_device("simulated"), policy=policy)
    failure = judge_statistics(execute(case, RuntimeFactory("simulated", parts=parts)))
    assert failure is not None
    assert failure.trait == "shapes"
    assert judge_statistics(execute(case, RuntimeFactory("simulated"))) is None


def test_after_a_refused_replay_no_lookups_are_told() -> None:
    text = f"alloc a 64\n{_GRAPH}replay g 1 -\n"
    case = Case(program=Program.parse(text), device=parse_device("simulated"))
    execution = execute(case, RuntimeFactory("simulated"))
    issued = zip(case.program, execution.history.outcomes, strict=True)
    assert not Lookups(case.policy).follow([*issued])
