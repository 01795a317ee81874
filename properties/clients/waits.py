"""The ways to wait for the reads of a runtime in trouble, as tables.

``WAYS`` are for a device that answers in the end, ``WAITS`` for one that hangs, and ``LIMITED`` for
one that needs time for each read.  Which of them are tried, and what must hold then, is in
``patient``.
"""

import asyncio
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

from gpusim.errors import WaitTimedOut
from gpusim.runtime import Ticket
from properties.clients.callbacks import MeantCancel
from properties.clients.client import BrokenPromise, ended
from properties.clients.loops import run_leaping
from properties.clients.troubled import (
    POLICY_SECONDS,
    QUEUED_BYTES,
    Troubled,
)

LATE_LOOKS = 60
"""How many looks find a slow device late.  A running loop has fewer different delays between its
looks, so even the longest delay comes up."""
_MOST_POLLS = 20_000
_MOST_TURNS = 20
_NAP_SECONDS = 0.001
"""Once a read has come that was issued after a sync, the sync may go on for this many turns, each
of this length."""
_GAP_SECONDS = (0.001, 0.1)
"""The least and the most time between the last two looks of a running loop."""
_ASKED_SECONDS = 3600
LEAST_SECONDS = 1
"""The least time to which a policy limits waits."""
_SHORT_SECONDS = 0.002
"""The limit of a wait that blocks; such a wait really takes this time."""
_LEFT_SECONDS = 0.004
"""After this time an event loop ends, whatever is under way."""


def leave_loop(here: Troubled) -> None:
    """Wait in an event loop that ends too early: by callbacks, an await and a sync."""

    async def main() -> None:
        here.read(lambda _: None)
        waits = _value(here.tickets[-1]), here.runtime.sync_async()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*waits), _LEFT_SECONDS)

    run_leaping(main(), is_real=here.is_real)


def _poll(here: Troubled) -> None:
    for _ in range(_MOST_POLLS):
        if not here.again(here.runtime.poll):
            return
        if here.is_real:
            time.sleep(_SHORT_SECONDS)
    raise BrokenPromise(f"{_MOST_POLLS} polls have not delivered what is pending")


def _within(here: Troubled, wait: Callable[[Troubled], None]) -> None:
    """Wait for reads, and wait once more in the done callback of the first of them.

    The inner wait must call the callbacks of what it delivers before it ends.
    """
    before, called = len(here.tickets), list[Ticket]()

    def note(ticket: Ticket) -> None:
        called.append(ticket)
        if len(called) > 1:
            return
        try:
            wait(here)
        except here.errors:
            pass
        except Exception as error:
            # A runtime only logs what a callback raises.
            here.broken.append(f"a wait in a done callback ended with {error!r}")
        if called != [each for each in here.tickets[before:] if each.done()]:
            here.broken.append("a wait in a done callback ends before callbacks of its reads")

    here.read(note)
    wait(here)


def _twice(wait: Callable[[Troubled], None]) -> Callable[[Troubled], None]:
    """Wait for reads; then again for others, also in a done callback."""

    def waited(here: Troubled) -> None:
        here.read()
        wait(here)
        _within(here, wait)

    return waited


class _Calls:
    """The done callbacks of reads, as they come."""

    def __init__(self, here: Troubled) -> None:
        self._here = here
        self._before = len(here.tickets)
        self._called: list[Ticket] = []
        self._comes = asyncio.Event()

    def note(self, ticket: Ticket) -> None:
        """Note a call; this is the done callback.  Every other call of it raises."""
        self._called.append(ticket)
        self._comes.set()
        if len(self._called) % 2:
            raise MeantCancel("a callback of a client raises on purpose")

    def add(self) -> None:
        """Add the done callback to each read that was issued since this object was made."""
        for ticket in self._here.tickets[self._before :]:
            ticket.add_done_callback(self.note)

    def come(self, begin: Callable[[], object]) -> None:
        """Run a loop that first calls ``begin``.

        It must call back for each read, in order, and must not poll any more after that.
        """
        here = self._here

        async def main() -> None:
            begin()
            while len(self._called) < len(here.tickets) - self._before:
                self._comes.clear()
                await self._comes.wait()

        here.driver.looked_at_seconds.clear()
        run_leaping(main(), is_real=here.is_real, then_rests=True)
        if self._called != here.tickets[self._before :]:
            raise BrokenPromise("the done callbacks do not come in the order of their reads")
        _check_gaps(here.driver.looked_at_seconds)


def _by_callbacks(here: Troubled) -> None:
    """Wait in a running loop; before that, reads are issued in another loop and not submitted."""
    calls = _Calls(here)

    async def issue() -> None:
        here.read(calls.note, flushes=False)

    if not here.loses:
        run_leaping(issue(), is_real=here.is_real, then_rests=True)
    calls.come(lambda: here.read(calls.note))


