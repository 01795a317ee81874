"""A report on a terminal is whole in 80 columns, and shows what its rows have."""

from pathlib import Path

import pytest

from properties.bench.show import columns, legend_of, number, text_of
from properties.bench.timing import Report, Row, read_report

DATA = Path(__file__).resolve().parents[2] / "docs" / "data"
BENCHMARKS = ("decode", "dispatch", "fuzz", "readback", "scale")
REPORTS = sorted(path for path in DATA.glob("*.json") if path.stem.split("-")[0] in BENCHMARKS)


def row(arm: str, median_us: float, rounds: int = 3, **more: float) -> Row:
    return Row(
        workload="chain",
        arm=arm,
        median_us=median_us,
        low_us=0.9 * median_us,
        high_us=1.2 * median_us,
        record_us=1.0,
        cpu_us=1.0,
        ratio_to_eager=0.5,
        rounds=rounds,
        more=more,
    )


def lines_of(*rows: Row) -> list[str]:
    report = Report(
        benchmark="dispatch", device="vulkan", description="an adapter", command="", rows=rows
    )
    return text_of(report).splitlines()


@pytest.mark.parametrize("file", REPORTS, ids=lambda file: file.stem)
def test_every_report_that_is_kept_fits_a_terminal(file: Path) -> None:
    report = read_report(file)
    lines = [line for line in text_of(report).splitlines() if line != report.description]
    assert max(map(len, lines)) <= 80
    legend = legend_of(report).splitlines()
    assert max(map(len, legend)) <= 105
    assert legend[0].startswith("median ")
    for kept in report.rows:
        assert any(line.split("  ")[0] == kept.arm for line in lines)


def test_a_table_is_as_wide_as_its_figures() -> None:
    *_, above, below, rule, first, second = lines_of(row("a long name", 12345.0), row("b", 1.5))
    assert above.split() == ["median", "record", "CPU", "÷"]
    assert below.split() == ["arm", "µs", "±", "%", "µs", "µs", "eager"]
    assert first == "a long name  12,345   15    1.00  1.00   0.50"
    assert second.split() == ["b", "1.50", "15", "1.00", "1.00", "0.50"]
    assert len(rule) == len(first)


def test_what_no_row_has_is_no_column() -> None:
    assert [head for head, _ in columns([row("b", 1.5, rounds=1, held=3)])] == [
        "arm",
        "median µs",
        "recording µs",
        "of CPU µs",
        "÷ eager",
        "entries held",
    ]
    assert "± %" not in lines_of(row("b", 1.5, rounds=1))[-3]


def test_each_column_is_explained_and_no_other() -> None:
    report = Report(
        benchmark="dispatch",
        device="vulkan",
        description="an adapter",
        command="",
        rows=[row("b", 1.5, rounds=1, held=3)],
    )
    heads = [line.split("  ")[0] for line in legend_of(report).splitlines()]
    assert heads == ["median", "record", "CPU", "÷ eager", "entries held"]


def test_numbers_have_three_digits() -> None:
    shown = [number(value) for value in (None, 0.123, 1.5, 12.34, 123.4, 12345.6)]
    assert shown == ["-", "0.12", "1.50", "12.3", "123", "12,346"]
