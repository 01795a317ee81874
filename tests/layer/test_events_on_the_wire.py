"""What the layer of a target in another process sees is judged by the sanitizer's rules."""

import json
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpusim.errors import NoDevice
from gpusim.kernels import BUILTIN
from gpusim.layer.scene import Scene
from gpusim.program import Program
from gpusim.trace import Event
from properties.model.case import NO_POLICY, Case, DeviceSpec
from properties.model.disturbance import Disturbance
from properties.model.failure import FailureKind
from properties.oracles.judge import judge
from properties.targets.process import ProcessFactory
from properties.targets.wire import TargetFailed, Told, parse_answer

CASE = Case(
    program=Program.parse("alloc a 4\nflush"),
    policy=NO_POLICY,
    device=DeviceSpec(name="simulated"),
    disturbance=Disturbance(seed=1),
)
BUFFER = {"buffer": 1, "device": 1, "size_bytes": 4, "usage": ["MAP_READ", "COPY_DST"]}
MADE = {"kind": "create_buffer", **BUFFER, "mapped_at_creation": False, "label": "", "site": "a:1"}
MAP = {"kind": "map", "map": 1, "buffer": 1, "mode": "READ", "offset": 0, "size_bytes": 4}
SETTLED = {"kind": "settle_map", "map": 1, "error": None, "site": ""}
UNMAPPED = {"kind": "unmap", "buffer": 1, "site": "a:3"}
WRITE = {"buffer": 1, "offset": 0, "size_bytes": 4, "digest": 7, "device": 1}
WRITTEN = {"kind": "write_buffer", **WRITE}
SOUND = [MADE, {**MAP, "site": "a:2"}, SETTLED, UNMAPPED, {**WRITTEN, "site": "a:4"}]
MISTAKEN = [MADE, {**MAP, "site": "a:2"}, {**WRITTEN, "site": "a:4"}, SETTLED, UNMAPPED]


def target(folder: Path, events: list[dict[str, Any]], refuses: str = "none") -> ProcessFactory:
    """A target that does nothing, tells ``events`` at a flush, and refuses lines with one word."""
    path = folder / "target.py"
    told = "".join(f"event {json.dumps(event)}\n" for event in events)
    path.write_text(
        "import sys\n"
        "sys.stdin.readline()\n"
        "print('ready {\"version\": 2}', flush=True)\n"
        "for line in sys.stdin:\n"
        f"    if line.startswith({refuses!r}):\n"
        "        print('error Error no such line', flush=True)\n"
        "        continue\n"
        f"    print(({told!r} if line == 'flush\\n' else '') + 'ok', flush=True)\n",
        encoding="utf-8",
    )
    command = shlex.join([sys.executable, str(path)])
    return ProcessFactory("simulated", BUILTIN, command=command)


@pytest.fixture
def closing() -> Iterator[list[ProcessFactory]]:
    """Factories that are closed after the test."""
    made: list[ProcessFactory] = []
    yield made
    for factory in made:
        factory.close()


def test_a_mistake_in_the_events_is_a_finding(
    tmp_path: Path, closing: list[ProcessFactory]
) -> None:
    closing.append(target(tmp_path, MISTAKEN))
    failure = judge(CASE, closing[0]).failure
    assert failure is not None
    assert (failure.kind, failure.trait) == (FailureKind.LAW, "written-while-mapped")
    assert any("a:2" in note for note in failure.notes)
    assert any("a:4" in note for note in failure.notes)


def test_sound_calls_accuse_nobody(tmp_path: Path, closing: list[ProcessFactory]) -> None:
    closing.append(target(tmp_path, SOUND))
    assert judge(CASE, closing[0]).failure is None


def test_a_target_without_the_layer_cannot_be_disturbed(
    tmp_path: Path, closing: list[ProcessFactory]
) -> None:
    closing.append(target(tmp_path, SOUND, refuses="adversary"))
    with pytest.raises(NoDevice, match="does not take the layer"):
        judge(CASE, closing[0])
    assert judge(replace(CASE, disturbance=None), closing[0]).failure is None


def test_an_event_is_read_with_tuples() -> None:
    told = parse_answer('event {"kind": "submit", "command_buffers": [1, 2]}')
    assert told == Told(Event("submit", {"command_buffers": (1, 2)}))
    assert parse_answer("event of another library") is None
    with pytest.raises(TargetFailed, match="'event' and a JSON object"):
        parse_answer('event {"kind": ')


def test_an_error_that_is_told_later_belongs_to_no_call() -> None:
    assert Scene().call(None) is None
