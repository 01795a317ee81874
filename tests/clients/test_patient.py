"""The patient client waits in every way for a device in trouble, and each broken wait is seen."""

import asyncio
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from gpusim.errors import DeviceFault, WaitTimedOut
from gpusim.program import Program
from gpusim.runtime import PRESETS, Driver, Parts, Policy, Runtime, Ticket, WgpuDriver
from gpusim.runtime.buffers import Losing
from gpusim.runtime.commands import StagingMap
from gpusim.runtime.host_writes import HostWrite
from gpusim.runtime.loop_polls import LoopPolls
from gpusim.runtime.policy import parse_policy
from gpusim.runtime.readbacks import Readback, Readbacks
from gpusim.runtime.reads import Reads
from gpusim.runtime.recorder import Recorder
from gpusim.runtime.staging import StagingPage
from properties.model.case import PLAIN, Case, parse_device
from properties.mutants.mutant import Overlay, around_driver
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import RuntimeFactory

_MOST = 60


def shown(
    client: str = "patient",
    *,
    policy: Policy = PRESETS["ring"],
    parts: Parts = Parts(),  # noqa: B008 - frozen
    make_driver: Callable[[Any], Driver] = WgpuDriver,
    make_runtime: Callable[..., Runtime] = Runtime,
    most: int = _MOST,
    words: str = "",
) -> str:
    """What the first of a few programs shows with these words; empty if none does."""
    for number in range(1, most):
        # The program decides for what the client waits.
        program = Program.parse(f"alloc a {number}\nread a 0 1 -> r0\nsync\n")
        device = parse_device("simulated profile=wgpu-native")
        factory = RuntimeFactory(
            str(device), parts=parts, make_driver=make_driver, make_runtime=make_runtime
        )
        case = Case(program=program, policy=policy, device=device, client=client)
        failure = judge(case, factory, MEANING_ONLY).failure
        if failure is not None and words in failure.reason:
            return failure.reason
    return ""


class FenceOfOne(Reads):
    """Only one of the syncs that wait for a fence raises its error."""

    def _after_sync(self, fault: DeviceFault | None, fence: StagingPage | None = None) -> None:
        super()._after_sync(fault)


class ForgetfulSync(Reads):
    """A sync that is left, however, keeps no fault."""

    @contextmanager
    def _raised_or_kept(self, fault: DeviceFault | None) -> Iterator[None]:
        try:
            yield
        except WaitTimedOut as late:
            raise fault or late from None


class Cancelled(Readbacks):
    """A CancelledError of a done callback leaves the call that delivers the read."""

    def _deliver(self, readback: Readback) -> None:
        callbacks, readback.ticket._callbacks = readback.ticket._callbacks, []
        self._listened -= bool(callbacks)
        super()._deliver(readback)
        for callback in callbacks:
            with suppress(Exception):
                callback(readback.ticket)


class OnePoll(Readbacks):
    def _poll_for_loop(self) -> bool:
        super()._poll_for_loop()
        return False


class Restless(Readbacks):
    def _poll_for_loop(self) -> bool:
        is_wanted = super()._poll_for_loop()
        if is_wanted:
            self._loop_polls.start(self._poll_for_loop)
        return is_wanted


class FailuresStay(Readbacks):
    def poll(self) -> int:
        page = self._queue[0].page if self._queue else None
        return len(self._queue) if page is not None and page.error is not None else super().poll()


class Impatient(Readbacks):
    def settle_through(self, ticket: Ticket, seconds: float | None = None) -> None:
        super().settle_through(ticket, seconds if seconds is None else 0)


class OneLoop(LoopPolls):
    def start(self, poll: Callable[[], bool]) -> None:
        if self._turn is None:
            super().start(poll)


class PollsOfOneLoop(Readbacks):
    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._loop_polls = OneLoop()


class PollsInVain(Readbacks):
    def _poll_for_loop(self) -> bool:
        super()._poll_for_loop()
        return self._listened > 0

    def listen(self) -> None:
        self._listened += 1
        self._loop_polls.start(self._poll_for_loop)


class AwaitsAnyRead(Readbacks):
    async def _settle_through_async(self, ticket: Ticket) -> None:
        while not ticket.done() and self._queue:
            page = self._queue[0].page
            if page is not None and page.mapping is not None:
                await self._driver.wait_async(page.mapping)
            if self._queue:
                self._deliver(self._queue[0])


class TimeForEach(Readbacks):
    def settle_through(self, ticket: Ticket, seconds: float | None = None) -> None:
        while not ticket.done() and self._queue:
            super().settle_through(self._queue[0].ticket, seconds)


class AwaitedTimeForEach(Readbacks):
    async def settle_through_async(self, ticket: Ticket, seconds: float | None = None) -> None:
        while not ticket.done() and self._queue:
            await super().settle_through_async(self._queue[0].ticket, seconds)


class LateIsLost(Readbacks):
    def settle_through(self, ticket: Ticket, seconds: float | None = None) -> None:
        try:
            super().settle_through(ticket, seconds)
        except WaitTimedOut as late:
            self.fail_all(late)
            raise


