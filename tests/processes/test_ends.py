"""However a session ends, it ends soon, and nothing that it started is left."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")

_SECONDS = 20.0


def silent(folder: Path, *, says: str = "") -> tuple[str, Path]:
    """A target that says something, and nothing more, and the file that it writes once it runs."""
    mark = folder / "pid"
    program = (
        f"import os, time; print({says!r}, flush=True); "
        f"open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    )
    return f"exec:{shlex.join([sys.executable, '-c', program])}", mark


def begin(folder: Path, words: Sequence[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "gpusim", "fuzz", "--device", "simulated", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )


def wait_for(mark: Path) -> int:
    until = time.monotonic() + _SECONDS
    while not (mark.exists() and mark.read_text(encoding="utf-8")):
        assert time.monotonic() < until
        time.sleep(0.05)
    return int(mark.read_text(encoding="utf-8"))


def ends(pid: int) -> bool:
    """Whether a process is dead within a while; one that nobody waited for is dead as well."""
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until:
        try:
            state = Path("/proc", str(pid), "stat").read_text(encoding="utf-8").rpartition(")")[2]
        except FileNotFoundError:
            return True
        if state.split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_an_interrupt_does_not_wait_for_a_target_to_get_ready(tmp_path: Path) -> None:
    target, mark = silent(tmp_path)
    session = begin(tmp_path, ["--target", target])
    pid = wait_for(mark)
    os.killpg(session.pid, signal.SIGINT)
    _, errors = session.communicate(timeout=_SECONDS)
    assert session.returncode == 3
    assert errors == "gpusim: interrupted before anything ran\n"
    assert ends(pid)


@pytest.mark.parametrize("children", [1, 2, 3])
def test_an_interrupt_while_workers_begin_prints_no_traceback(
    tmp_path: Path, children: int
) -> None:
    session = begin(tmp_path, ["--workers", "2", "--seconds", "60"])
    listed = Path("/proc", str(session.pid), "task", str(session.pid), "children")
    until = time.monotonic() + _SECONDS
    while len(listed.read_text(encoding="utf-8").split()) < children:
        assert time.monotonic() < until
    os.killpg(session.pid, signal.SIGINT)
    printed, errors = session.communicate(timeout=_SECONDS)
    assert "Traceback" not in printed + errors


def test_a_session_that_is_killed_leaves_no_target_that_hangs(tmp_path: Path) -> None:
    target, mark = silent(tmp_path, says="ready {}")
    session = begin(tmp_path, ["--target", target])
    pid = wait_for(mark)
    session.kill()
    session.wait(_SECONDS)
    assert ends(pid)
    session.communicate()
