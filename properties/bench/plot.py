"""Pictures of reports: bars by arm, or curves of what one more op costs after so many.

A picture fits a screen, names the unit of its times, and has one legend.  No table is made here.
matplotlib is an extra of the package, imported when a picture is asked for.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from gpusim.errors import ProgramError
from properties.bench.show import number
from properties.bench.timing import Report, Row, by_workload

_UNITS = {"decode": "token", "readback": "read", "fuzz": "program", "live buffers": "buffer"}
"""The unit of one time, by benchmark or workload; a dispatch if neither is listed."""
_COLUMNS = 3
_WIDTH, _BARE_HEIGHT, _BAR_HEIGHT, _CURVE_HEIGHT = 4.6, 0.8, 0.18, 3.2
"""In inches: the width of a panel; the height of a panel of bars without its bars, and of each
bar; the height of a panel with a curve."""
_HEAD, _DOTS_PER_INCH = 0.8, 100
_FAR = 3.0
"""A bar that is longer than this many times the median bar is cut."""
_MARGIN = 1.15
"""The length of an axis, divided by the longest bar: it leaves room for the figure behind it."""
_HOST, _REST, _SPREAD = "#2f6f9f", "#b9cfe0", "#333333"

Draw = Callable[[Report, Path], None]


def load_drawing() -> Draw:
    """The function that draws a report into a file; ProgramError if matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ProgramError(
            "cannot draw a plot because matplotlib is not installed "
            "(probably the extra was left out: pip install 'gpusim[plot]')"
        ) from error

    def draw(report: Report, file: Path) -> None:
        groups = by_workload(report.rows)
        curves = all("reached" in row.more for row in report.rows)
        columns = min(_COLUMNS, len(groups))
        lines = -(-len(groups) // columns)
        bars = max(len(rows) for rows in groups.values())
        height = _CURVE_HEIGHT if curves else _BARE_HEIGHT + _BAR_HEIGHT * bars
        size = (max(columns, 2) * _WIDTH * 0.9, lines * height + _HEAD)
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(f"{report.benchmark}: {report.description}", fontsize=10)
        panels = list(figure.subplots(lines, columns, squeeze=False).flat)
        for axes in panels[len(groups) :]:
            axes.set_axis_off()
        _panels(panels, groups, _UNITS.get(report.benchmark, "dispatch"), curves=curves)
        _legend(figure, panels[: len(groups)])
        figure.savefig(file, dpi=_DOTS_PER_INCH)

    return draw


def _panels(
    panels: Sequence[Any], groups: Mapping[str, Sequence[Row]], unit: str, *, curves: bool
) -> None:
    for axes, (workload, rows) in zip(panels, groups.items(), strict=False):
        (_lines if curves else _bars)(axes, rows, _UNITS.get(workload, unit))
        axes.set_title(workload, loc="left", fontsize=10)
        axes.tick_params(labelsize=8)


def _legend(figure: Any, panels: Sequence[Any]) -> None:
    """One legend for all panels, below them."""
    shown: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        shown |= dict(zip(labels, handles, strict=True))
    figure.legend(
        shown.values(), shown.keys(), loc="outside lower center", ncols=4, fontsize=8, frameon=False
    )


def _bars(axes: Any, rows: Sequence[Row], unit: str) -> None:
    """A bar for each arm, with its median; a bar far longer than the others is cut and marked."""
    name, factor = ("ms", 1e-3) if median(row.median_us for row in rows) >= 1000 else ("µs", 1.0)
    names = [row.arm for row in rows]
    medians = [factor * row.median_us for row in rows]
    below = [factor * (row.median_us - row.low_us) for row in rows]
    above = [factor * (row.high_us - row.median_us) for row in rows]
    axes.barh(names, medians, color=_REST, label="until the results are in host memory")
    host = [factor * row.record_us for row in rows]
    axes.barh(names, host, color=_HOST, height=0.4, label="until all is submitted")
    axes.errorbar(
        medians, names, xerr=(below, above), fmt="none", color=_SPREAD, capsize=2, label="quartiles"
    )
    axes.invert_yaxis()
    edge = _FAR * median(medians)
    longest = max(one + high for one, high in zip(medians, above, strict=True))
    right = min(edge, _MARGIN * longest)
    axes.set_xlim(0, right)
    for place, (one, high) in enumerate(zip(medians, above, strict=True)):
        _label(axes, place, one, one + high, right)
    axes.set_xlabel(f"{name} per {unit}", fontsize=8)


def _label(axes: Any, place: int, one: float, end: float, right: float) -> None:
    """Write the median behind the whisker, or over the whisker if there is no room behind it."""
    style: Any = {"va": "center", "fontsize": 7, "clip_on": True}
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    if one > right:
        mark: Any = {"marker": "$//$", "markersize": 12, "color": "white", "linestyle": "none"}
        axes.plot([0.985 * right], [place], **mark)
        axes.text(0.94 * right, place, f"{number(one)}, bar cut", ha="right", bbox=box, **style)
    elif end > 0.9 * right:
        axes.text(1.03 * one, place, number(one), bbox=box, zorder=5, **style)
    else:
        axes.text(end, place, f"  {number(one)}", **style)


def _lines(axes: Any, rows: Sequence[Row], unit: str) -> None:
    """Draw the cost of one more op or buffer against the number so far; memory has its own axis."""
    reached = [row.more["reached"] for row in rows]
    axes.plot(reached, [row.median_us for row in rows], "o-", color=_REST, label="µs in all")
    axes.plot(
        reached, [row.cpu_us for row in rows], "o-", color=_HOST, label="µs of the host's CPU"
    )
    axes.set_ylim(0, _MARGIN * max(row.median_us for row in rows))
    axes.set_xlabel(f"{rows[0].workload}, at the end of each stretch", fontsize=8)
    axes.set_ylabel(f"µs per {unit}", fontsize=8)
    if max(reached) >= 100 * min(reached):
        axes.set_xscale("log")
    else:
        axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:,.0f}k")
    if all("resident_mib" in row.more for row in rows):
        _memory(axes, reached, [row.more["resident_mib"] for row in rows])


def _memory(axes: Any, reached: Sequence[float], resident: Sequence[float]) -> None:
    memory = axes.twinx()
    axes.plot([], [], ":", color=_SPREAD, label="resident MiB (right)")
    memory.plot(reached, resident, ":", color=_SPREAD)
    memory.set_ylim(0, 1.2 * max(resident))
    memory.set_ylabel("resident MiB", fontsize=8)
    memory.tick_params(labelsize=8)
