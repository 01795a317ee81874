"""Schedules as data: recorded, written down, replayed, drawn and shrunk."""

from typing import Any

import pytest
import wgpu
from hypothesis import find
from hypothesis import strategies as st

from gpusim.errors import ProgramError
from gpusim.simulated import (
    STRATEGIES,
    Drawn,
    Recording,
    Replaying,
    Scheduler,
    explore,
    open_device,
    parse_schedule,
    strategy,
    write_schedule,
)

STAGING = wgpu.BufferUsage.MAP_READ | wgpu.BufferUsage.COPY_DST


def settle_order(scheduler: Scheduler, maps: int = 4) -> str:
    """The order in which some maps settle, all asked for before the first wait."""
    settled: list[str] = []

    def emit(kind: str, **about: Any) -> None:
        if kind == "settle":
            settled.append(about["promise"][-1])

    device = open_device(scheduler=scheduler, emit=emit)
    buffers = [device.create_buffer(size=8, usage=STAGING) for _ in range(maps)]
    promises = [buffer.map_async(1) for buffer in buffers]
    for promise in promises:
        promise.sync_wait()
    return "".join(settled)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_recorded_schedule_plays_again(name: str) -> None:
    for seed in range(20):
        recording = Recording(strategy(name, seed))
        order = settle_order(recording)
        written = write_schedule(recording.schedule, runs=recording.runs)
        assert settle_order(parse_schedule(written)) == order


def test_every_explored_schedule_plays_again() -> None:
    explored = list(explore(lambda scheduler: settle_order(scheduler, maps=3)))
    assert len({order for _, order in explored}) == 6
    for schedule, order in explored:
        assert settle_order(Replaying(schedule, runs=False), maps=3) == order


def test_a_replay_outlives_its_program() -> None:
    """Numbers beyond the options wrap round, and the end is as late as possible."""
    assert settle_order(Replaying((97, 98, 99), runs=False), maps=2) in ("01", "10")
    assert settle_order(Replaying((), runs=False)) == "0123"


def test_a_drawn_schedule_shrinks_to_a_single_swap() -> None:
    @st.composite
    def schedules(draw: st.DrawFn) -> tuple[tuple[int, ...], str]:
        recording = Recording(Drawn(lambda count: draw(st.integers(0, count - 1))))
        order = settle_order(recording)
        return recording.schedule, order

    schedule, order = find(schedules(), lambda found: found[1] != "0123")
    # Which two is left to Hypothesis's search, which need not end at the very simplest.
    assert sum(found != place for found, place in zip(order, "0123", strict=True)) == 2
    assert sorted(order) == list("0123")
    assert settle_order(Replaying(schedule, runs=False)) == order


def test_one_seed_is_one_schedule() -> None:
    orders = [settle_order(strategy("random", 5), maps=8) for _ in range(2)]
    assert orders[0] == orders[1]
    assert len({settle_order(strategy("random", seed), maps=8) for seed in range(30)}) > 10


def test_two_devices_of_one_process_do_not_share_their_chance() -> None:
    """Each draws what it draws when it is alone, whatever the other draws in between."""
    alone = [settle_order(strategy("random", seed), maps=8) for seed in (3, 4)]
    seen: list[list[str]] = [[], []]

    def emit_to(settled: list[str]) -> Any:
        def emit(kind: str, **about: Any) -> None:
            if kind == "settle":
                settled.append(about["promise"][-1])

        return emit

    devices = [
        open_device(scheduler=strategy("random", seed), emit=emit_to(settled))
        for seed, settled in zip((3, 4), seen, strict=True)
    ]
    buffers = [
        [device.create_buffer(size=8, usage=STAGING) for _ in range(8)] for device in devices
    ]
    promises = [[buffer.map_async(1) for buffer in mine] for mine in buffers]
    for pair in zip(*promises, strict=True):
        for promise in pair:
            promise.sync_wait()
    assert ["".join(settled) for settled in seen] == alone


def test_a_program_that_is_not_small_is_not_enumerated() -> None:
    with pytest.raises(ProgramError, match="more than 10"):
        list(explore(lambda scheduler: settle_order(scheduler, maps=5), most=10))


@pytest.mark.parametrize("text", ["", "soon 1 2", "late 1 x", "3"])
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(ProgramError, match="cannot read schedule"):
        parse_schedule(text)


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(ProgramError, match="the strategies are early, late, random"):
        strategy("soon")
