"""Draws each buffer and bind group as a line in SVG: when it was made, used, mapped, destroyed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape

from gpusim.trace import Event
from properties.explain.calls import Call, calls
from properties.explain.lives import Life, lives

_MOST_LANES, _MOST_CALLS = 40, 400
_COLUMN, _ROW, _TOP, _LEFT, _END = 58, 12, 52, 34, 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Lane:
    """The line of one object: the calls at which it was made, used, mapped and destroyed."""

    name: str
    kind: str
    start: int
    end: int
    """-1 if it was never destroyed."""
    uses: list[int]
    writes: list[int]
    maps: list[tuple[int, int]]


def lanes(events: Iterable[Event]) -> tuple[list[Lane], int]:
    """The lanes of a trace, in the order in which calls first name them; and how many calls."""
    made = [call for call in calls(events) if not call.failed]
    last = made[-1].number if made else 0
    return [_lane(life, last) for life in lives(made).values()], last


def _lane(life: Life, last: int) -> Lane:
    maps: list[tuple[int, int]] = []
    start = 0
    for call in life.of("map", "take"):
        if call.event.kind == "take":
            maps.append((start or call.number, call.number))
        start = call.number if call.event.kind == "map" else 0
    gone = life.of("destroy_buffer")
    used, written = life.of("dispatch", "copy"), life.of("write_buffer", "copy")
    return Lane(
        name=f"{life.role} {life.number}",
        kind=life.role,
        start=life.made.number,
        end=gone[-1].number if gone else -1,
        uses=[call.number for call in used if _is_end(call, "source", life.number)],
        writes=[call.number for call in written if _is_end(call, "target", life.number)],
        maps=[*maps, *([(start, last)] if start else [])],
    )


def _is_end(call: Call, end: str, number: int) -> bool:
    """Whether that end of a copy is the object of this number; True for other calls."""
    return bool(call.event.about.get(end, number) == number)


def draw_pools(events: Iterable[Event], said: Mapping[int, str]) -> str:
    """The lanes as SVG; empty if the trace has no lane.  ``said`` has each call in words."""
    found, calls = lanes(events)
    if not found:
        return ""
    drawn, calls = found[:_MOST_LANES], min(calls, _MOST_CALLS)
    width = _LEFT + _COLUMN * len(drawn)
    height = _TOP + _ROW * calls + _END
    ticks = "".join(
        f'<text class="tick" x="{_LEFT - 8}" y="{_y(call) + 4}" text-anchor="end">{call}</text>'
        for call in range(1, calls + 1, 5)
    )
    bars = "".join(_bar(lane, n, calls, said) for n, lane in enumerate(drawn))
    name = "buffers, bind groups and maps, by the number of the call"
    return (
        f'<svg viewBox="0 0 {width} {height}" style="width:{width}px" role="img" '
        f'aria-label="{name}"><title>{name}</title>{ticks}{bars}</svg>'
    )


def _y(call: int) -> int:
    return _TOP + _ROW * (call - 1)


def _bar(lane: Lane, n: int, calls: int, said: Mapping[int, str]) -> str:
    x = _LEFT + _COLUMN * n + _COLUMN // 2
    end = min(calls, lane.end if lane.end >= 0 else calls)
    start = min(lane.start, calls)
    first, _, second = lane.name.partition(" ")
    marks = "".join(
        f'<circle class="{kind}" cx="{x}" cy="{_y(call)}" r="3.5">'
        f"<title>{escape(said[call])}</title></circle>"
        for kind, all_calls in (("use", lane.uses), ("write", lane.writes))
        for call in all_calls
        if call <= calls
    )
    maps = "".join(
        f'<rect class="map" x="{x - 8}" y="{_y(low)}" width="16" '
        f'height="{max(3, _y(high) - _y(low))}"><title>{escape(lane.name)}: mapped from call {low} '
        f"to call {high}</title></rect>"
        for low, high in lane.maps
        if high <= calls
    )
    made = f"{escape(lane.name)}: made at call {lane.start}"
    head = f'<text class="head" x="{x}" text-anchor="middle" y='
    last = f"destroyed at call {lane.end}" if lane.end >= 0 else "never destroyed"
    return (
        f'<g class="lane-{escape(lane.kind)}"><title>{made}, {last}</title>'
        f'{head}"16">{escape(first)}</text>{head}"30">{escape(second)}</text>'
        f'<line class="life" x1="{x}" y1="{_y(start)}" x2="{x}" y2="{_y(end)}"/>{maps}{marks}</g>'
    )
