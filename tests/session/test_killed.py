"""A worker that is killed from outside, as when memory is short, costs a session only time."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from properties.fuzz.engine import Session, fuzz
from properties.fuzz.protocol import setup_of
from properties.fuzz.settings import Settings
from properties.fuzz.supervisor import Gone, Supervisor
from properties.model.failure import FailureKind

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")

KILLED = """
import os
import signal
from pathlib import Path

from gpusim.ops import Read
from properties.targets.naive_target import NaiveTarget

FOLDER, AT_BEGIN, AT_READS = Path({folder!r}), {at_begin}, {at_reads}


def passed(what):
    with (FOLDER / what).open("ab") as file:
        file.write(b".")
        return file.tell()


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


class Killed(NaiveTarget):
    "Raises at some reads of three words, and is killed at the beginning and at some of these."

    def __init__(self, *about):
        super().__init__(*about)
        if passed("began") in AT_BEGIN:
            kill()

    def perform(self, op):
        if isinstance(op, Read) and (op.offset, op.size_bytes) == (4, 12):
            if passed("read") in AT_READS:
                kill()
            raise RuntimeError("a read of three words")
        return super().perform(op)
"""


def session(folder: Path, *, at_begin: Any = (), at_reads: Any = (), **more: Any) -> Session:
    """A session over a target that is killed when it begins, or reads so, for the n-th time."""
    folder.mkdir()
    path = folder / "killed.py"
    path.write_text(KILLED.format(folder=str(folder), at_begin=at_begin, at_reads=at_reads))
    asked = {"programs": 60, "seed": 1, "findings": 9, "failures": 9999, "save": folder, **more}
    return fuzz(Settings(device="simulated", target=f"{path}:Killed", **asked), lambda _: None)


def test_what_a_killed_worker_was_asked_is_asked_again(tmp_path: Path) -> None:
    sound = session(tmp_path / "sound")
    # Where it begins, in the planting, twice in a program, then where that is made small.
    killed = session(tmp_path / "killed", at_begin=(1, 2, 9), at_reads=(1, 2, 5, 9, 30))
    assert killed.deaths == 2
    assert (killed.programs, killed.uncounted) == (60, 0)
    assert killed.tally.accepted == sound.tally.accepted
    assert [each.seen for each in killed.planted] == [each.seen for each in sound.planted]
    (bug,), (other,) = killed.bugs.met.values(), sound.bugs.met.values()
    assert str(bug.case.program) == str(other.case.program)
    assert bug.count == other.count
    assert bug.argument is not None
    assert other.argument is not None
    assert bug.argument.lines[1:] == other.argument.lines[1:]


def test_a_program_that_is_killed_each_time_is_a_finding(tmp_path: Path) -> None:
    found = session(tmp_path / "killed", at_reads=range(10**9), shrink=0.0, first=9, programs=1)
    (bug,) = found.bugs.met.values()
    assert (bug.failure.kind, bug.failure.trait) == (FailureKind.ABORT, "SIGKILL")
    assert bug.reproduced


class _Torn:
    """A connection whose other end was killed while it answered."""

    def poll(self, seconds: float) -> bool:
        return True

    def recv(self) -> Any:
        raise OSError("got end of file during message")

    def close(self) -> None:
        """Nothing is open."""


def test_half_an_answer_is_a_death() -> None:
    with Supervisor(setup_of(Settings(device="simulated"))) as supervisor:
        supervisor.start()
        os.kill(supervisor._process.pid, signal.SIGKILL)
        supervisor._connection = _Torn()
        answer = supervisor.tick(60.0)
    assert isinstance(answer, Gone)
    assert answer.was_killed
