"""A kernel whose WGSL and meaning differ seldom: on special floats only, or in one invocation."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gpusim.kernels import BUILTIN, Kernel
from properties.generate.alone import alone
from properties.mutants.hunt import Programs
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import RuntimeFactory

pytestmark = pytest.mark.unit

POSITIVE = """
@group(0) @binding(0) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(8, 8)
fn positive(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = at.x * 64 + lane;
  if (i < arrayLength(&y)) { y[i] = select(0.0, y[i], y[i] > 0.0); }
}
"""
COUNT = """
@group(0) @binding(0) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(9, 8)
fn count_up(@builtin(workgroup_id) at: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = at.x * 72 + lane;
  if (i < arrayLength(&y)) { y[i] += 1; }
}
"""


def _reached(y: Any, grid: tuple[int, int, int], lanes: int) -> Any:
    # Only the x of a workgroup counts, so other rows of a grid do the same once more.
    return y[: grid[0] * lanes]


def positive(arrays: Any, scalars: Any, grid: Any) -> None:
    """As the WGSL, of which a NaN makes 0."""
    part = _reached(arrays[0], grid, 64)
    part[:] = np.where(part > 0, part, np.float32(0))


def positive_or_nan(arrays: Any, scalars: Any, grid: Any) -> None:
    """As many write it in NumPy, where a NaN stays a NaN."""
    part = _reached(arrays[0], grid, 64)
    part[:] = np.maximum(part, np.float32(0)) + np.float32(0)


def count_up(arrays: Any, scalars: Any, grid: Any) -> None:
    part = _reached(arrays[0], grid, 72)
    part += 1


def count_up_but_one(arrays: Any, scalars: Any, grid: Any) -> None:
    """As the WGSL, but for one invocation of each workgroup."""
    count_up(arrays, scalars, grid)
    _reached(arrays[0], grid, 72)[65::72] -= 1


def _fails(text: str, meaning: Any, *, special_floats: bool, programs: int) -> bool:
    """Whether one of the first programs of a session fails, those for the kernel alone included."""
    kernel = Kernel.from_wgsl(text, meaning=meaning)
    own = replace(kernel, special_floats=special_floats, takes_grid=True)
    kernels = BUILTIN.adding(own)
    factory, made = RuntimeFactory("simulated", kernels), Programs("simulated", kernels)
    first = alone(1, kernels, factory.limits, factory.capabilities)
    drawn = [made.case(1, number) for number in range(programs)]
    cases = [*(replace(drawn[0], program=program) for program in first), *drawn]
    return any(judge(case, factory, MEANING_ONLY).failure for case in cases)


def test_a_meaning_that_differs_on_nan_alone_is_found() -> None:
    assert not _fails(POSITIVE, positive, special_floats=True, programs=100)
    assert _fails(POSITIVE, positive_or_nan, special_floats=True, programs=1)


def test_a_meaning_that_differs_in_one_invocation_of_two_dimensions_is_found() -> None:
    assert not _fails(COUNT, count_up, special_floats=False, programs=100)
    assert _fails(COUNT, count_up_but_one, special_floats=False, programs=300)
