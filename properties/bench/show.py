"""Reports as tables on a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from properties.bench.rows import Report, Row, by_workload

_MORE = {
    "ratio_to_best_fixed": "÷ best fixed",
    "ratio_to_read_buffer": "÷ read_buffer",
    "tokens_per_second": "tokens/s",
    "submits_per_token": "submits/token",
    "gb_per_second": "GB/s",
    "programs_per_second": "programs/s",
    "ops_per_second": "ops/s",
    "share": "share",
    "held": "entries held",
    "resident_mib": "resident MiB",
}
"""What ``Row.more`` may hold, and the head of its column."""


def show(report: Report, console: Console) -> None:
    """A table for each workload."""
    console.print(f"{report.benchmark} on {report.device}: {report.description}", highlight=False)
    for workload, rows in by_workload(report.rows).items():
        console.print(_table(workload, rows))


def columns(rows: Sequence[Row]) -> list[str]:
    """The heads of a table of ``rows``."""
    heads = ["arm", "median µs", "quartiles", "recording µs", "of CPU µs", "÷ bare", "÷ eager"]
    return heads + [_MORE[name] for name in _more(rows)]


def cells(row: Row, rows: Sequence[Row]) -> list[str]:
    """One row of the table of ``rows``, under ``columns``."""
    return [
        row.arm,
        number(row.median_us),
        f"{number(row.low_us)} to {number(row.high_us)}",
        number(row.record_us),
        number(row.cpu_us),
        number(row.ratio_to_bare),
        number(row.ratio_to_eager),
        *(number(row.more.get(name)) for name in _more(rows)),
    ]


def number(value: float | None) -> str:
    """Three digits, or a dash where there is no such number."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _more(rows: Sequence[Row]) -> list[str]:
    return [name for name in _MORE if any(name in row.more for row in rows)]


def _table(workload: str, rows: Sequence[Row]) -> Table:
    head, *others = columns(rows)
    table = Table(head, title=workload, title_justify="left")
    for other in others:
        table.add_column(other, justify="right")
    for row in rows:
        table.add_row(*cells(row, rows))
    return table
