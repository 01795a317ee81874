"""Who may call a runtime: the thread that made it, in the process that made it."""

import os
from threading import get_ident

from gpusim.errors import WrongThread

_forks = 0


def _count_fork() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


class Caller:
    """The thread and process in which it was made."""

    __slots__ = ("_forks", "_thread")

    def __init__(self) -> None:
        self._thread = get_ident()
        self._forks = _forks

    def check(self) -> None:
        """Raise WrongThread for any other."""
        if get_ident() != self._thread:
            raise WrongThread(
                "cannot call a runtime from this thread because it belongs to the one that made "
                "it (probably each thread needs a runtime of its own)"
            )
        if _forks != self._forks:
            raise WrongThread(
                "cannot call a runtime in a forked child because the device stays with the "
                "parent (probably multiprocessing should spawn)"
            )
