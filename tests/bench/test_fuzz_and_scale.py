"""The stages of judging add up, and the curves of scale are as long as they say."""

import pytest

from properties.bench import fuzz, scale
from properties.bench.timing import Asked, by_workload


def test_the_stages_of_judging_add_up(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "_PROGRAMS", 6)
    whole, *stages = fuzz.bench(asked).rows
    assert [stage.arm for stage in stages] == list(fuzz._STAGES)
    assert sum(stage.median_us for stage in stages) == pytest.approx(whole.median_us)
    assert all(stage.median_us > 0 for stage in stages)
    assert whole.more["programs_per_second"] * whole.median_us == pytest.approx(1e6)
    assert whole.more["ops_per_second"] > whole.more["programs_per_second"]
    assert whole.more["programs_per_cpu_second"] * whole.cpu_us == pytest.approx(1e6)


def test_the_curves_reach_what_they_say_and_what_is_held_is_bounded(asked: Asked) -> None:
    curves = by_workload(scale.bench(asked, shrink=100).rows)
    reached = {name: int(rows[-1].more["reached"]) for name, rows in curves.items()}
    assert reached == {"dispatches so far": 1000, "live buffers": 100, "different cache keys": 10}
    for rows in curves.values():
        for row in rows:
            assert row.more["held"] <= 256 + 256 + 1 + 4
