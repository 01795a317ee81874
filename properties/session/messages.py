"""What a session and its worker process say to each other.  Data only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from properties.model.case import Case
from properties.model.failure import Failure
from properties.mutants.planted import PlantedMutant
from properties.session.tally import Tally


class Pipe(Protocol):
    """The worker's end of a ``multiprocessing`` connection."""

    def send(self, message: "Answer", /) -> None: ...
    def recv(self) -> "Request": ...
    def poll(self) -> bool: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """Everything a worker needs to run any program of a session."""

    device: str
    kernels: str
    target: str
    presets: tuple[str, ...]
    schedulers: tuple[str, ...] = ()
    faults: bool = False
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Fuzz:
    """Run every ``step``-th program from ``first`` up to but not ``stop``, until one fails."""

    first: int
    stop: int | None
    step: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeCase:
    """Judge one case and answer with ``Judged``."""

    case: Case


@dataclass(frozen=True, kw_only=True, slots=True)
class MakeCase:
    """Make program ``number`` without running it, and answer with ``Made``."""

    number: int


@dataclass(frozen=True, slots=True)
class Plant:
    """Run programs with planted mistakes until they show, and answer with ``Planted``."""

    hard: bool
    """Whether the mutant may be one that takes long to find."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End a ``Fuzz`` before its last program."""


Request = Fuzz | JudgeCase | MakeCase | Plant | Stop


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """The worker has its device: what it is called, and what it is."""

    device: str
    description: str
    is_ours: bool
    """Whether our runtime is judged, which follows the policy of a case."""
    unreachable: Mapping[str, str]
    """Why no program of the session reaches a rare event, by the event."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CannotRun:
    """The worker has no device, or nothing to judge on it."""

    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Broken:
    """The judge itself failed, about when it ran program ``number``."""

    number: int
    traceback: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """What was done since the last message of its kind; program ``number`` comes next."""

    tally: Tally
    number: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedProgram:
    """Program ``number`` failed, and the worker waits."""

    number: int
    case: Case
    failure: Failure


@dataclass(frozen=True, kw_only=True, slots=True)
class RanAll:
    """The last program of a ``Fuzz`` has run, or it was stopped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """The failure of a judged case, None where it passed."""

    failure: Failure | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """The case of a ``MakeCase``."""

    case: Case


@dataclass(frozen=True, kw_only=True, slots=True)
class Planted:
    """The number of programs it took to see a planted mistake, None where none showed it."""

    programs: int | None
    mutant: PlantedMutant
    """What became of the mutant that the seed planted."""


Answer = Ready | CannotRun | Broken | Progress | FailedProgram | RanAll | Judged | Made | Planted
