"""The doors of a target in another process: each line does what the client asks for."""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gpusim.kernels import BUILTIN
from gpusim.program import Program
from properties.clients import FOREIGN_CLIENTS, suiting
from properties.fuzz.loading import load_target
from properties.generate.cases import CaseSettings, case_for
from properties.model.case import NO_POLICY, Case, DeviceSpec
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import TargetFactory
from properties.targets.wire import write_hello

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Program.parse(
    "alloc a 8\nwrite a 0 0102030405060708\nread a 0 8 -> r0\nwrite a 4 aabbccdd\n"
    "read a 4 4 -> r1\nread a 0 8 -> r2\nsync\nfree a\nalloc b 8\nread b 0 8 -> r3\n"
)

TARGET = """
from gpusim.testing import (
    Arrival, ArrayAdapter, Capabilities, ConcurrentAdapter, HandleAdapter, Refusal, serve
)

MISTAKE = {mistake!r}

class Memory(HandleAdapter, ArrayAdapter, ConcurrentAdapter):
    capabilities = Capabilities(
        delivery=Arrival.ARRAY, host_arrays=True, concurrent_syncs=True, handles=True,
        orders_deliveries=False, invalid_handle=Refusal.CONTAINED, releases_arrays=True,
    )

    def __init__(self):
        super().__init__(None, {{}})
        self.buffers, self.unused, self.reads, self.writes = {{}}, [0], [], []
        self.syncs, self.stored = 0, []

    def alloc(self, buffer, size_bytes):
        number = self.unused.pop() if len(self.unused) > 1 or not self.buffers else 1 + max(
            self.buffers)
        handle = number if MISTAKE == "stale" else (number, buffer)
        self.buffers[handle] = bytearray(size_bytes)
        return handle

    def write(self, handle, data, offset):
        memory = self.buffers[handle]
        self.writes.append((memory, data if MISTAKE == "spoilt" else bytes(data), offset))

    def do(self):
        for memory, data, offset in self.writes:
            memory[offset:offset + len(data)] = data
        self.writes.clear()

    def copy(self, source, source_offset, target, target_offset, size_bytes):
        self.do()
        data = self.buffers[source][source_offset:source_offset + size_bytes]
        self.buffers[target][target_offset:target_offset + size_bytes] = data

    def dispatch(self, kernel, buffers, scalars, grid):
        raise NotImplementedError

    def read_into(self, handle, offset, size_bytes, array):
        self.do()
        self.reads.append((array, bytes(self.buffers[handle][offset:offset + size_bytes])))

    def free(self, handle):
        self.do()
        del self.buffers[handle]
        self.unused.append(handle if MISTAKE == "stale" else handle[0])

    def begin_sync(self):
        self.syncs += 1
        return Syncing(self, is_second=self.syncs > 1)


class Syncing:
    def __init__(self, memory, is_second):
        self.memory, self.is_second = memory, is_second

    def result(self):
        memory = self.memory
        memory.syncs -= 1
        if MISTAKE == "overlap" and self.is_second:
            return
        order = memory.reads[::-1] if MISTAKE == "array" else memory.reads[:]
        for array, data in memory.stored * (MISTAKE == "late") + order:
            array[:len(data)] = data
        memory.reads.clear()
        memory.stored = order


serve(lambda device: Memory)
"""


@pytest.fixture(scope="module")
def ours() -> Iterator[TargetFactory]:
    command = shlex.join([sys.executable, str(ROOT / "examples" / "served_runtime.py")])
    subject = load_target(f"exec:{command}")("simulated", BUILTIN)
    yield subject
    subject.close()


@pytest.mark.parametrize("client", ["spoiling", "early", "overlapping", "stale"])
def test_our_runtime_is_sound_however_it_is_driven(ours: TargetFactory, client: str) -> None:
    setting = CaseSettings(device="simulated", limits=ours.limits, promises=ours.capabilities)
    for number in range(25):
        case = replace(case_for(29, number, setting), policy=NO_POLICY, client=client)
        failure = judge(case, ours, MEANING_ONLY).failure
        assert failure is None, f"{failure}\n{case.program}"


