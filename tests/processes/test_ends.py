"""However a session ends, it ends at once and leaves no process behind.

Here sessions are sent signals, so that how they take an interrupt is set where they begin: by
default, or ignored as under nohup, however the tests themselves were started.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest

from tests.processes.processes import all_below, ends

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the children")

_PATIENCE_SECONDS = 120.0
"""After so long something hangs, however busy the machine: every target below does for longer."""


def silent(folder: Path, *, says: str = "") -> tuple[str, Path]:
    """A target that says something, and nothing more, and the file that it writes once it runs."""
    mark = folder / "pid"
    program = (
        f"import os, time; print({says!r}, flush=True); "
        f"open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    )
    return f"exec:{shlex.join([sys.executable, '-c', program])}", mark


@contextmanager
def begun(
    folder: Path, *words: str, interrupts: Literal["SIG_DFL", "SIG_IGN"] = "SIG_DFL"
) -> Iterator[subprocess.Popen[str]]:
    """A session that is started with SIGINT set so, in a group of its own; none is left."""
    command = [sys.executable, "-m", "gpusim", "fuzz", "--device", "simulated", *words]
    program = (
        f"import os, signal; signal.signal(signal.SIGINT, signal.{interrupts}); "
        f"os.execv({sys.executable!r}, {command!r})"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=folder,
        stdout=pipe,
        stderr=pipe,
        text=True,
        start_new_session=True,
    ) as session:
        try:
            yield session
        finally:
            session.kill()


def wait_for(mark: Path, session: subprocess.Popen[str]) -> int:
    """The number in the file that the session's target writes, however long that takes."""
    while not (mark.exists() and mark.read_text(encoding="utf-8")):
        assert session.poll() is None, "the session has ended, and its target never ran"
        time.sleep(0.05)
    return int(mark.read_text(encoding="utf-8"))


def wait_for_processes(session: subprocess.Popen[str], number: int) -> None:
    """Return once the session has so many processes below it, however long that takes."""
    while len(all_below(session.pid)) < number:
        assert session.poll() is None, "the session has ended, and began too few processes"


def test_an_interrupt_does_not_wait_for_a_target_to_get_ready(tmp_path: Path) -> None:
    target, mark = silent(tmp_path)
    with begun(tmp_path, "--target", target) as session:
        pid = wait_for(mark, session)
        os.killpg(session.pid, signal.SIGINT)
        _, errors = session.communicate(timeout=_PATIENCE_SECONDS)
    assert session.returncode == 130
    assert errors == "gpusim: interrupted before there was anything to report\n"
    assert ends(pid)


@ON_LINUX
@pytest.mark.parametrize("processes", [1, 2, 3, 4])
def test_an_interrupt_while_workers_begin_prints_no_traceback(
    tmp_path: Path, processes: int
) -> None:
    # They are what tracks shared memory, what forks the workers, and the workers.
    with begun(tmp_path, "--workers", "2", "--seconds", "60") as session:
        wait_for_processes(session, processes)
        os.killpg(session.pid, signal.SIGINT)
        printed, errors = session.communicate(timeout=_PATIENCE_SECONDS)
    assert "interrupted" in printed + errors
    assert "Traceback" not in printed + errors
    assert session.returncode == 130


@ON_LINUX
def test_an_interrupted_session_reports_what_it_has_and_says_so(tmp_path: Path) -> None:
    # The target hangs as its first program is opened, and the session is under way by then.
    path, mark = tmp_path / "session.json", tmp_path / "opened"
    program = (
        "import time; input(); print('ready {}', flush=True); input(); "
        f"open({str(mark)!r}, 'w').write('1'); time.sleep(600)"
    )
    target = f"exec:{shlex.join([sys.executable, '-c', program])}"
    words = ("--target", target, "--json", str(path), "--stall", "600", "--seconds", "600")
    with begun(tmp_path, *words) as session:
        wait_for(mark, session)
        os.killpg(session.pid, signal.SIGINT)
        printed, errors = session.communicate(timeout=_PATIENCE_SECONDS)
    assert session.returncode == 130
    assert "invalid until it was interrupted: no program ran" in printed
    assert json.loads(path.read_text(encoding="utf-8"))["interrupted"]
    assert errors == ""


@ON_LINUX
def test_an_interrupt_that_was_ignored_at_the_start_stays_ignored(tmp_path: Path) -> None:
    with begun(tmp_path, "--programs", "3", interrupts="SIG_IGN") as session:
        wait_for_processes(session, 1)
        os.killpg(session.pid, signal.SIGINT)
        printed, errors = session.communicate(timeout=_PATIENCE_SECONDS)
    assert "interrupted" not in printed + errors
    assert session.returncode == 0


def test_a_session_that_is_killed_leaves_no_target_that_hangs(tmp_path: Path) -> None:
    target, mark = silent(tmp_path, says="ready {}")
    with begun(tmp_path, "--target", target) as session:
        pid = wait_for(mark, session)
        session.kill()
        assert ends(pid)
