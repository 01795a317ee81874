"""Asks the system whether a process has ended, and which processes it has started."""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

_PATIENCE_SECONDS = 120.0


def has_ended(pid: int) -> bool:
    """Whether a process is dead; one that nobody has waited for yet is dead all the same."""
    if sys.platform != "linux":
        return not _answers(pid)
    try:
        state = Path("/proc", str(pid), "stat").read_text(encoding="utf-8").rpartition(")")[2]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state.split()[0] == "Z"


def ends(pid: int) -> bool:
    """Whether a process dies that was killed; the kernel may carry out a kill a little later."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while not has_ended(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return has_ended(pid)


def children_of(pid: int) -> list[int]:
    """The processes that a process has begun and not yet buried; on Linux only."""
    listed = Path("/proc", str(pid), "task", str(pid), "children").read_text(encoding="utf-8")
    return [int(word) for word in listed.split()]


def all_below(pid: int) -> list[int]:
    """The processes that a process has begun, those that these have begun, and so on."""
    found = []
    for child in children_of(pid):
        found.append(child)
        with suppress(FileNotFoundError, ProcessLookupError):  # It may have ended by now.
            found += all_below(child)
    return found


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
