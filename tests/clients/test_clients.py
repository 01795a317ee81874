"""A program shows the same under every client, and each client finds its kind of mistake."""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import inf
from threading import get_ident
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from gpusim.errors import DeviceFault, SubmitFailed
from gpusim.ops import Read
from gpusim.program import Program
from gpusim.runtime import PRESETS, Driver, Parts, Runtime, WgpuDriver
from gpusim.runtime.commands import DeviceBuffer
from gpusim.runtime.guard import Guard
from gpusim.runtime.host_writes import QueueClock
from gpusim.runtime.readbacks import Readback, Readbacks, Ticket
from gpusim.runtime.reads import Reads
from properties.clients import CLIENTS, draw_client, drive
from properties.clients.awaiting import AwaitingClient
from properties.generate.cases import CaseSettings, case_for
from properties.generate.choices import SeededChoices
from properties.model.case import PLAIN, Case, DeviceSpec
from properties.model.failure import Failure
from properties.mutants.mutant import Overlay, around_driver
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import AdapterFactory, RuntimeFactory

SIMULATED = DeviceSpec(name="simulated")
PROGRAM = Program.parse(
    "alloc a 64\nalloc b 64\nalloc c 256\n"
    f"write a 0 {bytes(range(1, 65)).hex()}\nwrite b 0 {bytes(range(64, 128)).hex()}\n"
    "dispatch affine a 3,5 1x1x1\nread a 0 64 -> r0\nwrite a 8 0909090909090909\n"
    "copy a 0 b 32 16\nread b 0 64 -> r1\nsync\nwrite b 0 08080808\nread b 0 16 -> r2\n"
    "read a 0 64 -> r3\nflush\nread c 0 256 -> r4\nread a 4 8 -> r5\n"
)


@pytest.mark.parametrize("client", list(CLIENTS))
def test_a_program_shows_the_same_however_it_is_driven(device_name: str, client: str) -> None:
    factory = RuntimeFactory(device_name)
    setting = CaseSettings(device=device_name, limits=factory.limits)
    for number in range(25):
        case = replace(case_for(23, number, setting), client=client)
        verdict = judge(case, factory, MEANING_ONLY)
        assert verdict.failure is None, f"{verdict.failure}\n{case.policy}\n{case.program}"


