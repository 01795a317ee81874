"""The only source of randomness: choices, seeded or drawn by Hypothesis.

The generator asks a Choices and nothing else, so a seed, or a Hypothesis example, always gives the
same program.  Everywhere smaller integers and earlier items are the simpler ones, because
Hypothesis shrinks towards them.  Nothing here knows what is chosen.
"""

import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Weights(Generic[T]):
    """Items with whole weights, the simplest item first.

    Items of weight 0 are left out.  ``totals`` are the running sums of the weights.
    """

    __slots__ = ("items", "total", "totals")

    def __init__(self, *pairs: tuple[T, int]) -> None:
        kept = [(item, weight) for item, weight in pairs if weight > 0]
        self.items = tuple(item for item, _ in kept)
        self.totals = tuple(accumulate(weight for _, weight in kept))
        self.total = self.totals[-1]

    def at(self, ticket: int) -> T:
        """The item for ``ticket``, a number with ``0 <= ticket < total``."""
        return self.items[bisect_right(self.totals, ticket)]


class Choices(Protocol):
    """The questions that the generator asks."""

    def integer(self, low: int, high: int) -> int:
        """A whole number in ``low..high``, both included; the lowest is the simplest."""
        ...

    def pick(self, items: Sequence[T]) -> T:
        """One of ``items``; the first is the simplest."""
        ...

    def weighted(self, weights: Weights[T]) -> T:
        """One item, as often as its weight says; the first is the simplest."""
        ...

    def chance(self, numerator: int, denominator: int) -> bool:
        """True in ``numerator`` of ``denominator`` cases; False is the simplest."""
        ...


class SeededChoices:
    """Choices that follow from a seed alone, the same on every machine and in every process."""

    def __init__(self, seed: str) -> None:
        # A str is seeded through SHA-512, not through hash().
        self._random = random.Random(seed).random

    def integer(self, low: int, high: int) -> int:
        return low + int(self._random() * (high - low + 1))

    def pick(self, items: Sequence[T]) -> T:
        return items[int(self._random() * len(items))]

    def weighted(self, weights: Weights[T]) -> T:
        return weights.items[bisect_right(weights.totals, int(self._random() * weights.total))]

    def chance(self, numerator: int, denominator: int) -> bool:
        return int(self._random() * denominator) >= denominator - numerator


class DrawnChoices:
    """Choices made of one function that draws an integer, such as Hypothesis's.

    ``draw(low, high)`` gives a whole number in ``low..high``; its owner shrinks it
    towards ``low``.
    """

    def __init__(self, draw: Callable[[int, int], int]) -> None:
        self._draw = draw

    def integer(self, low: int, high: int) -> int:
        return self._draw(low, high)

    def pick(self, items: Sequence[T]) -> T:
        return items[self.integer(0, len(items) - 1)]

    def weighted(self, weights: Weights[T]) -> T:
        return weights.at(self.integer(0, weights.total - 1))

    def chance(self, numerator: int, denominator: int) -> bool:
        return self.integer(0, denominator - 1) >= denominator - numerator
