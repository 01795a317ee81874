"""Clients: the ways to drive our runtime through a program.

A client wraps a target, and its history must be that of the plain client, which only forwards
ops.  The others wait for reads in other ways, close early, call from another thread, or use the
runtime in done callbacks.  A client has a method for each verb that it treats otherwise.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from typing import Any

import numpy as np

from gpusim.errors import (
    DeviceFault,
    DeviceLost,
    InvalidHandle,
    RuntimeClosed,
    WaitTimedOut,
    WrongThread,
)
from gpusim.kernels import SCRAMBLE
from gpusim.ops import Dispatch, Flush, Op, Read, Sync
from gpusim.program import Program
from gpusim.runtime import Ticket
from properties.model.target import Delivery
from properties.targets.runtime_target import RuntimeTarget


class BrokenPromise(Exception):
    """A runtime broke a promise that only this kind of client can see."""


class Client:
    """Calls its own method for an op's verb where it has one; otherwise forwards to ``target``."""

    def __init__(self, target: RuntimeTarget) -> None:
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


_TURNS = 4
_TASKS = 2
_SYNCS = 3


class AskingClient(Client):
    """Asks for values before any sync: some at once, some later and in another order.

    Waiting for a read gives its value, and settles every read before it.
    """

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._tickets: list[Ticket] = []

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
        """Dispatch, then ask for the value of the last read but one."""
        self.target.perform(op)
        if len(self._tickets) % _TURNS == _TURNS - 1:
            self._ask(len(self._tickets) - 2)

    def flush(self, op: Flush) -> None:
        """Flush, then poll: the reads that have arrived may be delivered now."""
        self.target.perform(op)
        self.target.runtime.poll()

    def _ask(self, position: int) -> None:
        """Ask for a value; for every other read, look at it without a wait first."""
        ticket = self._tickets[position]
        try:
            if position % 2:
                with suppress(WaitTimedOut):
                    ticket.result(timeout=0)
            ticket.result()
        except DeviceFault:
            # A read's own error is shown by the read; any other belongs to this call.
            if not ticket.done():
                raise
        if not all(ticket.done() for ticket in self._tickets[: position + 1]):
            raise BrokenPromise("a read has its value, and a read issued before it has none")


class AwaitingClient(Client):
    """Uses an event loop: two tasks await a read, and three tasks sync at once."""

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._loop = asyncio.new_event_loop()
        self._tasks: list[tuple[Ticket, asyncio.Task[Any]]] = []
        self._tickets: list[Ticket] = []

    def read(self, op: Read) -> Ticket:
        """Read; by turns await it in two tasks, or cancel the first of these, or leave it alone.

        What is left alone is submitted and delivered by the next sync, or with a later read.
        """
        ticket = self.target.read(op.buffer, op.offset, op.size_bytes)
        self._tickets.append(ticket)
        turn = len(self._tickets) % 3
        for _ in range(_TASKS if turn != 1 else 0):
            self._tasks.append((ticket, self._loop.create_task(_wait_for(ticket))))
        if turn == 0:
            self._loop.run_until_complete(asyncio.sleep(0))
            _, task = self._tasks[-_TASKS]
            task.cancel()
            self._loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
            if task.cancelled():
                self._tasks.pop(-_TASKS)
            self._raise_fault()
        return ticket

    def flush(self, op: Flush) -> None:
        """Flush, and let the other tasks run."""
        self.target.perform(op)
        self._loop.run_until_complete(asyncio.sleep(0))
        self._raise_fault()

    def sync(self, op: Sync) -> None:
        """Start three syncs at once; each must deliver every read issued before it."""
        self._loop.run_until_complete(self._sync_side_by_side())

    def close(self) -> None:
        try:
            self.target.close()
        finally:
            self._loop.run_until_complete(self._finish_tasks())
            self._loop.close()

    def _raise_fault(self) -> None:
        """Raise the error of a task that is not the error of its read: it belongs to this op."""
        for at, (_, task) in enumerate(self._tasks):
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                del self._tasks[at]
                raise error

    async def _sync_side_by_side(self) -> None:
        syncs = [self._sync_once() for _ in range(_SYNCS)]
        ends = await asyncio.gather(*syncs, return_exceptions=True)
        await self._finish_tasks()
        for error in ends:
            if error is not None:
                raise error

    async def _sync_once(self) -> None:
        try:
            await self.target.runtime.sync_async()
        finally:
            if not all(ticket.done() for ticket in self._tickets):
                raise BrokenPromise("a read is not delivered, though a sync after it has ended")
            self._tickets.clear()

    async def _finish_tasks(self) -> None:
        tasks, self._tasks = self._tasks, []
        values = await asyncio.gather(*(task for _, task in tasks), return_exceptions=True)
        for (ticket, _), value in zip(tasks, values, strict=True):
            if not ticket.done():
                raise BrokenPromise("awaiting a read ends before the read has its value")
            if isinstance(value, BaseException):
                raise value
            if value != _ended(ticket):
                raise BrokenPromise("awaiting a read gives another value than its result")


