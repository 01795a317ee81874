"""The seam through which everything passes that WebGPU leaves open, and the strategies for it.

A Scheduler picks among the things that may happen next.  It does none of them,
and it knows no device.
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

    ``runs``: whether RUN is offered at all.  Nothing can observe how far the
    queue has got but the promises that wait for it, and settling one executes
    what it waits for; so a strategy that enumerates leaves RUN out.

    A strategy that stops wherever it may can say so with an attribute ``defers``
    that is true; it is asked only where somebody waits then.
    """

    runs: bool

    def choose(self, options: tuple[str, ...]) -> int:
        """The index of what happens next.

        The options are STOP (first, where nothing need happen), the names of
        promises that may settle, and RUN (last).  Where somebody waits there is
        no STOP, and the first option is the shortest way to what is waited for.
        """
        ...


class AsLate:
    """Nothing happens before somebody waits for it, and then just what they need."""

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
    """Every choice comes from one generator: the same ``seed`` makes the same choices."""

    runs = True

    def __init__(self, seed: int) -> None:
        self._random = Random(seed).random

    def choose(self, options: tuple[str, ...]) -> int:
        """Each option alike."""
        return int(self._random() * len(options))


class Drawn:
    """Choices drawn from elsewhere, such as from Hypothesis, so that they shrink.

    ``draw(n)`` gives a number from 0 to n - 1; 0 is always the simplest choice.

    With Hypothesis: ``Drawn(lambda n: data.draw(st.integers(0, n - 1)))``.  A
    schedule of zeros is the one that is as late as possible.
    """

    runs = False

    def __init__(self, draw: Callable[[int], int]) -> None:
        self._draw = draw

    def choose(self, options: tuple[str, ...]) -> int:
        """Ask only where there is a choice."""
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
