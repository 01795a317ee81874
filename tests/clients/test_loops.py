"""The event loop whose clock leaps: it sleeps for no time, and knows what is still scheduled."""

import asyncio
from typing import Any

import pytest

from properties.clients.loops import NeverWoken, run_leaping


def test_a_leaping_loop_sleeps_for_no_time_and_knows_when_nobody_wakes_it() -> None:
    seconds: list[float] = []

    async def sleep() -> None:
        await asyncio.sleep(1e6)
        seconds.append(asyncio.get_running_loop().time())

    run_leaping(sleep(), is_real=False)
    assert seconds == [1e6]

    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(NeverWoken, match="nothing is scheduled"):
        run_leaping(wait(), is_real=False)

    async def turn() -> None:
        while True:
            await asyncio.sleep(1)

    with pytest.raises(NeverWoken, match="turns of the loop"):
        run_leaping(turn(), is_real=False)


def test_a_loop_that_should_rest_may_have_nothing_scheduled_in_the_end() -> None:
    async def leave_a_task(seconds: float) -> None:
        async def turn() -> None:
            while True:
                await asyncio.sleep(seconds)

        asyncio.get_running_loop().call_later(seconds, tasks.append, 0)
        if seconds > 1:
            tasks.append(asyncio.create_task(turn()))

    tasks: list[Any] = []
    run_leaping(leave_a_task(1), is_real=False, then_rests=True)
    assert tasks == [0]
    with pytest.raises(NeverWoken, match="turns of the loop"):
        run_leaping(leave_a_task(2), is_real=False, then_rests=True)
