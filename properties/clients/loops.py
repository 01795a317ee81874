"""An event loop whose clock leaps: a task that sleeps wakes at once, and finds the clock advanced.

So a client can wait for hours, and see how often it is woken.  The loop knows when nobody is left
who could wake a task.
"""

import asyncio
import selectors
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

_MOST_TURNS = 20_000
_REAL_SECONDS = 0.001
"""A turn of a loop on a real device takes at least this time, since a real device needs time."""


class NeverWoken(Exception):
    """A task waits for something that never comes."""


class NothingScheduled(NeverWoken):
    """Nothing is scheduled in a loop, so it waits for ever, and costs nothing."""


class _Leaps(selectors.SelectSelector):
    """Tells a loop at once that its time to wait is over."""

    def __init__(self, *, is_real: bool) -> None:
        super().__init__()
        self.now_seconds = 0.0
        self.turns = 0
        self._is_real = is_real

    def select(self, timeout: float | None = None) -> Any:
        self.turns += 1
        if timeout is None:
            raise NothingScheduled("nothing is scheduled in the loop that could end its wait")
        if self.turns > _MOST_TURNS:
            raise NeverWoken(f"{_MOST_TURNS} turns of the loop have not ended its wait")
        if timeout > 0:
            self.now_seconds += timeout
            time.sleep(_REAL_SECONDS if self._is_real else 0)
        return super().select(0)


class LeapingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock leaps to the next thing that is scheduled."""

    def __init__(self, *, is_real: bool) -> None:
        self._leaps = _Leaps(is_real=is_real)
        super().__init__(self._leaps)

    def time(self) -> float:
        """The seconds that have passed in this loop."""
        return self._leaps.now_seconds

    def leave(self) -> None:
        """Count turns from 0 again, so that the tasks that are left have enough of them to end."""
        self._leaps.turns = 0

    def rest(self) -> None:
        """Run until nothing is scheduled any more.  NeverWoken if that never comes."""
        self.leave()
        with suppress(NothingScheduled):
            self.run_until_complete(self.create_task(asyncio.Event().wait()))


def run_leaping(
    main: Coroutine[Any, Any, None],
    *,
    is_real: bool,
    then_rests: bool = False,
    then_is_idle: bool = False,
) -> None:
    """Run ``main`` in a ``LeapingLoop``.  NeverWoken if it waits for something that never comes.

    ``then_rests``: once ``main`` has ended, nothing may go on waking the loop without end.
    ``then_is_idle``: nothing may be scheduled for later then.
    """
    loop = LeapingLoop(is_real=is_real)
    task = loop.create_task(main)
    try:
        loop.run_until_complete(task)
        if then_rests or then_is_idle:
            before_seconds = loop.time()
            loop.rest()
            if then_is_idle and loop.time() > before_seconds:
                raise NeverWoken("something stays scheduled in the loop, which nobody waits for")
    finally:
        loop.leave()
        for left in asyncio.all_tasks(loop):
            left.cancel()
            with suppress(asyncio.CancelledError, Exception):
                loop.run_until_complete(left)
        loop.close()
