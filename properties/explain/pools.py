"""Buffers, bind groups and maps as lanes: when each was made, used and destroyed, in SVG."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape

from gpusim.trace import Event
from properties.explain.clocks import is_call

_MOST_LANES, _MOST_CALLS = 40, 400
_COLUMN, _ROW, _TOP, _LEFT, _END = 58, 12, 52, 34, 16


@dataclass(kw_only=True, slots=True)
class Lane:
    """One object: the calls at which it was made, used, mapped and destroyed."""

    name: str
    kind: str
    start: int
    end: int = -1
    uses: list[int] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)
    maps: list[tuple[int, int]] = field(default_factory=list)


def lanes(events: Iterable[Event]) -> tuple[list[Lane], int]:
    """The lanes of a trace, in the order in which objects were made; and the number of calls."""
    found: dict[tuple[str, int], Lane] = {}
    mapped: dict[int, int] = {}
    now = 0
    for event in events:
        if not is_call(event):
            continue
        now += 1
        _take(event, now, found, mapped)
    for buffer, start in mapped.items():
        _of(found, buffer).maps.append((start, now))
    return list(found.values()), now


def _of(found: dict[tuple[str, int], Lane], buffer: int) -> Lane:
    return found.setdefault(("buffer", buffer), Lane(name=f"{buffer}", kind="buffer", start=1))


def _take(
    event: Event, now: int, found: dict[tuple[str, int], Lane], mapped: dict[int, int]
) -> None:
    match event.kind:
        case "create_buffer":
            role, number = str(event["role"]), event["buffer"]
            found["buffer", number] = Lane(name=f"{role} {number}", kind=role, start=now)
        case "create_bind_group":
            number = event["group"]
            found["group", number] = Lane(name=f"group {number}", kind="group", start=now)
        case "destroy_buffer":
            _of(found, event["buffer"]).end = now
        case "write_buffer":
            _of(found, event["buffer"]).writes.append(now)
        case "dispatch":
            for number, _, _ in event["ranges"]:
                _of(found, number).uses.append(now)
            group = found.get(("group", event["group"]))
            if group is not None:
                group.uses.append(now)
        case "copy":
            _of(found, event["source"]).uses.append(now)
            _of(found, event["target"]).writes.append(now)
        case "map":
            mapped[event["buffer"]] = now
        case "take":
            start = mapped.pop(event["buffer"], now)
            _of(found, event["buffer"]).maps.append((start, now))


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
