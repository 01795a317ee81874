"""A device in trouble, and a runtime on it with reads under way.

The device answers late or never, its calls fail, or it is lost.  Nothing here judges.
"""

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any

from gpusim.errors import DataLost, DeviceFault, DeviceLost
from gpusim.runtime import Driver, Runtime, Ticket
from gpusim.runtime.commands import StagingMap
from gpusim.runtime.drivers.faulty import Fault, FaultyDriver
from properties.clients.client import BrokenPromise
from properties.clients.loops import run_leaping
from properties.targets.runtime_target import RuntimeTarget

DATA = bytes(range(1, 17))
PIECE_BYTES = 4
"""What the reads read, and how much each of them."""
POLICY_SECONDS = 7200
"""How long the policy lets a runtime wait for a device that hangs."""
QUEUED_BYTES = 64
"""How many bytes of host writes may wait for a device that hangs."""
_NAP_SECONDS = {True: 1000.0, False: 0.001}
"""How long an await sleeps before it looks again.  True: the device hangs.  False: it is late."""
_ATTEMPTS = 4


class LateDriver:
    """A driver that answers no to the first ``looks`` looks at a map.

    A wait with time is granted at once, unless ``looks`` is infinite: then the device hangs, and
    the time is over at once.
    """

    def __init__(self, driver: Any, looks: float) -> None:
        self._driver = driver
        self.looks = looks
        self.waited_seconds = 0.0
        """The longest wait so far for a device that hangs."""
        self.looked_at_seconds: list[float] = []
        """When a running loop looked at a map that was late."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    def wait(self, mapping: StagingMap, seconds: float | None = None) -> bool:
        """See ``Driver``."""
        return not self._is_late(seconds) and bool(self._driver.wait(mapping, seconds))

    def drain(self, seconds: float | None = None) -> bool:
        """See ``Driver``."""
        return not self._is_late(seconds) and bool(self._driver.drain(seconds))

    async def wait_async(self, mapping: StagingMap) -> None:
        """See ``Driver``."""
        while self._is_late(0):
            await asyncio.sleep(_NAP_SECONDS[self.looks == inf])
        await self._driver.wait_async(mapping)

    def _is_late(self, seconds: float | None) -> bool:
        if self.looks == inf and seconds is None:
            raise BrokenPromise("a wait has no end, though the policy or the caller gave it one")
        if self.looks != inf and seconds != 0:
            self.looks = 0
        if not self.looks:
            return False
        self.looks -= 1
        self.waited_seconds = max(self.waited_seconds, seconds or 0)
        with suppress(RuntimeError):
            self.looked_at_seconds.append(asyncio.get_running_loop().time())
        return True


class Troubled:
    """A runtime with the parts and the policy of ``target``, on a driver in trouble.

    ``errors`` are the faults that its calls may raise.  ``loses``: whether the device is lost as
    soon as the reads are flushed.  ``queued_bytes``: how many bytes of host writes may wait.
    """

    def __init__(
        self,
        target: RuntimeTarget,
        looks: float = 0,
        faults: Sequence[Fault] = (),
        *,
        errors: tuple[type[DeviceFault], ...] = (),
        reads: int = len(DATA) // PIECE_BYTES,
        loses: bool = False,
        queued_bytes: int | None = None,
    ) -> None:
        self.driver = LateDriver(None, looks)
        policy = replace(
            target.runtime.policy,
            memory_budget_bytes=None,
            debug_dispatch_limit=None,
            wait_seconds=POLICY_SECONDS if looks == inf else None,
            queued_write_bytes=QUEUED_BYTES if looks == inf else queued_bytes,
        )

        def around(driver: Driver) -> Any:
            self.driver = LateDriver(FaultyDriver(driver, *faults), looks)
            return self.driver

        self.runtime: Runtime = target.runtime_around(around, policy)
        self.is_real = not can_be_lost(self.runtime.device)
        self.errors = errors
        self.tickets: list[Ticket] = []
        self._loses = loses
        self._reads = reads

    def read(self, note: Callable[[Ticket], object] | None = None) -> None:
        """Issue and flush the reads; ``note`` is a done callback of each."""
        x = self.again(lambda: self.runtime.alloc(len(DATA)))
        self.again(lambda: self.runtime.write(x, DATA))
        with suppress(DataLost):
            for at in range(0, self._reads * PIECE_BYTES, PIECE_BYTES):
                ticket = self.again(partial(self.runtime.read, x, at, PIECE_BYTES))
                self.tickets.append(ticket)
                if note is not None:
                    ticket.add_done_callback(note)
                with suppress(*self.errors):
                    self.runtime.flush()
        self.runtime.free(x)
        if self._loses:
            self.runtime.device.destroy()

    def again(self, call: Callable[[], Any]) -> Any:
        """Make a call, and make it again if it raises an expected fault other than a loss."""
        for _ in range(_ATTEMPTS):
            try:
                return call()
            except (DataLost, DeviceLost):
                raise
            except self.errors:
                continue
        return call()

    def in_loop(self, awaited: Awaitable[Any]) -> None:
        """Await in an event loop whose clock leaps, and note how long that took."""

        async def main() -> None:
            try:
                await awaited
            finally:
                self.driver.waited_seconds = asyncio.get_running_loop().time()

        run_leaping(main(), is_real=self.is_real)

    def close(self) -> None:
        """Let the device answer, and close."""
        self.driver.looks = 0
        with warnings.catch_warnings(), suppress(DeviceFault):
            warnings.simplefilter("ignore", ResourceWarning)
            self.runtime.close()


def can_be_lost(device: Any) -> bool:
    """Whether a device may be destroyed: only a simulated one is made anew."""
    return hasattr(device, "restart")
