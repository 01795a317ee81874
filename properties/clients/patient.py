"""The client that, after its program, waits for a device in trouble, in every way that there is.

Each wait has a runtime of its own, with the policy of the case.  After the wait every read must be
settled, with its value or with the error of the device.  No wait may last longer than it was asked
to.  A read that came too late for one wait can be waited for again.  An op that failed before it
did anything can be made again, and counts once.  ``aftermath`` has more cases of what must hold
after a failure.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
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
from properties.clients.aftermath import AFTERMATHS
from properties.clients.callbacks import unnoticed
from properties.clients.client import BrokenPromise, Client, ended
from properties.clients.loops import NeverWoken
from properties.clients.troubled import DATA, PIECE_BYTES, Troubled, can_be_lost
from properties.clients.waits import (
    LATE_LOOKS,
    LEAST_SECONDS,
    LIMITED,
    WAITS,
    WAYS,
    leave_loop,
    write_much,
)
from properties.generate.choices import Choices, SeededChoices
from properties.targets.runtime_target import RuntimeTarget

_ROUNDS = 3
_NEEDED = 0.6
"""The share of a wait's time limit that the device needs for each single read."""
_FAILING = (
    ("submit", SubmitFailed),
    ("map", MapFailed),
    ("take", MapFailed),
    ("take", OutOfMemory),
    ("wait", MapFailed),
    ("encode", SubmitFailed),
)
"""Calls on the driver that may fail while reads are under way, and the error of each."""
_ENDLESS_SECONDS = 10**400
"""A limit of waits that no float holds, so it is no limit."""
_LATE = (None, 0, 1, 2)
"""Which read a hanging device keeps back; None for all."""
_UNDONE = (("compile", DeviceFault), ("create_bind_group", OutOfMemory))
"""Calls on the driver that may fail before their op has done anything, and the error of each."""


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
            self._hang(choices.pick([*WAITS]), choices.pick(_LATE), then=choices.pick([*WAYS]))
            self._take_time(choices.pick([*LIMITED]))
            self._be_slow(choices.pick([*WAYS]), leaves_loop=choices.chance(1, 2))
            self._fail(choices, choices.pick([*WAYS]))
            self._fail_at_first(choices)
        self._fail_in_pieces(choices.integer(0, 2))
        self._fail_for_all(choices.integer(0, 4))
        self._leave_a_sync(by_ctrl_c=choices.chance(1, 2))
        others = SeededChoices(f"aftermath {self._program}")
        for aftermath in AFTERMATHS:
            if wrong := aftermath(self.target, others):
                raise BrokenPromise(wrong)
        device = self.target.runtime.device
        is_silent = not hasattr(device, "lost_async")
        if can_be_lost(device) and (is_silent or choices.chance(1, 8)):
            # The device of the session is lost too, so this comes last.  It is rare, except on a
            # device that tells nobody of its loss.
            way = choices.pick([*WAYS])
            self._wait(Troubled(self.target, errors=(DeviceLost,), loses=True), way, "is lost")

    def _hang(self, name: str, late: int | None, *, then: str) -> None:
        """Wait with a limit for a device that hangs, or that keeps back only read number ``late``.

        The device then answers, and the reads are waited for again, in the way ``then``.
        """
        call, seconds = WAITS[name]
        here, told = Troubled(self.target, inf, late=late), f"{name} on a device that hangs"
        here.read()
        # Only a fence shows that the queue has done this write too.
        own = here.runtime.alloc(PIECE_BYTES)
        here.runtime.write(own, DATA[:PIECE_BYTES])
        here.runtime.free(own)
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
        if call is not write_much:
            self._wait_in_vain(here, call, told)
        here.driver.looks = 0
        self._wait(here, then, f"answers, after {name} had not waited long enough")

    def _wait_in_vain(self, here: Troubled, call: Callable[[Troubled], object], told: str) -> None:
        """Wait once more; that must not submit anything, since all was submitted before."""
        submits = here.runtime.stats().submits
        with suppress(WaitTimedOut):
            call(here)
        if here.runtime.stats().submits != submits:
            raise BrokenPromise(f"{told} submits something at the second time too")

    def _take_time(self, name: str) -> None:
        """Wait for several reads, each of which needs more than half of the limit for them all."""
        call, seconds = LIMITED[name]
        needed = _NEEDED * seconds
        here = Troubled(self.target, needs_seconds=needed, policy_seconds=LEAST_SECONDS)
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
        here = Troubled(self.target, LATE_LOOKS, policy_seconds=_ENDLESS_SECONDS)
        if leaves_loop:
            leave_loop(here)
        self._wait(here, way, "is slow" + " and was waited for in a loop that ended" * leaves_loop)

    def _fail(self, choices: Choices, way: str) -> None:
        verb, error = choices.pick(_FAILING)
        fault = Fault(verb=verb, call=choices.integer(0, 3), error=error)
        here = Troubled(
            self.target, faults=[fault], errors=(error, DataLost), reads=choices.integer(1, 4)
        )
        self._wait(here, way, f"fails at {verb} {fault.call}")

    def _fail_for_all(self, reads: int) -> None:
        """Sync in three tasks at once; the last map, for which each of them waits, fails."""
        fault = Fault(verb="take", call=max(reads - 1, 0), error=MapFailed)
        here = Troubled(self.target, faults=[fault], errors=(MapFailed,), reads=reads)
        ends: list[BaseException | None] = []

        async def main() -> None:
            here.driver.looks = LATE_LOOKS
            syncs = [here.runtime.sync_async() for _ in range(3)]
            ends.extend(await asyncio.gather(*syncs, return_exceptions=True))

        here.read()
        here.in_loop(main())
        here.close()
        if {*map(type, ends)} != {MapFailed}:
            told = ", ".join("nothing" if end is None else type(end).__name__ for end in ends)
            raise BrokenPromise(
                f"three awaited syncs wait for one map that fails, and raise: {told}"
            )

    def _leave_a_sync(self, *, by_ctrl_c: bool) -> None:
        """Leave a sync that has met a fault, while it waits; a later call must raise the fault."""
        fault = Fault(verb="submit", call=1, error=SubmitFailed)
        here = Troubled(self.target, faults=[fault], errors=(SubmitFailed,), reads=1)
        here.read()
        y = here.runtime.alloc(PIECE_BYTES)
        here.runtime.write(y, DATA[:PIECE_BYTES])
        here.runtime.free(y)
        left = _interrupted(here) if by_ctrl_c else _closed_coroutine(here)
        try:
            here.runtime.sync()
        except SubmitFailed:
            left = ""
        here.close()
        if left:
            raise BrokenPromise(f"a sync was left by {left}, and no call raises its fault")

    def _wait(self, here: Troubled, way: str, what: str) -> None:
        told = f"waiting by {way} for a device that {what}"
        try:
            with unnoticed():
                WAYS[way](here)
        except NeverWoken as never:
            raise BrokenPromise(f"{told} never ends, since {never}") from None
        except here.errors:
            # The reads must be settled nevertheless.
            pass
        _check(here, told, here.errors)
        here.close()

    def _fail_at_first(self, choices: Choices) -> None:
        """Make each op again if it fails before it has done anything."""
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
            # The three dispatches turn 0 into 1, 1 into 7 and 7 into 52.
            if value != bytes((52, 0, 0, 0)) * (len(DATA) // 4):
                raise BrokenPromise(
                    f"an op was made again, because its {verb} had failed, and did not count once"
                )
        here.close()

    def _fail_in_pieces(self, call: int) -> None:
        """Write in pieces, of which piece ``call`` fails.

        The buffer is lost only if earlier pieces were written.
        """
        fault = Fault(verb="write_buffer", call=call, error=SubmitFailed)
        here = Troubled(self.target, faults=[fault], queued_bytes=PIECE_BYTES)
        x = here.runtime.alloc(len(DATA))
        try:
            here.runtime.write(x, DATA)
        except SubmitFailed:
            try:
                shown: Any = here.runtime.read(x).result()
            except DataLost as lost:
                shown = type(lost)
            if shown != (DataLost if call else bytes(len(DATA))):
                raise BrokenPromise(
                    f"a write in pieces failed at piece {call}, and its buffer then shows {shown!r}"
                ) from None
        else:
            raise BrokenPromise("a write in pieces does not show the fault of a piece")
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


class _CtrlC(KeyboardInterrupt):
    """Raised by a done callback, as Python raises it wherever a program waits."""


def _interrupted(here: Troubled) -> str:
    """Leave a sync by Ctrl-C at its first delivery.

    Returns how the sync was left, in words; empty if it ended by itself.
    """
    may_raise = [True]

    def interrupt(_: Ticket) -> None:
        # Outside of the sync, this error would end the session.
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


def _closed_coroutine(here: Troubled) -> str:
    """Close the coroutine of a sync at its first wait.

    Returns how the sync was left, in words; empty if it ended by itself.
    """
    left = []

    async def main() -> None:
        sync = here.runtime.sync_async()
        with suppress(StopIteration, *here.errors):
            sync.send(None)
            left.append("the close of its coroutine")
        sync.close()

    here.in_loop(main())
    return "".join(left)
