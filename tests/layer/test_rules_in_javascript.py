"""The sanitizer's rules say the same in Python and in JavaScript, on the same events.

The events are random calls on few buffers, so that every rule is met.  Node runs the rules; the
test is skipped where there is none.
"""

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gpusim.layer import Sanitizer
from gpusim.layer.rules import RULES
from gpusim.trace import Event
from properties.targets.wire import Told, parse_answer

SCRIPT = Path(__file__).parent / "javascript" / "judge_events.mjs"
NODE = shutil.which("node")
ONLY_IN_PYTHON = {"kept-view", "lost-batch"}
SEQUENCES, CALLS, BUFFERS = 300, 60, 3


class Program:
    """Draws the events of a program that makes mistakes."""

    def __init__(self, seed: int) -> None:
        self.random, self.events = Random(seed), list[dict[str, Any]]()
        self.maps: list[int] = []
        self.finished = 0
        for number in range(1, BUFFERS + 1):
            self.create(number)
        self.tell("create_encoder", encoder=1, device=1, label="")
        self.encoder = 1
        for _ in range(CALLS):
            self.random.choice(self.calls())()

    def calls(self) -> list[Any]:
        often = [self.write, self.dispatch, self.copy, self.submit]
        rare = [self.map, self.settle, self.unmap, self.clear, self.destroy, self.use, self.fail,
                self.collect]  # fmt: skip
        return [*often * 3, *rare]

    def tell(self, kind: str, **about: Any) -> None:
        site = f"a.js:{len(self.events) + 1}"
        self.events.append({"kind": kind, **about, "site": site})

    def create(self, number: int) -> None:
        label = self.random.choice(["", "x"])
        mapped = not self.random.randrange(8)
        self.tell("create_buffer", buffer=number, device=1, size_bytes=64, usage=["COPY_DST"],
                  mapped_at_creation=mapped, label=label)  # fmt: skip

    def range(self) -> tuple[int, int, int]:
        start = 4 * self.random.randrange(8)
        return self.random.randint(1, BUFFERS), start, 4 * self.random.randint(1, 8)

    def write(self) -> None:
        buffer, offset, size = self.range()
        self.tell("write_buffer", buffer=buffer, offset=offset, size_bytes=size,
                  digest=self.random.randrange(2), device=1)  # fmt: skip

    def dispatch(self) -> None:
        access = ["read", "read_write", "uniform", "unknown"]
        bound = [(*self.range(), self.random.choice(access)) for _ in range(2)]
        way: dict[str, Any] = {"groups": [1, 1, 1]}
        if not self.random.randrange(4):
            way = {"indirect": [self.random.randint(1, BUFFERS), 0]}
        self.tell("dispatch", encoder=self.encoder, **{"pass": 1}, pipeline=1, bound=bound, **way)

    def copy(self) -> None:
        (source, at, size), (target, to, _) = self.range(), self.range()
        self.tell("copy", encoder=self.encoder, source=source, source_offset=at, target=target,
                  target_offset=to, size_bytes=size)  # fmt: skip

    def clear(self) -> None:
        buffer, offset, size = self.range()
        self.tell("clear", encoder=self.encoder, buffer=buffer, offset=offset, size_bytes=size)

    def use(self) -> None:
        call = "copy_buffer_to_texture"
        reads, writes = [self.range()], [self.range()]
        self.tell("use", encoder=self.encoder, call=call, reads=reads, writes=writes)

    def submit(self) -> None:
        device = 1 + (not self.random.randrange(12))
        self.finished += 1
        self.tell("finish", encoder=self.encoder, command_buffer=self.finished, device=1)
        again = [self.random.randint(1, self.finished)] * (not self.random.randrange(8))
        self.tell("submit", command_buffers=[self.finished, *again], device=device)
        self.encoder += 1
        self.tell("create_encoder", encoder=self.encoder, device=1, label="")

    def fail(self) -> None:
        self.tell("error", call=None, type="validation", message="told late, by the device")

    def collect(self) -> None:
        kind = self.random.choice(["encoder", "command_buffer"])
        self.tell(f"collect_{kind}", **{kind: self.random.randint(1, self.encoder + 2)})

    def map(self) -> None:
        buffer, offset, size = self.range()
        self.maps.append(len(self.maps) + 1)
        self.tell("map", map=self.maps[-1], buffer=buffer, mode="READ", offset=offset,
                  size_bytes=size)  # fmt: skip

    def settle(self) -> None:
        if self.maps:
            error = self.random.choice([None, "OperationError it failed"])
            self.tell("settle_map", map=self.random.choice(self.maps), error=error)

    def unmap(self) -> None:
        self.tell("unmap", buffer=self.random.randint(1, BUFFERS))

    def destroy(self) -> None:
        if not self.random.randrange(4):
            kind = self.random.choice(["destroy_buffer", "destroy_device"])
            name = kind.removeprefix("destroy_")
            self.tell(kind, **{name: 1})


def growing() -> list[dict[str, Any]]:
    """A program that makes a buffer for each submit and keeps it."""
    events: list[dict[str, Any]] = []
    for number in range(1, 81):
        events += [
            {"kind": "create_buffer", "buffer": number, "device": 1, "size_bytes": 4, "usage": [],
             "mapped_at_creation": False, "label": "", "site": "a.js:1"},
            {"kind": "create_encoder", "encoder": number, "device": 1, "label": "", "site": ""},
            {"kind": "finish", "encoder": number, "command_buffer": number, "device": 1,
             "site": "a.js:2"},
            {"kind": "submit", "command_buffers": [number], "device": 1, "site": "a.js:3"},
        ]  # fmt: skip
    return events


def queueing() -> list[dict[str, Any]]:
    """A program that writes one buffer over and over, and submits nothing."""
    write = {"kind": "write_buffer", "buffer": 1, "offset": 0, "size_bytes": 1 << 20, "device": 1}
    return [{**write, "digest": 0, "site": f"a.js:{number}"} for number in range(70)]


def in_python(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    sanitizer = Sanitizer(
        lambda _: None, [each for each in RULES if each.name not in ONLY_IN_PYTHON]
    )
    for event in events:
        told = parse_answer(f"event {json.dumps(event)}")
        assert isinstance(told, Told)
        assert isinstance(told.event, Event)
        sanitizer(told.event)
    names = ("rule", "finding", "places")
    return [{name: report.plain()[name] for name in names} for report in sanitizer.finish()]


@pytest.mark.skipif(NODE is None, reason="no node is on the PATH")
def test_both_languages_say_the_same() -> None:
    assert NODE is not None
    programs = [Program(seed).events for seed in range(SEQUENCES)] + [growing(), queueing()]
    lines = "".join(f"{json.dumps(events)}\n" for events in programs)
    done = subprocess.run([NODE, SCRIPT], input=lines, capture_output=True, text=True, check=True)
    shown = [json.loads(line) for line in done.stdout.splitlines()]
    expected = [in_python(events) for events in programs]
    assert shown == expected
    met = Counter(report["rule"] for reports in expected for report in reports)
    assert set(met) == {rule.name for rule in RULES} - ONLY_IN_PYTHON


@pytest.mark.skipif(NODE is None, reason="no node is on the PATH")
def test_a_dynamic_offset_moves_only_the_bindings_whose_layout_says_so() -> None:
    script = SCRIPT.with_name("bind_moved.mjs")
    done = subprocess.run([NODE or "", str(script)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[1, 0, 64, "read_write"], [2, 256, 16, "uniform"]]
