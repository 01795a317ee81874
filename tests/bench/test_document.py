"""The tables of the performance page match the runs that are kept beside it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from properties.bench.page import fill, headline, loss, tables
from properties.bench.timing import Report, Row, write_report

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "performance.md"
BLOCK = "before\n<!-- table dispatch desk -->\nold\n<!-- end -->\nafter\n"


def row(arm: str, median_us: float) -> Row:
    return Row(
        workload="chain",
        arm=arm,
        median_us=median_us,
        low_us=median_us,
        high_us=median_us,
        record_us=1.0,
        cpu_us=1.0,
    )


def report(*rows: Row) -> Report:
    return Report(
        benchmark="dispatch",
        device="vulkan",
        description="an adapter",
        command="gpusim bench dispatch",
        rows=rows,
    )


def test_the_page_is_filled_in() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert fill(text, ROOT / "docs" / "data") == text


def test_a_table_comes_from_the_run_and_from_what_was_expected(tmp_path: Path) -> None:
    write_report(report(row("ring", 12.0)), tmp_path / "dispatch-desk.json")
    expected = {"dispatch": {"chain": {"ring": 10}}}
    (tmp_path / "expected-desk.json").write_text(json.dumps(expected))
    filled = fill(BLOCK, tmp_path)
    assert "old" not in filled
    assert "| ring | 10.0 | 12.0 |" in filled
    assert filled.startswith("before\n")
    assert filled.endswith("<!-- end -->\nafter\n")
    assert fill(filled, tmp_path) == filled


def test_the_loss_is_a_share_of_what_caches_give() -> None:
    arms = {"lazy": 20.0, "lazy, both": 15.0, "cached": 10.0}
    others = {"lazy, uniform pool": 20.0, "lazy, bind-group cache": 20.0}
    text = loss(report(*(row(arm, us * 1000) for arm, us in (arms | others).items())))
    assert "`lazy, both` loses 25% of the tokens a second (20.0 instead of 15.0 ms" in text
    assert "`cached` loses 50%" in text


@pytest.mark.parametrize("machine", ["h100", "lavapipe", "simulated"])
def test_what_was_expected_is_positive(machine: str) -> None:
    file = ROOT / "docs" / "data" / f"expected-{machine}.json"
    benchmarks = json.loads(file.read_text(encoding="utf-8"))
    arms = [arms for workloads in benchmarks.values() for arms in workloads.values()]
    assert min(us for each in arms for us in each.values()) > 0


def test_the_headline_compares_with_the_way_without_batching(tmp_path: Path) -> None:
    decode = [
        replace(row(arm, us), workload="decode") for arm, us in (("eager", 9e3), ("ring", 3e3))
    ]
    reads = [replace(row(arm, 8.0), workload="16 small reads") for arm in ("read_buffer", "ring")]
    chain = [row("eager", 20.0), row("ring", 5.0)]
    for name, rows in (("dispatch", chain), ("readback", reads), ("decode", decode)):
        write_report(report(*rows), tmp_path / f"{name}-desk.json")
    text = headline(tmp_path, "desk")
    assert "| 20.0 µs (`eager`) | 5.00 µs | 4.00 |" in text
    assert "| 9.00 ms (`eager`) | 3.00 ms | 3.00 |" in text


def test_rounds_share_one_table() -> None:
    more = {"least_us": 9.0, "most_us": 11.0, "paired_to_bare": 1.5}
    rows = [
        replace(row(arm, us), workload=f"dependent, round {number}", more=more)
        for number, us in ((1, 10.0), (2, 20.0))
        for arm in ("ring", "bare")
    ]
    text = tables(report(*rows), {})
    assert "| ring | 10.0 20.0 | 9.00-11.0 9.00-11.0 |" in text
    assert "| 1.50 1.50 | - - |" in text


def test_limits_share_one_table() -> None:
    rows = [
        replace(row(arm, 10.0), workload=workload, more={"ratio_to_best_fixed": 1.25})
        for workload in ("chain by limit", "overlap 1")
        for arm in ("eager", "ring")
    ]
    text = tables(report(*rows), {})
    assert "| arm | chain by limit | overlap 1 |" in text
    assert "| ring | 10.0 (1.25) | 10.0 (1.25) |" in text


def test_a_curve_is_thinned_up_to_its_last_stretch() -> None:
    rows = [replace(row(str(at), 1.0), more={"reached": float(at)}) for at in range(1, 21)]
    shown = [line.split()[1] for line in tables(report(*rows), {}).splitlines()[6:] if line]
    assert shown == ["4", "8", "12", "16", "20"]
