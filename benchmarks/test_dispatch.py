"""A chain of small dependent dispatches, by policy and beside wgpu-py and bare cffi calls.

``gpusim bench dispatch`` interleaves the same arms, which is what to compare by.
"""

from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gpusim.runtime import driver_for
from properties.bench.arms import Chain
from properties.bench.dispatch import arms_of

_CHAIN = Chain(name="chain", dispatches=100)


ARMS = ("eager", "lazy", "pooled", "cached", "ring", "replay", "plain", "bare")


@pytest.mark.parametrize("arm", ARMS)
def test_chain(benchmark: BenchmarkFixture, device: Any, arm: str) -> None:
    """100 dispatches and a read of what they left."""
    arms = arms_of(device, driver_for(device), _CHAIN)
    if arm not in arms:
        pytest.skip("the floor is made of calls into wgpu-native")
    benchmark.extra_info["dispatches"] = _CHAIN.dispatches
    benchmark(arms[arm])
    assert len(arms[arm].words) == 4 * _CHAIN.words
    for other in arms.values():
        other.close()
