"""A sync whose submit fails: it raises, and every read before it is settled by then."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from gpusim.errors import DeviceFault, DeviceLost, MapFailed, OutOfMemory, SubmitFailed
from gpusim.kernels import AFFINE
from gpusim.runtime import PRESETS, Runtime, Ticket, WgpuDriver
from gpusim.runtime.drivers.faulty import Fault, FaultyDriver
from gpusim.simulated import open_device

Open = Callable[..., Runtime]
WORDS = np.arange(4, dtype=np.uint32)


def sync(runtime: Runtime) -> None:
    runtime.sync()


def awaited_sync(runtime: Runtime) -> None:
    asyncio.run(runtime.sync_async())


@pytest.mark.parametrize("wait", [sync, awaited_sync])
@pytest.mark.parametrize("error", [SubmitFailed, DeviceLost])
def test_a_sync_that_raises_has_settled_every_read(
    faulty: Open, wait: Callable[[Runtime], None], error: type[DeviceFault]
) -> None:
    runtime = faulty(Fault(verb="submit", call=1, error=error), policy=PRESETS["ring"])
    a = runtime.alloc(16)
    runtime.write(a, WORDS)
    sent = runtime.read(a, dtype=np.uint32)
    runtime.flush()
    recorded = runtime.read(a)

    def use(_: Ticket) -> None:
        with suppress(DeviceLost):
            runtime.flush()

    sent.add_done_callback(use)
    with pytest.raises(error):
        wait(runtime)
    assert sent.done()
    assert recorded.done()
    with pytest.raises(error):
        recorded.result()
    if error is SubmitFailed:
        assert np.array_equal(sent.result(), WORDS)
        runtime.flush()


@pytest.mark.parametrize("wait", [sync, awaited_sync])
@pytest.mark.parametrize("verb", ["map", "wait", "take"])
@pytest.mark.parametrize("error", [MapFailed, OutOfMemory])
def test_a_sync_raises_any_fault_of_a_read_and_settles_them_all(
    faulty: Open, wait: Callable[[Runtime], None], verb: str, error: type[DeviceFault]
) -> None:
    # Each of the two reads has a page of its own.
    policy = replace(PRESETS["ring"], staging_page_bytes=4)
    runtime = faulty(Fault(verb=verb, call=0, error=error), policy=policy)
    a = runtime.alloc(16)
    runtime.write(a, WORDS)
    failed, sound = runtime.read(a), runtime.read(a, dtype=np.uint32)
    with pytest.raises(error):
        wait(runtime)
    assert failed.done()
    assert sound.done()
    with pytest.raises(error):
        failed.result()
    assert np.array_equal(sound.result(), WORDS)
    runtime.sync()


def test_a_sync_that_is_cancelled_leaves_its_fault_to_the_next_call() -> None:
    fault = Fault(verb="submit", call=1, error=SubmitFailed)
    # A map of this device settles only when somebody waits for it.
    runtime = Runtime(driver=FaultyDriver(WgpuDriver(open_device()), fault))
    a = runtime.alloc(16)
    runtime.write(a, WORDS)
    runtime.read(a)
    runtime.flush()
    runtime.read(a)

    async def cancelled() -> None:
        task = asyncio.create_task(runtime.sync_async())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    with pytest.raises(SubmitFailed):
        runtime.flush()
    runtime.flush()
    runtime.free(a)
    runtime.close()


def opened(fault: Fault) -> Runtime:
    """A runtime whose maps settle only when somebody waits for them."""
    return Runtime(driver=FaultyDriver(WgpuDriver(open_device()), fault))


def by_ctrl_c(runtime: Runtime) -> None:
    with pytest.raises(KeyboardInterrupt):
        runtime.sync()


def by_a_closed_coroutine(runtime: Runtime) -> None:
    async def main() -> None:
        waiting = runtime.sync_async()
        waiting.send(None)
        waiting.close()

    asyncio.run(main())


@pytest.mark.parametrize("leave", [by_ctrl_c, by_a_closed_coroutine])
def test_a_sync_that_is_left_keeps_its_fault(leave: Callable[[Runtime], None]) -> None:
    runtime = opened(Fault(verb="submit", call=1, error=SubmitFailed))
    x, y = runtime.alloc(16), runtime.alloc(16)

    def interrupt(_: Ticket) -> None:
        raise KeyboardInterrupt

    ticket = runtime.read(x)
    runtime.flush()
    if leave is by_ctrl_c:
        ticket.add_done_callback(interrupt)
    runtime.dispatch(AFFINE, [y], (3, 1))
    leave(runtime)
    with pytest.raises(SubmitFailed):
        runtime.sync()
    runtime.sync()


@pytest.mark.parametrize("reads", [True, False])
def test_each_sync_that_waits_for_a_failed_fence_raises(reads: bool) -> None:
    runtime = opened(Fault(verb="take", call=0, error=MapFailed))
    x = runtime.alloc(16)
    runtime.dispatch(AFFINE, [x], (3, 1))
    if reads:
        runtime.read(x)

    async def main() -> list[BaseException | None]:
        syncs = [runtime.sync_async() for _ in range(3)]
        return await asyncio.gather(*syncs, return_exceptions=True)

    assert [type(end) for end in asyncio.run(main())] == [MapFailed] * 3
    runtime.sync()
    assert runtime.read(x, dtype=np.uint32).result().tolist() == [1, 1, 1, 1]


def test_a_sync_whose_fence_fails_raises_though_a_poll_has_met_the_fault() -> None:
    runtime = opened(Fault(verb="take", call=0, error=MapFailed))
    runtime.dispatch(AFFINE, [runtime.alloc(16)], (3, 1))

    async def main() -> None:
        task = asyncio.create_task(runtime.sync_async())
        await asyncio.sleep(0)
        while runtime.poll():
            pass
        with pytest.raises(MapFailed):
            runtime.flush()
        with pytest.raises(MapFailed):
            await task

    asyncio.run(main())


def test_a_sync_raises_nothing_of_a_read_that_failed_before_it() -> None:
    runtime = opened(Fault(verb="submit", call=0, error=SubmitFailed))
    runtime.read(runtime.alloc(16))
    with pytest.raises(SubmitFailed):
        runtime.flush()
    runtime.sync()
