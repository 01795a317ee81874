"""A policy that drops dispatches past a limit is judged like any other, and mistakes in it show."""

from dataclasses import replace
from typing import Any

import pytest

from gpusim.program import Program
from gpusim.runtime import PRESETS, Runtime, Stats
from properties.fuzz.variants import with_variants
from properties.generate.cases import CaseSettings, case_for
from properties.model.case import Case, DeviceSpec
from properties.model.failure import FailureKind
from properties.oracles.judge import SOUND, judge
from properties.targets.factory import RuntimeFactory

PROGRAM = Program.parse(
    "alloc a 4\nalloc b 12\nwrite b 0 010000000100000001000000\n"
    "capture g0 dispatch affine a 3,5 1x1x1; copy a 0 b 0 0; dispatch affine a 7,1 1x1x1\n"
    "dispatch affine a 3,1 1x1x1\nreplay g0 _;_ -\ndispatch_indirect affine a 5,2 b 0\n"
    "read a 0 4 -> r0\nsync\n"
)


def case(limit: int) -> Case:
    policy = replace(PRESETS["ring"], debug_dispatch_limit=limit)
    return Case(program=PROGRAM, policy=policy, device=DeviceSpec(name="simulated"))


class OneTooMany(Runtime):
    """The limit is one more than the policy says."""

    def __init__(self, **given: Any) -> None:
        limit = given["policy"].debug_dispatch_limit
        super().__init__(
            **{**given, "policy": replace(given["policy"], debug_dispatch_limit=limit + 1)}
        )


class CountsDropped(Runtime):
    """A dispatch that is dropped counts among the dispatches as well."""

    def stats(self) -> Stats:
        stats = super().stats()
        return replace(stats, dispatches=stats.dispatches + stats.dispatches_dropped)


class CountsNoDropped(Runtime):
    """Nothing counts what is dropped."""

    def stats(self) -> Stats:
        return replace(super().stats(), dispatches_dropped=0)


@pytest.mark.parametrize("mistaken", [CountsDropped, CountsNoDropped])
def test_what_is_dropped_is_counted_apart(mistaken: type[Runtime]) -> None:
    factory = RuntimeFactory("simulated", make_runtime=mistaken)
    failure = judge(case(2), factory, SOUND).failure
    assert failure is not None
    assert failure.kind is FailureKind.STATISTICS


@pytest.mark.parametrize("limit", range(6))
def test_what_is_past_the_limit_is_not_run(limit: int) -> None:
    assert judge(case(limit), RuntimeFactory("simulated"), SOUND).failure is None


@pytest.mark.parametrize("limit", range(4))
def test_a_limit_that_is_not_kept_is_found(limit: int) -> None:
    factory = RuntimeFactory("simulated", make_runtime=OneTooMany)
    assert judge(case(limit), factory, SOUND).failure is not None


def test_sessions_draw_a_limit_now_and_then() -> None:
    factory = RuntimeFactory("simulated")
    setting = CaseSettings(device="simulated", limits=factory.limits)
    cases = [case_for(5, number, setting) for number in range(400)]
    drawn = [with_variants(each, factory.kernels, refuses=True) for each in cases]
    limited = [each for each in drawn if each.policy.debug_dispatch_limit is not None]
    assert 5 <= len(limited) <= 30
    assert not any(each.transformations or each.client != "plain" for each in limited)
    assert all(judge(each, factory, SOUND).failure is None for each in limited)
