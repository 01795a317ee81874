"""Starts the processes of workers.

Loading the judge takes most of the time of a start.  So on Linux one process loads it, once for all
workers of a session, and forks them.  That process opens no device: a child that is forked after a
device was opened hangs.  Elsewhere each worker is a new process, since there the libraries of the
system do not allow forks.  What a worker does is not known here.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from threading import current_thread, main_thread
from typing import Any

_FORKS = sys.platform == "linux"
_LOADED = ["properties.fuzz.worker"]


def context_of_workers() -> Any:
    """The context of ``multiprocessing`` that makes workers, and what they share."""
    if not _FORKS:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_LOADED)
    return context


def start(process: Any) -> None:
    """Start a process of ``context_of_workers``.

    It imports modules from the same places as this process.  A fork has the environment that this
    process had at the first start; the caller must pass on the present one if the fork needs it.
    """
    if _FORKS:
        _start_forking()
    process.start()


def _start_forking() -> None:
    """Start the process that forks, unless it runs; it finds modules where this process does."""
    path = {
        "PYTHONPATH": os.pathsep.join(each or os.getcwd() for each in sys.path),
        # Otherwise it would look in the current folder first.
        "PYTHONSAFEPATH": "1",
    }
    kept = {name: os.environ.get(name) for name in path}
    os.environ.update(path)
    try:
        forkserver.ensure_running()
    finally:
        for name, value in kept.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Delay interrupts of this process until the ``with`` block, which starts a worker, ends.

    A process that is interrupted while it starts prints a traceback.  So interrupts are blocked
    here.  They are blocked in the new process too, until it ignores them.
    """
    if os.name == "nt" or current_thread() is not main_thread():
        yield
        return
    came: list[int] = []
    ends = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(number, lambda number, _: came.append(number)) for number in ends]
    # The resource tracker's start unblocks interrupts, so it comes before they are blocked.
    resource_tracker.ensure_running()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in zip(ends, handlers, strict=True):
            signal.signal(number, handler)
    for each in came:
        signal.raise_signal(each)
