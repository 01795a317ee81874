"""Tables of a report, as columns and as text for a terminal.  Nothing is measured here.

``page.py`` puts the same columns into a document, and ``plot.py`` draws pictures.
"""

from collections.abc import Callable, Sequence

from properties.bench.timing import Report, Row, by_workload

_MORE = {
    "adds_cpu_us": ("adds CPU µs", "adds\nCPU µs"),
    "calls": ("calls", "calls"),
    "adds_us": ("adds µs", "adds\nµs"),
    "least_us": ("least µs", "least\nµs"),
    "most_us": ("most µs", "most\nµs"),
    "process_us": ("process µs", "process\nµs"),
    "paired_to_bare": ("÷ bare, paired", "÷ bare,\npaired"),
    "paired_to_cupy": ("÷ cupy, paired", "÷ cupy,\npaired"),
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
"""For each name in ``Row.more``, two heads of its column: for a document, and for a terminal."""

_EXPLAINED = {
    "median": "until the results are in host memory, for one unit: a dispatch, a token or a read",
    "±": "half the distance of the quartiles, in percent of the median",
    "record": "until the last submit has returned",
    "CPU": "CPU time of the calling thread until then",
    "÷ bare": "the median, divided by that of the same work without a runtime",
    "÷ eager": "the median, divided by that of the policy that submits each command",
    "least µs": "the least time of a block",
    "most µs": "the most time of a block",
    "process µs": "CPU time of all threads until the results were in host memory",
    "÷ bare, paired": "the median of the ratios to bare, each within a block",
    "÷ cupy, paired": "the median of the ratios to CuPy, each within a block",
    "calls": "calls of this function for one dispatch",
    "adds CPU µs": "what the part adds to the CPU time of the arm without the part",
    "adds µs": "what the part adds to the time until the results are in host memory",
    "÷ best fixed": "the median of the ratios to the best batch of a fixed size, round by round",
    "÷ read_buffer": "the median, divided by that of wgpu's own queue.read_buffer",
    "tokens/s": "tokens that were generated in a second",
    "submits/token": "submits for one token",
    "GB/s": "bytes that were read back in a second",
    "programs/s": "programs that were judged in a second",
    "ops/s": "ops of these programs in a second",
    "programs/CPU s": "programs that were judged in a second of CPU time",
    "share": "share of the judge's time",
    "entries held": "entries of pools and caches at the end",
    "resident MiB": "memory of the process at the end",
}
"""What the columns of a terminal's table mean."""

Column = tuple[str, Callable[[Row], str]]
"""The head of a column, and its text for a row."""


def text_of(report: Report) -> str:
    """A table for each workload, as wide as its cells need, and the notes."""
    lines = [f"{report.benchmark} on {report.device}", report.description]
    for workload, rows in by_workload(report.rows).items():
        lines += ["", workload, *_aligned(_narrow(rows), rows)]
    if report.notes:
        lines += ["", *report.notes]
    return "\n".join(lines)


def legend_of(report: Report) -> str:
    """For each column of the report a line that explains the column."""
    rows = report.rows
    heads = ["median", *["±"] * _are_spread(rows), "record", "CPU"]
    heads += [head for head, _ in _ratios(rows, ("÷ bare", "÷ eager"))]
    heads += [head for head, _ in _more(rows).values()]
    width = max(map(len, heads))
    return "\n".join(f"{head:{width}}  {_EXPLAINED[head]}" for head in heads)


def columns(rows: Sequence[Row]) -> list[Column]:
    """The columns of a full table of ``rows``; empty columns are left out."""
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
    """A number with at least three digits; a dash for None."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _narrow(rows: Sequence[Row]) -> list[Column]:
    """The columns for a terminal.

    One column stands for both quartiles: half their distance, in percent of the median.
    """
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
    """Returns the lines of a table: heads of two lines, a rule, and a line for each row.

    The first column is aligned to the left, the others to the right.
    """
    texts: list[list[str]] = []
    for head, say in columns:
        above, _, below = head.rpartition("\n")
        cells = [above, below, *(say(row) for row in rows)]
        width = max(map(len, cells))
        align = str.rjust if texts else str.ljust
        first, second, *others = (align(cell, width) for cell in cells)
        texts.append([first, second, "─" * width, *others])
    return ["  ".join(line).rstrip() for line in zip(*texts, strict=True)]
