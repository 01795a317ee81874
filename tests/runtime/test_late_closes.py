"""Closes with reads under way: one that is late, and one whose done callbacks go on."""

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gpusim.errors import RuntimeClosed, WaitTimedOut
from gpusim.kernels import AFFINE
from gpusim.runtime import PRESETS, Runtime, Ticket, WgpuDriver
from gpusim.runtime.commands import DeviceBuffer, StagingMap
from gpusim.simulated import open_device

WORDS = np.arange(4, dtype=np.uint32)


class FirstIsLate(WgpuDriver):
    """The first map never arrives, and each other one does at once."""

    first: Any = None

    def map(self, buffer: DeviceBuffer, size_bytes: int) -> StagingMap:
        mapping = super().map(buffer, size_bytes)
        self.first = self.first or mapping
        return mapping

    def wait(self, mapping: StagingMap, seconds: float | None = None) -> bool:
        return mapping is not self.first and super().wait(mapping)

    async def wait_async(self, mapping: StagingMap) -> None:
        while not mapping.is_given_up:
            await asyncio.sleep(0.001)


def test_a_late_close_gives_the_reads_that_have_arrived() -> None:
    runtime = Runtime(driver=FirstIsLate(open_device()), policy="lazy")
    x = runtime.alloc(16)
    runtime.write(x, WORDS)
    late, *others = (runtime.read(x) for _ in range(3))
    runtime.flush()
    runtime.free(x)
    called: list[Ticket] = []
    for ticket in (late, *others):
        ticket.add_done_callback(called.append)
    with pytest.raises(WaitTimedOut, match=r"within 0\.001 s"):
        runtime.close(0.001)
    assert called == [late, *others]
    with pytest.raises(WaitTimedOut):
        late.result()
    for other in others:
        assert other.result() == WORDS.tobytes()


def test_a_late_close_ends_the_awaits_of_other_tasks() -> None:
    async def main() -> None:
        runtime = Runtime(driver=FirstIsLate(open_device()))
        x = runtime.alloc(16)
        ticket = runtime.read(x)
        runtime.free(x)

        async def wait() -> None:
            await ticket

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        with pytest.raises(WaitTimedOut):
            runtime.close(0)
        with pytest.raises(WaitTimedOut):
            await task

    asyncio.run(main())


def test_a_close_finishes_what_its_callbacks_call(runtime: Runtime) -> None:
    buffer = runtime.alloc(16)
    again: list[Ticket] = []
    runtime.write(buffer, WORDS)

    def read_again(ticket: Ticket) -> None:
        if len(again) < 3:
            runtime.dispatch(AFFINE, [buffer], (1, 1))
            again.append(runtime.read(buffer, dtype=np.uint32))
            again[-1].add_done_callback(read_again)

    runtime.read(buffer).add_done_callback(read_again)
    with pytest.warns(ResourceWarning, match="frees 1 buffers"):
        runtime.close()
    assert all(ticket.done() for ticket in again)
    assert [list(ticket.result()) for ticket in again] == [list(WORDS + n) for n in (1, 2, 3)]
    assert runtime.stats().commands >= 7


def test_a_close_that_gives_up_refuses_what_its_callbacks_call() -> None:
    policy = replace(PRESETS["ring"], wait_seconds=1)
    runtime = Runtime(driver=FirstIsLate(open_device()), policy=policy)
    buffer = runtime.alloc(4)
    raised: list[object] = []

    def read_again(ticket: Ticket) -> None:
        with pytest.raises(RuntimeClosed) as closed:
            runtime.read(buffer)
        raised.append(closed)

    runtime.read(buffer).add_done_callback(read_again)
    with (
        pytest.warns(ResourceWarning, match="frees 1 buffers"),
        pytest.raises(WaitTimedOut, match="within 1 s"),
    ):
        runtime.close(None)
    assert len(raised) == 1


def test_a_late_close_ends_awaited_syncs_with_its_error() -> None:
    async def main() -> list[BaseException | None]:
        runtime = Runtime(driver=FirstIsLate(open_device()))
        x = runtime.alloc(16)
        runtime.dispatch(AFFINE, [x], (3, 1))
        runtime.free(x)
        syncs = [asyncio.create_task(runtime.sync_async()) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(WaitTimedOut):
            runtime.close(0)
        return await asyncio.gather(*syncs, return_exceptions=True)

    assert [type(end) for end in asyncio.run(main())] == [WaitTimedOut, WaitTimedOut]


def test_a_policy_may_wait_for_more_seconds_than_a_float_holds() -> None:
    policy = replace(PRESETS["ring"], wait_seconds=10**400, queued_write_bytes=16)
    runtime = Runtime(open_device(), policy)
    x = runtime.alloc(16)
    for _ in range(4):
        runtime.write(x, WORDS)
    assert runtime.read(x).result() == WORDS.tobytes()
    runtime.read(x)
    runtime.sync()
    runtime.read(x)
    asyncio.run(runtime.sync_async())
    runtime.dispatch(AFFINE, [x], (3, 1))
    runtime.free(x)
    runtime.close(None)
