"""The client that waits: after its program, in every way that there is, for a device in trouble.

Each wait is that of a runtime of its own, with the policy of the case.  However a caller waits,
every read must be settled by then, with its value or with the error of the device, and no wait may
last longer than it was asked to.  A read that came too late for one wait can be waited for again.
An op that failed before it did anything can be made again, and counts once.
"""

import asyncio
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from math import inf
from typing import Any

from gpusim.errors import (
    DataLost,
    DeviceFault,
    DeviceLost,
    MapFailed,
    OutOfMemory,
    SubmitFailed,
    WaitTimedOut,
)
from gpusim.kernels import AFFINE
from gpusim.program import Program
from gpusim.runtime import Ticket
from gpusim.runtime.drivers.faulty import Fault
from properties.clients.client import BrokenPromise, Client, ended
from properties.clients.loops import NeverWoken, run_leaping
from properties.clients.troubled import (
    DATA,
    POLICY_SECONDS,
    QUEUED_BYTES,
    Troubled,
    can_be_lost,
)
from properties.generate.choices import Choices, SeededChoices
from properties.targets.runtime_target import RuntimeTarget

_ROUNDS = 3
_LATE_LOOKS = 60
"""How many looks find a slow device late: more than any list of delays has."""
_MOST_POLLS = 20_000
_GAP_SECONDS = (0.001, 0.1)
"""How often a running loop may look at last."""
_ASKED_SECONDS = 3600
_LEAST_SECONDS = 1
"""The least time to which a policy limits waits."""
_SHORT_SECONDS = 0.002
"""A wait that blocks for so long really takes so long."""
_NEEDED = 0.6
"""How much of the time that a caller waits for all reads a device needs for each."""
_LEFT_SECONDS = 0.004
"""After so long an event loop ends, whatever is under way."""
_FAILING = (
    ("submit", SubmitFailed),
    ("map", MapFailed),
    ("take", MapFailed),
    ("take", OutOfMemory),
    ("wait", MapFailed),
    ("encode", SubmitFailed),
)
"""Calls that fail, with reads under way."""
_LATE = (None, 0, 1, 2)
"""Which read a hanging device keeps back; None for all."""
_UNDONE = (("compile", DeviceFault), ("create_bind_group", OutOfMemory))
"""Calls that fail before their op has done anything."""