def _python(folder: Path, mistake: str) -> list[str]:
    script = folder / "memory.py"
    script.write_text(TARGET.format(mistake=mistake), encoding="utf-8")
    return [sys.executable, str(script)]


def _javascript(folder: Path, mistake: str) -> list[str]:
    return ["node", str(ROOT / "tests" / "processes" / "memory.mjs"), mistake]


needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
Command = Callable[[Path, str], list[str]]
LANGUAGES = [
    pytest.param(_python, id="python"),
    pytest.param(_javascript, id="javascript", marks=needs_node),
]


def _failure(words: list[str], client: str) -> Failure | None:
    command = shlex.join(words)
    subject = load_target(f"exec:{command}")("simulated", BUILTIN)
    case = Case(
        program=PROGRAM, policy=NO_POLICY, device=DeviceSpec(name="simulated"), client=client
    )
    try:
        assert {*suiting(subject.capabilities)} == {*FOREIGN_CLIENTS} - {"early"}
        return judge(case, subject, MEANING_ONLY).failure
    finally:
        subject.close()


MISTAKES = {
    "spoiling": "spoilt",
    "one_array": "array",
    "reclaiming": "late",
    "overlapping": "overlap",
    "stale": "stale",
}


@pytest.mark.parametrize("command", LANGUAGES)
@pytest.mark.parametrize("client", MISTAKES)
def test_a_client_finds_what_a_plain_one_does_not_see(
    tmp_path: Path, client: str, command: Command
) -> None:
    assert _failure(command(tmp_path, ""), client) is None
    assert _failure(command(tmp_path, MISTAKES[client]), client) is not None
    assert _failure(command(tmp_path, MISTAKES[client]), "plain") is None


@needs_node
def test_a_rejection_that_nobody_handles_is_told_at_the_close(tmp_path: Path) -> None:
    failure = _failure(_javascript(tmp_path, "unhandled"), "plain")
    assert failure is not None
    assert (failure.kind, failure.trait) == (FailureKind.CRASH, "UnhandledRejection")
    assert failure.op == "close"
    assert "nobody waits for this" in str(failure)


@needs_node
@pytest.mark.parametrize(
    ("mistake", "told"), [("lost", "failed r0 Error"), ("", "value r0 00000000")]
)
def test_the_reads_of_a_begun_sync_that_fails_have_failed(
    tmp_path: Path, mistake: str, told: str
) -> None:
    lines = (
        write_hello("simulated", []),
        *("open", "alloc a 4", "read a 0 4 -> r0", "begin s0", "read a 0 4 -> r1", "sync"),
    )
    answers = subprocess.run(
        _javascript(tmp_path, mistake),
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert told in answers
    assert "value r1 00000000" in answers


def test_a_read_that_a_sync_forgot_is_never_asked_for_again(tmp_path: Path) -> None:
    script = tmp_path / "forgets.py"
    script.write_text(
        "import sys\n"
        "for line in sys.stdin:\n"
        '    ready = \'ready {"version": 2, "promises": {"orders_deliveries": false}}\'\n'
        "    late = 'value r0 0102030405060708\\n' * line.startswith('await')\n"
        "    print(ready if line.startswith('hello') else late + 'ok', flush=True)\n",
        encoding="utf-8",
    )
    command = shlex.join([sys.executable, str(script)])
    subject = load_target(f"exec:{command}")("simulated", BUILTIN)
    case = Case(program=PROGRAM, policy=NO_POLICY, device=DeviceSpec(name="simulated"))
    failure = judge(case, subject, MEANING_ONLY).failure
    subject.close()
    assert failure is not None
    assert "r0 was read before a sync, and the sync was answered without its value" in str(failure)