class ClosingClient(Client):
    """Closes instead of the last sync, with reads in flight.

    The close settles every ticket with its value; after it every op is refused.
    """

    def __init__(self, target: RuntimeTarget, program: Program) -> None:
        super().__init__(target)
        ends_with_sync = len(program) > 0 and isinstance(program[-1], Sync)
        self._syncs_left = sum(isinstance(op, Sync) for op in program) + (not ends_with_sync)
        self._tickets: list[Ticket] = []
        self._loss: DeviceLost | None = None

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
            self.target.close()
        finally:
            self._check_closed()
        if self._loss is not None:
            raise self._loss

    def _check_closed(self) -> None:
        if not all(ticket.done() for ticket in self._tickets):
            raise BrokenPromise("a read is not settled, though its runtime is closed")
        try:
            self.target.runtime.flush()
        except RuntimeClosed:
            return
        raise BrokenPromise("a runtime that is closed still flushes")


class DroppingClient(Client):
    """Issues a further read before and after each, and drops those tickets."""

    def read(self, op: Read) -> Delivery:
        self.target.perform(op)
        delivery = self.target.read(op.buffer, op.offset, op.size_bytes)
        self.target.read(op.buffer, 0, 0)
        return delivery


class WrongThreadClient(Client):
    """Issues most ops first from a thread that does not own the runtime, then from the owner.

    The first is refused, and changes nothing.
    """

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._thread = ThreadPoolExecutor(1)

    def perform(self, op: Op) -> Delivery | None:
        """See ``Target``; captures and replays are issued in the owner's thread only."""
        if op.verb in ("write", "dispatch", "copy", "read", "free", "sync"):
            error = self._thread.submit(self.target.perform, op).exception()
            # A name whose alloc or capture failed never reaches the runtime.
            if not isinstance(error, WrongThread | InvalidHandle):
                raise BrokenPromise(f"a call from another thread ended with {error!r}")
        return self.target.perform(op)

    def close(self) -> None:
        try:
            self.target.close()
        finally:
            self._thread.shutdown()


async def _wait_for(ticket: Ticket) -> Any:
    """The value of a ticket, or its own error; any other error belongs to the call."""
    try:
        return await ticket
    except DeviceFault as fault:
        if not ticket.done():
            raise
        return type(fault)


def _ended(ticket: Ticket) -> Any:
    """The value of a ticket, or the class of its own error."""
    try:
        return ticket.result()
    except DeviceFault as fault:
        return type(fault)


_WORDS = 8
_MOST_CALLBACKS = 24


class ReentrantClient(Client):
    """Each delivery starts work on a new buffer that is not in the program."""

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._numbers = count()
        self._expected: list[tuple[Ticket, bytes]] = []
        self._broken: list[str] = []
        self._fault: DeviceFault | None = None

    def read(self, op: Read) -> Delivery:
        ticket = self.target.read(op.buffer, op.offset, op.size_bytes)
        return _Answered(ticket, self._answer)

    def close(self) -> None:
        """Close, and raise BrokenPromise where a callback's work was lost.

        A fault that only callbacks have met is raised too, since no op could show it.
        """
        for ticket, data in self._expected:
            try:
                if ticket.result() != data:
                    self._broken.append("a read that a callback issued has another value")
            except DeviceFault as fault:
                self._fault = self._fault or fault
        try:
            self.target.close()
        finally:
            if self._broken:
                raise BrokenPromise(self._broken[0])
        if self._fault is not None:
            raise self._fault

    def _answer(self, ticket: Ticket) -> None:
        """One callback: write, dispatch, read, and something that settles reads.

        Each has its own buffer, since it may deliver a read, which calls the next callback.
        """
        number, runtime = next(self._numbers), self.target.runtime
        has_room = runtime.policy.memory_budget_bytes is None
        if not has_room or number >= _MOST_CALLBACKS or not runtime.is_open:
            return
        try:
            self._work(number)
            self._finish(number, ticket)
        except DeviceFault as fault:
            self._fault = self._fault or fault
        except Exception as error:
            # A runtime only logs what a callback raises.
            self._broken.append(f"a call inside a callback ended with {error!r}")

    def _work(self, number: int) -> None:
        runtime = self.target.runtime
        words = np.arange(_WORDS, dtype=np.uint32) * 2654435761 + number
        own = runtime.alloc(words.nbytes)
        runtime.write(own, words)
        runtime.dispatch(SCRAMBLE, [own])
        SCRAMBLE.meaning((words,), (), 1)
        self._expected.append((runtime.read(own), words.tobytes()))
        runtime.free(own)

    def _finish(self, number: int, ticket: Ticket) -> None:
        runtime = self.target.runtime
        own, data = self._expected[-1]
        match number % 4:
            case 0:
                runtime.flush()
            case 1:
                runtime.sync()
                if not own.done():
                    self._broken.append("a sync inside a callback returns before its reads")
            case 2:
                if own.result() != data:
                    self._broken.append("a read waited for in a callback has another value")
        ticket.result()


class _Answered:
    """A delivery that runs a callback of this client after each of its own."""

    def __init__(self, ticket: Ticket, answer: Callable[[Ticket], None]) -> None:
        self._ticket = ticket
        self._answer = answer

    def result(self) -> Any:
        return self._ticket.result()

    def add_done_callback(self, callback: Callable[[Delivery], None]) -> None:
        self._ticket.add_done_callback(lambda _: callback(self))
        self._ticket.add_done_callback(self._answer)
