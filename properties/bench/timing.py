"""Rounds of several arms, interleaved, so that what disturbs one disturbs all.

Clocks are read here and by the arms, and nowhere else.
"""

import gc
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from time import perf_counter, thread_time


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One round of one arm, in seconds."""

    record_seconds: float
    """Host time until the last submit returned."""
    cpu_seconds: float
    """Of it, what this thread computed: unlike the rest, nearly the same on a busy machine."""
    total_seconds: float
    """Until the last result was there."""


Play = Callable[[], Sample]


class Watch:
    """The clocks of one round."""

    def __init__(self) -> None:
        self._record_seconds = self._cpu_seconds = 0.0
        self._begin = perf_counter()
        self.resume()

    def resume(self) -> None:
        """The host works from here on."""
        self._start, self._cpu_start = perf_counter(), thread_time()

    def pause(self) -> None:
        """All is submitted, and the host only waits from here on."""
        self._record_seconds += perf_counter() - self._start
        self._cpu_seconds += thread_time() - self._cpu_start

    def stop(self) -> Sample:
        """Everything is there."""
        return Sample(
            record_seconds=self._record_seconds,
            cpu_seconds=self._cpu_seconds,
            total_seconds=perf_counter() - self._begin,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Median and quartiles of some numbers."""

    median: float
    low: float
    high: float


def interleave(
    plays: Mapping[str, Play],
    rounds: int,
    *,
    warm_rounds: int = 1,
    turn: int = 1,
    settle: int = 0,
    before: Callable[[], None] = lambda: None,
) -> dict[str, list[Sample]]:
    """``rounds`` turns of each arm, of ``turn`` samples; the first rounds are thrown away.

    A turn begins with ``before``, which makes what all arms find the same, and
    with ``settle`` plays that do not count.
    Each round has an order of its own, so that none always follows the same one:
    what an arm has left to the device is cleared away in the turn of the next.
    What it leaves for the garbage collector is collected before the next
    one's turn; what was there before all of them is not looked at again.
    """
    names = list(plays)
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    order = Random(0)
    gc.collect()
    gc.freeze()
    for number in range(warm_rounds + rounds):
        for name in order.sample(names, len(names)):
            gc.collect()
            before()
            taken = [plays[name]() for _ in range(settle + turn)]
            if number >= warm_rounds:
                samples[name] += taken[settle:]
    gc.unfreeze()
    return samples


def spread(numbers: Sequence[float]) -> Spread:
    """Median and quartiles; of a single number, that number."""
    if len(numbers) == 1:
        return Spread(median=numbers[0], low=numbers[0], high=numbers[0])
    low, median, high = statistics.quantiles(numbers, n=4, method="inclusive")
    return Spread(median=median, low=low, high=high)
