"""What an op costs after many of them; ``gpusim bench scale`` has the curves."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gpusim.runtime import Runtime, driver_for
from properties.bench.scale import Stretch, cache_keys, dispatches, live_buffers

_LENGTHS = [(dispatches, 20_000), (live_buffers, 2_000), (cache_keys, 1_000)]


@pytest.mark.parametrize(("curve", "length"), _LENGTHS)
def test_curve(
    benchmark: BenchmarkFixture,
    device: Any,
    curve: Callable[[Runtime, int], Iterator[Stretch]],
    length: int,
) -> None:
    """One whole curve, everything freed after it."""
    driver = driver_for(device)

    def whole_curve() -> int:
        with Runtime(driver=driver) as runtime:
            reached = max(stretch[0] for stretch in curve(runtime, length))
            for buffer in runtime.live_buffers():
                runtime.free(buffer)
        return reached

    benchmark.extra_info["length"] = length
    assert benchmark(whole_curve) == length
