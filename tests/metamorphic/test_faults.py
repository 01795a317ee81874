"""A case with faults shows the same as without them, except for the ops that a fault stopped."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from gpusim.errors import MapFailed, SubmitFailed
from gpusim.kernels import BUILTIN
from gpusim.runtime import WgpuDriver
from gpusim.simulated import NO_FAULTS
from properties.execute import execute
from properties.generate.cases import CaseSettings, case_for
from properties.model.case import Case
from properties.model.execution import Execution
from properties.model.failure import Failure
from properties.mutants.mutant import Overlay, around_driver
from properties.oracles.metamorphic import judge_without_faults
from properties.targets.factory import RuntimeFactory


class SaysNothing(Overlay):
    """A submit that failed is passed over in silence."""

    def submit(self, command_buffer: Any) -> None:
        with suppress(SubmitFailed):
            self._inner.submit(command_buffer)


class ZerosInstead(Overlay):
    """A map that failed gives zeros."""

    def take(self, mapping: Any) -> bytes:
        try:
            return bytes(self._inner.take(mapping))
        except MapFailed:
            return bytes(mapping.size_bytes)


def failing_cases(count: int) -> Iterator[Case]:
    limits = RuntimeFactory("simulated", BUILTIN).limits
    setting = CaseSettings(device="simulated", limits=limits, faults=True)
    for number in range(count):
        case = case_for(31, number, setting)
        if case.device.shown_faults:
            yield case


def executor_over(make_driver: Callable[[Any], Any]) -> Callable[[Case], Execution]:
    factory = RuntimeFactory("simulated", BUILTIN, make_driver=make_driver)
    return lambda case: execute(case, factory)


def judged(case: Case, executor: Callable[[Case], Execution]) -> Failure | None:
    return judge_without_faults(executor(case), executor)


def test_the_runtime_keeps_what_no_fault_stopped() -> None:
    executor = executor_over(WgpuDriver)
    met = 0
    for case in failing_cases(100):
        shown = executor(case)
        violation = judge_without_faults(shown, executor)
        assert violation is None, f"{violation}\n{case.device}\n{case.policy}\n{case.program}"
        outcomes = shown.history.outcomes
        met += any(outcome.error in case.device.shown_faults for outcome in outcomes)
    assert met > 20


@pytest.mark.parametrize("broken", [SaysNothing, ZerosInstead])
def test_a_fault_that_is_hidden_is_seen(broken: Callable[[Any], Any]) -> None:
    executor = executor_over(around_driver(broken))
    violations = [found for case in failing_cases(80) if (found := judged(case, executor))]
    assert violations
    assert all("no fault" in str(violation) for violation in violations)


def test_nothing_is_left_out_beforehand() -> None:
    """Which ops are held against the sound device is known only once the case was run."""
    executor = executor_over(WgpuDriver)
    asked: list[Case] = []

    def again(case: Case) -> Execution:
        asked.append(case)
        return executor(case)

    whole = left_out = 0
    for case in failing_cases(20):
        unharmed = replace(case, device=replace(case.device, faults=NO_FAULTS))
        for shown in (executor(case), replace(executor(unharmed), case=case)):
            faults = [outcome.error for outcome in shown.history.outcomes]
            stopped = sum(error in case.device.shown_faults for error in faults)
            late = [outcome.late_error for outcome in shown.history.outcomes]
            stopped += sum(error in case.device.shown_faults for error in late)
            assert judge_without_faults(shown, again) is None
            rewrite = asked.pop()
            assert rewrite.device == unharmed.device
            assert len(rewrite.program) <= len(case.program) - stopped
            assert stopped or rewrite.program == case.program
            whole += not stopped
            left_out += stopped > 0
    assert whole > 0
    assert left_out > 0
