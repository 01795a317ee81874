"""What tickets and buffers show of themselves: their state, and their bytes as arrays."""

import asyncio
import gc
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gpusim.errors import InvalidData, InvalidHandle, MapFailed
from gpusim.runtime import PRESETS, Driver, Parts, Policy, Runtime, Ticket, WgpuDriver
from gpusim.runtime.commands import DeviceBuffer, StagingMap
from gpusim.runtime.drivers.driver import Receive, Value
from gpusim.runtime.drivers.faulty import Fault
from gpusim.runtime.host_data import Destination
from gpusim.runtime.reads import Reads
from gpusim.simulated import open_device


def test_a_ticket_says_what_it_reads_and_how_far_it_is(runtime: Runtime) -> None:
    buffer = runtime.alloc(16, label="x")
    ticket = runtime.read(buffer, 4)
    before, _ = repr(ticket), ticket.result()
    assert before in (
        "<read of 12 bytes at 4 of <x, 16 bytes>, pending>",
        "<read of 12 bytes at 4 of <x, 16 bytes>, done>",
    )
    assert repr(ticket) == "<read of 12 bytes at 4 of <x, 16 bytes>, done>"


def test_an_array_of_a_ticket_waits_for_its_value(runtime: Runtime) -> None:
    buffer = runtime.alloc(8)
    assert (buffer.nbytes, repr(buffer)) == (8, f"<buffer {buffer.uid}, 8 bytes>")
    runtime.write(buffer, b"\1\0\0\0\2\0\0\0")
    words = runtime.read(buffer, dtype=np.uint32)
    assert np.asarray(words) is words.result()
    assert np.array(words) is not words.result()
    assert np.asarray(words, np.float64).tolist() == [1.0, 2.0]
    assert np.asarray(runtime.read(buffer)).tolist() == [1, 0, 0, 0, 2, 0, 0, 0]
    assert np.asarray(runtime.read(buffer, 4, out=bytearray(4))).tolist() == [2, 0, 0, 0]
    with pytest.raises(InvalidData, match="probably the dtype belongs to the read"):
        words.__array__(np.float64, copy=False)
    with pytest.raises(InvalidHandle, match=r"probably runtime\.read\(buffer, dtype="):
        np.asarray(buffer)


def test_a_ticket_that_failed_names_its_error(faulty: Callable[..., Runtime]) -> None:
    runtime = faulty(Fault(verb="map", call=0, error=MapFailed))
    ticket = runtime.read(runtime.alloc(4))
    with pytest.raises(MapFailed):
        ticket.result()
    with pytest.raises(MapFailed):
        runtime.flush()
    assert repr(ticket).endswith(", failed with MapFailed>")


class _Unfit(Destination):
    """A form of a value that fails when the read is delivered."""

    def deliver(self, data: memoryview) -> Any:
        raise RuntimeError("no room")


class _ReadsOfEight(Reads):
    """Reads of up to eight bytes cannot be delivered."""

    def issue(
        self,
        origin: DeviceBuffer,
        offset: int,
        size_bytes: int,
        destination: Destination,
        *,
        fence: bool = False,
    ) -> Ticket:
        unfit = _Unfit(size_bytes) if size_bytes <= 8 and not fence else destination
        return super().issue(origin, offset, size_bytes, unfit, fence=fence)


@pytest.mark.parametrize("size_bytes", [0, 8])
def test_a_delivery_that_fails_is_its_own_reads_error(
    driver: Driver, policy: Policy, size_bytes: int
) -> None:
    runtime = Runtime(driver=driver, policy=policy, parts=Parts(reads=_ReadsOfEight))
    buffer = runtime.alloc(16)
    runtime.write(buffer, bytes(range(16)))
    tickets = [runtime.read(buffer, 0, size) for size in (16, size_bytes, 16)]
    assert tickets[2].result() == tickets[0].result() == bytes(range(16))
    with pytest.raises(
        MapFailed, match=r"cannot deliver . bytes because of RuntimeError\('no room"
    ):
        tickets[1].result()
    runtime.sync()
    assert runtime.read(buffer).result() == bytes(range(16))
    runtime.free(buffer)
    runtime.close()


