"""Reports as pictures: bars for arms, lines for curves.

matplotlib is an extra of the package, imported when a picture is asked for.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from gpusim.errors import ProgramError
from properties.bench.rows import Report, Row, by_workload
from properties.bench.show import number

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
