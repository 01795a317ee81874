"""The stages of judging add up, and the curves of scale are as long as they say."""

from typing import Any

import pytest

from properties.bench import fuzz
from properties.bench.fuzz import bench_fuzz
from properties.bench.scale import bench_scale
from properties.bench.timing import by_workload


def silent(what: str) -> None:
    """Nobody listens."""


def test_the_stages_of_judging_add_up(device_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "_PROGRAMS", 6)
    whole, *stages = bench_fuzz(device_name, 1, silent)
    assert [stage.arm for stage in stages] == list(fuzz._STAGES)
    assert sum(stage.median_us for stage in stages) == pytest.approx(whole.median_us)
    assert all(stage.median_us > 0 for stage in stages)
    assert whole.more["programs_per_second"] * whole.median_us == pytest.approx(1e6)
    assert whole.more["ops_per_second"] > whole.more["programs_per_second"]
    assert whole.more["programs_per_cpu_second"] * whole.cpu_us == pytest.approx(1e6)


def test_the_curves_reach_what_they_say_and_what_is_held_is_bounded(bench_device: Any) -> None:
    curves = by_workload(bench_scale(bench_device, small=True, tell=silent, shrink=100))
    reached = {name: int(rows[-1].more["reached"]) for name, rows in curves.items()}
    assert reached == {"dispatches so far": 1000, "live buffers": 100, "different cache keys": 10}
    for rows in curves.values():
        for row in rows:
            assert row.more["held"] <= 256 + 256 + 1 + 4
