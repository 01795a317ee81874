"""Clients: the ways to drive our runtime through a program.

A client wraps a target, and its history must be that of the plain client, which only forwards
ops.  The others wait for reads in other ways, close early, call from another thread, or use the
runtime in done callbacks.  A client has a method for each verb that it treats otherwise.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np

from gpusim.errors import DeviceFault, InvalidHandle, RuntimeClosed, WaitTimedOut, WrongThread
from gpusim.kernels import SCRAMBLE
from gpusim.ops import Dispatch, Flush, Op, Read, Sync
from gpusim.program import Program
from gpusim.runtime import Ticket
from properties.clients.forbidden import METHODS, Call
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
_SYNCS = 4
"""The first of them is cancelled."""


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
        """What has arrived may be delivered now."""
        self.target.perform(op)
        self.target.runtime.poll()

    def _ask(self, position: int) -> None:
        """Every other is asked for at once before it is waited for."""
        if position % 2:
            with suppress(WaitTimedOut):
                self._tickets[position].result(timeout=0)
        self._tickets[position].result()
        if not all(ticket.done() for ticket in self._tickets[: position + 1]):
            raise BrokenPromise("a read has its value, and a read issued before it has none")


class AwaitingClient(Client):
    """Uses an event loop: two tasks await each read, and four tasks sync at once."""

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._loop = asyncio.new_event_loop()
        self._tasks: list[tuple[Ticket, asyncio.Task[Any]]] = []
        self._tickets: list[Ticket] = []

    def read(self, op: Read) -> Ticket:
        """Read, and await it in two tasks; every third read has its first task cancelled."""
        ticket = self.target.read(op.buffer, op.offset, op.size_bytes)
        self._tickets.append(ticket)
        for _ in range(_TASKS):
            self._tasks.append((ticket, self._loop.create_task(_wait_for(ticket))))
        if len(self._tickets) % 3 == 0:
            self._loop.run_until_complete(asyncio.sleep(0))
            _, task = self._tasks.pop(-_TASKS)
            task.cancel()
            self._loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        return ticket

    def flush(self, op: Flush) -> None:
        """Flush, and let the other tasks run."""
        self.target.perform(op)
        self._loop.run_until_complete(asyncio.sleep(0))

    def sync(self, op: Sync) -> None:
        """Start four syncs at once; each must deliver every read issued before it.

        The first is cancelled as soon as it waits.
        """
        self._loop.run_until_complete(self._sync_side_by_side())

    def close(self) -> None:
        self.target.close()
        self._loop.run_until_complete(self._finish_tasks())
        self._loop.close()

    async def _sync_side_by_side(self) -> None:
        first, *others = [asyncio.create_task(self._sync_once()) for _ in range(_SYNCS)]
        await asyncio.sleep(0)
        first.cancel()
        ends = await asyncio.gather(*others, return_exceptions=True)
        await asyncio.gather(first, return_exceptions=True)
        await self._finish_tasks()
        for error in ends:
            if error is not None:
                raise _blamed(error)

    async def _sync_once(self) -> None:
        await self.target.runtime.sync_async()
        if not all(ticket.done() for ticket in self._tickets):
            raise BrokenPromise("a read is not delivered, though a sync after it has returned")
        self._tickets.clear()

    async def _finish_tasks(self) -> None:
        tasks, self._tasks = self._tasks, []
        values = await asyncio.gather(*(task for _, task in tasks), return_exceptions=True)
        for (ticket, _), value in zip(tasks, values, strict=True):
            if isinstance(value, BaseException):
                raise _blamed(value)
            if value != ticket.result():
                raise BrokenPromise("awaiting a read gives another value than its result")


class ClosingClient(Client):
    """Closes instead of the last sync, with reads in flight; half of the time in a callback.

    The close settles every ticket with its value; after it every call is refused.
    """

    def __init__(self, target: RuntimeTarget, program: Program) -> None:
        super().__init__(target)
        ends_with_sync = len(program) > 0 and isinstance(program[-1], Sync)
        self._syncs_left = sum(isinstance(op, Sync) for op in program) + (not ends_with_sync)
        self._tickets: list[Ticket] = []

    def read(self, op: Read) -> Ticket:
        ticket = self.target.read(op.buffer, op.offset, op.size_bytes)
        self._tickets.append(ticket)
        return ticket

    def sync(self, op: Sync) -> None:
        self._syncs_left -= 1
        if self._syncs_left:
            self.target.perform(op)
            return
        last = self._tickets[-1] if self._tickets else None
        if last is None or last.done() or len(self._tickets) % 2:
            self.target.close()
        else:
            last.add_done_callback(self._close)
            last.result()
        if not all(ticket.done() for ticket in self._tickets):
            raise BrokenPromise("a read is not settled, though its runtime is closed")
        for name, call in METHODS.items():
            self._check_closed(name, call)

    def _close(self, _: Ticket) -> None:
        self.target.close()

    def _check_closed(self, name: str, call: Call) -> None:
        runtime = self.target.runtime
        try:
            call(SimpleNamespace(x=None, y=None), runtime)
        except RuntimeClosed:
            return
        except Exception as error:
            raise BrokenPromise(f"{name} of a closed runtime ends with {error!r}") from error
        raise BrokenPromise(f"{name} of a closed runtime is not refused")


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
        self.target.close()
        self._thread.shutdown()


def _blamed(error: BaseException) -> BaseException:
    """The error of a task; nobody cancels one that is waited for here."""
    if isinstance(error, asyncio.CancelledError):
        return BrokenPromise("a task is cancelled because another one was")
    return error


async def _wait_for(ticket: Ticket) -> Any:
    return await ticket


_WORDS = 8
_MOST_CALLBACKS = 24


class ReentrantClient(Client):
    """Each delivery starts work on a new buffer that is not in the program.

    A callback before that one raises, which no other callback notices.
    """

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._numbers = count()
        self._expected: list[tuple[Ticket, bytes]] = []
        self._broken: list[str] = []

    def read(self, op: Read) -> Delivery:
        ticket = self.target.read(op.buffer, op.offset, op.size_bytes)
        return _Answered(ticket, self._answer)

    def close(self) -> None:
        """Close, and raise BrokenPromise where a callback's work was lost."""
        if not all(ticket.result() == data for ticket, data in self._expected):
            self._broken.append("a read that a callback issued has another value")
        self.target.close()
        if self._broken:
            raise BrokenPromise(self._broken[0])

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
        except DeviceFault:
            # The program's own reads show this error.
            return
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
        self._ticket.add_done_callback(_raise)
        self._ticket.add_done_callback(lambda _: callback(self))
        self._ticket.add_done_callback(self._answer)


class _Meant(Exception):
    """A callback raised on purpose."""


def _raise(_: Ticket) -> None:
    raise _Meant("a callback of a client raises on purpose")


def _was_not_meant(record: logging.LogRecord) -> bool:
    return not (record.exc_info and record.exc_info[0] is _Meant)


logging.getLogger("gpusim").addFilter(_was_not_meant)