class _NoRoom:
    """Mapped bytes for which the host has no memory."""

    def __bytes__(self) -> bytes:
        raise MemoryError


class _FirstTakeFails(WgpuDriver):
    has_room = False

    def take(self, mapping: StagingMap, receive: Receive[Value]) -> Value:
        if self.has_room:
            return super().take(mapping, receive)
        self.has_room = True
        no_room: Any = _NoRoom()
        return super().take(mapping, lambda _: receive(no_room))


def test_reads_of_a_page_that_finds_no_memory_fail_and_no_others() -> None:
    runtime = Runtime(driver=_FirstTakeFails(open_device()))
    buffer = runtime.alloc(16)
    runtime.write(buffer, bytes(range(16)))
    shared = [runtime.read(buffer, offset, 4) for offset in (0, 4)]
    runtime.flush()
    later = runtime.read(buffer, 8, 4)
    for ticket in shared:
        with pytest.raises(MapFailed, match="cannot keep the 8 bytes of 2 reads"):
            ticket.result()
    assert later.result() == bytes(range(8, 12))
    with pytest.raises(MapFailed):
        runtime.sync()
    runtime.sync()
    runtime.free(buffer)
    runtime.close()
    assert runtime.device.live_buffers == 0


def test_a_ticket_keeps_no_more_than_its_value(driver: Driver) -> None:
    large_bytes, kept = 1 << 16, 8
    with Runtime(driver=driver, policy=replace(PRESETS["ring"], staging_page_bytes=4)) as runtime:
        runtime.free(large := runtime.alloc(large_bytes))
        large, small = runtime.alloc(large_bytes), runtime.alloc(4)
        tickets = []
        tracemalloc.start()
        for _ in range(kept):
            runtime.read(large)
            tickets.append(runtime.read(small))
            runtime.sync()
        gc.collect()
        bytes_kept = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert bytes_kept < kept * large_bytes // 2
        runtime.free(large)
        runtime.free(small)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_callback_that_ends_the_program_holds_up_no_other(
    runtime: Runtime, stop: type[BaseException]
) -> None:
    called: list[Ticket] = []

    def interrupt(_: Ticket) -> None:
        raise stop

    ticket, later = runtime.read(runtime.alloc(4)), runtime.read(runtime.alloc(4))
    for callback in (called.append, interrupt, called.append):
        ticket.add_done_callback(callback)
    with pytest.raises(stop):
        ticket.result()
    assert called == [ticket, ticket]
    assert later.result() == bytes(4)


def test_a_callback_that_raises_cancelled_error_is_logged_like_any_other(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[Ticket] = []

    def cancelled(_: Ticket) -> None:
        raise asyncio.CancelledError

    async def main() -> None:
        x, comes = runtime.alloc(4), asyncio.Event()
        first, second = runtime.read(x), runtime.read(x)
        for callback in (cancelled, called.append):
            first.add_done_callback(callback)
        second.add_done_callback(lambda _: comes.set())
        runtime.flush()
        await comes.wait()
        assert called == [first]
        runtime.read(x).add_done_callback(cancelled)
        await runtime.sync_async()

    asyncio.run(main())
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [
        asyncio.CancelledError
    ] * 2


def test_a_loop_that_ctrl_c_has_left_goes_on_with_the_callbacks(runtime: Runtime) -> None:
    called: list[Ticket] = []

    def interrupt(_: Ticket) -> None:
        raise KeyboardInterrupt

    async def main() -> None:
        # Two batches, so that each read is delivered in a poll of its own.
        for callback in (interrupt, called.append):
            runtime.read(runtime.alloc(4)).add_done_callback(callback)
            runtime.flush()
        await asyncio.Event().wait()

    async def wait() -> None:
        while not called:
            await asyncio.sleep(0.001)

    loop = asyncio.new_event_loop()
    task = loop.create_task(main())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    loop.run_until_complete(wait())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