class KeepsTheArray(Overlay):
    """Queues the client's own array, and looks into it at the next submit only."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._queued: list[tuple[DeviceBuffer, int, Any]] = []

    def write_buffer(self, buffer: DeviceBuffer, offset: int, data: Any) -> None:
        self._queued.append((buffer, offset, data))

    def submit(self, command_buffer: Any) -> None:
        for entry in self._queued:
            self._inner.write_buffer(*entry)
        self._queued.clear()
        self._inner.submit(command_buffer)


class TwoAtATime(Readbacks):
    """Waits in asyncio for the first read only: a sync returns before the later ones came."""

    async def settle_through_async(self, ticket: Ticket, seconds: float | None = None) -> None:
        first = next(iter(self._queue)).ticket if self._queue else ticket
        await super().settle_through_async(first, seconds)


class NotNested(Readbacks):
    """Whoever waits while somebody waits already is sent away at once."""

    _busy = False

    def settle_through(self, ticket: Ticket, seconds: float | None = None) -> None:
        if self._busy:
            return
        self._busy = True
        try:
            super().settle_through(ticket, seconds)
        finally:
            self._busy = False


class SettledBeforeTaken(Readbacks):
    """Callbacks run while the read that they belong to is still the next to be delivered."""

    def _deliver(self, readback: Readback) -> None:
        page = readback.page
        value = None if page is None else self._value(readback, page)
        readback.ticket.settle(value, None if page is None else page.error)
        self._queue.popleft()


class Keeping(Runtime):
    """Keeps what it was passed, as it was passed."""

    kept: ClassVar[list[tuple[Any, Any]]] = []

    def dispatch(self, kernel: Any, buffers: Any, scalars: Any = (), grid: Any = 1) -> None:
        super().dispatch(kernel, buffers, scalars, grid)
        if isinstance(scalars, list):
            self.kept.append((tuple(scalars), scalars))


class OutOfTurn(Readbacks):
    """Waiting for a read delivers it alone, ahead of those that were issued before it."""

    def settle_through(self, ticket: Ticket, seconds: float | None = None) -> None:
        if all(readback.ticket is not ticket for readback in list(self._queue)[:-1]):
            super().settle_through(ticket, seconds)
            return
        at = next(n for n, readback in enumerate(self._queue) if readback.ticket is ticket)
        self._queue.rotate(-at)
        super().settle_through(ticket, seconds)
        self._queue.rotate(at)


def failure(
    client: str,
    *,
    program: Program = PROGRAM,
    parts: Parts = Parts(),  # noqa: B008 - frozen
    make_driver: Callable[[Any], Driver] = WgpuDriver,
) -> Failure | None:
    factory = RuntimeFactory("simulated", parts=parts, make_driver=make_driver)
    case = Case(program=program, policy=PRESETS["cached"], device=SIMULATED, client=client)
    return judge(case, factory, MEANING_ONLY).failure


def test_a_runtime_that_keeps_the_clients_array_is_seen_by_mutating_alone() -> None:
    make = around_driver(KeepsTheArray)
    assert failure(PLAIN, make_driver=make) is None
    assert failure("mutating", make_driver=make) is not None


def test_a_sync_that_returns_early_in_asyncio_is_seen_by_awaiting_alone() -> None:
    parts = Parts(readbacks=TwoAtATime)
    assert failure(PLAIN, parts=parts) is None
    assert failure("awaiting", parts=parts) is not None


def test_waiting_that_cannot_be_nested_is_seen_by_reentrant_alone() -> None:
    parts = Parts(readbacks=NotNested)
    assert failure(PLAIN, parts=parts) is None
    assert failure("reentrant", parts=parts) is not None


def test_a_read_that_is_delivered_twice_to_its_own_callback_is_seen_by_reentrant_alone() -> None:
    parts = Parts(readbacks=SettledBeforeTaken)
    assert failure(PLAIN, parts=parts) is None
    found = failure("reentrant", parts=parts)
    assert found is not None
    assert "a call inside a callback ended with InternalError" in str(found)


class StaysOpen(Runtime):
    """An error that leaves the block does not close the runtime."""

    def __exit__(self, kind: object = None, *_: object) -> None:
        if kind is None:
            self.close()


def test_a_runtime_that_an_error_leaves_open_is_seen_by_closing_alone() -> None:
    text = "alloc a 4\n" + "".join(f"read a 0 4 -> r{n}\n" for n in range(5))
    case = Case(program=Program.parse(text), device=SIMULATED)
    factory = RuntimeFactory("simulated", make_runtime=StaysOpen)
    assert judge(case, factory, MEANING_ONLY).failure is None
    case = replace(case, client="closing")
    assert judge(case, factory, MEANING_ONLY).failure is not None
    assert judge(case, RuntimeFactory("simulated"), MEANING_ONLY).failure is None


class OneProcess(Guard):
    """A forked child may do what its parent may."""

    def check_thread(self) -> None:
        if get_ident() != self._thread:
            super().check_thread()


class Forking(Runtime):
    def _assemble_ops(self, parts: Parts) -> None:
        super()._assemble_ops(parts)
        self._guard.__class__ = OneProcess


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_that_may_call_is_seen_by_wrong_thread_alone() -> None:
    case = Case(program=PROGRAM, device=SIMULATED)
    factory = RuntimeFactory("simulated", make_runtime=Forking)
    assert judge(case, factory, MEANING_ONLY).failure is None
    case = replace(case, client="wrong_thread")
    found = str(judge(case, factory, MEANING_ONLY).failure)
    assert "a forked child is not refused: free, sync, sync_async, close" in found
    assert judge(case, RuntimeFactory("simulated"), MEANING_ONLY).failure is None


class OneRound(Reads):
    """A close finishes what was called before it, and not what its callbacks call."""

    def finish(self, seconds: float | None) -> DeviceFault | None:
        self._submit_last()
        if self._readbacks.last_ticket is not None:
            self._readbacks.settle_through(self._readbacks.last_ticket, seconds)
        return None


def test_a_close_that_leaves_reads_of_its_callbacks_is_seen_by_reentrant_alone() -> None:
    parts = Parts(reads=OneRound)
    program = Program.parse("alloc a 4\n" + "".join(f"read a 0 4 -> r{n}\n" for n in range(4)))
    assert failure(PLAIN, parts=parts, program=program) is None
    found = failure("reentrant", parts=parts, program=program)
    assert "leaves a read pending that a callback issued" in str(found)


class NoLongTime(Readbacks):
    """A wait of infinite time has none."""

    def settle_through(self, ticket: Ticket, seconds: float | None = None) -> None:
        super().settle_through(ticket, 0 if seconds == inf else seconds)


def test_a_wait_without_end_that_ends_is_seen_by_asking_alone() -> None:
    parts = Parts(readbacks=NoLongTime)
    assert failure(PLAIN, parts=parts) is None
    assert "WaitTimedOut" in str(failure("asking", parts=parts))


class CountsSubmitted(Readbacks):
    """A poll does not count the reads of the open batch."""

    def poll(self) -> int:
        super().poll()
        return sum(one.page is not None and not one.page.is_recorded for one in self._queue)


def test_a_poll_that_counts_too_few_reads_is_seen_by_asking_alone() -> None:
    factory = RuntimeFactory("simulated", parts=Parts(readbacks=CountsSubmitted))
    case = Case(program=PROGRAM, policy=PRESETS["ring"], device=SIMULATED)
    assert judge(case, factory, MEANING_ONLY).failure is None
    found = judge(replace(case, client="asking"), factory, MEANING_ONLY).failure
    assert "a poll counts 0 pending reads, of at least 1" in str(found)


class SecondFence(Reads):
    """A sync does not know the fence of the one before it."""

    def goal_of_sync(self) -> Ticket | None:
        last = self._readbacks.last_ticket
        if last is not None and last.span is None and not last.is_recorded:
            self._issue_fence()
        return super().goal_of_sync()


class AwaitedForNothing(Reads):
    """An awaited sync leaves batches as long as they have become."""

    async def wait_for_all_async(self, seconds: float | None = None) -> None:
        goal, _ = self._goal_or_fault()
        if goal is not None:
            await self._readbacks.settle_through_async(goal, seconds)


@pytest.mark.parametrize(
    ("reads", "told"), [(SecondFence, "a fence that it does not need"), (AwaitedForNothing, "C4")]
)
def test_asking_syncs_in_several_forms_and_keeps_the_laws(reads: type[Reads], told: str) -> None:
    dispatches = "dispatch affine a 3,5 1x1x1\n" * 7
    text = "alloc a 4\nread a 0 4 -> r0\n" + f"{dispatches}sync\n" * 2
    text += "read a 0 4 -> r1\nread a 0 4 -> r2\n" + f"{dispatches}sync\n" * 2
    case = Case(program=Program.parse(text), device=SIMULATED, client="asking")
    case = replace(case, policy=replace(PRESETS["ring"], first_batch=3))
    assert judge(case, RuntimeFactory("simulated")).failure is None
    assert told in str(judge(case, RuntimeFactory("simulated", parts=Parts(reads=reads))).failure)


def test_scalars_of_dispatches_and_captures_change_after_the_call() -> None:
    text = "alloc a 4\n"
    text += "".join(f"dispatch affine a {n},5 1x1x1\n" for n in range(20))
    text += "capture g0 " + "; ".join(f"dispatch affine a 3,{n} 1x1x1" for n in range(20)) + "\n"
    Keeping.kept.clear()
    factory = RuntimeFactory("simulated", make_runtime=Keeping)
    case = Case(program=Program.parse(text), device=SIMULATED, client="mutating")
    assert judge(case, factory, MEANING_ONLY).failure is None
    assert len(Keeping.kept) > 4
    assert all(tuple(now) != then for then, now in Keeping.kept)


def test_a_read_that_is_delivered_out_of_turn_is_seen_by_asking_alone() -> None:
    parts = Parts(readbacks=OutOfTurn)
    program = Program.parse("alloc a 4\n" + "".join(f"read a 0 4 -> r{n}\n" for n in range(4)))
    assert failure(PLAIN, parts=parts, program=program) is None
    assert failure("asking", parts=parts, program=program) is not None


class ToldShort(Runtime):
    """The text of the policy has its name alone."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.policy = PRESETS[self.policy.name]


