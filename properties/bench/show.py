"""Reports: tables in a terminal and in a document, pictures with bars and lines.

    python -m properties.bench.show docs/performance.md docs/data

fills in a document's tables.  A table stands between ``<!-- table BENCHMARK MACHINE -->`` and
``<!-- end -->``, and its figures in ``BENCHMARK-MACHINE.json``.  What was expected, written
before anything was measured, is in ``expected-MACHINE.json``: microseconds by benchmark,
workload and arm.  matplotlib is an extra of the package, imported when a picture is asked for.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from gpusim.errors import ProgramError
from properties.bench.timing import Report, Row, by_workload, read_report

_MORE = {
    "ratio_to_best_fixed": ("÷ best fixed", "÷ best\nfixed"),
    "ratio_to_read_buffer": ("÷ read_buffer", "÷ read_\nbuffer"),
    "tokens_per_second": ("tokens/s", "tokens\n/s"),
    "submits_per_token": ("submits/token", "sub-\nmits"),
    "gb_per_second": ("GB/s", "GB/s"),
    "programs_per_second": ("programs/s", "programs\n/s"),
    "ops_per_second": ("ops/s", "ops/s"),
    "programs_per_cpu_second": ("programs/CPU s", "programs\n/CPU s"),
    "share": ("share", "share"),
    "held": ("entries held", "entries\nheld"),
    "resident_mib": ("resident MiB", "resident\nMiB"),
}
"""What ``Row.more`` may hold, and the head of its column, in full and narrow."""

Column = tuple[str, Callable[[Row], str]]
"""The head of a column, and what it says of a row."""


def text_of(report: Report) -> str:
    """A table for each workload, as wide as what stands in it and no wider."""
    lines = [f"{report.benchmark} on {report.device}", report.description]
    for workload, rows in by_workload(report.rows).items():
        lines += ["", workload, *_aligned(_narrow(rows), rows)]
    return "\n".join(lines)


def columns(rows: Sequence[Row]) -> list[Column]:
    """The columns of a full table of ``rows``; what none of them has is left out."""
    spread: Column = "quartiles", lambda row: f"{number(row.low_us)} to {number(row.high_us)}"
    return [
        ("arm", lambda row: row.arm),
        ("median µs", lambda row: number(row.median_us)),
        *[spread] * _are_spread(rows),
        ("recording µs", lambda row: number(row.record_us)),
        ("of CPU µs", lambda row: number(row.cpu_us)),
        *_ratios(rows, ("÷ bare", "÷ eager")),
        *((head, _figure(name)) for name, (head, _) in _more(rows).items()),
    ]


def number(value: float | None) -> str:
    """Three digits, or a dash where there is no such number."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _narrow(rows: Sequence[Row]) -> list[Column]:
    """The columns of a terminal: half the quartiles' distance in percent stands for both."""
    spread: Column = "± %", lambda row: f"{50 * (row.high_us - row.low_us) / row.median_us:.0f}"
    return [
        ("arm", lambda row: row.arm),
        ("median\nµs", lambda row: number(row.median_us)),
        *[spread] * _are_spread(rows),
        ("record\nµs", lambda row: number(row.record_us)),
        ("CPU\nµs", lambda row: number(row.cpu_us)),
        *_ratios(rows, ("÷\nbare", "÷\neager")),
        *((head, _figure(name)) for name, (_, head) in _more(rows).items()),
    ]


def _are_spread(rows: Sequence[Row]) -> bool:
    return any(row.rounds > 1 for row in rows)


def _ratios(rows: Sequence[Row], heads: tuple[str, str]) -> list[Column]:
    ratios: list[Column] = []
    if any(row.ratio_to_bare is not None for row in rows):
        ratios.append((heads[0], lambda row: number(row.ratio_to_bare)))
    if any(row.ratio_to_eager is not None for row in rows):
        ratios.append((heads[1], lambda row: number(row.ratio_to_eager)))
    return ratios


def _more(rows: Sequence[Row]) -> dict[str, tuple[str, str]]:
    return {name: heads for name, heads in _MORE.items() if any(name in row.more for row in rows)}


def _figure(name: str) -> Callable[[Row], str]:
    return lambda row: number(row.more.get(name))


