"""Schedules as data: record one, write it, replay it, or try all of a small program.

Nothing here knows a device.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from gpusim.errors import ProgramError
from gpusim.simulated.scheduler import Scheduler

T = TypeVar("T")

Schedule = tuple[int, ...]
"""The choices made, in order; where there is one option, nothing is recorded."""


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

    Past its end every choice is 0, and a number beyond the options wraps round,
    so that a schedule stays usable while its program shrinks.  ``runs`` is that of
    the recorded strategy.
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
    """Read a line of ``write_schedule``; ProgramError where it is none."""
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
    """Run a program under each of its schedules; each schedule with its outcome.

    ``run`` must do the same whenever the same choices are made.  ProgramError
    where there are more than ``most`` schedules.
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
