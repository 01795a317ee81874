"""Shows a session in blocks as a page: curves over its time, findings, adapters and machines.

The head of a fleet writes the page again and again while the session runs.  Nothing is counted
here.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from pathlib import Path

from properties.document import document, table
from properties.fuzz.report import findings, rate, verdict
from properties.fuzz.union import Step, Union, covered, joined
from properties.oracles.coverage import FEASIBLE

REFRESH_SECONDS = 5
"""The seconds after which the head writes the page again, and a browser loads it again."""
_WIDTH, _HEIGHT, _TOP, _LEFT, _BOTTOM = 340, 130, 18, 40, 18
"""The sizes of a picture, and of the room for its words."""
_BARS = 60
"""The most points of a curve."""

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """A machine of a fleet."""

    name: str
    is_alive: bool
    places: int
    """How many blocks the machine may run side by side."""
    blocks: int
    """How many blocks the machine has run for this head."""


def write_status(path: Path, whole: Union, machines: Sequence[Machine], *, is_over: bool) -> None:
    """Write the page, whole or not at all."""
    partial = path.with_name(f"{uuid.uuid4().hex}.part")
    try:
        partial.write_text(status(whole, machines, is_over=is_over), encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def status(whole: Union, machines: Sequence[Machine] = (), *, is_over: bool = True) -> str:
    """The page; it is loaded again and again until the session ``is_over``."""
    session = whole.session
    share = f"{whole.done} of {whole.asked} blocks done"
    state = "has ended" if is_over else "runs"
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    parts = [
        f"<h1>{escape(share)}: {len(session.bugs)} found in {session.programs} programs</h1>",
        f'<p class="soft">{escape(f"Written at {now}. The head {state}.")}</p>',
        f"<p>{escape(verdict(session))}</p>",
        _findings(whole),
        _curves(whole.steps),
        _adapters(whole),
        _machines(machines),
        f'<h2>Settings</h2><p class="soft">{escape(session.settings.describe())}</p>',
    ]
    refresh = None if is_over else REFRESH_SECONDS
    return document(f"gpusim: {share}", parts, refresh_seconds=refresh)


def _findings(whole: Union) -> str:
    found = "".join(f"<pre>{escape(str(finding))}</pre>" for finding in findings(whole.session))
    rows = [(name, "; ".join(cells)) for name, cells in whole.by_adapter()]
    shown = table(("finding", "adapters"), rows) if rows else "<p>None yet.</p>"
    return f"<h2>Findings</h2>{found}{shown}"


def _adapters(whole: Union) -> str:
    rows = [
        (
            name,
            row.blocks,
            row.programs,
            rate(row.programs, row.block_seconds),
            f"{sum(each.seen for each in row.planted)} of {len(row.planted)}",
        )
        for name, row in sorted(whole.adapters.items())
    ]
    heads = ("adapter", "blocks", "programs", "a second in a block", "planted seen")
    return f"<h2>Adapters</h2>{table(heads, rows)}" if rows else ""


def _machines(machines: Sequence[Machine]) -> str:
    if not machines:
        return ""
    rows = [
        (each.name, "alive" if each.is_alive else "gone", each.places, each.blocks)
        for each in machines
    ]
    heads = ("machine", "state", "at once", "blocks for this head")
    return f"<h2>Machines</h2>{table(heads, rows)}"


def _curves(steps: Sequence[Step]) -> str:
    if not steps:
        return ""
    spans = joined((step.began, step.ended) for step in steps)
    total = covered(spans)

    def worked(until: float) -> float:
        """The seconds up to ``until`` in which at least one block ran."""
        return covered([(began, min(ended, until)) for began, ended in spans if began < until])

    ordered = sorted(steps, key=lambda step: step.ended)
    chosen = ordered[:: -(-len(ordered) // _BARS)]
    chosen = chosen if chosen[-1] is ordered[-1] else [*chosen, ordered[-1]]
    times = [worked(step.ended) for step in chosen]
    figures = [_curve("programs a second", _rates(steps, worked, total), total, "{:.0f}")]
    if any(step.cells for step in steps):
        # Neither the pairs nor the novelty are known if the target is not traced.
        cells = accumulate((step.cells for step in chosen), max)
        met = f"pairs of ops met, of {len(FEASIBLE)}"
        figures.append(_curve(met, [*zip(times, cells, strict=True)], total, "{:.0f}"))
        new = "novelty: the chance that a batch is of a new shape"
        shares = (step.novelty for step in chosen)
        figures.append(_curve(new, [*zip(times, shares, strict=True)], total, "{:.1%}"))
    return f'<h2>Over time</h2><div class="pair">{"".join(figures)}</div>'


def _rates(steps: Sequence[Step], worked: Callable[[float], float], total: float) -> list[Point]:
    """Programs a second, over the time of the session.

    The programs of a block count as spread evenly over the time that the block took.
    """
    if not total:
        return []
    count = min(_BARS, len(steps))
    width = total / count
    sums = [0.0] * count
    for step in steps:
        began, ended = worked(step.began), worked(step.ended)
        for bar in range(int(began / width), min(count, int(ended / width) + 1)):
            inside = min(ended, (bar + 1) * width) - max(began, bar * width)
            sums[bar] += step.programs * max(0.0, inside) / max(ended - began, 1e-9)
    return [((bar + 0.5) * width, programs / width) for bar, programs in enumerate(sums)]


def _curve(name: str, points: Sequence[Point], total: float, form: str) -> str:
    """A figure with a curve over ``total`` seconds; its last value stands in the caption."""
    most = max((value for _, value in points), default=0.0) or 1.0
    right, low = _WIDTH - 8, _HEIGHT - _BOTTOM

    def place(point: Point) -> str:
        x = _LEFT + (right - _LEFT) * point[0] / (total or 1.0)
        return f"{x:.1f},{low - (low - _TOP) * point[1] / most:.1f}"

    largest = form.format(most)
    said = f"{name}; the last: {form.format(points[-1][1]) if points else 'none'}"
    return (
        f"<figure><figcaption>{escape(said)}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(said)}">'
        f'<line class="lane" x1="{_LEFT}" y1="{low}" x2="{right}" y2="{low}"/>'
        f'<line class="lane" x1="{_LEFT}" y1="{_TOP}" x2="{_LEFT}" y2="{low}"/>'
        f'<text class="tick" x="{_LEFT - 4}" y="{_TOP + 4}" text-anchor="end">{largest}</text>'
        f'<text class="tick" x="{_LEFT - 4}" y="{low}" text-anchor="end">0</text>'
        f'<text class="tick" x="{right}" y="{_HEIGHT - 4}" text-anchor="end">{_long(total)}</text>'
        f'<polyline class="map" points="{" ".join(map(place, points))}"/></svg></figure>'
    )


def _long(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
