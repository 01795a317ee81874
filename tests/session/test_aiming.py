"""Faults are aimed at calls after which much must be put right, by their own numbers."""

from collections.abc import Callable

from gpusim.program import Program
from gpusim.runtime.policy import PRESETS, Policy, parse_policy
from properties.execute import execute
from properties.model.case import Case, parse_device
from properties.oracles.aiming import with_aim
from properties.targets.factory import RuntimeFactory

_HEALING = Program.parse(
    "alloc a 64\nalloc b 64\nalloc c 64\ncapture g copy b 0 a 0 64; dispatch tally c 3 1x1x1\n"
    "dispatch affine a 3,5 1x1x1\nflush\nreplay g * -\nread a 0 64 -> r0\nsync\n"
)
_FEWER_CALLS = Program.parse(
    "alloc a 64\nalloc b 64\nalloc c 64\nalloc d 64\n"
    "capture g copy b 0 a 0 64; dispatch tally c 3 1x1x1\n"
    "dispatch affine a 3,5 1x1x1\nflush\ndispatch fold a,d 3 1x1x1\n"
    "replay g * -\nread a 0 64 -> r0\n"
)
"""Once a is lost, the second dispatch makes no bind group."""
_SPLIT = Program.parse(
    "alloc a 64\nalloc b 64\ncapture g dispatch affine a 3,5 1x1x1; dispatch affine b 3,5 1x1x1\n"
    "replay g * -\nread a 0 64 -> r0\n"
)
_WRITES = Program.parse("alloc a 64\n" + f"write a 0 {'07' * 64}\nflush\n" * 4)
FACTORY = RuntimeFactory("simulated")


def aimed(program: Program, policy: Policy) -> list[Case]:
    """The cases of many seeds whose faults were aimed."""
    device = parse_device("simulated failed_maps=40")
    cases = [
        Case(program=program, policy=policy, device=device, seed=f"7/{number}")
        for number in range(400)
    ]
    return [case for case in (with_aim(one, FACTORY) for one in cases) if case.device != device]


def some(cases: list[Case], wanted: Callable[[str], bool]) -> list[Case]:
    """Those of whose faults this is so."""
    return [case for case in cases if wanted(str(case.device.faults))]


def test_a_replay_fails_over_a_buffer_that_was_lost_and_that_it_overwrites() -> None:
    cases = some(aimed(_HEALING, PRESETS["ring"]), lambda told: "failed_bind_groups=1" in told)
    assert cases
    for case in cases:
        assert case.device.faults.failed_submits == (0,)
        errors = [outcome.error for outcome in execute(case, FACTORY).history.outcomes]
        assert errors[5:8] == ["SubmitFailed", "OutOfMemory", "DataLost"]


def test_a_replay_fails_where_what_was_lost_has_taken_calls_away() -> None:
    cases = some(aimed(_FEWER_CALLS, PRESETS["ring"]), lambda told: "failed_bind_groups" in told)
    lost = [case for case in cases if case.device.faults.failed_submits == (0,)]
    assert lost
    for case in lost:
        errors = [outcome.error for outcome in execute(case, FACTORY).history.outcomes]
        assert errors[6:10] == ["SubmitFailed", "DataLost", "OutOfMemory", "DataLost"]


def test_a_replay_fails_after_its_first_part_was_submitted() -> None:
    policy = parse_policy("ring batch_commands=1")
    cases = aimed(_SPLIT, policy)
    half_way = ("failed_writes=1", "failed_encodes=1", "failed_submits=1")
    second = some(cases, lambda told: told in half_way)
    assert len(second) > len(cases) / 3
    for case in second:
        errors = [outcome.error for outcome in execute(case, FACTORY).history.outcomes]
        assert errors[3:5] == ["SubmitFailed", "DataLost"]


def test_a_drain_of_a_write_fails() -> None:
    cases = aimed(_WRITES, parse_policy("ring queued_write_bytes=64"))
    failed = [
        outcome.error
        for case in some(cases, lambda told: "maps=" in told)
        for op, outcome in zip(_WRITES, execute(case, FACTORY).history.outcomes, strict=True)
        if op.verb == "write"
    ]
    assert "MapFailed" in failed
