"""A worker that is killed from outside, as when memory is short, costs a session only time."""

import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from gpusim.devices import SIMULATED
from gpusim.program import Program
from gpusim.runtime.policy import PRESETS, Uniforms
from properties.explain.explain import PASSES_NOW
from properties.fuzz.engine import Session, fuzz
from properties.fuzz.protocol import setup_of
from properties.fuzz.settings import Settings
from properties.fuzz.supervisor import MOST_KILLS, Gone, Supervisor
from properties.model.case import NO_POLICY, Case, DeviceSpec
from properties.model.failure import Failure, FailureKind

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
READS = 14
"""The number of the only program below 60 that reads three words from byte 4."""

KILLED = """
import os
import signal
from pathlib import Path

from gpusim.ops import Read
from properties.targets.naive_target import NaiveTarget

FOLDER, AT_BEGIN, AT_READS = Path({folder!r}), {at_begin}, {at_reads}
IS_WRONG = {is_wrong}


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
            if not IS_WRONG:
                return super().perform(op)
            raise RuntimeError("a read of three words")
        return super().perform(op)
"""


def written(folder: Path, *, at_begin: Any = (), at_reads: Any = (), is_wrong: bool = True) -> str:
    """A target that is killed when it begins, or reads so, for the n-th time."""
    path = folder / "killed.py"
    about = {"folder": str(folder), "at_begin": at_begin, "at_reads": at_reads}
    path.write_text(KILLED.format(**about, is_wrong=is_wrong), encoding="utf-8")
    return f"{path}:Killed"


def session(folder: Path, *, first: int = 0, programs: int = 60, **killed: Any) -> Session:
    """A session over such a target."""
    folder.mkdir()
    settings = Settings(
        device="simulated",
        target=written(folder, **killed),
        first=first,
        programs=programs,
        seed=1,
        findings=9,
        failures=9999,
        shrink=math.inf,
        stall=60.0,
        save=folder,
    )
    return fuzz(settings, lambda _: None)


def test_what_a_killed_worker_was_asked_is_asked_again(tmp_path: Path) -> None:
    sound = session(tmp_path / "sound")
    # Where it begins, in the planting, twice in a program, then where that is made small.
    killed = session(tmp_path / "killed", at_begin=(1, 2, 5), at_reads=(1, 2, 5, 9, 15))
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


@pytest.mark.parametrize("times", [1, 2])
def test_a_program_that_passes_by_itself_was_killed_by_chance(tmp_path: Path, times: int) -> None:
    # In the session, and once more where it is run by itself.
    often = range(1, times * MOST_KILLS + 1)
    ran = session(tmp_path / "killed", at_reads=often, is_wrong=False, first=READS, programs=4)
    assert ran.deaths == MOST_KILLS
    assert ran.programs == 4
    assert not ran.bugs.met


@pytest.mark.parametrize("times", [1, 2])
def test_what_a_program_shows_that_was_killed_by_chance_is_found(
    tmp_path: Path, times: int
) -> None:
    often = range(1, times * MOST_KILLS + 1)
    ran = session(tmp_path / "killed", at_reads=often, first=READS, programs=4)
    assert ran.deaths == MOST_KILLS
    (bug,) = ran.bugs.met.values()
    assert bug.failure.kind == FailureKind.CRASH


def test_a_case_that_is_killed_each_time_fails(tmp_path: Path) -> None:
    target = written(tmp_path, at_reads=range(10**9))
    case = Case(
        program=Program.parse("alloc a 16\nread a 4 12 -> r0\n"),
        policy=NO_POLICY,
        device=DeviceSpec(name="simulated"),
        target=target,
    )
    with Supervisor(setup_of(Settings(device="simulated", target=target))) as supervisor:
        failure = supervisor.judge(case, 60.0)
    assert failure is not None
    assert (failure.kind, failure.trait) == (FailureKind.ABORT, "SIGKILL")
    assert (tmp_path / "read").stat().st_size == MOST_KILLS


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


def test_what_hangs_passes_with_the_settings_that_are_named() -> None:
    class Judging(Supervisor):
        def judge(self, case: Case, stall_seconds: float) -> Failure | None:
            return None if case.policy.uniforms is Uniforms.FRESH else hang

    hang = Failure(kind=FailureKind.HANG, trait="", position=0, op="sync", reason="it hangs")
    case = Case(
        program=Program.parse("sync"), policy=PRESETS["ring"], device=DeviceSpec(name=SIMULATED)
    )
    supervisor = Judging(setup_of(Settings(device=SIMULATED)))
    try:
        assert supervisor.explain(case, hang, 1.0).passes == ("with uniforms=fresh",)
    finally:
        supervisor.close()


FIRST_IS_WRONG = """
from gpusim.ops import Read
from properties.model.target import Arrived
from properties.targets.naive_target import NaiveTarget

reads = []


class Wrong(NaiveTarget):
    "Gives zeros at the first read of each process."

    def perform(self, op):
        if isinstance(op, Read):
            reads.append(op)
            if len(reads) == 1:
                return Arrived(bytes(op.size_bytes))
        return super().perform(op)
"""


def test_what_passes_in_a_used_process_is_explained_in_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(FIRST_IS_WRONG, encoding="utf-8")
    settings = Settings(device="simulated", target=f"{tmp_path / 'wrong.py'}:Wrong")
    program = Program.parse("alloc a 4\nwrite a 0 01010101\nread a 0 4 -> r0\n")
    case = Case(
        program=program, policy=NO_POLICY, device=DeviceSpec(name=SIMULATED), target=settings.target
    )
    with Supervisor(setup_of(settings)) as supervisor:
        failure = supervisor.judge(case, 60.0)
        assert failure is not None
        argument = supervisor.explain(case, failure, 60.0)
    assert argument.facts == (PASSES_NOW,)
    assert argument.others
