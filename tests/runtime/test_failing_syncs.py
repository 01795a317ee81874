"""A sync whose submit fails: it raises, and every read before it is settled by then."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from gpusim.errors import DeviceFault, DeviceLost, MapFailed, OutOfMemory, SubmitFailed
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
