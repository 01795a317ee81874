"""A device in trouble, and a runtime on it with reads under way.

The device answers late or never, its calls fail, or it is lost.  Nothing here judges.
"""

import asyncio
import time
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any, cast

from gpusim.errors import DataLost, DeviceFault, DeviceLost
from gpusim.runtime import Buffer, Driver, Runtime, Ticket
from gpusim.runtime.commands import DeviceBuffer, StagingMap
from gpusim.runtime.drivers.driver import Receive, Value
from gpusim.runtime.drivers.faulty import Fault, FaultyDriver
from properties.clients.client import BrokenPromise
from properties.clients.loops import run_leaping
from properties.targets.runtime_target import RuntimeTarget

DATA = bytes(range(1, 17))
PIECE_BYTES = 4
"""What the reads read, and how many bytes each of them reads."""
POLICY_SECONDS = 7200
"""How long the policy lets a runtime wait for a device that hangs."""
QUEUED_BYTES = 64
"""How many bytes of host writes may wait for a device that hangs."""
_NAP_SECONDS = {True: 1000.0, False: 0.001}
"""How long an await sleeps before it looks again.  True: the device hangs.  False: it is late."""
_ATTEMPTS = 4
NO_CHANGES: Mapping[str, Any] = {}


class _LatePromise:
    """The promise of a map, which is pending as long as ``is_late`` says so."""

    def __init__(self, promise: Any, is_late: Callable[[], bool]) -> None:
        self._promise, self._is_late = promise, is_late

    def __getattr__(self, name: str) -> Any:
        return getattr(self._promise, name)

    @property
    def _state(self) -> str:
        return "pending" if self._is_late() else str(self._promise._state)


