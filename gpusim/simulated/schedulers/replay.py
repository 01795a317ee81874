"""A schedule as data: recording one, writing it down, playing it again."""

from collections.abc import Iterable

from gpusim.errors import ProgramError
from gpusim.simulated.schedulers.scheduler import Scheduler

Schedule = tuple[int, ...]
"""The choices made, in order; one among a single option is left out."""


class Recording:
    """Makes the choices of ``scheduler`` and keeps them."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.runs = scheduler.runs
        self.defers = bool(getattr(scheduler, "defers", False))
        self._scheduler = scheduler
        self._choices: list[int] = []

    @property
    def schedule(self) -> Schedule:
        """The choices so far, without the zeros at their end."""
        last = len(self._choices)
        while last and self._choices[last - 1] == 0:
            last -= 1
        return tuple(self._choices[:last])

    def choose(self, options: tuple[str, ...]) -> int:
        """What the strategy says, noted down."""
        if len(options) == 1:
            return 0
        choice = self._scheduler.choose(options)
        self._choices.append(choice)
        return choice


class Replay:
    """Plays a schedule again.

    Past its end every choice is 0, and a number beyond the options wraps round,
    so that a schedule keeps its meaning while its program shrinks.  ``runs`` is
    that of the strategy which was recorded.
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
    """One line: ``late`` or ``runs`` for the kind, then the choices; read back by parse."""
    return " ".join(["runs" if runs else "late", *map(str, schedule)])


def parse_schedule(text: str) -> Replay:
    """The replay of what ``write_schedule`` wrote; ProgramError where it did not."""
    kind, *numbers = text.split() or [""]
    if kind not in ("runs", "late") or not all(number.isdigit() for number in numbers):
        raise ProgramError(
            f"cannot read schedule {text!r} because it is not 'late' or 'runs' and then numbers "
            "(probably a line of something else)"
        )
    return Replay(map(int, numbers), runs=kind == "runs")
