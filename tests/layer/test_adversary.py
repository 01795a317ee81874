"""The adversary settles promises in an order that follows from its seed, as WebGPU allows."""

import asyncio
from typing import Any

import pytest
import wgpu

from gpusim.devices import open_device
from gpusim.layer import Adversary, Watch, stand_between
from gpusim.layer.adversary import HeldPromise
from properties.explain.settling import AT_RANDOM, IN_ORDER, REVERSED
from properties.model.disturbance import Disturbance
from tests.layer.mistakes.parts import STAGING


@pytest.fixture
def adversary() -> Adversary:
    return Adversary()


@pytest.fixture
def disturbed(device_name: str, adversary: Adversary) -> Any:
    device = open_device(device_name)
    stand_between(device, Watch(lambda event: None), adversary.disturb)
    return device


def staging(device: Any, count: int) -> list[Any]:
    return [device.create_buffer(size=16, usage=STAGING) for _ in range(count)]


def order_in_a_loop(device: Any, count: int) -> list[int]:
    """The order in which maps settle, as callbacks of an event loop see it."""
    seen: list[int] = []

    async def wait() -> None:
        buffers = staging(device, count)
        promises = [buffer.map_async("READ") for buffer in buffers]
        for number, promise in enumerate(promises):
            promise.then(lambda _, number=number: seen.append(number))
        for promise in promises:
            await promise
        await asyncio.sleep(0.01)
        for buffer in buffers:
            assert bytes(buffer.read_mapped()) == bytes(16)
            buffer.unmap()

    asyncio.run(wait())
    return seen


def test_a_seed_decides_the_order(disturbed: Any, adversary: Adversary) -> None:
    orders = set()
    for seed in range(12):
        adversary.begin(seed)
        first = order_in_a_loop(disturbed, 4)
        adversary.begin(seed)
        assert order_in_a_loop(disturbed, 4) == first
        assert sorted(first) == [0, 1, 2, 3]
        orders.add(tuple(first))
    assert (0, 1, 2, 3) in orders
    assert (3, 2, 1, 0) in orders
    assert len(orders) > 3


@pytest.mark.parametrize(("settling", "order"), [(IN_ORDER, [0, 1, 2]), (REVERSED, [2, 1, 0])])
def test_an_explanation_knows_a_seed_of_each_order(
    disturbed: Any, adversary: Adversary, settling: Disturbance, order: list[int]
) -> None:
    adversary.begin(settling.seed)
    assert order_in_a_loop(disturbed, 3) == order
    # The layer in JavaScript draws otherwise.
    assert ["any", "last", "first"][settling.seed % 3] == ("last" if order[0] else "first")


def test_an_explanation_knows_seeds_of_random_orders(disturbed: Any, adversary: Adversary) -> None:
    orders = set()
    for seed in AT_RANDOM:
        adversary.begin(seed)
        orders.add(tuple(order_in_a_loop(disturbed, 3)))
    assert len(orders) == 6
    # The layer in JavaScript settles any map too.
    assert {seed % 3 for seed in AT_RANDOM} == {0}


def test_a_program_begins_though_the_event_loop_of_the_one_before_has_ended(
    disturbed: Any, adversary: Adversary
) -> None:
    async def leave_behind() -> None:
        for buffer in staging(disturbed, 40):
            buffer.map_async("READ").then(lambda _: None)

    adversary.begin(0)
    asyncio.run(leave_behind())
    adversary.begin(0)
    assert sorted(order_in_a_loop(disturbed, 2)) == [0, 1]


def test_without_a_seed_nothing_is_disturbed(disturbed: Any, adversary: Adversary) -> None:
    (buffer,) = staging(disturbed, 1)
    adversary.begin(0)
    held = buffer.map_async("READ")
    assert isinstance(held, HeldPromise)
    held.sync_wait()
    buffer.unmap()
    adversary.begin(None)
    # The order that is left is the device's own, of which nothing is promised.
    assert not isinstance(buffer.map_async("READ"), HeldPromise)
    assert sorted(order_in_a_loop(disturbed, 4)) == [0, 1, 2, 3]


def test_a_buffer_is_pending_until_its_turn(disturbed: Any, adversary: Adversary) -> None:
    left = set()
    for seed in range(12):
        adversary.begin(seed)
        buffers = staging(disturbed, 3)
        promises = [buffer.map_async("READ") for buffer in buffers]
        promises[2].sync_wait()
        assert buffers[2].map_state == "mapped"
        left.add(sum(buffer.map_state == "pending" for buffer in buffers))
        for promise in promises:
            promise.sync_wait()
            promise.sync_wait()
        assert {buffer.map_state for buffer in buffers} == {"mapped"}
    assert left == {2}, "a promise settles at the call that waits for it, or in a loop"


def test_planned_calls_fail(disturbed: Any, adversary: Adversary) -> None:
    adversary.begin(1, failed_maps=[1], out_of_memory=[3])
    buffers = staging(disturbed, 3)
    with pytest.raises(wgpu.GPUOutOfMemoryError):
        staging(disturbed, 1)
    first, second, third = [buffer.map_async("READ") for buffer in buffers]
    third.sync_wait()
    with pytest.raises(RuntimeError, match="planned"):
        second.sync_wait()
    first.sync_wait()
    assert buffers[1].map_state == "unmapped"
    buffers[1].map_sync("READ")


def test_the_device_is_lost_on_request(disturbed: Any, adversary: Adversary) -> None:
    adversary.begin(1, lost_at_submit=1)
    disturbed.queue.submit([])
    with pytest.raises(wgpu.GPUInternalError, match="lost"):
        disturbed.queue.submit([])


def test_a_destroyed_buffer_is_never_mapped(disturbed: Any, adversary: Adversary) -> None:
    adversary.begin(2)
    first, second = staging(disturbed, 2)
    promise, other = first.map_async("READ"), second.map_async("READ")
    first.destroy()
    with pytest.raises(RuntimeError, match="destroyed"):
        promise.sync_wait()
    other.sync_wait()
    assert bytes(second.read_mapped()) == bytes(16)


def test_a_work_done_comes_after_the_maps_asked_for_before_it() -> None:
    device = open_device("simulated")
    adversary = Adversary()
    stand_between(device, Watch(lambda event: None), adversary.disturb)
    for seed in range(12):
        adversary.begin(seed)
        seen: list[str] = []

        async def wait(seen: list[str]) -> None:
            maps = [buffer.map_async("READ") for buffer in staging(device, 2)]
            done = [device.queue.on_submitted_work_done_async() for _ in range(2)]
            late = staging(device, 1)[0].map_async("READ")
            named = zip(("m0", "m1", "d0", "d1", "late"), (*maps, *done, late), strict=True)
            for name, promise in named:
                promise.then(lambda _, name=name: seen.append(name))
            await asyncio.gather(*maps, *done, late)
            await asyncio.sleep(0.01)

        asyncio.run(wait(seen))
        assert sorted(seen) == ["d0", "d1", "late", "m0", "m1"]
        assert max(seen.index("m0"), seen.index("m1")) < seen.index("d0") < seen.index("d1")


def test_a_loss_rejects_maps_and_no_promise_of_done_work() -> None:
    device = open_device("simulated")
    adversary = Adversary()
    stand_between(device, Watch(lambda event: None), adversary.disturb)
    adversary.begin(1)
    mapped = staging(device, 1)[0].map_async("READ")
    done = device.queue.on_submitted_work_done_async()
    device.destroy()
    with pytest.raises(RuntimeError, match="the device is lost"):
        mapped.sync_wait()
    done.sync_wait()
