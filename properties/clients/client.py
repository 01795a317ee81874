"""Clients: the ways to drive our runtime through a program.

A client wraps a target, and its history must be that of the plain client, which only forwards
ops.  The other clients wait for reads in other ways, close early, call from another thread, or use
the runtime in done callbacks.  Such a client has a method for each verb that it does not forward.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from math import inf
from types import SimpleNamespace
from typing import Any

import numpy as np

from gpusim.errors import (
    DeviceFault,
    DeviceLost,
    InvalidHandle,
    Refused,
    RuntimeClosed,
    WaitTimedOut,
    WrongThread,
)
from gpusim.ops import Capture, Dispatch, Flush, Op, Read, Replay, Sync
from gpusim.program import Program, buffers_of, replayed
from gpusim.runtime import Graph, Ticket
from gpusim.runtime.policy import parse_policy
from properties.clients.forbidden import METHODS, WAITS
from properties.clients.forked import not_refused_in_child
from properties.model.target import Delivery, Target
from properties.targets.runtime_target import RuntimeTarget


class BrokenPromise(Exception):
    """A runtime broke a promise that only this kind of client can see."""


class Forwarding:
    """Calls its own method for an op's verb if it has such a method; else forwards the op."""

    def __init__(self, target: Target) -> None:
        self.capabilities = target.capabilities
        self.limits = target.limits
        self.target = target

    def perform(self, op: Op) -> Delivery | None:
        """See ``Target``."""
        changed = getattr(self, op.verb, None)
        delivery: Delivery | None = self.target.perform(op) if changed is None else changed(op)
        return delivery

    def close(self) -> None:
        """See ``Target``."""
        self.target.close()


class Client(Forwarding):
    """Drives our own runtime."""

    target: RuntimeTarget

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)


_TURNS = 4
_SOON: Sequence[Any] = (0, 1e-9, 1e-6, np.float32(0))
"""Timeouts in seconds that end before the device can answer."""
LONG: Sequence[Any] = (None, None, None, inf, 10**400)
"""Timeouts in seconds that never end; None stands for the timeout of the policy."""