class GivenUpInPart(Readbacks):
    """A late close gives up the reads that have arrived, too."""

    def give_up(self, fault: DeviceFault) -> None:
        self.fail_all(fault)


class AwaitedOn(Readbacks):
    """Nobody tells the tasks that await a read that it was given up."""

    def fail(self, page: StagingPage, fault: DeviceFault) -> None:
        mapping = page.mapping
        super().fail(page, fault)
        if mapping is not None:
            mapping.is_given_up = False


class SilentClose(Reads):
    def finish(self, seconds: float | None) -> DeviceFault | None:
        fault = super().finish(seconds)
        return None if isinstance(fault, WaitTimedOut) else fault


class EndlessSync(Reads):
    def wait_for_all(self, seconds: float | None = None) -> None:
        super().wait_for_all()


class EndlessWrite(Recorder):
    def __init__(self, driver: Driver, **named: Any) -> None:
        super().__init__(driver, **{**named, "wait_seconds": None})


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (Parts(readbacks=OnePoll), "never ends, since nothing is scheduled"),
        (Parts(readbacks=Restless), "a running loop must poll less and less often"),
        (Parts(readbacks=FailuresStay), "polls have not delivered"),
        (Parts(readbacks=Impatient), "waits 0"),
        (Parts(readbacks=PollsOfOneLoop), "was waited for in a loop that ended never ends"),
        (Parts(readbacks=PollsInVain), "turns of the loop have not ended its wait"),
        (Parts(readbacks=AwaitsAnyRead), "a read is taken, though no wait for it has ended"),
        (Parts(readbacks=TimeForEach), "waits for more than 0.002 s in all"),
        (Parts(readbacks=AwaitedTimeForEach), "waits for more than"),
        (Parts(readbacks=LateIsLost), "had not waited long enough gives a read"),
        (Parts(readbacks=GivenUpInPart), "gives a read the value"),
        (Parts(readbacks=AwaitedOn), "a task waits on"),
        (Parts(reads=SilentClose), "ends without WaitTimedOut"),
        (Parts(reads=EndlessSync), "waits 7"),
        (Parts(reads=FenceOfOne), "wait for one map that fails, and raise: "),
        (Parts(reads=FenceOfOne), "an awaited sync returns, though a close has given it up"),
        (Parts(reads=ForgetfulSync), "left by Ctrl-C, and no call raises"),
        (Parts(reads=ForgetfulSync), "left by the close of its coroutine, and no call raises"),
        (Parts(readbacks=Cancelled), "a CancelledError of a done callback leaves"),
        (Parts(recorder=EndlessWrite), "a wait has no end"),
    ],
)
def test_a_wait_that_is_broken_is_seen_by_patient_alone(parts: Parts, words: str) -> None:
    assert shown(PLAIN, parts=parts, most=3) == ""
    assert shown(parts=parts, words=words)


class Blind(Overlay):
    async def wait_async(self, mapping: StagingMap) -> None:
        while self._inner._is_pending(mapping):
            await asyncio.sleep(0.01)


def test_an_await_that_never_looks_for_a_loss_is_seen_and_does_not_hang() -> None:
    words = "is lost never ends"
    assert shown(make_driver=around_driver(Blind), most=400, words=words)


class Doubling(Runtime):
    def dispatch(self, *arguments: Any, **named: Any) -> None:
        try:
            super().dispatch(*arguments, **named)
        except DeviceFault:
            super().dispatch(*arguments, **named)
            raise


class ClosedTooEarly(Runtime):
    def close(self, timeout: float | None = 60.0) -> None:
        self._guard.is_open = False
        fault = self._reads.finish(timeout)
        if left := self._buffers.describe_left():
            warnings.warn(left, ResourceWarning, stacklevel=2)
        self._give_back()
        if fault is not None:
            raise fault


def test_a_runtime_that_is_closed_before_its_last_callbacks_is_seen() -> None:
    assert shown(make_runtime=ClosedTooEarly, words="ended with RuntimeClosed")


def test_an_op_that_fails_and_is_carried_out_all_the_same_is_seen() -> None:
    assert shown(make_runtime=Doubling, words="did not count once")


class LosesAll(Recorder):
    def write(self, write: HostWrite) -> None:
        with Losing(write.written):
            super().write(write)


class LosesNothing(Recorder):
    def write(self, write: HostWrite) -> None:
        try:
            super().write(write)
        except DeviceFault:
            write.written.lost = False
            raise


@pytest.mark.parametrize("recorder", [LosesAll, LosesNothing])
def test_a_write_in_pieces_loses_its_buffer_only_if_some_are_written(
    recorder: type[Recorder],
) -> None:
    assert "a write in pieces failed" in shown(parts=Parts(recorder=recorder))


@pytest.mark.parametrize("policy", [*PRESETS, "pooled join_reads=True"])
def test_a_sound_runtime_waits_as_it_should(policy: str) -> None:
    assert shown(policy=parse_policy(policy), most=40) == ""
