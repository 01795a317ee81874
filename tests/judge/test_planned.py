"""A device fails at the calls that its plan names, and a lost one accepts no op."""

import pytest

from gpusim.program import Program
from gpusim.runtime.policy import PRESETS
from properties.execute import execute
from properties.model.case import Case, parse_device
from properties.model.execution import Execution
from properties.oracles.planned import judge_planned
from properties.targets.factory import RuntimeFactory

PROGRAM = Program.parse(
    "alloc a 16\nwrite a 0 01000000\ndispatch affine a 3,5 1x1x1\nread a 0 4 -> r0\nsync\n"
    "dispatch affine a 3,5 1x1x1\nread a 0 4 -> r1\nsync\nfree a\n"
)
PLANS = (
    "failed_submits=1",
    "failed_encodes=1",
    "failed_writes=0",
    "failed_bind_groups=0",
    "out_of_memory=1",
    "lost_at_submit=0",
    "lost_at_encode=0",
    "lost_at_buffer=1",
)


def executed(device: str) -> Execution:
    case = Case(program=PROGRAM, device=parse_device(device), policy=PRESETS["eager"], seed="1/1")
    return execute(case, RuntimeFactory("simulated"))


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("profile", ["spec", "wgpu-native"])
def test_a_sound_device_fails_as_planned(plan: str, profile: str) -> None:
    named = "" if profile == "spec" else f"profile={profile} "
    assert judge_planned(executed(f"simulated {named}{plan}")) is None


@pytest.mark.parametrize("plan", PLANS)
def test_a_device_that_fails_at_nothing_is_seen(plan: str) -> None:
    planned, sound = executed(f"simulated {plan}"), executed("simulated")
    planned.trace.events[:] = sound.trace.events
    failure = judge_planned(planned)
    assert failure is not None
    assert "as planned" in failure.reason