def test_the_text_of_the_policy_is_looked_at_by_asking_alone() -> None:
    policy = replace(PRESETS["ring"], plan_cache=7)
    factory = RuntimeFactory("simulated", make_runtime=ToldShort)
    program = Program.parse("alloc a 4\nfree a\n")
    for client, is_seen in ((PLAIN, False), ("asking", True)):
        case = Case(program=program, policy=policy, device=SIMULATED, client=client)
        assert (judge(case, factory, MEANING_ONLY).failure is not None) is is_seen


class SlowTicket:
    """A read that arrives when told so; the first who awaits it may meet a fault of another."""

    def __init__(self, *faults: DeviceFault) -> None:
        self.has_arrived = False
        self._faults = list(faults)

    def __await__(self) -> Generator[Any, None, bytes]:
        while not self.has_arrived:
            yield from asyncio.sleep(0).__await__()
            if self._faults:
                raise self._faults.pop()
        return self.result()

    def done(self) -> bool:
        return self.has_arrived

    def result(self) -> bytes:
        return b""


def test_a_fault_beside_an_await_that_the_client_cancels_is_the_only_error() -> None:
    reads = [SlowTicket(), SlowTicket(SubmitFailed("planned")), SlowTicket()]
    left = iter(reads)
    stands_in: Any = SimpleNamespace(
        capabilities=None, limits=None, read=lambda *_: next(left), close=lambda: None
    )
    client = AwaitingClient(stands_in)
    read = Read(buffer="a", offset=0, size_bytes=4, result="r0")
    client.read(read)
    client.read(read)
    with pytest.raises(SubmitFailed, match="planned"):
        client.read(read)
    for ticket in reads:
        ticket.has_arrived = True
    client.close()


