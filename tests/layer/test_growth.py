"""A target whose buffers pile up from program to program is a finding; a bounded pool is none."""

from dataclasses import replace
from typing import Any, ClassVar

import pytest

from gpusim.program import Program
from properties.model.case import NO_POLICY, Case, parse_device
from properties.model.failure import FailureKind
from properties.oracles.growth import judge_growth
from properties.oracles.judge import judge
from properties.targets.factory import AdapterFactory
from properties.targets.naive_target import NaiveTarget

PROGRAM = Program.parse("alloc a 64\nwrite a 0 01020304\nread a 0 4 -> r0\nfree a\n")


class NeverReturning(NaiveTarget):
    """What is freed goes to a pool that nothing is taken from."""

    kept: ClassVar[list[Any]] = []

    def free(self, buffer: str) -> None:
        self.kept.append(self._buffers.pop(buffer))


class Bounded(NeverReturning):
    """A pool of three, which gives back what is more."""

    kept: ClassVar[list[Any]] = []

    def free(self, buffer: str) -> None:
        super().free(buffer)
        if len(self.kept) > 3:
            self.kept.pop(0)[0].destroy()


def repeated_case(device: str) -> Case:
    """A case that is drawn to be repeated."""
    case = Case(program=PROGRAM, device=parse_device(device), policy=NO_POLICY, target="target")
    factory = AdapterFactory(device, make_target=NeverReturning)
    drawn = (replace(case, seed=f"1/{number}") for number in range(1000))
    return next(each for each in drawn if judge_growth(each, factory) is not None)


@pytest.fixture(scope="module")
def case(device_name: str) -> Case:
    return repeated_case(device_name)


def test_a_pool_that_never_gives_back_is_a_finding(case: Case, device_name: str) -> None:
    factory = AdapterFactory(device_name, make_target=NeverReturning)
    failure = judge(case, factory).failure
    assert failure is not None
    assert failure.kind is FailureKind.GROWTH
    assert "20 buffers of 1280 bytes" in failure.reason
    (maker,) = failure.notes
    assert "20 of the buffers were made at " in maker
    assert "naive_target.py:" in maker


class Dropping(NaiveTarget):
    """Copies through a buffer that it drops at once, and waits for nothing."""

    def free(self, buffer: str) -> None:
        through = self.device.create_buffer(size=64, usage="COPY_DST")
        encoder = self.device.create_command_encoder()
        encoder.copy_buffer_to_buffer(self._buffers[buffer][0], 0, through, 0, 64)
        self.device.queue.submit([encoder.finish()])
        super().free(buffer)


@pytest.mark.parametrize("target", [NaiveTarget, Bounded])
def test_a_target_that_gives_back_is_none(case: Case, device_name: str, target: Any) -> None:
    assert judge(case, AdapterFactory(device_name, make_target=target)).failure is None


def test_what_is_dropped_while_nobody_waits_is_none(case: Case, device_name: str) -> None:
    waiting = replace(case, program=Program.parse("alloc a 64\nfree a\n"))
    factory = AdapterFactory(device_name, make_target=NeverReturning)
    assert judge_growth(waiting, factory) is not None
    assert judge_growth(waiting, AdapterFactory(device_name, make_target=Dropping)) is None


def test_few_cases_are_repeated(device_name: str) -> None:
    factory = AdapterFactory(device_name, make_target=NeverReturning)
    case = Case(program=PROGRAM, device=parse_device(device_name), policy=NO_POLICY)
    found = [judge_growth(replace(case, seed=f"1/{n}"), factory) for n in range(100)]
    assert 0 < sum(each is not None for each in found) < 20
