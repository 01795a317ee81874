"""Schedulers: they choose what happens next, where WebGPU leaves that open.

A Scheduler only chooses; the timeline acts.  A schedule is data, which can be recorded, written,
replayed, or enumerated for a small program.  Nothing here knows a device.
"""

from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Protocol, TypeVar

from gpusim.errors import ProgramError

STOP = "stop"
"""Nothing more happens at this point."""
RUN = "run"
"""The queue executes its next operation."""

ORDERS = tuple(f"order {number}" for number in range(16))
"""The orders of workgroups and atomics under which a checked shader can be run."""


class Scheduler(Protocol):
    """Decides how far the queue has got and which promises settle.

    ``runs``: whether RUN is offered at all.  Only promises show how far the queue
    has got, and before a promise settles, the queue executes what the promise waits
    for.  So a strategy that enumerates schedules needs no RUN.

    ``defers`` is an optional attribute, for a strategy that chooses STOP whenever STOP is offered.
    If ``defers`` is set, the strategy is asked only when somebody waits.
    """

    runs: bool

    def choose(self, options: tuple[str, ...]) -> int:
        """The index of what happens next.

        The options are STOP, the names of the promises that may settle, and RUN, in this order.  If
        somebody waits, STOP is missing, and the first option is the shortest way to what they wait
        for.  A checked dispatch asks for one of ORDERS.
        """
        ...


class AsLate:
    """Nothing happens until somebody waits; then only what the wait needs."""

    runs = False
    defers = True

    def choose(self, options: tuple[str, ...]) -> int:
        """The first option: STOP, the shortest way, or the first of ORDERS."""
        return 0


class AsEarly:
    """Everything happens as soon as a call allows it; promises settle in the order of the calls."""

    runs = True

    def choose(self, options: tuple[str, ...]) -> int:
        """RUN if that is offered; otherwise the first promise; STOP if there is nothing else."""
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

    With Hypothesis: ``Drawn(lambda n: data.draw(st.integers(0, n - 1)))``.  With
    a schedule of zeros everything happens as late as possible.
    """

    runs = False

    def __init__(self, draw: Callable[[int], int]) -> None:
        self._draw = draw

    def choose(self, options: tuple[str, ...]) -> int:
        """Draw if there is more than one option."""
        return self._draw(len(options)) if len(options) > 1 else 0


STRATEGIES = ("early", "late", "random")
"""The names that ``strategy`` knows."""


def strategy(name: str, seed: int = 0) -> Scheduler:
    """The strategy ``name``; only ``random`` uses ``seed``.  ProgramError if it is unknown."""
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


T = TypeVar("T")

Schedule = tuple[int, ...]
"""The choices made, in order; nothing is recorded if there is only one option."""


class Recording:
    """Makes the choices of ``scheduler`` and keeps them."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.runs = scheduler.runs
        self.defers = bool(getattr(scheduler, "defers", False))
        self._scheduler = scheduler
        self._choices: list[int] = []

    @property
    def schedule(self) -> Schedule:
        """The choices so far, without trailing zeros."""
        last = len(self._choices)
        while last and self._choices[last - 1] == 0:
            last -= 1
        return tuple(self._choices[:last])

    def choose(self, options: tuple[str, ...]) -> int:
        """Ask the strategy, and record its choice."""
        if len(options) == 1:
            return 0
        choice = self._scheduler.choose(options)
        self._choices.append(choice)
        return choice


class Replaying:
    """Replays a schedule.

    Past its end every choice is 0, and a number beyond the options wraps round.  So a schedule
    stays usable while its program shrinks.  ``runs`` is that of the recorded strategy.
    """

    def __init__(self, schedule: Iterable[int], *, runs: bool) -> None:
        self.runs = runs
        self._choices = iter(tuple(schedule))

    def choose(self, options: tuple[str, ...]) -> int:
        """The next recorded choice."""
        if len(options) == 1:
            return 0
        return next(self._choices, 0) % len(options)


def write_schedule(schedule: Schedule, *, runs: bool) -> str:
    """One line for ``parse_schedule``: ``late`` or ``runs`` for the kind, then the choices."""
    return " ".join(["runs" if runs else "late", *map(str, schedule)])


def parse_schedule(text: str) -> Replaying:
    """Read a line of ``write_schedule``; ProgramError if ``text`` is no such line."""
    kind, *numbers = text.split() or [""]
    if kind not in ("runs", "late") or not all(number.isdigit() for number in numbers):
        raise ProgramError(
            f"cannot read schedule {text!r} because it is not 'late' or 'runs' and then numbers "
            "(probably a line of something else)"
        )
    return Replaying(map(int, numbers), runs=kind == "runs")


class _Path:
    """Follows ``choices``, then takes 0; records how many options there were."""

    runs = False

    def __init__(self, choices: list[int]) -> None:
        self.choices = choices
        self.counts: list[int] = []

    def choose(self, options: tuple[str, ...]) -> int:
        if len(options) == 1:
            return 0
        depth = len(self.counts)
        self.counts.append(len(options))
        if depth == len(self.choices):
            self.choices.append(0)
        return self.choices[depth]


def explore(run: Callable[[Scheduler], T], most: int = 100_000) -> Iterator[tuple[Schedule, T]]:
    """Run a program under each of its schedules; yields each schedule with its outcome.

    ``run`` must do the same whenever the same choices are made.  ProgramError
    if there are more than ``most`` schedules.
    """
    choices: list[int] = []
    for _ in range(most):
        path = _Path(choices)
        outcome = run(path)
        yield tuple(path.choices), outcome
        choices = _next(path.choices, path.counts)
        if not choices:
            return
    raise ProgramError(
        f"cannot try every schedule because there are more than {most} "
        "(probably the program is too long to enumerate)"
    )


def _next(choices: list[int], counts: list[int]) -> list[int]:
    """The choices after these in lexicographic order; empty after the last."""
    depth = len(choices)
    while depth and choices[depth - 1] + 1 == counts[depth - 1]:
        depth -= 1
    return [*choices[: depth - 1], choices[depth - 1] + 1] if depth else []