class AskingClient(Client):
    """Asks for values before any sync: some at once, some later and in another order.

    Waiting for a read gives its value, and settles every read before it.
    """

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._tickets: list[Ticket] = []
        self._settled = 0
        """How many of the first tickets are known to be settled."""

    def read(self, op: Read) -> Ticket:
        """Read; by turns ask for the value at once, or later, or for all values in reverse."""
        ticket = self.target.read(op.buffer, op.offset, op.size_bytes)
        self._tickets.append(ticket)
        turn = len(self._tickets) % _TURNS
        if turn == 1:
            self._ask(len(self._tickets) - 1)
        elif turn == 0:
            self._ask(len(self._tickets) - 2)
            for position in reversed(range(len(self._tickets))):
                self._ask(position)
        return ticket

    def dispatch(self, op: Dispatch) -> None:
        """Dispatch; after 3, 7, 11, ... reads, also ask for the value of the last but one."""
        self.target.perform(op)
        if len(self._tickets) % _TURNS == _TURNS - 1:
            self._ask(len(self._tickets) - 2)

    def flush(self, op: Flush) -> None:
        """Flush, then poll: the reads that have arrived may be delivered now."""
        self.target.perform(op)
        self._poll()

    def sync(self, op: Sync) -> None:
        """Ask for the last read but one, or poll; the sync then delivers what is left.

        If the number of reads is odd, a sync with a timeout that is too short is made first.  By
        turns the sync blocks, or is awaited.  A fault that is raised before the sync belongs to
        this op; the sync is still made.
        """
        reads = len(self._tickets)
        try:
            if reads > 1 and not self._tickets[-2].done():
                self._ask(reads - 2)
            else:
                self._poll()
            if reads % 2:
                with told_seconds(0):
                    self.target.runtime.sync(timeout=0)
        finally:
            if reads // 2 % 2:
                with closing(asyncio.new_event_loop()) as loop:
                    loop.run_until_complete(self.target.runtime.sync_async())
            else:
                self.target.perform(op)

    def close(self) -> None:
        """Close; the text of the policy must give the policy again."""
        policy, text = self.target.policy, str(self.target.runtime.policy)
        self.target.close()
        if parse_policy(text) != policy:
            raise BrokenPromise(f"the text of the policy gives another policy: {text}")

    def _poll(self) -> None:
        """Poll; the number that it returns must count every read that is pending."""
        counted = self.target.runtime.poll()
        for ticket in self._tickets[self._settled :]:
            if not ticket.done():
                break
            self._settled += 1
        pending = len(self._tickets) - self._settled
        if counted < pending:
            raise BrokenPromise(f"a poll counts {counted} pending reads, of at least {pending}")

    def _ask(self, position: int) -> None:
        """Ask for a value; for every second read, first wait with a timeout that is too short."""
        ticket = self._tickets[position]
        try:
            if position % 2:
                seconds = _SOON[position // 2 % len(_SOON)]
                with told_seconds(seconds):
                    ticket.result(timeout=seconds)
            ticket.result(LONG[position % len(LONG)])
        except DeviceFault:
            # A read's own error is shown by the read; any other error belongs to this call.
            if not ticket.done():
                raise
        if not all(ticket.done() for ticket in self._tickets[: position + 1]):
            raise BrokenPromise("a read has its value, and a read issued before it has none")


@contextmanager
def told_seconds(seconds: float) -> Iterator[None]:
    """A block that a timed-out wait may end; the error must name these seconds."""
    try:
        yield
    except WaitTimedOut as late:
        if f" {seconds} s " not in str(late):
            raise BrokenPromise(
                f"a wait of {seconds} s timed out, and its error gives another time: {late}"
            ) from None


class _Meant(Exception):
    """Leaves a ``with`` block on purpose."""


class ClosingClient(Client):
    """Closes instead of the last sync, with reads in flight.

    It closes by a call of its own, in a callback, or by an error that leaves the ``with`` block of
    the runtime.  The close settles every ticket with its value; after the close every call is
    refused.
    """

    def __init__(self, target: RuntimeTarget, program: Program) -> None:
        super().__init__(target)
        ends_with_sync = len(program) > 0 and isinstance(program[-1], Sync)
        self._syncs_left = sum(isinstance(op, Sync) for op in program) + (not ends_with_sync)
        self._tickets: list[Ticket] = []
        self._loss: DeviceLost | None = None
        self._error: DeviceFault | None = None

    def perform(self, op: Op) -> Delivery | None:
        """See ``Target``; notes a loss of the device, since the close does not raise it again."""
        try:
            return super().perform(op)
        except DeviceLost as loss:
            self._loss = loss
            raise

    def read(self, op: Read) -> Ticket:
        ticket = self.target.read(op.buffer, op.offset, op.size_bytes)
        self._tickets.append(ticket)
        return ticket

    def sync(self, op: Sync) -> None:
        self._syncs_left -= 1
        if self._syncs_left:
            self.target.perform(op)
            return
        try:
            self._close_runtime()
        except DeviceFault as error:
            self._error = error
            raise
        finally:
            self._check_closed()
        if self._loss is not None:
            raise self._loss

    def _close_runtime(self) -> None:
        last = self._tickets[-1] if self._tickets else None
        if last is not None and not last.done() and not len(self._tickets) % 2:
            last.add_done_callback(self._close)
            try:
                last.result()
            except DeviceFault as error:
                # A read shows its own error instead of a value.
                self._error = self._error or (None if last.done() else error)
            self.target.close()
        if self._error is not None:
            raise self._error
        # A second close does nothing.
        self.target.close(self._leave if len(self._tickets) % _TURNS == 1 else None)

    def _leave(self) -> None:
        with suppress(_Meant), self.target.runtime:
            raise _Meant

    def _close(self, _: Ticket) -> None:
        try:
            self.target.close()
        except DeviceFault as error:
            # A runtime only logs what a callback raises.
            self._error = error

    def _check_closed(self) -> None:
        if not all(ticket.done() for ticket in self._tickets):
            raise BrokenPromise("a read is not settled, though its runtime is closed")
        # A fault may prevent the fence for which the close waits.
        is_sound = self._error is None and self._loss is None
        if is_sound and not is_idle(self.target.runtime.device):
            raise BrokenPromise("a close ends before the device has done what was submitted")
        for name, call in METHODS.items():
            try:
                call(SimpleNamespace(x=None, y=None), self.target.runtime)
            except RuntimeClosed:
                continue
            except Exception as error:
                raise BrokenPromise(f"{name} of a closed runtime ends with {error!r}") from error
            raise BrokenPromise(f"{name} of a closed runtime is not refused")


def is_idle(device: Any) -> bool:
    """Whether a simulated device has done all that was submitted; true of other devices."""
    timeline = getattr(getattr(device, "_state", None), "timeline", None)
    return timeline is None or timeline.executed >= timeline.submitted


def is_simulated(device: Any) -> bool:
    """Whether a device is a simulated one, which can be reset."""
    return hasattr(device, "restart")


class DroppingClient(Client):
    """Issues one more read before and after each read, and drops those tickets.

    Before each sync it begins another sync, and does not wait for it to end.  For each replay it
    drops its last graph and captures the commands again, like a function that captures at each
    call.  Python may give the new graph the address of the old one.
    """

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._tickets: list[Ticket] = []
        self._captures: dict[str, Capture] = {}
        self._graph: Graph | None = None

    def capture(self, op: Capture) -> None:
        self.target.perform(op)
        self._captures[op.graph] = op

    def replay(self, op: Replay) -> None:
        if self._captured_again(op) and self._graph is not None:
            self._graph.replay(op.scalars)
        else:
            self.target.perform(op)

    def _captured_again(self, op: Replay) -> bool:
        """Capture a graph over the buffers of a replay; False if a buffer is refused."""
        captured = self._captures[op.graph]
        named = {name for command in captured.commands for name in buffers_of(command)}
        if not named.issuperset(old for old, _ in op.bindings):
            return False
        try:
            self._graph = None
            with self.target.runtime.capture() as self._graph:
                for command in replayed(captured, replace(op, scalars=None)):
                    self.target.perform(command)
        except Refused:
            return False
        return True

    def read(self, op: Read) -> Delivery:
        self.target.perform(op)
        ticket = self.target.read(op.buffer, op.offset, op.size_bytes)
        self._tickets.append(ticket)
        self.target.read(op.buffer, 0, 0)
        return ticket

    def sync(self, op: Sync) -> None:
        try:
            with told_seconds(0):
                self.target.runtime.sync(timeout=0)
        except DeviceFault:
            # A fault of this sync belongs to the op, and the sync had no time to settle the reads.
            for ticket in self._tickets:
                ended(ticket)
            raise
        self.target.perform(op)


class WrongThreadClient(Client):
    """Issues most ops first from a thread that does not own the runtime, then from the owner.

    The first call is refused, and changes nothing.  Before the first sync, a forked child makes a
    call of each method, in vain.
    """

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._thread = ThreadPoolExecutor(1)
        self._ticket: Ticket | None = None
        self._has_forked = False

    def perform(self, op: Op) -> Delivery | None:
        """See ``Target``; ops of verbs not listed here come from the owner's thread only."""
        if op.verb in ("write", "dispatch", "copy", "read", "free", "sync"):
            error = self._thread.submit(self.target.perform, op).exception()
            # If the alloc or capture of a name failed, the target itself refuses to use the name.
            if not isinstance(error, WrongThread | InvalidHandle):
                raise BrokenPromise(f"a call from another thread ended with {error!r}")
        if type(op) is Sync and not self._has_forked and is_simulated(self.target.runtime.device):
            self._has_forked = True
            self._fork()
        return super().perform(op)

    def read(self, op: Read) -> Ticket:
        self._ticket = self.target.read(op.buffer, op.offset, op.size_bytes)
        return self._ticket

    def _fork(self) -> None:
        at = SimpleNamespace(x=None, y=None, runtime=self.target.runtime, ticket=self._ticket)
        calls: dict[str, Callable[[], object]] = {
            name: partial(call, at, at.runtime) for name, call in METHODS.items()
        }
        calls["close"] = at.runtime.close
        calls |= {f"replay of {name}": each.replay for name, each in self.target.graphs.items()}
        if self._ticket is not None and not self._ticket.done():
            calls |= {name: partial(wait, at) for name, wait in WAITS.items()}
        names = not_refused_in_child(calls)
        if names:
            raise BrokenPromise(f"a forked child is not refused: {', '.join(names)}")

    def close(self) -> None:
        try:
            self.target.close()
        finally:
            self._thread.shutdown()


def ended(ticket: Ticket) -> Any:
    """The value of a ticket, or the class of its own error."""
    try:
        return ticket.result()
    except DeviceFault as fault:
        return type(fault)
