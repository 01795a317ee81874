"""The ways to wait for the reads of a runtime in trouble, as tables.

``WAYS`` are for a device that answers in the end, ``WAITS`` for one that hangs, and ``LIMITED`` for
one that needs time for each read.  Which of them are tried, and what must hold then, is in
``patient``.
"""

import asyncio
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

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
_GAP_SECONDS = (0.001, 0.1)
"""The least and the most time between the last two looks of a running loop."""
_ASKED_SECONDS = 3600
LEAST_SECONDS = 1
"""The least time to which a policy limits waits."""
_SHORT_SECONDS = 0.002
"""The limit of a wait that blocks; such a wait really takes so long."""
_LEFT_SECONDS = 0.004
"""After so long an event loop ends, whatever is under way."""


def leave_loop(here: Troubled) -> None:
    """Wait in an event loop that ends too early: by callbacks, an await and a sync."""

    async def main() -> None:
        here.read(lambda _: None)
        waits = _value(here.tickets[-1]), here.runtime.sync_async()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*waits), _LEFT_SECONDS)

    run_leaping(main(), is_real=here.is_real)


def _by_polls(here: Troubled) -> None:
    here.read()
    for _ in range(_MOST_POLLS):
        if not here.again(here.runtime.poll):
            return
        if here.is_real:
            run_leaping(asyncio.sleep(1), is_real=True)


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
    """Await each read in two tasks at once; meanwhile reads are issued that nobody submits."""

    async def wait_for(ticket: Ticket) -> None:
        with suppress(*here.errors):
            await ticket

    async def main() -> None:
        here.read()
        tasks = [asyncio.create_task(wait_for(each)) for each in here.tickets for _ in range(2)]
        await asyncio.sleep(0)
        here.read(flushes=False)
        await asyncio.gather(*tasks)
        for ticket in here.tickets:
            await wait_for(ticket)

    here.in_loop(main())


def _by_results(here: Troubled) -> None:
    here.read()
    for ticket in reversed(here.tickets):
        ended(ticket)


def _by_sync(here: Troubled) -> None:
    here.read()
    here.runtime.sync()


def _by_awaited_sync(here: Troubled) -> None:
    here.read()
    here.in_loop(here.runtime.sync_async())


def _by_close(here: Troubled) -> None:
    here.read()
    with warnings.catch_warnings():
        # A buffer is left only if a done callback could not free it; ``broken`` tells of that.
        warnings.simplefilter("ignore", ResourceWarning)
        here.runtime.close()


WAYS: Mapping[str, Callable[[Troubled], None]] = {
    "polls": _by_polls,
    "done callbacks in a running loop": _by_callbacks,
    "done callbacks added in a running loop": _by_late_callbacks,
    "a poll in a running loop": _by_poll_in_a_loop,
    "a sync": _by_sync,
    "an awaited sync": _by_awaited_sync,
    "awaits": _by_awaits,
    "awaits of two tasks at once": _by_awaits_at_once,
    "results": _by_results,
    "a close": _by_close,
}


async def _value(ticket: Ticket) -> Any:
    return await ticket


class _CtrlC(KeyboardInterrupt):
    """Raised by a done callback, as Python raises it wherever a program waits."""


def interrupted(here: Troubled) -> str:
    """Leave a sync by Ctrl-C at its first delivery.  Returns by what it was left, if it was."""
    may_raise = [True]

    def interrupt(_: Ticket) -> None:
        # Outside of the sync it would end the session.
        if may_raise:
            raise _CtrlC

    here.tickets[0].add_done_callback(interrupt)
    try:
        here.runtime.sync()
    except _CtrlC:
        return "Ctrl-C"
    except here.errors:
        pass
    finally:
        may_raise.clear()
    return ""


def closed_coroutine(here: Troubled) -> str:
    """Close the coroutine of a sync at its first wait.  Returns by what it was left, if it was."""
    left = []

    async def main() -> None:
        sync = here.runtime.sync_async()
        with suppress(StopIteration, *here.errors):
            sync.send(None)
            left.append("the close of its coroutine")
        sync.close()

    here.in_loop(main())
    return "".join(left)


async def _close_beside(here: Troubled) -> None:
    """Close, while a task awaits the last read, and two others sync.

    The close must end the tasks long before the policy's time limit would.
    """
    waits = _value(here.tickets[-1]), here.runtime.sync_async(), here.runtime.sync_async()
    tasks = [asyncio.create_task(wait) for wait in waits]
    await asyncio.sleep(0)
    try:
        here.runtime.close(0)
    finally:
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        if asyncio.get_running_loop().time() >= POLICY_SECONDS:
            raise BrokenPromise("a task waits on for a read that a close has given up")
        # The last read shows the syncs that everything before it is done.
        if None in ends and here.late is None:
            raise BrokenPromise("an awaited sync returns, though a close has given it up")


def _write_much(here: Troubled) -> None:
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
    "a write": (_write_much, POLICY_SECONDS),
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
