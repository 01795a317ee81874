"""Events are plain values, so that two runs can be compared."""

import pytest

from gpusim.trace import Event, Trace


def test_events_keep_their_order_and_compare_by_value() -> None:
    traces = []
    for _ in range(2):
        trace = Trace()
        trace.emit("submit", batch=1, size_bytes=4)
        trace.emit("map", buffer=3)
        trace.emit("submit", batch=2, size_bytes=8)
        traces.append(trace)
    assert list(traces[0]) == traces[1].events
    traces[1].emit("submit", batch=3, size_bytes=8)
    assert list(traces[0]) != traces[1].events
    assert [event["batch"] for event in traces[0] if event.kind == "submit"] == [1, 2]
    assert len(traces[0]) == 3


def test_events_are_counted_by_kind() -> None:
    trace = Trace()
    for kind in ("submit", "map", "submit"):
        trace.emit(kind)
    assert (trace.count("submit"), trace.count("map"), trace.count("destroy")) == (2, 1, 0)
    assert trace.kinds() == {"submit": 2, "map": 1}


def test_an_event_reads_as_a_line() -> None:
    event = Event("write", {"buffer": 1, "offset": 8})
    assert str(event) == "write buffer=1 offset=8"
    assert event["offset"] == 8
    assert event != "write buffer=1 offset=8"
    assert event != Event("write", {"buffer": 1, "offset": 9})
    assert event != Event("map", {"buffer": 1, "offset": 8})
    with pytest.raises(KeyError):
        event["size"]
