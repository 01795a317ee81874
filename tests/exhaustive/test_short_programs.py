"""Every short program on the device under test; on a simulated one, under every schedule.

The deep profile of Hypothesis takes one step more.
"""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from gpusim.devices import SIMULATED
from gpusim.runtime import PRESETS, Driver, Policy, WgpuDriver
from properties.exhaustive import (
    check_on,
    check_under_every_schedule,
    short_programs,
    small_policies,
)
from properties.exhaustive.short_programs import SIZE_BYTES, program_of
from properties.fuzz.loading import load
from properties.model.case import REPLAYED, parse_device

PLANTED: Any = load(f"{Path(__file__).parents[1] / 'metamorphic' / 'planted.py'}:PLANTED")
_DEEP_EXAMPLES = 1_000
_EVERY = 7
"""Programs of three steps are too many for a test that runs each time."""
_LOOKING_OPS = 2
"""The last read and its sync, which only look."""


@pytest.fixture(scope="session")
def most_steps() -> int:
    return 3 if settings().max_examples >= _DEEP_EXAMPLES else 2


@pytest.mark.parametrize("policy", small_policies(), ids=str)
def test_every_program_of_a_few_steps(
    driver: Driver, device_name: str, policy: Policy, most_steps: int
) -> None:
    for length in range(1, most_steps + 1):
        for name, program in short_programs(length):
            if device_name == SIMULATED:
                until = len(program) - _LOOKING_OPS
                _, finding = check_under_every_schedule(program, policy, until=until)
                assert finding is None, f"{name}\n{finding}"
            else:
                finding = check_on(driver, program, policy)
                assert finding is None, f"{name}\n{finding}"


@pytest.mark.parametrize("preset", list(PRESETS))
def test_some_programs_of_three_steps_as_late_as_possible(preset: str) -> None:
    (policy,) = (policy for policy in small_policies([1]) if policy.name == preset)
    for name, program in islice(short_programs(3), 0, None, _EVERY):
        _, finding = check_under_every_schedule(program, policy, until=0)
        assert finding is None, f"{name}\n{finding}"


def test_each_program_is_listed_once() -> None:
    names, programs = zip(*short_programs(2), strict=True)
    assert len(set(names)) == len(names)
    assert len({str(program) for program in programs}) == len(programs)
    assert all(program_of(name) == program for name, program in zip(names, programs, strict=True))


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("a write overtakes the batch", ("affine a; write a", "copy a b; write a")),
        ("slots wrap round", ("affine a; affine b",)),
        ("length is content", ("affine a; affine b",)),
        ("bind groups without uniforms", ("affine a; affine a",)),
        ("copies go first", ("affine a; copy a b",)),
        ("recycled buffers not cleared", ("renew a",)),
    ],
)
def test_a_planted_mistake_shows_in_the_program_made_for_it(
    name: str, steps: Sequence[str]
) -> None:
    (planted,) = (entry for entry in PLANTED if entry.name == name)
    policies = [policy for policy in small_policies() if policy.name in planted.policies]
    for text in steps:
        seen = [
            check_under_every_schedule(
                program_of(text), policy, parts=planted.parts, make_driver=planted.make_driver
            )[1]
            for policy in policies
        ]
        assert any(seen)


class NotAwaited:
    """A driver that waits for no map: what is not there yet reads as zeros."""

    def __init__(self, device: Any) -> None:
        self._inner: Any = WgpuDriver(device)
        self.limits = self._inner.limits

    def wait(self, mapping: Any, seconds: float | None = None) -> bool:
        """Nothing is waited for."""
        return True

    def drain(self, seconds: float | None = None) -> bool:
        """Nothing is waited for."""
        return True

    def take(self, mapping: Any, receive: Any) -> Any:
        if mapping.native._state == "pending":
            return receive(memoryview(bytes(mapping.size_bytes)))
        return self._inner.take(mapping, receive)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_what_only_some_schedules_show_is_seen_with_its_schedule() -> None:
    program, policy = program_of("affine a"), PRESETS["cached"]
    _, finding = check_under_every_schedule(
        program, policy, make_driver=lambda device: NotAwaited(device)
    )
    assert finding is not None
    (note,) = (note for note in finding.notes if note.startswith("device: "))
    device = parse_device(note.removeprefix("device: "))
    assert device.scheduler == REPLAYED
    assert device.schedule
    assert note in str(finding)
    assert bytes(SIZE_BYTES)[:4].hex() in dict(finding.sides)["got"]


def test_there_are_schedules_to_try() -> None:
    tried, finding = check_under_every_schedule(program_of("read a; read b"), PRESETS["pooled"])
    assert finding is None
    assert tried > 10
