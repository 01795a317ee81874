"""The naive target agrees with the reference, and is caught once it defers dispatches."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from gpusim.kernels import BUILTIN, Kernel
from gpusim.limits import Limits
from gpusim.ops import (
    Bound,
    Grid,
)
from gpusim.program import Program
from gpusim.runtime import PRESETS
from properties.execute import run
from properties.generate.choices import SeededChoices
from properties.generate.generator import generate
from properties.model.case import Case, DeviceSpec
from properties.model.failure import Failure
from properties.model.target import Adapter
from properties.oracles.compare import compare
from properties.shrink.reducer import reduce
from properties.targets.adapters import as_target
from properties.targets.naive_target import NaiveTarget
from reference import run as run_reference

PROGRAMS = 25
MOST_OPS = 8

MakeTarget = Callable[[Any], Adapter]


class HoldsDispatchesBack(NaiveTarget):
    """Dispatches wait for the next read, and whatever comes before it overtakes them."""

    def __init__(self, device: Any, kernels: Mapping[str, Kernel] = BUILTIN) -> None:
        super().__init__(device, kernels)
        self._held: list[tuple[str, Sequence[Bound], Sequence[int | float], Grid]] = []

    def dispatch(
        self, kernel: str, buffers: Sequence[Bound], scalars: Sequence[int | float], grid: Grid
    ) -> None:
        self._held.append((kernel, buffers, scalars, grid))

    def read(self, buffer: str, offset: int, size_bytes: int) -> bytes:
        held, self._held = self._held, []
        for dispatch in held:
            super().dispatch(*dispatch)
        return super().read(buffer, offset, size_bytes)


def _program(number: int) -> Program:
    return generate(
        SeededChoices(f"naive/{number}"),
        limits=Limits(),
        invalid=False,
        replays=False,
        indirect=False,
    )


def _judge(program: Program, device: Any, make: MakeTarget) -> Failure | None:
    """The first difference; none where the program holds an op that is refused.

    A naive target refuses nothing, and what it then asks of wgpu-native may abort.
    """
    expected = run_reference(program)
    if any(outcome.error for outcome in expected.outcomes):
        return None
    target = make(device)
    return compare(program, expected, run(program, as_target(target)), target.capabilities)


def test_the_naive_target_does_what_programs_mean(device: Any) -> None:
    for number in range(PROGRAMS):
        program = _program(number)
        mismatch = _judge(program, device, NaiveTarget)
        assert mismatch is None, f"{mismatch}\n{program}"


def test_dispatches_held_back_until_a_read_are_caught_and_made_small(device: Any) -> None:
    program, found = _first_caught(device)

    def fails(case: Case) -> bool:
        mismatch = _judge(case.program, device, HoldsDispatchesBack)
        return mismatch is not None and mismatch.kind == found.kind

    case = Case(program=program, policy=PRESETS["eager"], device=DeviceSpec(name="best"))
    small = reduce(case, fails, seconds=math.inf).program
    assert len(small) <= MOST_OPS, str(small)
    assert _judge(small, device, NaiveTarget) is None


def _first_caught(device: Any) -> tuple[Program, Failure]:
    for number in range(PROGRAMS):
        program = _program(number)
        mismatch = _judge(program, device, HoldsDispatchesBack)
        if mismatch is not None:
            return program, mismatch
    pytest.fail(f"none of {PROGRAMS} programs shows that dispatches are held back")


@pytest.mark.parametrize(
    "between",
    ["write a 0 07000000", "copy b 0 a 0 4", "free b"],
    ids=["write", "copy", "free"],
)
def test_each_op_that_a_held_dispatch_is_late_for_shows(device: Any, between: str) -> None:
    program = Program.parse(
        "alloc a 4\nalloc b 4\nwrite b 0 01000000\ndispatch fold b,a 3 1x1x1\n"
        f"{between}\nread a 0 4 -> r0\nsync\n"
    )
    assert _judge(program, device, NaiveTarget) is None
    assert _judge(program, device, HoldsDispatchesBack) is not None
