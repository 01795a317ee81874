"""A sync whose submit fails: it raises, and every read before it is settled by then."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest

from gpusim.errors import DeviceFault, DeviceLost, SubmitFailed
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