class PatientClient(Client):
    """Runs the program plainly, and then waits in a few drawn ways."""

    def __init__(self, target: RuntimeTarget, program: Program) -> None:
        super().__init__(target)
        self._program = program

    def close(self) -> None:
        """Close; then wait for devices in trouble."""
        self.target.close()
        choices = SeededChoices(f"patient {self._program}")
        for _ in range(_ROUNDS):
            self._hang(
                choices.pick([*_WAITS]), choices.pick(_LATE), then=choices.pick([*_WAYS])
            )
            self._take_time(choices.pick([*_LIMITED]))
            self._be_slow(choices.pick([*_WAYS]), leaves_loop=choices.chance(1, 2))
            self._fail(choices, choices.pick([*_WAYS]))
            self._fail_at_first(choices)
        device = self.target.runtime.device
        is_silent = not hasattr(device, "lost_async")
        if can_be_lost(device) and (is_silent or choices.chance(1, 8)):
            # The device of the session is lost too, so this comes last, and often only where a
            # loss is found by nobody who does not look for it.
            way = choices.pick([*_WAYS])
            self._wait(Troubled(self.target, errors=(DeviceLost,), loses=True), way, "is lost")

    def _hang(self, name: str, late: int | None, *, then: str) -> None:
        """Wait with a limit for a device that hangs, or for one of its reads that does.

        The device then answers, and the reads are waited for again, as ``then`` says.
        """
        call, seconds = _WAITS[name]
        here, told = Troubled(self.target, inf, late=late), f"{name} on a device that hangs"
        here.read()
        try:
            call(here)
        except NeverWoken as never:
            raise BrokenPromise(f"{told} never ends, since {never}") from None
        except WaitTimedOut as late:
            waited = here.driver.waited_seconds
            if not seconds / 2 <= waited <= seconds or f" {seconds} s" not in str(late):
                raise BrokenPromise(
                    f"{told} waits {waited} s, and not {seconds} s, and says: {late}"
                ) from None
        else:
            raise BrokenPromise(f"{told} ends without WaitTimedOut")
        if not here.runtime.is_open:
            _check(here, told, (WaitTimedOut,))
            return
        here.driver.looks = 0
        self._wait(here, then, f"answers, after {name} had not waited long enough")

    def _take_time(self, name: str) -> None:
        """Wait for several reads, each of which needs more than half of the time for all."""
        call, seconds = _LIMITED[name]
        needed = _NEEDED * seconds
        here = Troubled(self.target, needs_seconds=needed, policy_seconds=_LEAST_SECONDS)
        told = f"{name}, for reads of which each needs {needed} s,"
        here.read()
        try:
            call(here)
        except WaitTimedOut:
            pass
        else:
            raise BrokenPromise(f"{told} waits for more than {seconds} s in all")
        allowed = () if here.runtime.is_open else (WaitTimedOut,)
        here.close()
        _check(here, told, allowed)

    def _be_slow(self, way: str, *, leaves_loop: bool) -> None:
        here = Troubled(self.target, _LATE_LOOKS)
        if leaves_loop:
            _leave_loop(here)
        self._wait(here, way, "is slow" + " and was waited for in a loop that ended" * leaves_loop)

    def _fail(self, choices: Choices, way: str) -> None:
        verb, error = choices.pick(_FAILING)
        fault = Fault(verb=verb, call=choices.integer(0, 3), error=error)
        here = Troubled(
            self.target, faults=[fault], errors=(error, DataLost), reads=choices.integer(1, 4)
        )
        self._wait(here, way, f"fails at {verb} {fault.call}")

    def _wait(self, here: Troubled, way: str, what: str) -> None:
        told = f"waiting by {way} for a device that {what}"
        try:
            _WAYS[way](here)
        except NeverWoken as never:
            raise BrokenPromise(f"{told} never ends, since {never}") from None
        except here.errors:
            # The reads must be settled all the same.
            pass
        _check(here, told, here.errors)
        here.close()

    def _fail_at_first(self, choices: Choices) -> None:
        """Make each op again that fails before it has done anything."""
        verb, error = choices.pick(_UNDONE)
        fault = Fault(verb=verb, call=choices.integer(0, 3), error=error)
        here = Troubled(self.target, faults=[fault], errors=(error,))
        runtime = here.runtime
        x = runtime.alloc(len(DATA))
        with runtime.capture() as graph:
            here.again(lambda: runtime.dispatch(AFFINE, [x], (3, 1)))
            here.again(lambda: runtime.dispatch(AFFINE, [x], (5, 2)))
        with suppress(DataLost):
            here.again(graph.replay)
            here.again(lambda: runtime.dispatch(AFFINE, [x], (7, 3)))
            value = here.again(runtime.read(x).result)
            # From 0 over 1 and 7.
            if value != bytes((52, 0, 0, 0)) * (len(DATA) // 4):
                raise BrokenPromise(
                    f"an op was made again, because its {verb} had failed, and did not count once"
                )
        here.close()


def _check(here: Troubled, told: str, errors: tuple[type[DeviceFault], ...]) -> None:
    """Check that each read is settled, with its value or one of these errors."""
    if here.broken:
        raise BrokenPromise(f"{told}: {here.broken[0]}")
    for at, ticket in enumerate(here.tickets):
        if not ticket.done():
            raise BrokenPromise(f"{told} leaves a read that is not settled")
        assert ticket.span is not None
        value, (_, start, size_bytes) = ended(ticket), ticket.span
        may_fail = value in errors and here.late in (None, at)
        if not may_fail and value != DATA[start : start + size_bytes]:
            raise BrokenPromise(f"{told} gives a read the value {value!r}")


def _leave_loop(here: Troubled) -> None:
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


def _by_callbacks(here: Troubled) -> None:
    """Wait in a running loop, which polls by itself, and only while that can help.

    Some reads are issued in a loop before it, in which nobody may submit them.
    """
    called: list[Ticket] = []
    before = len(here.tickets)

    async def issue() -> None:
        here.read(called.append, flushes=False)

    async def main() -> None:
        comes = asyncio.Event()

        def note(ticket: Ticket) -> None:
            called.append(ticket)
            comes.set()

        here.read(note)
        while len(called) < len(here.tickets) - before:
            comes.clear()
            await comes.wait()

    if not here.loses:
        run_leaping(issue(), is_real=here.is_real, then_rests=True)
    here.driver.looked_at_seconds.clear()
    run_leaping(main(), is_real=here.is_real, then_rests=True)
    if called != here.tickets[before:]:
        raise BrokenPromise("the done callbacks do not come in the order of their reads")
    _check_gaps(here.driver.looked_at_seconds)


def _check_gaps(looks: Sequence[float]) -> None:
    """Check that a running loop has looked less and less often at a map that was late."""
    if len(looks) < _LATE_LOOKS:
        return
    gaps = [later - earlier for earlier, later in pairwise(looks)]
    least, most = _GAP_SECONDS
    is_slowing = all(later > earlier - least / 2 for earlier, later in pairwise(gaps))
    if not is_slowing or not least <= gaps[-1] <= most:
        raise BrokenPromise(
            f"a running loop must poll less and less often, down to each {most} s at most: after "
            f"{len(looks)} polls in vain it polls each {gaps[-1]:.4f} s"
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
        # A buffer is left only if a done callback could not free it, and that is told.
        warnings.simplefilter("ignore", ResourceWarning)
        here.runtime.close()


_WAYS: Mapping[str, Callable[[Troubled], None]] = {
    "polls": _by_polls,
    "done callbacks in a running loop": _by_callbacks,
    "a sync": _by_sync,
    "an awaited sync": _by_awaited_sync,
    "awaits": _by_awaits,
    "awaits of two tasks at once": _by_awaits_at_once,
    "results": _by_results,
    "a close": _by_close,
}


async def _value(ticket: Ticket) -> Any:
    return await ticket


async def _close_beside(here: Troubled) -> None:
    """Close, while a task awaits the last read; the task must end too."""
    task = asyncio.create_task(_value(here.tickets[-1]))
    await asyncio.sleep(0)
    try:
        here.runtime.close(0)
    finally:
        await asyncio.gather(task, return_exceptions=True)


def _write_much(here: Troubled) -> None:
    x = here.runtime.alloc(QUEUED_BYTES)
    for _ in range(4):
        here.runtime.write(x, bytes(QUEUED_BYTES))


_WAITS: Mapping[str, tuple[Callable[[Troubled], object], int]] = {
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
_LIMITED: Mapping[str, tuple[Callable[[Troubled], object], float]] = {
    f"result({_SHORT_SECONDS})": (
        lambda here: here.tickets[-1].result(_SHORT_SECONDS),
        _SHORT_SECONDS,
    ),
    f"sync({_SHORT_SECONDS})": (lambda here: here.runtime.sync(_SHORT_SECONDS), _SHORT_SECONDS),
    f"close({_SHORT_SECONDS})": (lambda here: here.runtime.close(_SHORT_SECONDS), _SHORT_SECONDS),
    "await": (lambda here: here.in_loop(_value(here.tickets[-1])), _LEAST_SECONDS),
    "sync_async()": (lambda here: here.in_loop(here.runtime.sync_async()), _LEAST_SECONDS),
    "sync_async(3600)": (
        lambda here: here.in_loop(here.runtime.sync_async(_ASKED_SECONDS)),
        _ASKED_SECONDS,
    ),
}
"""Waits for several reads, and the seconds to which the caller or the policy limits each.

Waits in an event loop really take no time.
"""
