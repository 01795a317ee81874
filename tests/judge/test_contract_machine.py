"""The state machine over the live runtime, and over a broken one that it must see."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from gpusim.runtime import Driver, Parts
from gpusim.runtime.batch import Batch, FlushReason, FlushRules
from gpusim.runtime.commands import DeviceBuffer
from properties.machine import machine_for
from properties.targets.runtime_target import RuntimeTarget


def test_the_runtime_keeps_the_contract(driver: Driver) -> None:
    machine = machine_for(lambda policy: RuntimeTarget(driver, policy))
    run_state_machine_as_test(
        machine, settings=settings(settings(), max_examples=100, stateful_step_count=50)
    )


class _OvertakingRules(FlushRules):
    """A host write goes to the queue before the commands that were recorded before it."""

    def before_write(
        self, batch: Batch, buffer: DeviceBuffer, start: int, end: int
    ) -> FlushReason | None:
        return None


def test_the_machine_sees_a_write_that_overtakes_its_batch(driver: Driver) -> None:
    parts = replace(Parts(), flush_rules=_OvertakingRules)
    machine = machine_for(lambda policy: RuntimeTarget(driver, policy, parts=parts))
    unshrunk = settings(
        max_examples=1_000,
        stateful_step_count=50,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine, settings=unshrunk)
