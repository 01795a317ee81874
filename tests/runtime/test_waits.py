"""Waits that end: timeouts, polls, callbacks in loops, and a close that does not hang.

No test here measures time: a silent driver stands for a device that does not answer, and says at
once that the time is over.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from math import inf
from typing import Any

import numpy as np
import pytest

from gpusim.errors import DeviceFault, DeviceLost, OutOfRange, SubmitFailed, WaitTimedOut
from gpusim.kernels import AFFINE
from gpusim.runtime import PRESETS, Driver, Policy, Runtime, Ticket, WgpuDriver
from gpusim.runtime.commands import CopyCommand, Role
from gpusim.runtime.drivers.faulty import Fault
from gpusim.trace import Trace
from tests.runtime.conftest import free_all

Open = Callable[[Policy], tuple[Runtime, Trace]]
WORDS = np.arange(4, dtype=np.uint32)


class Silent:
    """A driver whose device answers nothing until ``answers``; ``asked`` are the seconds given."""

    def __init__(self, driver: Driver) -> None:
        self.answers = False
        self.asked: list[float | None] = []
        self._driver: Any = driver

    def wait(self, mapping: Any, seconds: float | None = None) -> bool:
        """Settled, or out of time at once."""
        self.asked.append(seconds)
        assert self.answers or seconds is not None, "this would hang"
        return self.answers and bool(self._driver.wait(mapping, seconds))

    async def wait_async(self, mapping: Any) -> None:
        """Settled, or never."""
        while not self.answers:
            await asyncio.sleep(0.001)
        await self._driver.wait_async(mapping)

    def drain(self, seconds: float | None = None) -> bool:
        """Done, or out of time at once."""
        self.asked.append(seconds)
        return self.answers and bool(self._driver.drain(seconds))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)


Opened = tuple[Runtime, Silent]


@pytest.fixture
def silent(driver: Driver) -> Iterator[Callable[..., Opened]]:
    """Opens a runtime on a device that does not answer yet."""
    opened: list[Opened] = []

    def open_silent(policy: Policy = PRESETS["ring"]) -> Opened:
        mute = Silent(driver)
        opened.append((Runtime(driver=mute, policy=policy), mute))
        return opened[-1]

    yield open_silent
    for runtime, mute in opened:
        mute.answers = True
        free_all(runtime)
        runtime.close()


def affine_read(runtime: Runtime) -> Ticket:
    """A read that waits for a write and a dispatch; 3 n + 1."""
    buffer = runtime.alloc(WORDS.nbytes)
    runtime.write(buffer, WORDS)
    runtime.dispatch(AFFINE, [buffer], (3, 1))
    return runtime.read(buffer, dtype=np.uint32)


def is_right(ticket: Ticket) -> bool:
    return bool((ticket.result() == 3 * WORDS + 1).all())


def scheduled() -> list[Any]:
    loop: Any = asyncio.get_running_loop()
    return [handle for handle in loop._scheduled if not handle.cancelled()]


def test_a_read_times_out_and_can_be_waited_for_again(silent: Callable[..., Opened]) -> None:
    runtime, device = silent()
    ticket = affine_read(runtime)
    for timeout in (0, 0.001, 1):
        with pytest.raises(WaitTimedOut, match="cannot wait for a read because") as raised:
            ticket.result(timeout=timeout)
        assert isinstance(raised.value, TimeoutError)
        assert isinstance(raised.value, DeviceFault)
        assert not ticket.done()
    assert runtime.stats().submits == 1
    device.answers = True
    assert is_right(ticket)
    runtime.sync()


def test_a_sync_times_out_and_makes_no_second_fence(silent: Callable[..., Opened]) -> None:
    runtime, device = silent()
    ticket = affine_read(runtime)
    runtime.flush()
    runtime.write(runtime.alloc(4), b"abcd")
    for _ in range(3):
        with pytest.raises(WaitTimedOut):
            runtime.sync(timeout=0.001)
    assert runtime.stats().submits == 2
    device.answers = True
    runtime.sync(timeout=600)
    assert ticket.done()
    assert is_right(ticket)


def test_a_wait_without_a_timeout_has_that_of_the_policy(silent: Callable[..., Opened]) -> None:
    runtime, device = silent(replace(PRESETS["cached"], wait_seconds=7))
    ticket = affine_read(runtime)
    with pytest.raises(WaitTimedOut, match="within 7 s"):
        ticket.result()
    with pytest.raises(WaitTimedOut, match="within 7 s"):
        runtime.sync()
    assert all(seconds is not None and seconds <= 7 for seconds in device.asked)
    device.answers = True
    assert is_right(ticket)


@pytest.mark.parametrize("timeout", [-1, float("nan"), "soon", WORDS, True, np.True_], ids=repr)
def test_a_timeout_is_a_number_of_seconds(runtime: Runtime, timeout: Any) -> None:
    ticket = affine_read(runtime)
    for wait in (ticket.result, runtime.sync, runtime.close):
        with pytest.raises(OutOfRange, match="because that is no number of seconds"):
            wait(timeout=timeout)
    assert is_right(ticket)


def test_waits_of_asyncio_time_out_too(silent: Callable[..., Opened]) -> None:
    runtime, device = silent()

    async def main() -> None:
        ticket = affine_read(runtime)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ticket, 0.005)
        with pytest.raises(WaitTimedOut):
            await runtime.sync_async(timeout=0.005)
        assert not ticket.done()
        device.answers = True
        assert ((await ticket) == 3 * WORDS + 1).all()
        await runtime.sync_async(timeout=600)

    asyncio.run(main())


def test_a_close_gives_up_a_device_that_does_not_answer(
    traced: Open, driver: Driver, silent: Callable[..., Opened]
) -> None:
    runtime, _ = silent()
    tickets = [affine_read(runtime) for _ in range(3)]
    free_all(runtime)
    with pytest.raises(WaitTimedOut, match="cannot finish the ops before a close"):
        runtime.close(timeout=0.001)
    assert not runtime.is_open
    for ticket in tickets:
        with pytest.raises(WaitTimedOut):
            ticket.result()
    runtime.close()
    # The device is as before: another runtime on it works.
    with Runtime(driver=driver) as other:
        assert is_right(affine_read(other))
        free_all(other)


def test_a_poll_brings_what_has_arrived_and_submits_nothing(
    silent: Callable[..., Opened], policy: Policy
) -> None:
    runtime, device = silent(replace(policy, join_reads=True))
    called: list[Ticket] = []
    tickets = [affine_read(runtime) for _ in range(3)]
    for ticket in tickets:
        ticket.add_done_callback(called.append)
    submits = runtime.stats().submits
    assert runtime.poll() == 3
    assert runtime.stats().submits == submits
    runtime.flush()
    assert runtime.poll() == 3
    assert not called
    device.answers = True
    while runtime.poll():
        time.sleep(0.001)
    assert called == tickets
    assert all(map(is_right, tickets))


def test_a_running_loop_brings_callbacks_and_goes_with_the_close(
    driver: Driver, policy: Policy
) -> None:
    async def main() -> None:
        called: list[Ticket] = []
        with Runtime(driver=driver, policy=policy) as runtime:
            for _ in range(5):
                ticket = affine_read(runtime)
                ticket.add_done_callback(called.append)
                runtime.flush()
                while ticket not in called:
                    await asyncio.sleep(0.001)
            await asyncio.sleep(0.02)
            assert scheduled() == []
            affine_read(runtime).add_done_callback(called.append)
            runtime.flush()
            free_all(runtime)
        assert len(called) == 6
        assert scheduled() == []

    asyncio.run(main())


def test_a_loop_is_left_alone_until_something_is_under_way(silent: Callable[..., Opened]) -> None:
    runtime, device = silent()

    async def main() -> None:
        called: list[Ticket] = []
        ticket = affine_read(runtime)
        ticket.add_done_callback(called.append)
        assert scheduled() == []
        runtime.flush()
        assert len(scheduled()) == 1
        await asyncio.sleep(0.02)
        assert len(scheduled()) == 1
        assert not called
        device.answers = True
        while not called:
            await asyncio.sleep(0.001)
        assert scheduled() == []

    asyncio.run(main())


def test_a_second_loop_goes_on_where_the_first_ended(silent: Callable[..., Opened]) -> None:
    runtime, device = silent()
    tickets: list[Ticket] = []
    called: list[Ticket] = []

    def read() -> None:
        tickets.append(affine_read(runtime))
        tickets[-1].add_done_callback(called.append)
        runtime.flush()

    async def begin() -> None:
        read()

    async def go_on() -> None:
        device.answers = True
        read()
        while len(called) < 2:
            await asyncio.sleep(0.001)

    asyncio.run(begin())
    asyncio.run(go_on())
    assert called == tickets
    assert all(map(is_right, called))


def test_a_loop_of_another_thread_is_none_of_its_business(runtime: Runtime) -> None:
    ticket, left = affine_read(runtime), []
    runtime.flush()

    async def listen() -> None:
        ticket.add_done_callback(lambda _: None)
        left.extend(scheduled())

    thread = threading.Thread(target=lambda: asyncio.run(listen()))
    thread.start()
    thread.join()
    assert not left
    assert is_right(ticket)


@pytest.fixture(params=["its own", "of wgpu-py"])
def any_driver(request: pytest.FixtureRequest, driver: Driver, device: Any) -> Any:
    """The driver that fits the device best, and the plain one."""
    return driver if request.param == "its own" else WgpuDriver(device)


@pytest.mark.parametrize("seconds", [None, 600, 0])
def test_a_driver_waits_and_drains_with_and_without_an_end(
    any_driver: Any, seconds: float | None
) -> None:
    source = any_driver.create_buffer(4, Role.STORAGE)
    staging = any_driver.create_buffer(4, Role.STAGING)
    any_driver.write_buffer(source, 0, b"abcd")
    copy = CopyCommand(source, 0, staging, 0, 4)
    any_driver.submit(any_driver.encode([copy], "test", merge_passes=False))
    mapping = any_driver.map(staging, 4)
    while not any_driver.wait(mapping, seconds):
        assert seconds == 0
    assert any_driver.take(mapping, bytes) == b"abcd"
    while not any_driver.drain(seconds):
        assert seconds == 0
    any_driver.destroy_buffer(source)
    any_driver.destroy_buffer(staging)


def test_a_loop_tells_callbacks_of_a_device_that_is_lost(faulty: Callable[..., Runtime]) -> None:
    runtime = faulty(Fault(verb="wait", call=1, error=DeviceLost))

    async def main() -> None:
        called: list[Ticket] = []
        ticket = affine_read(runtime)
        ticket.add_done_callback(called.append)
        runtime.flush()
        while not called:
            await asyncio.sleep(0.001)
        assert scheduled() == []
        with pytest.raises(DeviceLost):
            ticket.result()

    runtime.read(runtime.alloc(4)).result()
    asyncio.run(main())


def test_a_close_waits_for_what_no_read_waits_for(silent: Callable[..., Opened]) -> None:
    runtime, device = silent()
    buffer = runtime.alloc(4)
    runtime.dispatch(AFFINE, [buffer], (1, 1))
    runtime.free(buffer)
    with pytest.raises(WaitTimedOut, match="cannot finish the ops before a close"):
        runtime.close(timeout=0.001)
    assert device.asked


def test_a_close_makes_no_fence_if_everything_is_done(traced: Open) -> None:
    runtime, _ = traced(PRESETS["ring"])
    assert is_right(affine_read(runtime))
    free_all(runtime)
    submits = runtime.stats().submits
    runtime.close()
    assert runtime.stats().submits == submits


@pytest.mark.parametrize(
    "timeout",
    [np.int64(9), np.float32(9), np.float64(9), Fraction(9), inf, 10**400, Fraction(10**400)],
    ids=lambda timeout: f"{timeout!s:.9}",
)
def test_a_timeout_may_be_any_real_number(runtime: Runtime, timeout: Any) -> None:
    assert is_right(affine_read(runtime))
    runtime.sync(timeout)
    runtime.read(runtime.alloc(4)).result(timeout)
    runtime.read(runtime.alloc(4))
    asyncio.run(runtime.sync_async(timeout))


@pytest.mark.parametrize("is_awaited", [False, True])
def test_a_loop_brings_the_callbacks_of_a_submit_that_failed(
    faulty: Callable[..., Runtime], is_awaited: bool
) -> None:
    runtime = faulty(Fault(verb="submit", call=0, error=SubmitFailed), policy=PRESETS["ring"])

    async def flush() -> None:
        runtime.flush()

    async def main() -> None:
        called: list[Ticket] = []
        ticket = runtime.read(runtime.alloc(4))
        ticket.add_done_callback(called.append)
        with pytest.raises(SubmitFailed):
            await (ticket if is_awaited else flush())
        await asyncio.sleep(0.02)
        assert called == [ticket]

    asyncio.run(main())


def test_a_poll_in_a_loop_polls_on_by_itself(silent: Callable[..., Opened]) -> None:
    runtime, device = silent()
    called: list[Ticket] = []
    affine_read(runtime).add_done_callback(called.append)
    runtime.flush()

    async def main() -> None:
        assert scheduled() == []
        assert runtime.poll() == 1
        device.answers = True
        while not called:
            await asyncio.sleep(0.001)
        assert scheduled() == []

    asyncio.run(main())
