"""The native calls of a dispatch are counted, and what they leave is Python's."""

from collections import Counter
from typing import Any

import pytest

from gpusim.runtime import PRESETS
from properties.bench.arms import Chain
from properties.bench.native_calls import PYTHON, Counted, profile, rows_of_calls

CHAIN = Chain(name="chain", dispatches=40)


def test_ring_makes_two_native_calls_a_dispatch_and_the_others_once_a_batch(
    bench_device: Any,
) -> None:
    if not type(bench_device).__module__.startswith("wgpu.backends.wgpu_native"):
        return
    rows = profile(bench_device, PRESETS["ring"], CHAIN, 5.0)
    calls = {row.arm: row.more["calls"] for row in rows if row.arm != PYTHON}
    assert calls["ComputePassEncoderSetBindGroup"] == 1
    assert calls["ComputePassEncoderDispatchWorkgroups"] == 1
    assert calls["QueueSubmitForIndex"] == 1 / 40
    assert max(calls.values()) == 1
    assert sum(row.cpu_us for row in rows) == pytest.approx(5.0)


@pytest.mark.unit
def test_a_call_is_passed_on_and_a_constant_is_left_alone() -> None:
    class Library:
        LIMIT = 7

        @staticmethod
        def double(number: int) -> int:
            return 2 * number

    calls: Counter[str] = Counter()
    counted = Counted(Library, calls, Counter())
    assert [counted.double(4), counted.double(5), counted.LIMIT] == [8, 10, 7]
    assert calls == {"double": 2}


@pytest.mark.unit
def test_the_dearest_call_comes_first_and_rare_ones_are_left_to_the_rest() -> None:
    rows = rows_of_calls(
        "calls",
        {"wgpuA": 1, "wgpuB": 0.1, "wgpuC": 0.0001},
        {"wgpuA": 1, "wgpuB": 2, "wgpuC": 9},
        8,
    )
    assert [(row.arm, row.cpu_us) for row in rows] == [(PYTHON, 5), ("B", 2), ("A", 1)]
