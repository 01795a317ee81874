"""The guard of a runtime: what every op checks first, such as whether this thread may call.

A runtime belongs to the thread and process that made it.  If the device fails, the fault is raised
by the call that waits for the failed work.  If no call waits for that work, the fault is kept, and
the next op raises it, once.  The guard refers to the runtime's parts, never to the runtime: a
reference to the runtime would make a cycle, and keep everything alive until the garbage collector
runs.
"""

import os
from threading import get_ident

from gpusim.errors import DeviceFault, MapFailed, WrongThread
from gpusim.runtime import checks
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.graph import Captures
from gpusim.runtime.readbacks import Readbacks
from gpusim.runtime.recorder import Recorder

_forks = 0


def _count_fork() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


class Guard:
    """The checks with which every op begins; the owner is the thread that makes the guard."""

    def __init__(
        self, driver: Driver, *, recorder: Recorder, readbacks: Readbacks, captures: Captures
    ) -> None:
        self.is_open = True
        """Whether the runtime is open."""
        self._thread = get_ident()
        self._forks = _forks
        self._driver = driver
        self._recorder = recorder
        self._readbacks = readbacks
        self._captures = captures

    def check(self) -> None:
        """Raise the error that forbids an op now, whether or not a capture is open."""
        if not self.is_open:
            raise checks.runtime_closed()
        if get_ident() != self._thread or _forks != self._forks:
            raise self._wrong_thread()
        if self._readbacks.unseen is not None or self._driver.lost:
            self.raise_fault()

    def check_op(self, what: str) -> None:
        """Like ``check``, for an op that no capture can hold: an open capture forbids it."""
        self.check()
        self._captures.refuse(what)

    def check_sync(self) -> None:
        """Like ``check_op``, but without a kept fault: the sync raises it after settling reads."""
        if not self.is_open:
            raise checks.runtime_closed()
        self.check_thread()
        if self._driver.lost:
            self.raise_fault()
        self._captures.refuse("sync")

    def check_free(self) -> None:
        """Raise the error that forbids a free; a free works after a fault too."""
        if not self.is_open:
            raise checks.runtime_closed()
        self.check_thread()
        self._captures.refuse("free a buffer")

    def check_wait(self) -> None:
        """Raise the error that forbids a wait for a read; waits work after a fault or close too."""
        self.check_thread()
        self._captures.refuse("wait for a read")
        self.notice_loss()

    def check_thread(self) -> None:
        """Raise WrongThread for any thread or process except the owner."""
        if get_ident() != self._thread or _forks != self._forks:
            raise self._wrong_thread()

    def keep(self, fault: DeviceFault) -> None:
        """Keep a fault that no call is about to raise; the next op raises it.

        Only one fault is kept.  The new fault replaces that of a failed map, which the reads of
        the map report anyway; any other kept fault stays.
        """
        unseen = self._readbacks.unseen
        if unseen is None or isinstance(unseen, MapFailed):
            self._readbacks.unseen = fault

    def raise_fault(self) -> None:
        """Raise the kept fault, if there is one; on a lost device raise DeviceLost, always."""
        if self._driver.lost:
            self.notice_loss()
            raise checks.device_lost()
        fault, self._readbacks.unseen = self._readbacks.unseen, None
        if fault is not None:
            raise type(fault)(*fault.args) from fault

    def notice_loss(self) -> None:
        """If the device is lost, drop the open batch, and end all pending reads by DeviceLost."""
        if self._driver.lost:
            self._recorder.abandon()
            self._readbacks.fail_all(checks.device_lost())

    def _wrong_thread(self) -> WrongThread:
        if get_ident() != self._thread:
            return WrongThread(
                "cannot call a runtime from this thread because another thread made the runtime "
                "(probably each thread needs a runtime of its own)"
            )
        return WrongThread(
            "cannot call a runtime in a forked child because the device stays with the "
            "parent (probably multiprocessing should spawn)"
        )
