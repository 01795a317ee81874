"""Closing, threads, forks, tasks and leaks: what a runtime owns, and who may use it."""

import asyncio
import gc
import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
import warnings
import weakref
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import wgpu

from gpusim.errors import OutOfMemory, RuntimeClosed, WrongThread
from gpusim.kernels import AFFINE
from gpusim.runtime import PRESETS, Driver, Policy, Runtime, WgpuDriver
from gpusim.runtime.drivers.faulty import Fault, FaultyDriver
from gpusim.runtime.policy import Uniforms
from gpusim.simulated import open_device
from gpusim.trace import Trace

Open = Callable[[Policy], tuple[Runtime, Trace]]


def test_closing_settles_every_ticket_and_gives_everything_back(
    traced: Open, policy: Policy
) -> None:
    runtime, trace = traced(policy)
    buffer = runtime.alloc(16)
    runtime.write(buffer, np.arange(4, dtype=np.uint32))
    tickets = [runtime.read(buffer)]
    for scalar in range(3):
        runtime.dispatch(AFFINE, [buffer], [3, scalar])
        runtime.copy(buffer, buffer, target_offset=1, size_bytes=9)
        tickets.append(runtime.read(buffer))
    runtime.dispatch(AFFINE, [buffer], [1, 1])
    runtime.free(buffer)
    runtime.close()
    assert all(ticket.done() for ticket in tickets)
    assert len(tickets[0].result()) == 16
    made = {event["buffer"] for event in trace if event.kind == "create_buffer"}
    gone = [event["buffer"] for event in trace if event.kind == "destroy_buffer"]
    assert sorted(gone) == sorted(made)
    runtime.close()


def test_a_closed_runtime_goes_with_its_last_reference(driver: Driver, policy: Policy) -> None:
    runtime = Runtime(driver=driver, policy=policy)
    buffer = runtime.alloc(16)
    with runtime.capture() as graph:
        runtime.dispatch(AFFINE, [buffer], [3, 1])
    graph.replay()
    runtime.read(buffer).result()
    runtime.free(buffer)
    runtime.close()
    parts = [weakref.ref(part) for part in (runtime, runtime._recorder, runtime._replays)]
    gc.disable()
    try:
        del runtime, buffer, graph
        assert [part() for part in parts] == [None] * 3
    finally:
        gc.enable()


def test_a_closed_runtime_refuses_and_still_counts(driver: Driver) -> None:
    runtime = Runtime(driver=driver)
    buffer = runtime.alloc(16)
    ticket = runtime.read(buffer)
    runtime.free(buffer)
    runtime.close()
    for use in (lambda: runtime.alloc(4), runtime.sync, runtime.flush,
                lambda: runtime.read(buffer), lambda: runtime.free(buffer)):  # fmt: skip
        with pytest.raises(RuntimeClosed, match="because it was closed"):
            use()
    assert ticket.result() == bytes(16)
    assert runtime.stats().reads == 1


def test_closing_warns_of_buffers_that_were_never_freed(driver: Driver) -> None:
    runtime = Runtime(driver=driver)
    runtime.alloc(16, label="weights")
    with pytest.warns(ResourceWarning, match="frees 1 buffers of 16 bytes .* <weights, 16 bytes>"):
        runtime.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # A second warning would raise.
        runtime.close()


def test_a_dropped_handle_lives_until_close(driver: Driver) -> None:
    runtime = Runtime(driver=driver)
    buffer = runtime.alloc(16)
    runtime.dispatch(AFFINE, [buffer], [1, 7])
    ticket = runtime.read(buffer)
    del buffer
    gc.collect()
    assert runtime.stats().live_buffers == 1
    assert ticket.result() == np.full(4, 7, "<u4").tobytes()
    with pytest.warns(ResourceWarning):
        runtime.close()