def _by_late_callbacks(here: Troubled) -> None:
    """Wait in a running loop, with callbacks that are added when the reads are on their way."""
    calls = _Calls(here)

    def begin() -> None:
        here.read()
        calls.add()

    calls.come(begin)


def _by_poll_in_a_loop(here: Troubled) -> None:
    """Wait in a loop that runs only after the submit, and so needs one poll."""
    calls = _Calls(here)
    here.read(calls.note)
    calls.come(lambda: here.again(here.runtime.poll))


def _check_gaps(looks: Sequence[float]) -> None:
    """Check that a running loop has looked less and less often at a map that was late."""
    if len(looks) < LATE_LOOKS:
        return
    gaps = [later - earlier for earlier, later in pairwise(looks)]
    least, most = _GAP_SECONDS
    is_slowing = all(later > earlier - least / 2 for earlier, later in pairwise(gaps))
    if not is_slowing or not least <= gaps[-1] <= most:
        raise BrokenPromise(
            f"a running loop must poll less and less often, at last every {least} to {most} s: "
            f"after {len(looks)} polls in vain it polls every {gaps[-1]:.4f} s"
        )


def _by_awaits(here: Troubled) -> None:
    here.read()
    for ticket in here.tickets:
        with suppress(*here.errors):
            here.in_loop(_value(ticket))


def _by_awaits_at_once(here: Troubled) -> None:
    """Await each read in two tasks at once; meanwhile reads are issued that nobody submits.

    Another await of the first read, and a sync, are cancelled while they wait.
    """

    async def wait_for(ticket: Ticket) -> None:
        with suppress(*here.errors):
            await ticket

    async def main() -> None:
        here.driver.looks = LATE_LOOKS
        here.read()
        waits = [here.runtime.sync_async(), *map(wait_for, here.tickets[:1])]
        cancelled = [asyncio.create_task(each) for each in waits]
        tasks = [asyncio.create_task(wait_for(each)) for each in here.tickets for _ in range(2)]
        await asyncio.sleep(0)
        for each in cancelled:
            each.cancel()
        # A free of what is read may submit the reads, and show a fault.
        with suppress(*here.errors):
            here.read(flushes=False)
        await asyncio.gather(*cancelled, return_exceptions=True)
        await asyncio.gather(*tasks)
        # The last wait may submit its read in vain, and then does not settle it.
        for ticket in here.tickets + here.tickets[-1:]:
            await wait_for(ticket)

    here.in_loop(main())


def _ask(here: Troubled) -> None:
    for ticket in reversed(here.tickets):
        ended(ticket)


def _by_awaited_sync(here: Troubled) -> None:
    here.read()
    here.in_loop(here.runtime.sync_async())


def _by_sync_beside_reads(here: Troubled) -> None:
    """Await a sync, while another task reads, faster than the device answers.

    Those reads must not hold up the sync.
    """
    here.driver.needs_seconds = 2 * _NAP_SECONDS

    async def main() -> None:
        here.read()
        sync, turns = asyncio.create_task(here.runtime.sync_async()), 0
        await asyncio.sleep(0)
        try:
            first = here.read_again()
            while not sync.done() and turns < _MOST_TURNS:
                here.read_again()
                await asyncio.sleep(_NAP_SECONDS)
                turns += first.done()
        finally:
            here.broken += ["a sync waits for reads issued after it"] * (turns == _MOST_TURNS)
            await sync

    try:
        here.in_loop(main())
    finally:
        here.driver.needs_seconds = 0
        here.runtime.sync()


def _by_close_in_a_loop(here: Troubled) -> None:
    """Close in a running loop, in which the runtime polls; nothing may stay scheduled there."""

    async def main() -> None:
        here.driver.looks = LATE_LOOKS
        here.read(lambda _: None)
        # After this time, the loop no longer polls at every turn.
        await asyncio.sleep(_LEFT_SECONDS)
        _close(here)

    run_leaping(main(), is_real=here.is_real, then_is_idle=True)


def _by_close(here: Troubled) -> None:
    here.read()
    _close(here)


def _close(here: Troubled) -> None:
    with warnings.catch_warnings():
        # A buffer is left only if a done callback could not free it; ``broken`` tells of that.
        warnings.simplefilter("ignore", ResourceWarning)
        here.runtime.close()