def test_every_client_drives_a_sound_runtime_to_the_same_end() -> None:
    assert [failure(client) for client in CLIENTS] == [None] * len(CLIENTS)


def test_a_runtime_made_in_another_thread_shows_the_same_there() -> None:
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(failure, PLAIN).result() is None
        assert thread.submit(failure, "awaiting").result() is None


def test_a_target_that_is_not_ours_is_driven_plainly() -> None:
    case = Case(program=PROGRAM, device=SIMULATED, client="awaiting")
    target = AdapterFactory("simulated").open(case).target
    assert drive(target, case) is target


def test_clients_are_drawn_those_with_tables_more_often() -> None:
    drawn = [draw_client(SeededChoices(f"caller {number}")) for number in range(900)]
    assert set(drawn) == set(CLIENTS)
    assert drawn.count("misusing") > drawn.count("closing")
    assert drawn == [draw_client(SeededChoices(f"caller {number}")) for number in range(900)]


class ForgetsSubmits(QueueClock):
    """The clock remembers two submits; the bytes of older ones count as held for ever."""

    def __init__(self) -> None:
        super().__init__()
        self._started = deque(maxlen=2)


def test_a_write_that_waits_though_there_is_room_is_seen() -> None:
    steps = "write a 0 01020304\ndispatch affine a 3,5 1x1x1\n" * 40
    policy = replace(PRESETS["eager"], queued_write_bytes=16)
    case = Case(program=Program.parse(f"alloc a 64\n{steps}"), policy=policy, device=SIMULATED)
    factory = RuntimeFactory("simulated", parts=Parts(clock=ForgetsSubmits))
    assert "waits for the queue" in str(judge(case, factory).failure)
    assert judge(case, RuntimeFactory("simulated")).failure is None
