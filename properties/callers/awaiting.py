"""A caller with an event loop: tasks that await reads, and syncs that run side by side."""

import asyncio
from typing import Any

from gpusim.runtime import Ticket
from properties.callers.forwarding import BrokenPromise, Forwarding
from properties.targets.runtime_target import RuntimeTarget

_TASKS = 2
_SYNCS = 3


class AwaitingCaller(Forwarding):
    """Awaits each read in two tasks, one of which may be cancelled, and syncs three at a time."""

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._loop = asyncio.new_event_loop()
        self._tasks: list[tuple[Ticket, asyncio.Task[Any]]] = []
        self._tickets: list[Ticket] = []

    def read(self, buffer: str, offset: int, size_bytes: int) -> Ticket:
        """A read that two tasks wait for; every third first task gives up soon."""
        ticket = self.target.read(buffer, offset, size_bytes)
        self._tickets.append(ticket)
        for _ in range(_TASKS):
            self._tasks.append((ticket, self._loop.create_task(_wait_for(ticket))))
        if len(self._tickets) % 3 == 0:
            self._loop.run_until_complete(asyncio.sleep(0))
            _, task = self._tasks.pop(-_TASKS)
            task.cancel()
            self._loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        return ticket

    def flush(self) -> None:
        """The other tasks have their turn as well."""
        self.target.flush()
        self._loop.run_until_complete(asyncio.sleep(0))

    def sync(self) -> None:
        """Three syncs at once; each must cover every read issued before it."""
        self._loop.run_until_complete(self._sync_side_by_side())

    def close(self) -> None:
        self.target.close()
        self._loop.run_until_complete(self._finish_tasks())
        self._loop.close()

    async def _sync_side_by_side(self) -> None:
        syncs = [self._sync_once() for _ in range(_SYNCS)]
        ends = await asyncio.gather(*syncs, return_exceptions=True)
        await self._finish_tasks()
        for error in ends:
            if error is not None:
                raise error

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
                raise value
            if value != ticket.result():
                raise BrokenPromise("awaiting a read gives another value than its result")


async def _wait_for(ticket: Ticket) -> Any:
    return await ticket