WAYS: Mapping[str, Callable[[Troubled], None]] = {
    "polls": _twice(_poll),
    "done callbacks in a running loop": _by_callbacks,
    "done callbacks added in a running loop": _by_late_callbacks,
    "a poll in a running loop": _by_poll_in_a_loop,
    "a sync": _twice(lambda here: here.runtime.sync()),
    "an awaited sync": _by_awaited_sync,
    "an awaited sync beside new reads": _by_sync_beside_reads,
    "awaits": _by_awaits,
    "awaits of two tasks at once": _by_awaits_at_once,
    "results": _twice(_ask),
    "a close": _by_close,
    "a close in a running loop": _by_close_in_a_loop,
}


async def _value(ticket: Ticket) -> Any:
    return await ticket


def _sync_late(here: Troubled) -> None:
    with suppress(WaitTimedOut):
        here.runtime.sync(0)
    here.runtime.sync()


SYNCS: Mapping[str, Callable[[Troubled], object]] = {
    "sync()": lambda here: here.runtime.sync(),
    "sync(0) and sync()": _sync_late,
    "sync_async()": lambda here: here.in_loop(here.runtime.sync_async()),
}
"""The ways to sync a device that is in no trouble."""


async def _close_beside(here: Troubled) -> None:
    """Close, while a task awaits the last read, and two others sync.

    The close must end the tasks long before the policy's time limit would.
    """
    here.driver.never_naps = True
    waits = _value(here.tickets[-1]), here.runtime.sync_async(), here.runtime.sync_async()
    tasks = [asyncio.create_task(wait) for wait in waits]
    await asyncio.sleep(0)
    try:
        here.runtime.close(0)
    finally:
        _, late = await asyncio.wait(tasks, timeout=_GAP_SECONDS[1])
        if late:
            raise BrokenPromise("a task waits on for a read that a close has given up")
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        # If only an earlier read is late, the last read shows the syncs that all is done.
        if None in ends and here.late is None:
            raise BrokenPromise("an awaited sync returns, though a close has given it up")


def write_much(here: Troubled) -> None:
    """Write more than may wait for the device."""
    x = here.runtime.alloc(QUEUED_BYTES)
    for _ in range(4):
        here.runtime.write(x, bytes(QUEUED_BYTES))


WAITS: Mapping[str, tuple[Callable[[Troubled], object], int]] = {
    "result()": (lambda here: here.tickets[-1].result(), POLICY_SECONDS),
    "result(0)": (lambda here: here.tickets[-1].result(0), 0),
    "result(3600)": (lambda here: here.tickets[-1].result(_ASKED_SECONDS), _ASKED_SECONDS),
    "sync()": (lambda here: here.runtime.sync(), POLICY_SECONDS),
    "sync(0)": (lambda here: here.runtime.sync(0), 0),
    "sync(3600)": (lambda here: here.runtime.sync(_ASKED_SECONDS), _ASKED_SECONDS),
    "await": (lambda here: here.in_loop(_value(here.tickets[-1])), POLICY_SECONDS),
    "sync_async()": (lambda here: here.in_loop(here.runtime.sync_async()), POLICY_SECONDS),
    "sync_async(0)": (lambda here: here.in_loop(here.runtime.sync_async(0)), 0),
    "sync_async(3600)": (
        lambda here: here.in_loop(here.runtime.sync_async(_ASKED_SECONDS)),
        _ASKED_SECONDS,
    ),
    "a write": (write_much, POLICY_SECONDS),
    "close(0)": (lambda here: here.runtime.close(0), 0),
    "close(None)": (lambda here: here.runtime.close(None), POLICY_SECONDS),
    "close(0) beside an await": (
        lambda here: run_leaping(_close_beside(here), is_real=here.is_real),
        0,
    ),
    "close(3600)": (lambda here: here.runtime.close(_ASKED_SECONDS), _ASKED_SECONDS),
}
"""Waits that end without an answer, and the seconds after which each does."""
LIMITED: Mapping[str, tuple[Callable[[Troubled], object], float]] = {
    f"result({_SHORT_SECONDS})": (
        lambda here: here.tickets[-1].result(_SHORT_SECONDS),
        _SHORT_SECONDS,
    ),
    f"sync({_SHORT_SECONDS})": (lambda here: here.runtime.sync(_SHORT_SECONDS), _SHORT_SECONDS),
    f"close({_SHORT_SECONDS})": (lambda here: here.runtime.close(_SHORT_SECONDS), _SHORT_SECONDS),
    "await": (lambda here: here.in_loop(_value(here.tickets[-1])), LEAST_SECONDS),
    "sync_async()": (lambda here: here.in_loop(here.runtime.sync_async()), LEAST_SECONDS),
    "sync_async(3600)": (
        lambda here: here.in_loop(here.runtime.sync_async(_ASKED_SECONDS)),
        _ASKED_SECONDS,
    ),
}
"""Waits for several reads, and the seconds to which the caller or the policy limits each.

Waits in an event loop really take no time.
"""
