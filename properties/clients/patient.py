"""The client that waits for a device in trouble, after its program, in every way that there is.

Each wait has a runtime of its own, with the policy of the case.  After the wait every read must be
settled, with its value or with the error of the device.  No wait may last longer than it was asked
to.  An op that failed before it did anything can be made again, and counts once.
"""

import asyncio
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
    PIECE_BYTES,
    POLICY_SECONDS,
    QUEUED_BYTES,
    Troubled,
    can_be_lost,
)
from properties.generate.choices import Choices, SeededChoices
from properties.targets.runtime_target import RuntimeTarget

_ROUNDS = 3
_LATE_LOOKS = 60
"""How many looks find a slow device late: more than a running loop has different delays."""
_MOST_POLLS = 20_000
_GAP_SECONDS = (0.001, 0.1)
"""The least and the most time between the last two looks of a running loop."""
_ASKED_SECONDS = 3600
_FAILING = (
    ("submit", SubmitFailed),
    ("map", MapFailed),
    ("take", MapFailed),
    ("encode", SubmitFailed),
)
"""Calls that fail, with reads under way."""
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
            self._hang(choices.pick([*_WAITS]))
            self._be_slow(choices.pick([*_WAYS]))
            self._fail(choices, choices.pick([*_WAYS]))
            self._fail_at_first(choices)
        self._fail_in_pieces(choices.integer(0, 2))
        device = self.target.runtime.device
        is_silent = not hasattr(device, "lost_async")
        if can_be_lost(device) and (is_silent or choices.chance(1, 8)):
            # The device of the session is lost too, so this comes last.  It is rare, except on a
            # device that tells nobody of its loss.
            way = choices.pick([*_WAYS])
            self._wait(Troubled(self.target, errors=(DeviceLost,), loses=True), way, "is lost")

    def _hang(self, name: str) -> None:
        """Wait with a limit for a device that hangs."""
        call, seconds = _WAITS[name]
        here, told = Troubled(self.target, inf), f"{name} on a device that hangs"
        here.read()
        try:
            call(here)
        except WaitTimedOut as late:
            waited = here.driver.waited_seconds
            if not seconds / 2 <= waited <= seconds or f" {seconds} s" not in str(late):
                raise BrokenPromise(
                    f"{told} waits {waited} s, and not {seconds} s, and says: {late}"
                ) from None
        else:
            raise BrokenPromise(f"{told} ends without WaitTimedOut")
        if here.runtime.is_open:
            here.close()
        _check(here, told, (WaitTimedOut,))

    def _be_slow(self, way: str) -> None:
        self._wait(Troubled(self.target, _LATE_LOOKS), way, "is slow")

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
            # The three dispatches make 1, 7 and 52 of 0.
            if value != bytes((52, 0, 0, 0)) * (len(DATA) // 4):
                raise BrokenPromise(
                    f"an op was made again, because its {verb} had failed, and did not count once"
                )
        here.close()

    def _fail_in_pieces(self, call: int) -> None:
        """Write in pieces, one of which fails: only if some are written, the buffer is lost."""
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
    for at, ticket in enumerate(here.tickets):
        if not ticket.done():
            raise BrokenPromise(f"{told} leaves a read that is not settled")
        value = ended(ticket)
        if value not in errors and value != DATA[at * PIECE_BYTES :][:PIECE_BYTES]:
            raise BrokenPromise(f"{told} gives a read the value {value!r}")


def _by_polls(here: Troubled) -> None:
    here.read()
    for _ in range(_MOST_POLLS):
        if not here.again(here.runtime.poll):
            return
        if here.is_real:
            run_leaping(asyncio.sleep(1), is_real=True)


def _by_callbacks(here: Troubled) -> None:
    """Wait in a running loop, which polls by itself."""
    called: list[Ticket] = []

    async def main() -> None:
        comes = asyncio.Event()

        def note(ticket: Ticket) -> None:
            called.append(ticket)
            comes.set()

        here.read(note)
        while len(called) < len(here.tickets):
            comes.clear()
            await comes.wait()

    run_leaping(main(), is_real=here.is_real)
    if called != here.tickets:
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
            f"a running loop must poll less and less often, at last every {least} to {most} s: "
            f"after {len(looks)} polls in vain it polls every {gaps[-1]:.4f} s"
        )


def _by_awaits(here: Troubled) -> None:
    here.read()
    for ticket in here.tickets:
        with suppress(*here.errors):
            here.in_loop(_value(ticket))


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
    here.runtime.close()


_WAYS: Mapping[str, Callable[[Troubled], None]] = {
    "polls": _by_polls,
    "done callbacks in a running loop": _by_callbacks,
    "a sync": _by_sync,
    "an awaited sync": _by_awaited_sync,
    "awaits": _by_awaits,
    "results": _by_results,
    "a close": _by_close,
}


async def _value(ticket: Ticket) -> Any:
    return await ticket


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
    "close(3600)": (lambda here: here.runtime.close(_ASKED_SECONDS), _ASKED_SECONDS),
}
"""Waits that end without an answer, and the seconds after which each does."""
