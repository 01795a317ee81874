"""What no fault stopped is the same without faults; and where it is not, that is seen."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from gpusim.errors import MapFailed, SubmitFailed
from gpusim.kernels import BUILTIN, Kernel
from gpusim.runtime import PRESETS, WgpuDriver
from properties.case import Case
from properties.oracles.metamorphic import Executor, WithoutFaults, judge_without_faults
from properties.session.devices import SCHEDULERS, shown_faults
from properties.session.numbered import numbered_case
from properties.session.subject import RuntimeSubject


class Overlay:
    def __init__(self, device: Any) -> None:
        self._inner: Any = WgpuDriver(device)
        self.limits = self._inner.limits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


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
    limits = RuntimeSubject("simulated", BUILTIN).limits
    for number in range(count):
        case = numbered_case(
            31,
            number,
            presets=tuple(PRESETS),
            schedulers=SCHEDULERS,
            device="simulated",
            kernels=BUILTIN,
            limits=limits,
            faults=True,
        )
        if shown_faults(case.device):
            yield case


def executor_over(make_driver: Callable[[Any], Any]) -> Executor:
    return Executor(RuntimeSubject("simulated", BUILTIN, make_driver=make_driver))


def test_the_runtime_keeps_what_no_fault_stopped() -> None:
    executor = executor_over(WgpuDriver)
    met = 0
    for case in failing_cases(100):
        violation = judge_without_faults(case, executor)
        assert violation is None, f"{violation}\n{case.device}\n{case.policy}\n{case.program}"
        outcomes = executor(case).history.outcomes
        met += any(outcome.error in shown_faults(case.device) for outcome in outcomes)
    assert met > 20


@pytest.mark.parametrize("make_driver", [SaysNothing, ZerosInstead])
def test_a_fault_that_is_hidden_is_seen(make_driver: Callable[[Any], Any]) -> None:
    executor = executor_over(make_driver)
    violations = [judge_without_faults(case, executor) for case in failing_cases(80)]
    assert any(violations)


def test_nothing_is_left_out_beforehand() -> None:
    kernels: dict[str, Kernel] = {}
    case = next(failing_cases(20))
    assert WithoutFaults().apply(case, kernels) is None
    assert "no fault" in WithoutFaults().words
