"""Who brings reads that nobody waits for: a running asyncio loop, by asking now and then.

No map settles but inside a call that asks for it, so that a done callback alone
would never come.  Nothing here knows what is asked, and no thread is there.
"""

import asyncio
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from threading import get_ident

_LOOP_DELAYS_SECONDS = (0.0,) * 5 + tuple(n / 2000 for n in range(1, 21))
"""Seconds between two polls of a loop, at last a hundred a second: those of wgpu-py's promises."""


class LoopPolls:
    """Has a running asyncio loop poll for reads that somebody is to be called for.

    wgpu-py lets a thread wait for its promises and call the loop.  Here the loop
    asks by itself, ever less often, since no map settles but in a call that asks.
    Other loops than asyncio's are not known
    here, and a loop of another thread than the runtime's is none of its business.
    """

    def __init__(self) -> None:
        self._thread = get_ident()
        self._delays: Iterator[float] = iter(())
        self._turn: asyncio.TimerHandle | None = None

    def start(self, poll: Callable[[], bool]) -> None:
        """Have ``poll`` called at the loop's next turn, and on as long as it says yes."""
        self.stop()
        if get_ident() != self._thread:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._delays = chain(_LOOP_DELAYS_SECONDS, repeat(_LOOP_DELAYS_SECONDS[-1]))
        self._come_again(loop, poll)

    def stop(self) -> None:
        """Leave nothing scheduled."""
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.cancel()

    def _come_again(self, loop: asyncio.AbstractEventLoop, poll: Callable[[], bool]) -> None:
        self._turn = loop.call_later(next(self._delays), self._take_turn, loop, poll)

    def _take_turn(self, loop: asyncio.AbstractEventLoop, poll: Callable[[], bool]) -> None:
        self._turn = None
        wants_more = poll()
        # A callback may have begun anew.
        if wants_more and self._turn is None:
            self._come_again(loop, poll)