class LateDriver:
    """A driver under which maps are late: the first ``looks`` looks do not find a map arrived.

    A wait whose time limit is not 0 finds the map arrived, unless ``looks`` is infinite: then the
    device hangs, and the wait times out at once.  If ``late`` is the number of a map, all other
    maps arrive at once.  ``needs_seconds``: how long each wait for a map really takes.

    Awaits of a map that is late are left to the driver below.  If the device hangs, this driver
    naps instead, since a few long naps pass hours; but not if it ``never_naps``.  If a map of the
    driver below has no promise, this driver looks at the map itself.
    """

    def __init__(
        self, driver: Any, looks: float, late: int | None = None, needs_seconds: float = 0
    ) -> None:
        self._driver = driver
        self.looks = looks
        self.needs_seconds = needs_seconds
        self.never_naps = False
        self._late = late
        self._maps: list[StagingMap] = []
        self.waited_seconds = 0.0
        """The longest wait so far for a device that hangs."""
        self.looked_at_seconds: list[float] = []
        """When a running loop looked at a map that was late."""
        self._arrived: list[StagingMap] = []
        """The maps whose wait has ended, and which were not taken yet."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    def map(self, buffer: DeviceBuffer, size_bytes: int) -> StagingMap:
        """See ``Driver``."""
        mapping: StagingMap = self._driver.map(buffer, size_bytes)
        self._maps.append(mapping)
        if hasattr(mapping.native, "_state"):
            mapping.native = _LatePromise(mapping.native, lambda: self._is_pending(mapping))
        return mapping

    def wait(self, mapping: StagingMap, seconds: float | None = None) -> bool:
        """See ``Driver``."""
        if self._is_prompt(mapping):
            seconds = None
        elif self._is_late(seconds):
            return False
        has_arrived = self._has_time(seconds) and bool(self._driver.wait(mapping, seconds))
        if has_arrived:
            self._arrived.append(mapping)
        return has_arrived

    def drain(self, seconds: float | None = None) -> bool:
        """See ``Driver``."""
        return not self._is_late(seconds) and bool(self._driver.drain(seconds))

    async def wait_async(self, mapping: StagingMap) -> None:
        """See ``Driver``."""
        is_below = isinstance(mapping.native, _LatePromise)
        is_below &= self.never_naps or self.looks != inf
        while not is_below and not mapping.is_given_up and self._is_pending(mapping):
            await asyncio.sleep(_NAP_SECONDS[self.looks == inf and not self.never_naps])
        if self.needs_seconds:
            await asyncio.sleep(self.needs_seconds)
        await self._driver.wait_async(mapping)
        if not self._is_pending(mapping):
            self._arrived.append(mapping)

    def take(self, mapping: StagingMap, receive: Receive[Value]) -> Value:
        """See ``Driver``; nobody may take what nobody has waited for."""
        if not any(each is mapping for each in self._arrived):
            raise BrokenPromise("a read is taken, though no wait for it has ended")
        return cast("Value", self._driver.take(mapping, receive))

    def _has_time(self, seconds: float | None) -> bool:
        """Sleep for the time that a map needs, or for ``seconds`` if that is less.

        Returns whether that was long enough.
        """
        has_time = seconds is None or seconds >= self.needs_seconds
        if self.needs_seconds:
            time.sleep(self.needs_seconds if has_time else seconds or 0)
        return has_time

    def _is_pending(self, mapping: StagingMap) -> bool:
        """Look at a map; returns whether it is late."""
        return not self._is_prompt(mapping) and self._is_late(0)

    def _is_prompt(self, mapping: StagingMap) -> bool:
        return self._late is not None and self._maps.index(mapping) != self._late

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
    ``late``: the number of the only read that is late; None if all are.
    ``needs_seconds``: see ``LateDriver``.  ``policy_seconds``: how long the policy lets a wait
    last, if the device does not hang.  ``changes``: other fields of the policy.
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
        late: int | None = None,
        needs_seconds: float = 0,
        policy_seconds: int | None = None,
        changes: Mapping[str, Any] = NO_CHANGES,
    ) -> None:
        self.driver = LateDriver(None, looks)
        policy = replace(
            target.runtime.policy,
            memory_budget_bytes=None,
            debug_dispatch_limit=None,
            wait_seconds=POLICY_SECONDS if looks == inf else policy_seconds,
            queued_write_bytes=QUEUED_BYTES if looks == inf else queued_bytes,
            **changes,
        )

        def around(driver: Driver) -> Any:
            self.driver = LateDriver(FaultyDriver(driver, *faults), looks, late, needs_seconds)
            return self.driver

        self.runtime: Runtime = target.runtime_around(around, policy)
        self.is_real = not can_be_lost(self.runtime.device)
        self.errors = errors
        self.late = late
        self.tickets: list[Ticket] = []
        self.broken: list[str] = []
        """What done callbacks have met that they should not."""
        self.loses = loses
        self._reads = reads
        self._more: Any = None
        self._may_be_late = looks == inf or needs_seconds > 0

    def read(self, note: Callable[[Ticket], object] | None = None, *, flushes: bool = True) -> None:
        """Issue the reads, and flush each if ``flushes``; ``note`` is a done callback of each.

        The last has a done callback that frees a buffer, unless the device hangs or needs time.
        """
        x = self.again(lambda: self.runtime.alloc(len(DATA)))
        own = self.again(lambda: self.runtime.alloc(PIECE_BYTES))
        last: Ticket | None = None
        self.again(lambda: self.runtime.write(x, DATA))
        with suppress(DataLost):
            for at in range(0, self._reads * PIECE_BYTES, PIECE_BYTES):
                last = self.again(partial(self.runtime.read, x, at, PIECE_BYTES))
                self.tickets.append(last)
                if note is not None:
                    last.add_done_callback(note)
                with suppress(*self.errors):
                    if flushes:
                        self.runtime.flush()
        # A free may submit the reads of its buffer, so x is freed last if they are not flushed.
        first, later = (x, own) if flushes else (own, x)
        self.runtime.free(first)
        if last is None or self._may_be_late:
            self.runtime.free(later)
        else:
            last.add_done_callback(lambda _: self._free(later))
        if self.loses:
            self.runtime.device.destroy()

    def read_again(self) -> Ticket:
        """Issue one more read, of all the data, and flush it."""
        if self._more is None:
            self._more = self.again(lambda: self.runtime.alloc(len(DATA)))
            self.again(lambda: self.runtime.write(self._more, DATA))
        self.tickets.append(self.again(lambda: self.runtime.read(self._more)))
        with suppress(*self.errors):
            self.runtime.flush()
        return self.tickets[-1]

    def _free(self, own: Buffer) -> None:
        """Free a buffer in a done callback.  A runtime only logs what a callback raises."""
        try:
            self.runtime.free(own)
        except Exception as error:
            self.broken.append(f"a free in a done callback ended with {error!r}")

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
        self.driver.looks = self.driver.needs_seconds = 0
        with warnings.catch_warnings(), suppress(DeviceFault):
            warnings.simplefilter("ignore", ResourceWarning)
            self.runtime.close()


def can_be_lost(device: Any) -> bool:
    """Whether a device may be destroyed: only a simulated one is made anew afterwards."""
    return hasattr(device, "restart")
