"""Every schedule of a small program, each once."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from gpusim.errors import ProgramError
from gpusim.simulated.schedulers.replay import Schedule
from gpusim.simulated.schedulers.scheduler import Scheduler

T = TypeVar("T")


class _Path:
    """Follows ``choices``, then takes 0, and notes how many options there were."""

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
    """Run a program under each of its schedules; its outcome beside each schedule.

    ``run`` must do the same whenever the same choices are made.  ProgramError
    after ``most`` schedules: the program is not small.
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