def test_another_thread_is_refused(runtime: Runtime) -> None:
    buffer = runtime.alloc(16)
    ticket = runtime.read(buffer)
    refused: list[type[BaseException]] = []

    def use() -> None:
        for call in (runtime.sync, lambda: runtime.alloc(4), lambda: runtime.free(buffer),
                     ticket.result, runtime.close):  # fmt: skip
            try:
                call()
            except WrongThread as error:
                refused.append(type(error))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert refused == [WrongThread] * 5
    assert ticket.result() == bytes(16)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_is_refused_and_does_not_hang(device_name: str) -> None:
    code = """
        import os, sys
        from gpusim.errors import WrongThread
        from gpusim.runtime import Runtime
        from gpusim.devices import open_device
        runtime = Runtime(open_device(sys.argv[1]))
        buffer = runtime.alloc(4)
        child = os.fork()
        if child == 0:
            try:
                runtime.write(buffer, b"1234")
            except WrongThread as error:
                os._exit(7 if "forked child" in str(error) else 1)
            os._exit(2)
        _, status = os.waitpid(child, 0)
        runtime.free(buffer)
        runtime.close()
        sys.exit(os.waitstatus_to_exitcode(status))
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code), device_name],
        timeout=60,
        check=False,
    )
    assert done.returncode == 7


def test_tasks_share_a_runtime_in_the_order_of_their_calls(runtime: Runtime) -> None:
    buffer = runtime.alloc(16)
    expected = np.zeros(4, np.uint32)
    results: list[tuple[bytes, bytes]] = []

    async def work(task: int) -> None:
        nonlocal expected
        for step in range(5):
            scalar = task * 100 + step
            runtime.dispatch(AFFINE, [buffer], [3, scalar])
            expected = expected * np.uint32(3) + np.uint32(scalar)
            ticket, wanted = runtime.read(buffer), expected.tobytes()
            results.append((await ticket, wanted))
            await runtime.sync_async()

    async def main() -> None:
        await asyncio.gather(*(work(task) for task in range(4)))

    asyncio.run(main())
    assert len(results) == 20
    assert all(got == wanted for got, wanted in results)


def test_a_cancelled_await_loses_nothing(runtime: Runtime) -> None:
    buffer = runtime.alloc(4)
    runtime.write(buffer, b"abcd")

    async def main() -> bytes:
        ticket = runtime.read(buffer)
        waiting = asyncio.ensure_future(_wait(ticket))
        await asyncio.sleep(0)
        waiting.cancel()
        second = runtime.read(buffer)
        await asyncio.gather(runtime.sync_async(), runtime.sync_async())
        assert await ticket == b"abcd"
        return bytes(await second)

    assert asyncio.run(main()) == b"abcd"


async def _wait(ticket: object) -> object:
    return await ticket  # type: ignore[misc]


def test_many_runtimes_on_one_driver_leak_nothing(driver: Driver) -> None:
    def one() -> None:
        with Runtime(driver=driver, policy=PRESETS["cached"]) as runtime:
            buffer = runtime.alloc(64)
            runtime.dispatch(AFFINE, [buffer], [3, 5])
            runtime.copy(buffer, buffer, target_offset=1, size_bytes=9)
            runtime.read(buffer).result()
            runtime.free(buffer)

    def alive() -> dict[str, int]:
        gc.collect()
        counts = wgpu.diagnostics.object_counts.get_dict()
        return {name: counts[name]["count"] for name in ("Buffer", "BindGroup", "CommandEncoder")}

    one()
    before = alive()
    for _ in range(10):
        one()
    assert alive() == before


def test_spawned_children_have_runtimes_of_their_own(device_name: str) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        assert pool.apply(_in_a_child, [device_name]) == b"\x07\0\0\0"


def _in_a_child(device_name: str) -> bytes:
    from gpusim.devices import open_device

    with Runtime(open_device(device_name)) as runtime:
        buffer = runtime.alloc(4)
        runtime.dispatch(AFFINE, [buffer], [1, 7])
        data = bytes(runtime.read(buffer).result())
        runtime.free(buffer)
        return data


@pytest.mark.parametrize("uniforms", ["fresh", "pooled", "cached"])
def test_a_replay_that_was_taken_back_keeps_no_buffer(uniforms: str) -> None:
    device = open_device()
    fault = Fault(verb="create_bind_group", call=1, error=OutOfMemory)
    policy = replace(PRESETS["ring"], uniforms=Uniforms(uniforms))
    runtime = Runtime(driver=FaultyDriver(WgpuDriver(device), fault), policy=policy)
    x, y, z = (runtime.alloc(16) for _ in range(3))
    runtime.dispatch(AFFINE, [x], (3, 1))
    with runtime.capture() as graph:
        runtime.copy(x, y, size_bytes=4)
        runtime.dispatch(AFFINE, [z], (3, 1))
    with pytest.raises(OutOfMemory):
        graph.replay()
    before, submits = device.live_buffers, runtime.stats().submits
    runtime.free(y)
    assert device.live_buffers == before - 1
    runtime.free(x)
    assert device.live_buffers == before - 1, "a dispatch in the batch uses this one"
    assert runtime.stats().submits == submits
    runtime.flush()
    assert device.live_buffers < before - 1
    assert runtime.stats().commands == 1
    runtime.free(z)
    runtime.close()
