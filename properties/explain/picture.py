"""The three clocks as a picture: where each op is recorded, submitted and done, in SVG.

Time goes down, and the clocks stand side by side, so that a picture fits a phone.  A line leads
each op from clock to clock; two lines that cross are two ops that changed places.  Each dot and
arrow has a title, and the source has the ops in the order of the program.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from html import escape
from itertools import pairwise

from gpusim.ops import VERBS, Op, Sync
from gpusim.program import Program
from gpusim.text import write_op
from properties.explain.argument import Argument, Reached
from properties.explain.call_table import in_words, rows
from properties.model.results import cut_hex

_LANES = (96, 216, 330)
_WIDTH, _TOP, _ROW = 360, 44, 22
_END = 24
_MOST_TEXT = 160
_LAST = Sync()
"""The op that is meant by a position past the end of the program."""
_QUEUED = ("dispatch", "replay")
"""Ops with these verbs reach the queue, and so do all ops that name ranges of bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """Ops on their clocks, and the names of the clocks."""

    reached: tuple[Reached, ...]
    lanes: tuple[str, str, str]
    ops: Mapping[int, Op]
    marked: tuple[int, ...] = ()
    """The ops that went wrong."""
    calls: Mapping[int, str] | None = None
    """The calls on the device in words; None if the times are only an order of ops."""


def shown(argument: Argument) -> Picture:
    """What happened: from the trace; without a trace, the order that explains what came back."""
    ops = dict(enumerate(argument.program))
    if argument.reached:
        return Picture(
            reached=argument.reached,
            lanes=("recorded", "submitted", "done"),
            ops=ops,
            marked=argument.marked,
            calls=in_words(rows(argument)),
        )
    order, crossing = list(range(len(argument.program))), argument.crossing
    if crossing is not None and {crossing.later, crossing.earlier} <= {*order}:
        order.remove(crossing.later)
        order.insert(order.index(crossing.earlier), crossing.later)
    return Picture(
        reached=tuple(
            replace(each, submitted=-1, done=-1) if each.position in argument.lost else each
            for each in _in_order(order, argument.program)
        ),
        lanes=("called", "took effect", "seen"),
        ops=ops,
        marked=argument.marked,
    )


def expected(argument: Argument) -> Picture:
    """What should have happened: every op in its turn."""
    in_turn = _in_order(range(len(argument.program)), argument.program)
    return replace(shown(argument), reached=in_turn, calls=None)


def is_in_turn(argument: Argument) -> bool:
    """Whether the ops reached each clock in the order of the program, as in ``expected``.

    Ops of one submit may have changed places within it.  Only a crossing shows that.
    """
    if argument.crossing is not None or argument.lost:
        return False
    times = ((each.recorded, each.submitted, each.done) for each in shown(argument).reached)
    known = [[time for time in clock if time >= 0] for clock in zip(*times, strict=True)]
    return known == [*map(sorted, known)]


def _in_order(order: Iterable[int], program: Program) -> tuple[Reached, ...]:
    """Times for a picture: all ops are called first, and then take effect in ``order``.

    Ops that do not reach the queue are only called.
    """
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


def draw(picture: Picture, name: str) -> str:
    """The picture as SVG; ``name`` is for screen readers."""
    keys = {key for each in picture.reached for key in _keys(each) if key[0] >= 0}
    places = {key: row for row, key in enumerate(sorted(keys))}
    height = _TOP + _ROW * len(places) + _END
    heads = "".join(
        f'<text class="head" x="{x}" y="18" text-anchor="middle">{escape(lane)}</text>'
        f'<line class="lane" x1="{x}" y1="28" x2="{x}" y2="{height - 8}"/>'
        for x, lane in zip(_LANES, picture.lanes, strict=True)
    )
    lines = "".join(_line(each, places, picture) for each in picture.reached)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(name)}">'
        f"<title>{escape(name)}</title>{heads}{lines}</svg>"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Point:
    """A dot: its place in the picture, and in words which clock an op reached there, and when."""

    x: int
    y: int
    said: str


_Key = tuple[int, int, int]


def _keys(each: Reached) -> tuple[_Key, _Key, _Key]:
    """The times of an op on the three clocks, as keys that sort from the top of the picture down.

    An op that was recorded before a call comes before what that call submits.
    """
    return (each.recorded, 0, each.position), (each.submitted, 1, 0), (each.done, 2, 0)


def _line(each: Reached, places: Mapping[_Key, int], picture: Picture) -> str:
    points = [
        _Point(x=x, y=_TOP + _ROW * places[key], said=f"{lane}{_when(lane, key[0], picture)}")
        for lane, x, key in zip(picture.lanes, _LANES, _keys(each), strict=True)
        if key in places
    ]
    op = picture.ops.get(each.position, _LAST)
    name = f"op {each.position} ({cut_hex(write_op(op))[:_MOST_TEXT]})"
    dots = "".join(
        f'<circle cx="{point.x}" cy="{point.y}" r="4">'
        f"<title>{escape(f'{name}: {point.said}')}</title></circle>"
        for point in points
    )
    arrows = "".join(_arrow(start, end, name) for start, end in pairwise(points))
    first = points[0]
    text = (
        f'<text x="{first.x - 10}" y="{first.y + 4}" text-anchor="end">'
        f"{each.position} {escape(op.verb)}</text>"
    )
    kind = "op marked" if each.position in picture.marked else "op"
    path = " ".join(f"{point.x},{point.y}" for point in points)
    said = f"{name}: {'; '.join(point.said for point in points)}"
    return (
        f'<a href="#op-{each.position}" class="{kind}"><title>{escape(said)}</title>'
        f'<polyline points="{path}"/>{arrows}{dots}{text}</a>'
    )


def _when(lane: str, number: int, picture: Picture) -> str:
    """Says at which call an op reached a clock; for the first clock, before which call it did."""
    if picture.calls is None:
        return ""
    if lane == picture.lanes[0]:
        return f" before call {number}"
    return f" by {picture.calls.get(number, f'call {number}')}"


def _arrow(start: _Point, end: _Point, name: str) -> str:
    """An arrowhead at three quarters of a line, in the direction of the line."""
    x, y = (start.x + 3 * end.x) / 4, (start.y + 3 * end.y) / 4
    length = max(1.0, ((end.x - start.x) ** 2 + (end.y - start.y) ** 2) ** 0.5)
    dx, dy = (end.x - start.x) / length * 6, (end.y - start.y) / length * 6
    corners = (
        (x + dx, y + dy),
        (x - dx - dy * 0.7, y - dy + dx * 0.7),
        (x - dx + dy * 0.7, y - dy - dx * 0.7),
    )
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
    said = f"{name}: from {start.said}, to {end.said}"
    return f'<polygon points="{path}"><title>{escape(said)}</title></polygon>'
