"""Schedulers: they choose wherever WebGPU leaves open what happens next.

A Scheduler only chooses; the timeline acts.  Nothing here knows a device.
"""

from collections.abc import Callable
from random import Random
from typing import Protocol

from gpusim.errors import ProgramError

STOP = "stop"
"""Nothing more happens at this point."""
RUN = "run"
"""The queue executes its next operation."""


class Scheduler(Protocol):
    """Decides how far the queue has got and which promises settle.

    ``runs``: whether RUN is offered at all.  Only promises show how far the queue
    has got, and settling one executes what it waits for.  So a strategy that
    enumerates schedules does without RUN.

    ``defers``, an attribute that may be missing: a strategy that stops wherever it
    may sets it, and is then asked only where somebody waits.
    """

    runs: bool

    def choose(self, options: tuple[str, ...]) -> int:
        """The index of what happens next.

        The options are STOP, the names of the promises that may settle, and RUN, in
        this order.  Where somebody waits, STOP is missing, and the first option is
        the shortest way to what they wait for.
        """
        ...


class AsLate:
    """Nothing happens until somebody waits for it; then only what they need."""

    runs = False
    defers = True

    def choose(self, options: tuple[str, ...]) -> int:
        """The first option is always STOP or the shortest way."""
        return 0


class AsEarly:
    """Everything happens at the call that allows it; promises settle in the order of the calls."""

    runs = True

    def choose(self, options: tuple[str, ...]) -> int:
        """Run before settling, settle before stopping."""
        last = len(options) - 1
        if options[last] == "run":
            return last
        return 1 if options[0] == "stop" and last else 0


class AtRandom:
    """Chooses at random; the same ``seed`` makes the same choices."""

    runs = True

    def __init__(self, seed: int) -> None:
        self._random = Random(seed).random

    def choose(self, options: tuple[str, ...]) -> int:
        """Any option, each as likely as the others."""
        return int(self._random() * len(options))


class Drawn:
    """Draws choices from a source such as Hypothesis, so that they shrink.

    ``draw(n)`` gives a number from 0 to n - 1; 0 is always the simplest choice.

    With Hypothesis: ``Drawn(lambda n: data.draw(st.integers(0, n - 1)))``.  A
    schedule of zeros is the one that is as late as possible.
    """

    runs = False

    def __init__(self, draw: Callable[[int], int]) -> None:
        self._draw = draw

    def choose(self, options: tuple[str, ...]) -> int:
        """Draw where there is more than one option."""
        return self._draw(len(options)) if len(options) > 1 else 0


STRATEGIES = ("early", "late", "random")
"""The names that ``strategy`` knows."""


def strategy(name: str, seed: int = 0) -> Scheduler:
    """The strategy of that name; ``seed`` is for the random one.  ProgramError."""
    match name:
        case "early":
            return AsEarly()
        case "late":
            return AsLate()
        case "random":
            return AtRandom(seed)
    raise ProgramError(
        f"cannot schedule by {name!r} because the strategies are {', '.join(STRATEGIES)} "
        "(probably a misspelling)"
    )
