"""Orders of workgroups and invocations that WGSL leaves open and that atomics can show.

An Order decides in which order workgroups run, whether they run together or one after another, and
in which order invocations reach an atomic or a store to the same word.  Each order is one that a
device may take.  Its choices follow from its class and from a seed or a list of choices, so a run
can be repeated.  Nothing here runs a shader.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from math import prod
from typing import Any, Protocol

import numpy as np

from gpusim.wgsl import lanes

Values = Any
TRIED = 16
"""The number of orders that a check of one dispatch tries by default."""
_MOST_EXPLORED = 6
"""All orders of at most this many invocations or workgroups are explored; of more, only some."""


class Order(Protocol):
    """Makes the choices; ``name`` names the order in a report."""

    name: str

    def again(self) -> "Order":
        """An order that makes the same choices from the start."""
        ...

    def pick(self, count: int) -> int:
        """A number below ``count``; 0 is the usual choice."""
        ...

    def shuffle(self, count: int) -> Values:
        """The numbers below ``count``, in some order."""
        ...


class Backwards:
    """The last workgroup or invocation first, and each by itself if possible."""

    name = "the last first"

    def again(self) -> Order:
        """The order itself, since it has no state."""
        return self

    def pick(self, count: int) -> int:
        """The last option."""
        return count - 1

    def shuffle(self, count: int) -> Values:
        """The numbers, the last first."""
        return np.arange(count)[::-1]


class Drawn:
    """Chooses at random; the same ``seed`` makes the same choices."""

    def __init__(self, seed: int) -> None:
        self.name = f"drawn from seed {seed}"
        self._seed, self._random = seed, np.random.default_rng(seed)

    def again(self) -> Order:
        """The order from the same seed."""
        return Drawn(self._seed)

    def pick(self, count: int) -> int:
        """Any option."""
        return int(self._random.integers(count))

    def shuffle(self, count: int) -> Values:
        """Any order."""
        return self._random.permutation(count)


class Chosen:
    """Takes ``choices``, then always the first option; notes how many options each choice had."""

    def __init__(self, choices: tuple[int, ...] = ()) -> None:
        self.name = f"number {'.'.join(map(str, choices)) or 0}"
        self.choices = choices
        self.counts: list[int] = []
        self.is_large = False
        """Whether one ``shuffle`` was of more than ``_MOST_EXPLORED`` numbers."""

    def again(self) -> Order:
        """The same choices."""
        return Chosen(self.choices)

    def pick(self, count: int) -> int:
        """The next choice."""
        if count == 1:
            return 0
        depth = len(self.counts)
        self.counts.append(count)
        return self.choices[depth] if depth < len(self.choices) else 0

    def shuffle(self, count: int) -> Values:
        """The numbers, picked one after another.

        If there are more than ``_MOST_EXPLORED``, they keep their order.
        """
        rest = [*range(count)]
        if count > _MOST_EXPLORED:
            self.is_large = True
            return np.array(rest, np.intp)
        return np.array([rest.pop(self.pick(len(rest))) for _ in range(count)], np.intp)

    def next(self) -> "Chosen | None":
        """The next choices in lexicographic order; None after the last."""
        made = [*self.choices, *[0] * len(self.counts)][: len(self.counts)]
        while made and made[-1] + 1 == self.counts[len(made) - 1]:
            made.pop()
        return Chosen((*made[:-1], made[-1] + 1)) if made else None


def tried(most: int) -> Iterator[Order]:
    """The usual order, and then all orders of the dispatch, if these are at most ``most``.

    Otherwise the usual order, and ``most`` others: first backwards, and then drawn ones.  No order
    at all if ``most`` is 0.  An order must have run before the next order is asked for.
    """
    return islice(_tried(most), most + 1 if most else 0)


def _tried(most: int) -> Iterator[Order]:
    first = Chosen()
    yield first
    if first.is_large or prod(first.counts) > most:
        yield Backwards()
        for seed in range(most):
            yield Drawn(seed)
    following = first.next()
    while following is not None:
        yield following
        following = following.next()


def numbered(number: int) -> Order:
    """The order of a number: 0 is backwards, any other is the seed of a drawn order."""
    return Drawn(number) if number else Backwards()


def names_under(order: Order, together: Callable[[int], tuple[int, ...]]) -> dict[str, Any]:
    """Maps names in the Python of a shader to what they mean in a run under an order.

    ``together`` takes the number of lanes of a grid and gives the sizes that its blocks may have.
    """

    def block_of(stop: int) -> int:
        sizes = together(stop)
        return sizes[order.pick(len(sizes))]

    def walk(start: int, stop: int, step: int) -> list[int]:
        blocks = range(start, stop, step)
        return [blocks[at] for at in order.shuffle(len(blocks)).tolist()]

    def modify(
        name: str, memory: Values, where: Values, values: tuple[Any, ...], wanted: bool
    ) -> Values:
        turned = _turned(order, where)
        if turned is None:
            return lanes.modify(name, memory, where, values, wanted)
        operands = tuple(each[turned] if isinstance(each, np.ndarray) else each for each in values)
        found = lanes.modify(name, memory, where[turned], operands, wanted)
        if found is None:
            return None
        before = np.empty_like(found)
        before[turned] = found
        return before

    def store(memory: Values, where: Any, values: Values) -> None:
        turned = None if isinstance(where, slice) else _turned(order, where)
        if turned is not None:
            where = where[turned]
            values = values[turned] if isinstance(values, np.ndarray) else values
        lanes.store(memory, where, values)

    def store_one(memory: Values, index: int, value: Any) -> None:
        is_many = isinstance(value, np.ndarray)
        lanes.store_one(memory, index, value[order.shuffle(len(value))] if is_many else value)

    return {
        "block_of": block_of,
        "walk": walk,
        "modify": modify,
        "store": store,
        "store_at": store,
        "store_one": store_one,
    }


def _turned(order: Order, where: Values) -> Values:
    """The lanes in the order in which they come to their words; None if no two share a word."""
    _, words, counts = np.unique(where, return_inverse=True, return_counts=True)
    if len(counts) == len(where):
        return None
    meeting = np.flatnonzero(counts[words] > 1)
    turned = np.arange(len(where))
    turned[meeting] = meeting[order.shuffle(len(meeting))]
    return turned
