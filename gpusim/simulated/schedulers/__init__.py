"""Strategies for everything that WebGPU leaves open, one a file."""

from gpusim.errors import ProgramError
from gpusim.simulated.schedulers.drawn import Drawn
from gpusim.simulated.schedulers.early import AsEarly
from gpusim.simulated.schedulers.exhaustive import explore
from gpusim.simulated.schedulers.late import AsLate
from gpusim.simulated.schedulers.random import AtRandom
from gpusim.simulated.schedulers.replay import (
    Recording,
    Replay,
    Schedule,
    parse_schedule,
    write_schedule,
)
from gpusim.simulated.schedulers.scheduler import RUN, STOP, Scheduler

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


__all__ = [
    "RUN",
    "STOP",
    "STRATEGIES",
    "AsEarly",
    "AsLate",
    "AtRandom",
    "Drawn",
    "Recording",
    "Replay",
    "Schedule",
    "Scheduler",
    "explore",
    "parse_schedule",
    "strategy",
    "write_schedule",
]
