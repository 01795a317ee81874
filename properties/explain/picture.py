"""The three clocks as a picture: where each op is recorded, submitted and done, in SVG.

Time goes down, and the clocks stand side by side, so that a picture fits a phone.  A line leads
each op from clock to clock; two lines that cross are two ops that changed places.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import pairwise

from gpusim.ops import VERBS
from gpusim.program import Program
from properties.explain.argument import Argument, Reached

_LANES = (96, 216, 330)
_WIDTH, _TOP, _ROW = 360, 44, 22
_END = 24
_QUEUED = ("dispatch", "replay")
"""Ops that reach the queue, besides the ops that name bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """Ops on their clocks, and the names of the clocks."""

    reached: tuple[Reached, ...]
    lanes: tuple[str, str, str]
    labels: Mapping[int, str]
    marked: tuple[int, ...] = ()
    """The ops that went wrong."""


def shown(argument: Argument) -> Picture:
    """What happened: from the trace; without a trace, the order that explains what came back."""
    labels = _labels(argument)
    if argument.reached:
        lanes = ("recorded", "submitted", "done")
        return Picture(reached=argument.reached, lanes=lanes, labels=labels, marked=argument.marked)
    order = list(range(len(argument.program)))
    crossing = argument.crossing
    if crossing is not None and crossing.later in order and crossing.earlier in order:
        order.remove(crossing.later)
        order.insert(order.index(crossing.earlier), crossing.later)
    return Picture(
        reached=tuple(
            replace(each, submitted=-1, done=-1) if each.position in argument.lost else each
            for each in _in_order(order, argument.program)
        ),
        lanes=("called", "took effect", "seen"),
        labels=labels,
        marked=argument.marked,
    )


def expected(argument: Argument) -> Picture:
    """What should have happened: every op in its turn."""
    picture = shown(argument)
    return replace(picture, reached=_in_order(range(len(argument.program)), argument.program))


def _in_order(order: Iterable[int], program: Program) -> tuple[Reached, ...]:
    """Ops called in the order of their positions, with effects in ``order`` after that."""
    queued = {n for n, op in enumerate(program) if VERBS[type(op)].spans or op.verb in _QUEUED}
    places = {position: place for place, position in enumerate(order)}
    count = len(places)
    return tuple(
        Reached(
            position=position,
            recorded=position + 1,
            submitted=count + 1 + places[position] if position in queued else -1,
            done=2 * count + 1 + places[position] if position in queued else -1,
        )
        for position in sorted(places)
    )


def _labels(argument: Argument) -> dict[int, str]:
    return {position: op.verb for position, op in enumerate(argument.program)}


def draw(picture: Picture, name: str) -> str:
    """The picture as SVG; ``name`` is for screen readers."""
    rows = _rows(picture.reached)
    height = _TOP + _ROW * len(rows) + _END
    heads = "".join(
        f'<text class="head" x="{x}" y="18" text-anchor="middle">{escape(lane)}</text>'
        f'<line class="lane" x1="{x}" y1="28" x2="{x}" y2="{height - 8}"/>'
        for x, lane in zip(_LANES, picture.lanes, strict=True)
    )
    plain = [each for each in picture.reached if each.position not in picture.marked]
    special = [each for each in picture.reached if each.position in picture.marked]
    lines = "".join(_line(each, rows, picture) for each in (*plain, *special))
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(name)}">'
        f"<title>{escape(name)}</title>{heads}{lines}</svg>"
    )


_Key = tuple[int, int, int]


def _keys(each: Reached) -> tuple[_Key, _Key, _Key]:
    """The times of an op on the three clocks; what was recorded before a call comes before it."""
    return (
        (each.recorded, 0, each.position),
        (each.submitted, 1, 0),
        (each.done, 2, 0),
    )


def _rows(reached: Sequence[Reached]) -> dict[_Key, int]:
    """The row of each time, from the top."""
    keys = {key for each in reached for key in _keys(each) if key[0] >= 0}
    return {key: row for row, key in enumerate(sorted(keys))}


def _line(each: Reached, rows: Mapping[_Key, int], picture: Picture) -> str:
    points = [
        (x, _TOP + _ROW * rows[key])
        for x, key in zip(_LANES, _keys(each), strict=True)
        if key in rows
    ]
    kind = "op marked" if each.position in picture.marked else "op"
    label = picture.labels.get(each.position, "sync")
    path = " ".join(f"{x},{y}" for x, y in points)
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="4"/>' for x, y in points)
    heads = "".join(_arrow(start, end) for start, end in pairwise(points))
    x, y = points[0]
    text = (
        f'<text x="{x - 10}" y="{y + 4}" text-anchor="end">{each.position} {escape(label)}</text>'
    )
    said = f"op {each.position}, {label}: " + ", ".join(
        f"{lane} {when}"
        for lane, when in zip(
            picture.lanes, (each.recorded, each.submitted, each.done), strict=True
        )
        if when >= 0
    )
    return (
        f'<a href="#op-{each.position}" class="{kind}"><title>{escape(said)}</title>'
        f'<polyline points="{path}"/>{heads}{dots}{text}</a>'
    )


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    """A head in the middle of a line, along it."""
    (x1, y1), (x2, y2) = start, end
    x, y = (x1 + 3 * x2) / 4, (y1 + 3 * y2) / 4
    length = max(1.0, ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5)
    dx, dy = (x2 - x1) / length * 6, (y2 - y1) / length * 6
    corners = (
        (x + dx, y + dy),
        (x - dx - dy * 0.7, y - dy + dx * 0.7),
        (x - dx + dy * 0.7, y - dy - dx * 0.7),
    )
    return f'<polygon points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in corners)}"/>'
