"""The client beside: a second runtime on the same driver runs another program in between.

The other program follows from the case's program, so that both shrink together.  It allocates the
same buffers, has other data and other scalars, and at odd places dispatches the kernel's twin (see
``targets/twins``).  In some cases it has another policy, or runs in a thread of its own.  Each
runtime is judged by its own program.  ``execute`` drives both.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from queue import SimpleQueue
from threading import Thread
from types import SimpleNamespace
from typing import Any, TypeVar
from zlib import crc32

from gpusim.errors import InvalidHandle
from gpusim.kernels import Kernel
from gpusim.limits import WORD_BYTES
from gpusim.ops import Capture, Dispatch, DispatchIndirect, Flush, Op, Read, Replay, Write
from gpusim.program import Program
from gpusim.runtime import Policy, Runtime, Ticket
from gpusim.runtime.policy import PRESETS, Uniforms
from gpusim.text import write_op
from properties.clients.client import BrokenPromise, Client
from properties.clients.forbidden import NAMING
from properties.clients.loops import run_leaping
from properties.generate.choices import SeededChoices
from properties.model.case import Case
from properties.model.target import Delivery
from properties.targets.runtime_target import RuntimeTarget
from properties.targets.twins import twin_name

T = TypeVar("T")
BESIDE = "beside"
"""The name of the client."""

_OFFERED_BEFORE = ("write", "dispatch", "copy", "read")
"""Before ops of these verbs, a buffer of the other runtime is offered at times."""
_LEAST_BYTES = 16
_IN_A_THREAD = 3
"""In one case in this many, the second runtime has a thread of its own."""
_WAITS = 60
"""Within this many seconds, on the clock of ``run_leaping``, a loop must have called back."""


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

    def meet(self, other: Runtime | None, step: Callable[[], None] | None) -> None:
        """Share the driver with ``other``; ``step`` issues the next op of that runtime.

        Without ``step`` the other runtime does nothing while an op of this one is under way.
        ``other`` is None if it belongs to another thread, since this client may not call it then.
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
        """Pass a buffer of the other runtime to a call, which must refuse it."""
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


class OwnThread:
    """A thread that acts while its caller waits.  It never keeps the process alive."""

    def __init__(self) -> None:
        self._acts: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._ended: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        Thread(target=self._run, daemon=True).start()

    def do(self, act: Callable[[], T]) -> T:
        """Act in the thread; what ``act`` raises is raised here."""
        self._acts.put(act)
        given, error = self._ended.get()
        if error is not None:
            raise error
        done: T = given
        return done

    def end(self) -> None:
        """End the thread."""
        self._acts.put(None)

    def _run(self) -> None:
        while (act := self._acts.get()) is not None:
            try:
                self._ended.put((act(), None))
            except BaseException as error:
                self._ended.put((None, error))


def other_policy(case: Case) -> Policy:
    """The policy of the second runtime: half of the time that of ``case``, and else a preset.

    If it is a preset, only one of the two policies has a uniform ring, under which pipelines and
    bind groups are of another kind.
    """
    turn = _drawn("policy", case)
    if turn % 2:
        return case.policy
    is_ring = case.policy.uniforms is Uniforms.RING
    presets = [one for one in PRESETS.values() if (one.uniforms is Uniforms.RING) != is_ring]
    return presets[turn // 2 % len(presets)]


def own_thread(case: Case) -> OwnThread | None:
    """A thread for the second runtime, in some cases."""
    return None if _drawn("thread", case) % _IN_A_THREAD else OwnThread()


def _drawn(what: str, case: Case) -> int:
    """A number that the seed of the case decides, so that it stays while the program shrinks."""
    return crc32(f"{what} beside {case.seed}".encode())


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
