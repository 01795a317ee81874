"""Arms: each plays one round on buffers of its own, and those of a chain are here."""

from collections.abc import Callable, Mapping
from time import perf_counter as now
from typing import Any

from gpusim.errors import InternalError
from gpusim.runtime import Driver, Policy, Runtime
from properties.bench.bare import bare
from properties.bench.plain import Plain
from properties.bench.timing import Sample, Watch
from properties.bench.workloads import Chain

_Round = Callable[[], tuple[Sample, bytes]]


class Arm:
    """Plays rounds, and keeps the bytes that the last one left."""

    def __init__(self, play: _Round, close: Callable[[], None] = lambda: None) -> None:
        self.words = b""
        self.close = close
        self._play = play

    def __call__(self) -> Sample:
        sample, self.words = self._play()
        return sample


def bare_arm(device: Any, chain: Chain) -> Arm:
    """The floor."""
    play_bare = bare(device, chain.kernel.wgsl(), chain.words, chain.scalars, chain.groups)

    def play() -> tuple[Sample, bytes]:
        record, cpu, total, words = play_bare()
        return Sample(record_seconds=record, cpu_seconds=cpu, total_seconds=total), words

    return Arm(play)


def plain_arm(device: Any, chain: Chain) -> Arm:
    """Eager wgpu-py."""
    return Arm(Plain(device, chain.kernel.wgsl(), chain.words, chain.scalars, chain.groups).play)


def runtime_arm(driver: Driver, policy: Policy, chain: Chain) -> Arm:
    """The runtime with a policy."""
    runtime = Runtime(driver=driver, policy=policy)
    x = runtime.alloc(4 * chain.words)
    kernel, groups, scalars = chain.kernel, chain.groups, chain.scalars
    buffers, caller_seconds = [x], chain.caller_us / 1e6

    def play() -> tuple[Sample, bytes]:
        watch = Watch()
        for values in scalars:
            if caller_seconds:
                _spend(caller_seconds)
            runtime.dispatch(kernel, buffers, values, groups)
        ticket = runtime.read(x)
        runtime.flush()
        watch.pause()
        runtime.sync()
        return watch.stop(), ticket.result()

    def close() -> None:
        runtime.free(x)
        runtime.close()

    return Arm(play, close)


def play_for(seconds: float, arm: Arm) -> None:
    """Play rounds until so many seconds have passed."""
    end = now() + seconds
    while now() < end:
        arm()


def replay_arm(driver: Driver, chain: Chain) -> Arm:
    """The chain captured once, and replayed with other scalars and another buffer in each round."""
    runtime = Runtime(driver=driver)
    here, there = runtime.alloc(4 * chain.words), runtime.alloc(4 * chain.words)
    # Zeros, so that a scalar that is not replaced shows.
    nothing = (0,) * len(chain.kernel.scalars)
    with runtime.capture() as graph:
        for _ in range(chain.dispatches):
            runtime.dispatch(chain.kernel, [here], nothing, chain.groups)
    places, scalars = [here, there], chain.scalars

    def play() -> tuple[Sample, bytes]:
        watch = Watch()
        places.reverse()
        runtime.copy(places[1], places[0])
        graph.replay(scalars, {here: places[0]})
        ticket = runtime.read(places[0])
        runtime.flush()
        watch.pause()
        runtime.sync()
        return watch.stop(), ticket.result()

    def close() -> None:
        for buffer in places:
            runtime.free(buffer)
        runtime.close()

    return Arm(play, close)


def check_same(workload: str, arms: Mapping[str, Arm]) -> None:
    """InternalError unless every arm, having played as often, left the same words."""
    first, *others = arms
    for other in others:
        if arms[other].words != arms[first].words:
            raise InternalError(
                f"cannot compare the arms of {workload!r} because {other!r} and {first!r} "
                "have different words (probably one of them lost a command)"
            )


def _spend(seconds: float) -> None:
    """What a caller's own computation does to a core."""
    end = now() + seconds
    while now() < end:
        pass
