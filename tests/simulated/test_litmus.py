"""Each freedom that the specification gives is taken, and none that it does not give.

A litmus program runs under every schedule; the table holds the outcomes it may
have, each with the number of schedules that show it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import wgpu

from gpusim.simulated import AsEarly, AsLate, AtRandom, Drawn, Scheduler, explore, open_device

U = wgpu.BufferUsage
STAGING = U.MAP_READ | U.COPY_DST
SOURCE = U.COPY_SRC | U.COPY_DST


class World:
    """A device, and the order in which its promises settled."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.settled: list[str] = []
        self.device = open_device(scheduler=scheduler, emit=self._emit)
        self.queue = self.device.queue
        self.source = self.device.create_buffer(size=8, usage=SOURCE)

    def staging(self, *, filled: int = 0) -> Any:
        """A staging buffer; ``filled``: eight such bytes are on their way to it."""
        staging = self.device.create_buffer(size=8, usage=STAGING)
        if filled:
            self.queue.write_buffer(self.source, 0, bytes([filled]) * 8)
            encoder = self.device.create_command_encoder()
            encoder.copy_buffer_to_buffer(self.source, 0, staging, 0, 8)
            self.queue.submit([encoder.finish()])
        return staging

    def _emit(self, kind: str, **about: Any) -> None:
        if kind == "settle":
            self.settled.append(about["promise"])

    @property
    def order(self) -> str:
        """The settled promises, in order."""
        return ", ".join(self.settled)


def two_maps(world: World) -> str:
    first, second = world.staging(filled=1), world.staging(filled=2)
    promises = [first.map_async(1), second.map_async(1)]
    for promise in promises:
        promise.sync_wait()
    return world.order


def three_maps(world: World) -> str:
    promises = [world.staging(filled=n).map_async(1) for n in (1, 2, 3)]
    for promise in promises:
        promise.sync_wait()
    return world.order


def map_then_done(world: World) -> str:
    world.staging(filled=1).map_async(1)
    world.queue.on_submitted_work_done_sync()
    return world.order


def done_then_map(world: World) -> str:
    done = world.queue.on_submitted_work_done_async()
    mapped = world.staging().map_async(1)
    done.sync_wait()
    mapped.sync_wait()
    return world.order


def two_dones(world: World) -> str:
    world.queue.on_submitted_work_done_async()
    world.queue.on_submitted_work_done_async().sync_wait()
    return world.order


def look_once(world: World) -> str:
    return str(world.staging(filled=1).map_async(1)._state)


def state_changes_only_at_a_wait(world: World) -> str:
    staging = world.staging(filled=1)
    promise = staging.map_async(1)
    states = [promise._state != "never", staging.map_state]
    promise.sync_wait()
    return f"{states[1]}, {staging.map_state}"


def bytes_are_those_of_the_work_before(world: World) -> str:
    staging = world.staging(filled=1)
    promise = staging.map_async(1)
    world.staging(filled=2)
    promise.sync_wait()
    return bytes(staging.read_mapped()).hex()


def unmap_cancels(world: World) -> str:
    staging = world.staging(filled=1)
    promise = staging.map_async(1)
    staging.unmap()
    return _outcome(promise)


def destroying_the_device_cancels(world: World) -> str:
    promise = world.staging(filled=1).map_async(1)
    world.device.destroy()
    return _outcome(promise)


def loss_settles_itself_first(world: World) -> str:
    promise = world.staging(filled=1).map_async(1)
    world.device._state.lose("driver reset")
    states = f"{world.device.lost_async.state}, "
    return states + _outcome(promise)


def done_settles_on_a_lost_device(world: World) -> str:
    promise = world.queue.on_submitted_work_done_async()
    world.device.destroy()
    return _outcome(promise)


def _outcome(promise: Any) -> str:
    try:
        promise.sync_wait()
    except RuntimeError:
        return "rejected"
    return "fulfilled"


