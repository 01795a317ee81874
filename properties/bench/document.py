"""The tables of a document, filled in from the JSON of runs and from what was expected.

    python -m properties.bench.document docs/performance.md docs/data

A table stands between ``<!-- table BENCHMARK MACHINE -->`` and ``<!-- end -->``,
and its figures in ``BENCHMARK-MACHINE.json``.  What was expected, written
before anything was measured, is in ``expected-MACHINE.json``: microseconds by
benchmark, workload and arm.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from properties.bench.rows import Report, Row, by_workload, read_report
from properties.bench.show import columns, number

_BLOCK = re.compile(r"(<!-- (table|loss) (\w+) (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_NOT_RUN = "Not run yet.\n"
_WITH_CACHES = ("lazy, uniform pool", "lazy, bind-group cache", "lazy, both", "cached")

Expected = Mapping[str, Mapping[str, float]]
"""Microseconds by workload and arm."""


def fill(text: str, folder: Path) -> str:
    """``text`` with every block between its marks made anew from the files of ``folder``."""

    def block(match: re.Match[str]) -> str:
        start, kind, benchmark, machine, end = match.groups()
        file = folder / f"{benchmark}-{machine}.json"
        report = read_report(file) if file.exists() else None
        if kind == "loss":
            body = loss(report)
        else:
            body = tables(report, _expected(folder / f"expected-{machine}.json", benchmark))
        return f"{start}{body}{end}"

    return _BLOCK.sub(block, text)


def tables(report: Report | None, expected: Expected) -> str:
    """A table a workload; what was only expected so far has no measured figures."""
    if report is None:
        return _NOT_RUN + "".join(_table_of_expected(*entry) for entry in expected.items())
    head = f"{report.description}; `{report.command}`\n"
    groups = by_workload(report.rows)
    return head + "".join(
        _table(name, rows, expected.get(name, {})) for name, rows in groups.items()
    )


def loss(report: Report | None) -> str:
    """What share of the tokens a second that each cache gives is lost without any."""
    if report is None:
        return _NOT_RUN
    by_arm = {row.arm: row for row in report.rows}
    lazy = by_arm["lazy"]
    lines = [
        f"- against `{arm}` {_lost(lazy.median_us, cached.median_us)} of the tokens a second "
        f"({number(lazy.median_us / 1000)} instead of {number(cached.median_us / 1000)} ms a "
        f"token), and {_lost(lazy.cpu_us, cached.cpu_us)} of its CPU time"
        for arm, cached in ((arm, by_arm[arm]) for arm in _WITH_CACHES)
    ]
    return "\n".join(["`lazy`, which caches nothing,", "", *lines]) + "\n"


def _lost(without_us: float, with_caches_us: float) -> str:
    share = 1 - with_caches_us / without_us
    return f"{'gains' if share < 0 else 'loses'} {abs(share):.0%}"


def main(document: Path, folder: Path) -> None:
    """Fill in the document, in place."""
    text = document.read_text(encoding="utf-8")
    document.write_text(fill(text, folder), encoding="utf-8")


def _expected(file: Path, benchmark: str) -> Expected:
    if not file.exists():
        return {}
    expected: dict[str, Expected] = json.loads(file.read_text(encoding="utf-8"))
    return expected.get(benchmark, {})


def _table(workload: str, rows: Sequence[Row], expected: Mapping[str, float]) -> str:
    shown = columns(rows)
    if expected:

        def foreseen(row: Row) -> float | None:
            return expected.get(row.arm)

        def differs(row: Row) -> float | None:
            return row.median_us / expected[row.arm] if row.arm in expected else None

        shown.insert(1, ("expected µs", lambda row: number(foreseen(row))))
        shown.append(("measured ÷ expected", lambda row: number(differs(row))))
    lines = [[say(row) for _, say in shown] for row in rows]
    return _markdown(workload, [head for head, _ in shown], lines)


def _table_of_expected(workload: str, expected: Mapping[str, float]) -> str:
    lines = [[arm, number(figure)] for arm, figure in expected.items()]
    return _markdown(workload, ["arm", "expected µs"], lines)


def _markdown(title: str, head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---", *("--:" for _ in head[1:])]
    rows = ["| " + " | ".join(cell) + " |" for cell in (head, rule, *lines)]
    return "\n".join(["", f"**{title}**", "", *rows]) + "\n\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