def _aligned(columns: Sequence[Column], rows: Sequence[Row]) -> list[str]:
    """Heads of up to two lines, a rule, and a line a row; numbers to the right."""
    texts: list[list[str]] = []
    for head, say in columns:
        above, _, below = head.rpartition("\n")
        cells = [above, below, *(say(row) for row in rows)]
        width = max(map(len, cells))
        align = str.rjust if texts else str.ljust
        first, second, *others = (align(cell, width) for cell in cells)
        texts.append([first, second, "─" * width, *others])
    return ["  ".join(line).rstrip() for line in zip(*texts, strict=True)]


_WIDTH, _ROW_HEIGHT = 7.0, 0.3
_LINE_HEIGHT = 3.0
_FAR = 3.0
_MARGIN = 1.1
"""Room for the figure behind the longest bar."""
_RECORDING, _REST, _SPREAD = "#2f6f9f", "#b9cfe0", "#333333"


def load_drawing() -> Callable[[Report, Path], None]:
    """The function that draws a report into a file; ProgramError where matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ProgramError(
            "cannot draw a plot because matplotlib is not installed "
            "(probably the extra was left out: pip install 'gpusim[plot]')"
        ) from error

    def draw(report: Report, file: Path) -> None:
        workloads = by_workload(report.rows)
        curves = all("reached" in row.more for row in report.rows)
        heights = [_LINE_HEIGHT if curves else 1 + _ROW_HEIGHT * len(w) for w in workloads.values()]
        figure = Figure(figsize=(_WIDTH, sum(heights) + 0.5), layout="constrained")
        figure.suptitle(f"{report.benchmark} on {report.device}\n{report.description}", fontsize=9)
        every = figure.subplots(len(workloads), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, (workload, rows) in zip(every, workloads.items(), strict=True):
            (_lines if curves else _bars)(axes, rows)
            axes.set_title(workload, loc="left", fontsize=10)
        figure.savefig(file, dpi=150)

    return draw


def _bars(axes: Any, rows: Sequence[Row]) -> None:
    """A bar an arm: recording dark, what remains light, quartiles as a whisker, and its median.

    Where one arm is far beyond the others, its bar runs out of the picture.
    """
    names = [row.arm for row in rows]
    medians = [row.median_us for row in rows]
    below = [row.median_us - row.low_us for row in rows]
    above = [row.high_us - row.median_us for row in rows]
    axes.barh(names, medians, color=_REST, xerr=(below, above), ecolor=_SPREAD, capsize=2)
    axes.barh(names, [row.record_us for row in rows], color=_RECORDING, height=0.35)
    axes.invert_yaxis()
    edge = _FAR * median(medians)
    if max(medians) > edge:
        axes.set_xlim(0, edge)
    elif max(medians) > 20 * min(medians):
        axes.set_xscale("log")
    else:
        axes.set_xlim(0, _MARGIN * max(row.high_us for row in rows))
    for place, row in enumerate(rows):
        style: Any = {"va": "center", "fontsize": 7}
        if row.median_us > edge:
            axes.text(edge, place, f"{number(row.median_us)} ", ha="right", color="white", **style)
        else:
            axes.text(min(row.high_us, edge), place, f"  {number(row.median_us)}", **style)
    axes.set_xlabel("microseconds; narrow: host time until submitted; wide: in all", fontsize=8)
    axes.tick_params(labelsize=8)


def _lines(axes: Any, rows: Sequence[Row]) -> None:
    """Cost of one more, by how many there were; memory on an axis of its own."""
    reached = [row.more["reached"] for row in rows]
    axes.plot(reached, [row.median_us for row in rows], "o-", color=_REST, label="in all")
    axes.plot(reached, [row.cpu_us for row in rows], "o-", color=_RECORDING, label="host's CPU")
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"{rows[0].workload}, at the end of each stretch", fontsize=8)
    axes.set_ylabel("microseconds an op", fontsize=8)
    if max(reached) >= 100 * min(reached):
        axes.set_xscale("log")
    if all("resident_mib" in row.more for row in rows):
        memory = axes.twinx()
        resident = [row.more["resident_mib"] for row in rows]
        memory.plot(reached, resident, ":", color=_SPREAD, label="resident MiB")
        memory.set_ylim(0, 1.2 * max(resident))
        memory.set_ylabel("resident MiB (dotted)", fontsize=8)
        memory.tick_params(labelsize=8)
    axes.legend(fontsize=8)
    axes.tick_params(labelsize=8)


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
