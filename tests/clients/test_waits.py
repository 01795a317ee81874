"""The ways to wait in done callbacks, beside other reads and in loops: each broken one is seen."""

import asyncio
from typing import Any

import pytest

from gpusim.runtime import Parts, Ticket, WgpuDriver
from gpusim.runtime.commands import StagingMap
from gpusim.runtime.readbacks import Readback, Readbacks
from gpusim.runtime.reads import Reads
from properties.model.case import PLAIN
from properties.mutants.mutant import Overlay, around_driver
from tests.clients.test_patient import shown


class PollsOn(Readbacks):
    """The poll that is scheduled in a loop stays there after a close."""

    def stop(self) -> None:
        pass


class DeafToItsCallbacks(Readbacks):
    """A poll in a done callback delivers nothing."""

    _is_delivering = False

    def _deliver(self, readback: Readback) -> None:
        before, self._is_delivering = self._is_delivering, True
        super()._deliver(readback)
        self._is_delivering = before

    def poll(self) -> int:
        return len(self._queue) if self._is_delivering else super().poll()


class CallsInTurn(Readbacks):
    """The callbacks of a read that is delivered in a callback come after that one."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._waiting: list[tuple[Ticket, list[Any]]] | None = None

    def _deliver(self, readback: Readback) -> None:
        if self._waiting is not None:
            ticket = readback.ticket
            self._listened -= ticket.has_callbacks
            self._waiting.append((ticket, ticket._callbacks))
            ticket._callbacks = []
            super()._deliver(readback)
            return
        self._waiting = []
        super()._deliver(readback)
        while self._waiting:
            ticket, callbacks = self._waiting.pop(0)
            for callback in callbacks:
                callback(ticket)
        self._waiting = None


class OneMoreFence(Reads):
    """A sync does not know the fence of the last one."""

    def goal_of_sync(self) -> Ticket | None:
        last = super().goal_of_sync()
        if last is not None and last.span is None and self._clock.acts > 1:
            self._issue_fence()
        return self._readbacks.last_ticket


class WaitsForAll(Reads):
    """An awaited sync waits for the reads that come meanwhile."""

    async def wait_for_all_async(self, seconds: float | None = None) -> None:
        await super().wait_for_all_async(seconds)
        while (last := self._readbacks.last_ticket) is not None and not last.is_recorded:
            await self._readbacks.settle_through_async(last, seconds)


class BeginsNothing(Reads):
    """An awaited sync leaves batches as long as they have become."""

    async def wait_for_all_async(self, seconds: float | None = None) -> None:
        recorder = self._recorder
        begin, recorder.after_sync = recorder.after_sync, int  # type: ignore[method-assign, assignment]
        try:
            await super().wait_for_all_async(seconds)
        finally:
            recorder.after_sync = begin  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (Parts(readbacks=PollsOn), "something stays scheduled in the loop"),
        (Parts(readbacks=DeafToItsCallbacks), "polls have not delivered"),
        (Parts(readbacks=CallsInTurn), "ends before callbacks of its reads"),
        (Parts(reads=OneMoreFence), "submits something at the second time too"),
        (Parts(reads=WaitsForAll), "a sync waits for reads issued after it"),
        (Parts(reads=BeginsNothing), "after sync_async() the next batch is longer"),
    ],
)
def test_a_broken_wait_is_seen_by_patient_alone(parts: Parts, words: str) -> None:
    assert shown(PLAIN, parts=parts, most=3) == ""
    assert shown(parts=parts, words=words)


class GivesUpWithOne(Overlay):
    """A task that is cancelled gives up the map for all."""

    async def wait_async(self, mapping: StagingMap) -> None:
        try:
            await self._inner.wait_async(mapping)
        except asyncio.CancelledError:
            mapping.is_given_up = True
            raise


class WaitsOn(WgpuDriver):
    """An await goes on though the map was given up."""

    async def wait_async(self, mapping: StagingMap) -> None:
        while self._is_pending(mapping):
            await asyncio.sleep(0.0005)
            self._check_alive()


def test_the_awaits_of_a_driver_are_seen_below_the_late_one() -> None:
    words = "a read is taken, though no wait for it has ended"
    assert shown(make_driver=around_driver(GivesUpWithOne), words=words)
    assert shown(make_driver=WaitsOn, words="a task waits on")
