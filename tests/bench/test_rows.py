"""Rows hold medians and ratios, and their JSON holds all of them."""

import json
from pathlib import Path

import pytest

from properties.bench.timing import Report, Row, Sample, read_report, rows_of, write_report


def sample(total_seconds: float) -> Sample:
    return Sample(record_seconds=total_seconds / 2, cpu_seconds=0.0, total_seconds=total_seconds)


def rows(*arms: str) -> list[Row]:
    """Each arm twice as slow as the one before it, from 10 microseconds a unit on."""
    taken = {arm: [sample(1e-3 * 2**n)] * 3 for n, arm in enumerate(arms)}
    return rows_of("chain", taken, 100, more={arms[0]: {"held": 3}})


def test_times_are_microseconds_of_one_unit() -> None:
    (row,) = rows("bare")
    assert (row.median_us, row.record_us) == pytest.approx((10.0, 5.0))


def test_ratios_are_to_bare_and_to_eager() -> None:
    bare, ring, eager = rows("bare", "ring", "eager")
    assert (bare.ratio_to_bare, ring.ratio_to_bare, eager.ratio_to_bare) == pytest.approx((1, 2, 4))
    assert (ring.ratio_to_eager, eager.ratio_to_eager) == pytest.approx((0.5, 1))


def test_there_is_no_ratio_to_an_arm_that_did_not_run() -> None:
    (row,) = rows("ring")
    assert row.ratio_to_bare is None
    assert row.ratio_to_eager is None


def test_the_json_has_the_shape_that_is_promised(tmp_path: Path) -> None:
    report = Report(
        benchmark="dispatch",
        device="vulkan",
        description="an adapter",
        command="gpusim bench dispatch",
        rows=rows("bare", "ring"),
    )
    file = tmp_path / "report.json"
    write_report(report, file)
    data = json.loads(file.read_text())
    assert data["device"] == "vulkan"
    for entry in data["rows"]:
        promised = {"workload", "arm", "median_us", "ratio_to_bare", "ratio_to_eager"}
        assert promised <= set(entry)
    assert [row.arm for row in read_report(file).rows] == ["bare", "ring"]
    assert read_report(file).rows[0].more == {"held": 3}
