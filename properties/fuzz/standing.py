"""Where a worker without progress stands: the functions that every look at its stack shows.

A worker that hangs cannot answer.  But a signal makes its interpreter write the stack to the file
that takes the worker's last words.  In a loop each look shows another line.  So a few looks are
compared: the functions that all of them show contain the loop.
"""

import faulthandler
import os
import re
import signal
from itertools import takewhile
from pathlib import Path
from typing import Any

_LOOKS = 3
_WAIT_SECONDS, _MOST_WAITS = 0.05, 20
_MOST_SHOWN = 4
_FRAME = re.compile(r'^  File "(?:.*[\\/])?([^"\\/]+)", line \d+ in (.+)$', re.MULTILINE)
_SIGNAL = getattr(signal, "SIGUSR1", None)
"""None on Windows, which has no such signal."""


def show_on_request() -> None:
    """Let the supervisor ask this process for its stack, which goes to the standard error."""
    if _SIGNAL is not None:
        faulthandler.register(_SIGNAL, file=2, all_threads=False)


def stands_in(process: Any, stderr: Path) -> str:
    """The innermost functions that each look shows, the innermost first; empty if unknown."""
    if _SIGNAL is None:
        return ""
    stacks = [_look(process, stderr) for _ in range(_LOOKS)]
    shared = [looks[0] for looks in takewhile(_are_equal, zip(*stacks, strict=False))]
    inner = shared[::-1][:_MOST_SHOWN]
    return ", called from ".join(f"{name} ({file})" for file, name in inner)


def _look(process: Any, stderr: Path) -> list[tuple[str, str]]:
    """The files and functions of the stack, the outermost first."""
    start = size = stderr.stat().st_size
    os.kill(process.pid, _SIGNAL or 0)
    for _ in range(_MOST_WAITS):
        # This waits for the stack to be written, not for the end of the process.
        process.join(_WAIT_SECONDS)
        before, size = size, stderr.stat().st_size
        if start < before == size:
            break
    written = stderr.read_bytes()[start:].decode(errors="replace")
    return [*reversed(_FRAME.findall(written))]


def _are_equal(looks: tuple[tuple[str, str], ...]) -> bool:
    return len({*looks}) == 1