Litmus = Callable[[World], str]
ALLOWED: dict[Litmus, dict[str, int]] = {
    two_maps: {"map 0, map 1": 2, "map 1, map 0": 1},
    three_maps: {
        "map 0, map 1, map 2": 22,
        "map 0, map 2, map 1": 7,
        "map 1, map 0, map 2": 10,
        "map 1, map 2, map 0": 4,
        "map 2, map 0, map 1": 1,
        "map 2, map 1, map 0": 1,
    },
    map_then_done: {"map 0, done 0": 2},
    done_then_map: {"done 0, map 0": 2, "map 0, done 0": 1},
    two_dones: {"done 0, done 1": 2},
    look_once: {"pending": 1, "pending-fulfilled": 1},
    state_changes_only_at_a_wait: {"pending, mapped": 2},
    bytes_are_those_of_the_work_before: {"0101010101010101": 3},
    unmap_cancels: {"rejected": 2},
    destroying_the_device_cancels: {"rejected": 2},
    loss_settles_itself_first: {"pending-fulfilled, rejected": 1},
    done_settles_on_a_lost_device: {"fulfilled": 2},
}
"""The outcomes of each litmus program, and how many schedules show each."""


@pytest.mark.parametrize("litmus", ALLOWED, ids=lambda litmus: litmus.__name__)
def test_every_schedule_shows_what_is_allowed(litmus: Litmus) -> None:
    schedules = list(explore(lambda scheduler: litmus(World(scheduler))))
    assert Counter(outcome for _, outcome in schedules) == ALLOWED[litmus]
    assert len({schedule for schedule, _ in schedules}) == len(schedules)


@pytest.mark.parametrize("litmus", ALLOWED, ids=lambda litmus: litmus.__name__)
def test_chance_shows_the_same_outcomes(litmus: Litmus) -> None:
    """With the queue's own progress among the choices nothing else can be seen."""
    seeds = range(4000 if len(ALLOWED[litmus]) > 3 else 300)
    outcomes = {litmus(World(AtRandom(seed))) for seed in seeds}
    assert outcomes == set(ALLOWED[litmus])


@pytest.mark.parametrize("strategy", [AsEarly, AsLate])
@pytest.mark.parametrize("litmus", ALLOWED, ids=lambda litmus: litmus.__name__)
def test_the_extremes_are_allowed(litmus: Litmus, strategy: Callable[[], Scheduler]) -> None:
    assert litmus(World(strategy())) in ALLOWED[litmus]


def test_early_has_settled_at_the_first_look_and_late_has_not() -> None:
    assert look_once(World(AsEarly())) == "pending-fulfilled"
    assert look_once(World(AsLate())) == "pending"


def awaited_by_two_tasks(world: World) -> str:
    """Who goes on first: the task that waits for the one map, or for the other."""
    finished: list[str] = []

    async def wait_for(name: str, promise: Any) -> None:
        await promise
        finished.append(name)

    async def both() -> None:
        first, second = world.staging(filled=1), world.staging(filled=2)
        promises = first.map_async(1), second.map_async(1)
        await asyncio.gather(wait_for("first", promises[0]), wait_for("second", promises[1]))

    asyncio.run(both())
    return ", ".join(finished)


def test_tasks_wake_in_both_orders() -> None:
    outcomes = {outcome for _, outcome in explore(lambda it: awaited_by_two_tasks(World(it)))}
    assert outcomes == {"first, second", "second, first"}


@pytest.mark.parametrize("strategy", [AsEarly, AsLate])
def test_callbacks_come_with_the_event_loop(strategy: Callable[[], Scheduler]) -> None:
    called: list[str] = []

    async def main() -> None:
        staging = World(strategy()).staging(filled=1)
        promise = staging.map_async(1)
        promise.then(lambda _: called.append(staging.map_state))
        promise.catch(lambda _: called.append("caught"))
        assert called == []
        while not called:
            await asyncio.sleep(0)

    asyncio.run(main())
    assert called == ["mapped"]


def test_whoever_looks_for_ever_sees_an_end() -> None:
    promise = World(AsLate()).staging(filled=1).map_async(1)
    looks = 0
    while promise._state == "pending":
        looks += 1
        assert looks < 100
    promise.sync_wait()


def test_a_wait_with_a_timeout_makes_progress() -> None:
    world = World(AsLate())
    world.staging(filled=1).map_async(1)
    done = world.queue.on_submitted_work_done_async()
    assert [done._thread_event.wait(0.1) for _ in range(2)] == [False, True]
    assert world.order == "map 0, done 0"


def test_a_drawn_schedule_of_zeros_is_the_latest() -> None:
    drawn: list[int] = []

    def draw(count: int) -> int:
        drawn.append(count)
        return 0

    assert two_maps(World(Drawn(draw))) == two_maps(World(AsLate()))
    assert drawn == [2, 2]
