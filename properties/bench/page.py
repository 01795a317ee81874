"""Writes the tables and pictures of docs/performance.md from the saved runs.

    python -m properties.bench.page docs/performance.md docs/data docs/plots

This command fills in the tables and draws every picture again.  A table stands between ``<!-- table
BENCHMARK MACHINE -->`` and ``<!-- end -->``; its figures are in ``BENCHMARK-MACHINE.json``.  The
figures that were expected, written down before anything was measured, are in
``expected-MACHINE.json``: microseconds by benchmark, workload and arm.  Nothing is measured here.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from properties.bench.launch import ROUND
from properties.bench.plot import load_drawing
from properties.bench.show import columns, number
from properties.bench.timing import Report, Row, by_workload, read_report

_BLOCK = re.compile(
    r"(<!-- (table|loss|headline)(?: (\w+))? (\w+) -->\n).*?(<!-- end -->)", re.DOTALL
)
_WITH_CACHES = ("lazy, uniform pool", "lazy, bind-group cache", "lazy, both", "cached")
_HEADLINES = (
    ("a dispatch, of 1,000 in a row", "dispatch/chain", "eager", "µs"),
    ("a read of 256 bytes, of 16 before a sync", "readback/16 small reads", "read_buffer", "µs"),
    ("a token of a decoder, 244 dispatches", "decode/decode", "eager", "ms"),
)
"""For each figure: its name, its benchmark and workload, the arm without batching, the unit."""
_HEADLINE_WORKLOAD = "chain"
_STRETCHES = 5
"""About how many stretches of a curve a table shows; the picture shows all."""

_OF_ROUNDS: Mapping[str, Callable[[Row], str]] = {
    "median µs": lambda row: number(row.median_us),
    "least to most": lambda row: f"{number(row.more['least_us'])}-{number(row.more['most_us'])}",
    "CPU µs": lambda row: number(row.cpu_us),
    "÷ bare, paired": lambda row: number(row.more.get("paired_to_bare")),
    "÷ cupy, paired": lambda row: number(row.more.get("paired_to_cupy")),
}
"""The columns of a table whose rows have several rounds."""

Expected = Mapping[str, Mapping[str, float]]
"""Microseconds by workload and arm."""


def main(document: Path, data: Path, plots: Path) -> None:
    """Fill in the document and draw the pictures, in place."""
    document.write_text(fill(document.read_text(encoding="utf-8"), data), encoding="utf-8")
    draw = load_drawing()
    for file in sorted(plots.glob("*.png")):
        if file.stem != "headline":
            draw(read_report(data / f"{file.stem}.json"), file)
    report = read_report(data / "dispatch-h100.json")
    chain = [row for row in report.rows if row.workload == _HEADLINE_WORKLOAD]
    draw(replace(report, rows=chain), plots / "headline.png")


def fill(text: str, folder: Path) -> str:
    """``text`` with every block between marks filled in from the files of ``folder``."""

    def block(match: re.Match[str]) -> str:
        start, kind, benchmark, machine, end = match.groups()
        if kind == "headline":
            return f"{start}{headline(folder, machine)}{end}"
        report = read_report(folder / f"{benchmark}-{machine}.json")
        if kind == "loss":
            body = loss(report)
        else:
            body = tables(report, _expected(folder / f"expected-{machine}.json", benchmark))
        return f"{start}{body}{end}"

    return _BLOCK.sub(block, text)


def headline(folder: Path, machine: str) -> str:
    """A table of the three figures that matter most."""
    head = ["end to end", "without batching", "`ring`", "times less"]
    lines = []
    for what, place, slow, unit in _HEADLINES:
        benchmark, workload = place.split("/")
        report = read_report(folder / f"{benchmark}-{machine}.json")
        us = {row.arm: row.median_us for row in by_workload(report.rows)[workload]}
        factor = 1e-3 if unit == "ms" else 1.0
        without, ours = (f"{number(factor * us[arm])} {unit}" for arm in (slow, "ring"))
        lines.append([what, f"{without} (`{slow}`)", ours, number(us[slow] / us["ring"])])
    return "\n".join(_grid(head, lines)) + "\n"


def tables(report: Report, expected: Expected) -> str:
    """A table for each workload; the workloads that compare batch limits share one table."""
    groups = by_workload(report.rows)
    if all(ROUND in name for name in groups):
        return f"{report.description}; `{report.command}`\n{_tables_of_rounds(groups)}"
    limits = {name: rows for name, rows in groups.items() if _are_limits(rows)}
    text = f"{report.description}; `{report.command}`\n"
    for name, rows in groups.items():
        if name not in limits:
            text += _table(name, _thinned(rows), expected.get(name, {}))
    return text + (_table_of_limits(limits) if limits else "")


def loss(report: Report) -> str:
    """For each arm with caches: how many percent fewer tokens a second ``lazy`` makes."""
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


def _expected(file: Path, benchmark: str) -> Expected:
    if not file.exists():
        return {}
    expected: dict[str, Expected] = json.loads(file.read_text(encoding="utf-8"))
    return expected.get(benchmark, {})


def _are_limits(rows: Sequence[Row]) -> bool:
    return all("ratio_to_best_fixed" in row.more for row in rows)


def _thinned(rows: Sequence[Row]) -> Sequence[Row]:
    """About five of the rows if these are stretches of a curve, evenly spaced; otherwise all."""
    if not all("reached" in row.more for row in rows):
        return rows
    step = max(1, len(rows) // _STRETCHES)
    return rows[step - 1 :: step]


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


def _tables_of_rounds(groups: Mapping[str, Sequence[Row]]) -> str:
    """A table for each chain; its cells have a figure for each round."""
    chains = dict.fromkeys(name.split(ROUND)[0] for name in groups)
    text = ""
    for chain in chains:
        rounds = [rows for name, rows in groups.items() if name.split(ROUND)[0] == chain]
        lines = [
            [rows[0].arm, *(" ".join(map(say, rows)) for say in _OF_ROUNDS.values())]
            for rows in zip(*rounds, strict=True)
        ]
        text += _markdown(f"{chain}, round by round", ["arm", *_OF_ROUNDS], lines)
    return text


def _table_of_limits(groups: Mapping[str, Sequence[Row]]) -> str:
    """Returns a table with a line for each arm and a column for each workload.

    A cell has the median, and in brackets the ratio to the best fixed limit.
    """
    lines = [
        [rows[0].arm]
        + [f"{number(row.median_us)} ({row.more['ratio_to_best_fixed']:.2f})" for row in rows]
        for rows in zip(*groups.values(), strict=True)
    ]
    return _markdown("median µs by limit (÷ best fixed)", ["arm", *groups], lines)


def _markdown(title: str, head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(["", f"**{title}**", "", *_grid(head, lines)]) + "\n\n"


def _grid(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *("--:" for _ in head[1:])]
    return ["| " + " | ".join(cells) + " |" for cells in (head, rule, *lines)]


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
