"""The client beside: a second runtime on the same driver runs another program in between.

The other program follows from the case's program, so that both shrink together.  It allocates the
same buffers, has other data and other scalars, and at odd places dispatches the kernel's twin.
Each runtime is judged by its own program.  ``execute`` drives both.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from gpusim.errors import InvalidHandle
from gpusim.kernels import Kernel
from gpusim.limits import WORD_BYTES
from gpusim.ops import Capture, Dispatch, DispatchIndirect, Flush, Op, Read, Replay, Write
from gpusim.program import Program
from gpusim.runtime import Runtime, Ticket
from gpusim.text import write_op
from properties.clients.client import BrokenPromise, Client
from properties.clients.forbidden import NAMING
from properties.clients.loops import run_leaping
from properties.generate.choices import SeededChoices
from properties.model.target import Delivery
from properties.targets.runtime_target import RuntimeTarget
from properties.targets.twins import twin_name

BESIDE = "beside"
"""The name of the client."""

_OFFERED_BEFORE = ("write", "dispatch", "copy", "read")
"""Before ops of these verbs, a buffer of the other runtime is offered at times."""
_LEAST_BYTES = 16
_WAITS = 60
"""Seconds of the leaping clock within which a loop must have called back."""


class BesideClient(Client):
    """Shares the driver with a second runtime, whose program ``execute`` runs in between.

    At times the client passes a buffer of the other runtime, which must be refused.  While it
    captures, the other runtime goes on.  Both runtimes flush in one event loop, which must then
    call back for the reads of both.
    """

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._tickets: list[Ticket] = []
        self._other: Runtime | None = None
        self._step: Callable[[], None] | None = None

    def meet(self, other: Runtime, step: Callable[[], None] | None) -> None:
        """Share the driver with ``other``, whose next op ``step`` issues.

        Without ``step`` the other runtime does nothing while an op of this one is under way.
        """
        self._other, self._step = other, step

    def perform(self, op: Op) -> Delivery | None:
        """See ``Target``."""
        choices = SeededChoices(f"beside {write_op(op)}")
        if op.verb in _OFFERED_BEFORE and choices.chance(1, 4):
            self._offer(choices)
        return super().perform(op)

    def read(self, op: Read) -> Ticket:
        ticket = self.target.read(op.buffer, op.offset, op.size_bytes)
        self._tickets.append(ticket)
        return ticket

    def capture(self, op: Capture) -> None:
        with self.target.runtime.capture() as graph:
            for command in op.commands:
                self.target.perform(command)
                if self._step is not None:
                    self._step()
        self.target.graphs[op.graph] = graph

    def flush(self, op: Flush) -> None:
        runtimes = [self.target.runtime, self._other]
        if self._step is None or self._other is None or not self._other.is_open:
            self.target.perform(op)
            return
        waiting = [ticket for ticket in self._tickets if ticket.is_recorded]
        if len(self._tickets) % 2:
            runtimes.reverse()
        run_leaping(_flushed(runtimes, waiting), is_real=False)
        if not all(ticket.done() for ticket in waiting):
            raise BrokenPromise("a loop that runs has not called back for a read that was flushed")

    def _offer(self, choices: SeededChoices) -> None:
        """Pass a buffer of the other runtime to a call, in vain."""
        theirs = [] if self._other is None else self._other.live_buffers()
        most = self.target.limits.max_binding_bytes
        mine = self.target.runtime.live_buffers()
        mine = [each for each in mine if _LEAST_BYTES <= each.size_bytes <= most]
        if not theirs or not mine:
            return
        name = choices.pick([*NAMING])
        at = SimpleNamespace(runtime=self.target.runtime, x=choices.pick(mine))
        try:
            NAMING[name](at, choices.pick(theirs))
        except InvalidHandle:
            return
        raise BrokenPromise(f"{name} a buffer of another runtime on the driver is not refused")


async def _flushed(runtimes: list[Any], waiting: list[Ticket]) -> None:
    """Flush, and let the loop run until it has called back for each ticket, or is late."""
    for runtime in runtimes:
        runtime.flush()
    for _ in range(_WAITS):
        if all(ticket.done() for ticket in waiting):
            return
        await asyncio.sleep(1)


def other_program(program: Program, kernels: Mapping[str, Kernel]) -> Program:
    """The program that runs beside ``program``, over ``kernels`` with their twins.

    The other program ends earlier.  It has no indirect dispatches, since other data would give
    other grids.
    """
    graphs = {
        op.graph
        for op in program
        if isinstance(op, Capture)
        and any(isinstance(command, DispatchIndirect) for command in op.commands)
    }
    ops = [
        op
        for op in program
        if not isinstance(op, DispatchIndirect)
        and not (isinstance(op, Capture | Replay) and op.graph in graphs)
    ]
    ops = ops[: -(-3 * len(ops) // 4)]
    return Program(tuple(_other(op, at, kernels) for at, op in enumerate(ops)))


def _other(op: Op, at: int, kernels: Mapping[str, Kernel]) -> Op:
    match op:
        case Write():
            return replace(op, data=op.data[WORD_BYTES:] + op.data[:WORD_BYTES])
        case Dispatch():
            name = twin_name(op.kernel, kernels) if at % 2 else op.kernel
            scalars = tuple(each ^ 1 if type(each) is int else each for each in op.scalars)
            return replace(op, kernel=name, scalars=scalars)
        case _:
            return op
