"""Polls for reads in a running asyncio loop, so that done callbacks run without a wait.

A map settles only inside a call that polls, so without polls a callback would never
run.  Nothing here knows what is polled, and there is no thread.
"""

import asyncio
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from threading import get_ident

_LOOP_DELAYS_SECONDS = (0.0,) * 5 + tuple(n / 2000 for n in range(1, 21))
"""Seconds between polls; then the last delay is repeated.  wgpu-py's thread has similar delays."""


class LoopPolls:
    """Makes a running asyncio loop poll for reads that have done callbacks.

    wgpu-py has a thread that waits for its promises and calls the loop.  Here the loop
    polls by itself, less and less often.  Only asyncio's loop in the
    runtime's own thread is supported.
    """

    def __init__(self) -> None:
        self._thread = get_ident()
        self._delays: Iterator[float] = iter(())
        self._turn: asyncio.TimerHandle | None = None

    def start(self, poll: Callable[[], bool]) -> None:
        """Call ``poll`` at the loop's next turn, and again as long as it returns true."""
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
        """Cancel the scheduled poll."""
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.cancel()

    def _come_again(self, loop: asyncio.AbstractEventLoop, poll: Callable[[], bool]) -> None:
        self._turn = loop.call_later(next(self._delays), self._take_turn, loop, poll)

    def _take_turn(self, loop: asyncio.AbstractEventLoop, poll: Callable[[], bool]) -> None:
        self._turn, wants_more = None, True
        try:
            wants_more = poll()
        finally:
            # A done callback may have called ``start``: then the next poll is scheduled already.
            # If a done callback raised, for instance by Ctrl-C, the other reads still need a poll.
            if wants_more and self._turn is None:
                self._come_again(loop, poll)
