"""The client that uses an event loop: it awaits, cancels, and syncs in several tasks at once."""

import asyncio
from typing import Any

from gpusim.errors import DeviceFault
from gpusim.ops import Flush, Free, Op, Read, Sync
from gpusim.runtime import Ticket
from properties.clients.client import LONG, BrokenPromise, Client, ended
from properties.model.target import Delivery
from properties.targets.runtime_target import RuntimeTarget

_TASKS = 2
_SYNCS = 4
"""How many syncs begin at once; the first of them is cancelled."""
_LOOP_TURNS = 4
"""A loop certainly polls within this many turns, since its first polls come without a delay."""
_TURNS = 5
"""Every fifth op (not counting frees) comes after a sync that was cancelled."""


class AwaitingClient(Client):
    """Uses an event loop: two tasks await a read, and four tasks sync at once.

    Now and then an op comes right after a sync that was cancelled while it waited.  If only the
    cancelled sync has met a fault, that op raises the fault.
    """

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._loop = asyncio.new_event_loop()
        self._tasks: list[tuple[Ticket, asyncio.Task[Any]]] = []
        self._tickets: list[Ticket] = []
        self._leaves_alone = False
        self._ops = 0
        self._leaves_fence = False
        """Whether a cancelled sync may have left its fence under way."""

    def perform(self, op: Op) -> Delivery | None:
        """See ``Target``."""
        # A free never raises a fault.
        self._ops += type(op) is not Free
        if self._ops % _TURNS == 0 and type(op) is not Free:
            error = self._loop.run_until_complete(self._cancel_a_sync())
            # A sync must deliver its reads before it raises the fault of a task.
            if error is not None or type(op) is not Sync:
                self._raise_fault()
            if error is not None:
                raise error
        return super().perform(op)

    def read(self, op: Read) -> Ticket:
        """Read; by turns await it in two tasks, or cancel the first task, or leave the read alone.

        A read that is left alone is submitted and delivered by the next sync, or with a later
        read.  Before every second sync all reads are left alone.
        """
        ticket = self.target.read(op.buffer, op.offset, op.size_bytes)
        self._tickets.append(ticket)
        turn = 1 if self._leaves_alone else len(self._tickets) % 3
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
        """Flush, inside the loop if no task waits in it; then let the loop's tasks run."""
        if all([task.done() for _, task in self._tasks]):
            self._loop.run_until_complete(self._flush_in_loop(op))
        else:
            self.target.perform(op)
            self._loop.run_until_complete(asyncio.sleep(0))
        self._raise_fault()

    async def _flush_in_loop(self, op: Flush) -> None:
        """Flush; if that fails, the loop must at once call back for the reads of the batch."""
        pending = [ticket for ticket in self._tickets if not ticket.done()]
        # A read that is under way may hold up the reads behind it.
        is_sure = all([ticket.is_recorded for ticket in pending]) and not self._leaves_fence
        try:
            self.target.perform(op)
        except DeviceFault:
            for _ in range(_LOOP_TURNS):
                await asyncio.sleep(0)
            left = [one for one in pending if not one.done() and not one.is_recorded]
            if is_sure and left:
                raise BrokenPromise(
                    "a loop does not call back for the reads of a failed flush"
                ) from None
            raise
        await asyncio.sleep(0)

    def sync(self, op: Sync) -> None:
        """Start four syncs at once; each must deliver every read issued before it.

        The first sync is cancelled as soon as it waits.
        """
        self._leaves_alone = not self._leaves_alone
        self._loop.run_until_complete(self._sync_side_by_side())

    def close(self) -> None:
        try:
            self.target.close()
        finally:
            self._loop.run_until_complete(self._finish_tasks())
            self._loop.close()

    def _raise_fault(self) -> None:
        """Raise the error that a task raised.

        A task gives the error of its own read as a value.  So an error that the task raises belongs
        to this op.
        """
        for at, (_, task) in enumerate(self._tasks):
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                del self._tasks[at]
                raise error

    async def _cancel_a_sync(self) -> BaseException | None:
        """Cancel a sync as soon as it waits.  Returns an error that it raised before that."""
        task = asyncio.create_task(self._sync_once())
        await asyncio.sleep(0)
        task.cancel()
        (end,) = await asyncio.gather(task, return_exceptions=True)
        self._leaves_fence |= task.cancelled()
        return None if task.cancelled() else end

    async def _sync_side_by_side(self) -> None:
        first, *others = [asyncio.create_task(self._sync_once()) for _ in range(_SYNCS)]
        await asyncio.sleep(0)
        first.cancel()
        ends = await asyncio.gather(*others, return_exceptions=True)
        self._leaves_fence = False
        (end,) = await asyncio.gather(first, return_exceptions=True)
        await self._finish_tasks()
        # The first sync may have ended before it was cancelled.  If several syncs raise, the fault
        # of the first counts, because that sync made the submit.
        for error in [None if first.cancelled() else end, *ends]:
            if error is not None:
                raise _blamed(error)
        if first.cancelled():
            # Only the next call raises a fault that the cancelled sync has met.
            await self._sync_once()

    async def _sync_once(self) -> None:
        try:
            await self.target.runtime.sync_async(LONG[self._ops % len(LONG)])
        except DeviceFault as fault:
            self._check_delivered(f"has raised {type(fault).__name__}")
            raise
        self._check_delivered("has ended")

    def _check_delivered(self, ended: str) -> None:
        if not all(ticket.done() for ticket in self._tickets):
            raise BrokenPromise(f"a read is not delivered, though a sync after it {ended}")
        self._tickets.clear()

    async def _finish_tasks(self) -> None:
        tasks, self._tasks = self._tasks, []
        values = await asyncio.gather(*(task for _, task in tasks), return_exceptions=True)
        for (ticket, _), value in zip(tasks, values, strict=True):
            if not ticket.done():
                raise BrokenPromise("awaiting a read ends before the read has its value")
            if isinstance(value, BaseException):
                raise _blamed(value)
            if value != ended(ticket):
                raise BrokenPromise("awaiting a read gives another value than its result")


def _blamed(error: BaseException) -> BaseException:
    """The error of a task; a broken promise if it was cancelled, since nobody here cancelled it."""
    if isinstance(error, asyncio.CancelledError):
        return BrokenPromise("a task is cancelled because another one was")
    return error


async def _wait_for(ticket: Ticket) -> Any:
    """Await a ticket: returns its value, or the class of the read's own error.

    Another error is raised, since it belongs to the call that is under way.
    """
    try:
        return await ticket
    except DeviceFault as fault:
        if not ticket.done():
            raise
        return type(fault)
