"""Hypothesis over the generator: what it draws is legal, and it shrinks to little."""

import pytest
from hypothesis import HealthCheck, find, given, settings

from gpusim.ops import Dispatch, Read, Write
from gpusim.program import Program
from gpusim.runtime.policy import PRESETS, Policy
from properties.generate.strategies import cases, policies, programs
from properties.model.capabilities import capabilities_of
from properties.model.case import Case, DeviceSpec
from reference import run

QUICK = settings(
    max_examples=60,
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
SEARCH = settings(QUICK, max_examples=2000)


@QUICK
@given(programs(promises=capabilities_of(refuses=False)))
def test_drawn_programs_are_legal(program: Program) -> None:
    assert all(outcome.error is None for outcome in run(program).outcomes)


@QUICK
@given(programs(max_ops=30))
def test_drawn_programs_are_as_short_as_asked(program: Program) -> None:
    assert len(program) <= 30 + 48


@QUICK
@given(cases("gl", presets=[PRESETS["pooled"]]))
def test_drawn_cases_name_the_device_and_vary_the_preset(case: Case) -> None:
    assert case.device == DeviceSpec(name="gl")
    assert case.policy.name == "pooled"


def test_program_shrinks_to_what_matters() -> None:
    program = find(programs(max_ops=12), _writes_over_a_dispatch, settings=SEARCH)
    assert len(program) <= 10
    assert sum(isinstance(op, Dispatch) for op in program) == 1


def _writes_over_a_dispatch(program: Program) -> bool:
    for at, op in enumerate(program):
        if isinstance(op, Dispatch):
            for later, write in enumerate(program.ops[at:], start=at):
                if isinstance(write, Write) and write.buffer in op.buffers and write.data:
                    reads = [read for read in program.ops[later:] if isinstance(read, Read)]
                    return any(read.buffer == write.buffer for read in reads)
    return False


@pytest.mark.parametrize("preset", PRESETS.values(), ids=str)
def test_policy_shrinks_to_its_preset(preset: Policy) -> None:
    assert find(policies([preset]), lambda policy: True, settings=SEARCH) == preset
