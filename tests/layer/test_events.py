"""Events as lines: the rules say the same over events that were written and read again."""

import pytest

from gpusim.devices import open_device
from gpusim.layer import Sanitizer, Watch, parse_event, stand_between, write_event
from gpusim.trace import Event
from tests.layer.mistaken_programs import FINDS, run_watched


def quiet() -> Sanitizer:
    return Sanitizer(on_report=lambda report: None)


@pytest.mark.parametrize("name", FINDS)
def test_the_rules_need_only_the_events(name: str, device_name: str) -> None:
    lines: list[str] = []
    direct = quiet()

    def see(event: Event) -> str | None:
        lines.append(write_event(event))
        return direct(event)

    device, watch = open_device(device_name), Watch(see)
    stand_between(device, watch)
    kept = run_watched(name, device, device_name)
    watch.tell_gone()
    again = quiet()
    for line in lines:
        again(parse_event(line))
    assert again.finish() == direct.finish() != []
    del kept


@pytest.mark.parametrize("line", ["1", "{}", '{"kind": "unmap"}', '{"kind": "unmap", "about": 1}'])
def test_what_is_no_event(line: str) -> None:
    with pytest.raises(ValueError, match="cannot read event"):
        parse_event(line)


def event(kind: str, **about: object) -> Event:
    return Event(kind, {"site": f"step.py:{about.pop('line', 1)}", **about})


def written(line: int, offset: int = 0, size_bytes: int = 16, digest: int = 0) -> Event:
    where = {"buffer": 1, "offset": offset, "size_bytes": size_bytes}
    return event("write_buffer", line=line, **where, digest=digest or line, device=1)


BUFFER = event(
    "create_buffer", buffer=1, device=1, size_bytes=64, usage=(), mapped_at_creation=False, label=""
)
OTHER = Event(BUFFER.kind, {**BUFFER.about, "buffer": 2})
ENCODER = event("create_encoder", encoder=1, device=1, label="")
COPY = event(
    "copy", line=3, encoder=1, source=1, source_offset=0, target=2, target_offset=0, size_bytes=8
)
INTO = event(
    "copy", line=3, encoder=1, source=2, source_offset=0, target=1, target_offset=0, size_bytes=16
)
FINISH = event("finish", encoder=1, command_buffer=1, device=1)
SUBMIT = event("submit", command_buffers=(1,), device=1)
NEXT = (
    event("create_encoder", encoder=2, device=1, label=""),
    Event("copy", {**COPY.about, "encoder": 2, "source_offset": 8}),
)
SUBMIT_NEXT = (
    event("finish", encoder=2, command_buffer=2, device=1),
    event("submit", command_buffers=(2,), device=1),
)
EARLIER = (BUFFER, OTHER, ENCODER)


def rules_over(*events: Event) -> list[str]:
    sanitizer = quiet()
    for each in (*EARLIER, *events):
        sanitizer(each)
    return [report.rule for report in sanitizer.finish()]


def test_a_write_overtakes_a_copy() -> None:
    assert rules_over(written(2), COPY, written(4), FINISH, SUBMIT) == ["overtaking-write"]


def test_a_write_overtakes_a_copy_of_bytes_that_were_written_again() -> None:
    again = (written(2, digest=1), COPY, written(4, digest=1), written(5))
    assert rules_over(*again, FINISH, SUBMIT) == ["overtaking-write"]


@pytest.mark.parametrize(
    "events",
    [
        (COPY, written(2), FINISH, SUBMIT),
        (written(2), COPY, FINISH, SUBMIT, written(4)),
        (written(2), COPY, written(4, offset=8, size_bytes=8), FINISH, SUBMIT),
        (written(2), COPY, written(4), FINISH),
        (written(2), COPY, written(4), FINISH, event("collect_command_buffer", command_buffer=1)),
        (written(2), INTO, COPY, written(4), FINISH, SUBMIT),
        (written(2, digest=1), COPY, written(4, digest=1), FINISH, SUBMIT),
        (written(2), COPY, FINISH, SUBMIT, *NEXT, written(4), *SUBMIT_NEXT),
        (
            written(2),
            COPY,
            written(4),
            event("error", call=6, type="validation", message="refused"),
            FINISH,
            SUBMIT,
        ),
    ],
    ids=[
        "nothing is written before",
        "it is submitted between",
        "other bytes are written",
        "it is not submitted",
        "it is never submitted",
        "the copy reads what its own batch wrote",
        "the same bytes are written",
        "some bytes of the first write had a reader",
        "the write fails",
    ],
)
def test_what_is_no_overtaking_write(events: tuple[Event, ...]) -> None:
    assert rules_over(*events) == []
