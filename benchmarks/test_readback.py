"""Reads before a sync, by policy and beside wgpu-py's own method.

``gpusim bench readback`` has the table.
"""

from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gpusim.runtime import driver_for
from properties.bench.readback import reading_arms

_ARMS = ["eager", "lazy", "pooled", "cached", "ring", "read_buffer", "bare"]


@pytest.mark.parametrize("arm", _ARMS)
@pytest.mark.parametrize(("reads", "size_bytes"), [(16, 256), (1, 1 << 24)])
def test_reads(
    benchmark: BenchmarkFixture, device: Any, arm: str, reads: int, size_bytes: int
) -> None:
    """Sixteen of 256 bytes, and one of 16 MiB, into arrays that are there already."""
    arms = reading_arms(device, driver_for(device), reads, size_bytes)
    benchmark.extra_info["reads"] = reads
    benchmark(arms[arm])
    assert len(arms[arm].words) == reads * size_bytes
    for other in arms.values():
        other.close()
