"""Calls in a forked child: its parent asks which of them the child may make."""

import os
import signal
import warnings
from collections.abc import Callable, Mapping

from gpusim.errors import WrongThread

_MOST_SECONDS = 10


def not_refused_in_child(calls: Mapping[str, Callable[[], object]]) -> list[str]:
    """The names of the calls that do not end with WrongThread in a forked child.

    If the child does not answer, the list is empty: a fork may stop for reasons of its own.
    """
    if not hasattr(os, "fork"):
        return []
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # Later versions of Python warn where threads are about; the child uses none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        _answer(calls, writer)
    os.close(writer)
    with os.fdopen(reader) as answer:
        names = answer.read().splitlines()
    os.waitpid(child, 0)
    return names


def _answer(calls: Mapping[str, Callable[[], object]], writer: int) -> None:
    """Make the calls, tell the names of those that are not refused, and end the child."""
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_MOST_SECONDS)
        names = [name for name, call in calls.items() if not _is_refused(call)]
        os.write(writer, "\n".join(names).encode())
    finally:
        os._exit(0)


def _is_refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except WrongThread:
        return True
    except Exception:
        return False
    return False
