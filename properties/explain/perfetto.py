"""An argument as a Perfetto trace: the clocks of each op, and the lives of buffers and bind groups.

A Perfetto trace is a message of the protocol buffers language, written here by hand.  The number of
a call is its time, in microseconds.  Without a trace of the device, only the marks are known: when
each op began and ended, and when its value was delivered.  Then the number of a mark is its time.
Source: Perfetto's trace_packet.proto, track_event.proto and track_descriptor.proto, where the
numbers of the fields stand.
"""

from collections.abc import Iterator
from itertools import pairwise

from gpusim.ops import Read
from gpusim.text import write_op
from properties.explain.argument import Argument
from properties.explain.pools import Lane, lanes

_PACKET = 1
_TIMESTAMP, _SEQUENCE, _EVENT, _DESCRIPTOR = 8, 10, 11, 60
_EVENT_TYPE, _EVENT_TRACK, _EVENT_NAME = 9, 11, 23
_TRACK_UUID, _TRACK_NAME, _TRACK_PARENT = 1, 2, 5
_BEGIN, _END, _INSTANT = 1, 2, 3
_CALL_NANOSECONDS = 1000
_MOST_NAME = 200

Slice = tuple[str, int, int]
"""A slice: its name, and the calls at which it begins and ends; an instant if the two are equal."""


def perfetto(argument: Argument) -> bytes:
    """The trace, as bytes."""
    packets = []
    for parent, (name, tracks) in enumerate(_groups(argument), start=1):
        packets.append(_descriptor(parent << 16, name))
        for child, (track, slices) in enumerate(tracks, start=1):
            uuid = (parent << 16) + child
            packets.append(_descriptor(uuid, track, parent << 16))
            for name, start, end in slices:
                kinds = (_INSTANT,) if start == end else (_BEGIN, _END)
                packets += [
                    _event(uuid, kind, at, name * (kind != _END))
                    for kind, at in zip(kinds, (start, end), strict=False)
                ]
    return b"".join(_bytes(_PACKET, packet) for packet in packets)


def _groups(argument: Argument) -> Iterator[tuple[str, list[tuple[str, list[Slice]]]]]:
    """The groups of tracks: the ops on their clocks, then the objects by their kind."""
    if not argument.reached:
        yield "ops", _called(argument)
        return
    ops = []
    for each in argument.reached:
        is_op = each.position < len(argument.program)
        text = write_op(argument.program[each.position]) if is_op else "sync"
        times = (each.recorded, each.submitted, each.done)
        slices = [
            (name, start, end)
            for name, (start, end) in zip(("recorded", "submitted"), pairwise(times), strict=True)
            if 0 <= start <= end
        ]
        name = f"op {each.position}: {text}"[:_MOST_NAME]
        ops.append((name, slices or [("called", each.recorded, each.recorded)]))
    yield "ops", ops
    found, calls = lanes(argument.events)
    for kind in dict.fromkeys(lane.kind for lane in found):
        yield kind, [(lane.name, _of_lane(lane, calls)) for lane in found if lane.kind == kind]


def _of_lane(lane: Lane, calls: int) -> list[Slice]:
    """The life of an object, its maps and its uses."""
    return [
        ("alive", lane.start, lane.end if lane.end >= 0 else calls),
        *(("mapped", low, high) for low, high in lane.maps),
        *(("used", at, at) for at in lane.uses),
        *(("written", at, at) for at in lane.writes),
    ]


def _called(argument: Argument) -> list[tuple[str, list[Slice]]]:
    """A track for each op, from the marks alone."""
    began: dict[int, int] = {}
    tracks: dict[int, tuple[str, list[Slice]]] = {}
    reads: dict[str, int] = {}
    for now, event in enumerate(argument.events, start=1):
        if event.kind == "op":
            position, op = event["position"], event["op"]
            began[position] = now
            tracks[position] = f"op {position}: {write_op(op)}"[:_MOST_NAME], []
            if isinstance(op, Read):
                reads[op.result] = position
        elif event.kind == "outcome":
            position = event["position"]
            tracks[position][1].append(("called", began[position], now))
        elif event.kind == "delivered" and event["result"] in reads:
            tracks[reads[event["result"]]][1].append(("delivered", now, now))
    return list(tracks.values())


def _event(uuid: int, kind: int, call: int, name: str) -> bytes:
    event = _number(_EVENT_TYPE, kind) + _number(_EVENT_TRACK, uuid)
    event += _bytes(_EVENT_NAME, name.encode()) if name else b""
    time = _number(_TIMESTAMP, call * _CALL_NANOSECONDS)
    return time + _number(_SEQUENCE, 1) + _bytes(_EVENT, event)


def _descriptor(uuid: int, name: str, parent: int = 0) -> bytes:
    track = _number(_TRACK_UUID, uuid) + _bytes(_TRACK_NAME, name.encode())
    track += _number(_TRACK_PARENT, parent) if parent else b""
    return _number(_SEQUENCE, 1) + _bytes(_DESCRIPTOR, track)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the high bit says that more follow."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value
