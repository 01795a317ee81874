"""Whether the limit that adapts is as good as the best fixed one, host and GPU at work together.

``gpusim bench dispatch`` has the table, with the GPU's time measured first.
"""

from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gpusim.runtime import driver_for
from properties.bench.arms import SPIN, Chain
from properties.bench.dispatch import FIXED_LIMITS, overlap_arms

_ARMS = ["eager", *(f"fixed {limit or 'none'}" for limit in FIXED_LIMITS), "ring"]


@pytest.mark.parametrize("arm", _ARMS)
@pytest.mark.parametrize("turns", [1, 1_000])
def test_overlap(benchmark: BenchmarkFixture, device: Any, arm: str, turns: int) -> None:
    """200 dispatches, 20 microseconds of the caller's own before each."""
    chain = Chain(name="overlap", dispatches=200, kernel=SPIN, turns=turns, caller_us=20.0)
    arms = overlap_arms(driver_for(device), chain)
    benchmark.extra_info["dispatches"] = chain.dispatches
    benchmark(arms[arm])
    assert len(arms[arm].words) == 4 * chain.words
    for other in arms.values():
        other.close()
