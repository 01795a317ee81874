"""The messages between a session and its worker processes.  Data only.

A worker answers with plain values: findings, and a Tally of what it did.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from properties.explain.argument import Argument
from properties.fuzz.planted import PlantedMistake
from properties.fuzz.settings import Settings
from properties.fuzz.tally import Tally
from properties.model.case import Case
from properties.model.failure import Failure
from properties.shrink.avoid import Avoided


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
    check_shaders: bool = False
    adversary: bool = False
    """Whether a layer between the targets and their device disturbs each program."""
    seed: int = 0


def setup_of(settings: Settings) -> Setup:
    """What the workers of a session with these settings need."""
    return Setup(
        device=settings.device,
        presets=settings.presets,
        schedulers=settings.schedulers,
        faults=settings.faults,
        check_shaders=settings.check_shaders,
        adversary=settings.adversary,
        seed=settings.seed,
        kernels=settings.kernels,
        target=settings.target,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Fuzz:
    """Run every ``step``-th program from ``first`` to before ``stop``, until one fails."""

    first: int
    stop: int | None
    step: int = 1
    avoided: Avoided = frozenset()
    """What most programs of a foreign target leave out, since bugs that need it were found."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeCase:
    """Judge one case and answer with ``Judged``."""

    case: Case
    is_replay: bool = False
    """Decides the answer if the case asks for more than the target promises.  True: the answer says
    so.  False: the case passes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MakeCase:
    """Make program ``number`` without running it, and answer with ``Made``."""

    number: int
    avoided: Avoided = frozenset()
    """``avoided`` of the ``Fuzz`` that ran the program."""


@dataclass(frozen=True, slots=True)
class Plant:
    """Run programs with planted mistakes until they show, and answer with ``Planted``."""

    hard: bool
    """Whether the mutant may be a hard one, which takes long to find."""
    avoided: Avoided = frozenset()
    """What the programs leave out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Explain:
    """Explain why a case fails; with ``tries``, by running it in other ways as well."""

    case: Case
    tries: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """End a ``Fuzz`` before its last program."""


Request = Fuzz | JudgeCase | MakeCase | Plant | Explain | Stop


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """The worker has its device: its name and its description."""

    device: str
    description: str
    is_ours: bool
    """Whether our runtime is judged, which follows the policy of a case."""
    unreachable: Mapping[str, str]
    """Why no program of the session reaches a rare event, by the event."""
    not_asked: Sequence[str] = ()
    """What is not tested on a foreign target, each with the promise that the test would need."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CannotRun:
    """The worker has no device, or cannot make the target on it."""

    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CannotJudge:
    """A case cannot be judged, for instance because a kernel of the user is wrong."""

    error: str
    """The class in ``gpusim.errors``."""
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Broken:
    """The judge itself failed, while it ran program ``number`` or one close to it."""

    number: int
    traceback: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """What was done since the last ``Progress``; program ``number`` comes next."""

    tally: Tally
    number: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedProgram:
    """Program ``number`` failed, and the worker waits; ``tally``: since the last ``Progress``."""

    number: int
    tally: Tally
    case: Case
    failure: Failure
    beneath: tuple[Case, Failure] | None = None
    """If the failure is that ops were wrongly accepted: the case with promises that allow this, and
    the failure that it then shows.  None if it then shows none, or if the failure is another."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RanAll:
    """The last program of a ``Fuzz`` has run, or the ``Fuzz`` was stopped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """The failure of a judged case; None if the case passed or was not run."""

    failure: Failure | None
    beyond_promises: str = ""
    """The part of the case that the target does not promise; then the case was not run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Explained:
    """Why a case fails; None if it passed."""

    argument: Argument | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """The case of a ``MakeCase``."""

    case: Case


@dataclass(frozen=True, kw_only=True, slots=True)
class Planted:
    """The planted mistakes, and whether each was seen."""

    mistakes: tuple[PlantedMistake, ...]


Answer = (
    Ready
    | CannotRun
    | CannotJudge
    | Broken
    | Progress
    | FailedProgram
    | RanAll
    | Judged
    | Explained
    | Made
    | Planted
)
