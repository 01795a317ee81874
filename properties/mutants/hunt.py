"""Hunts one mutant with one oracle: runs programs until one fails, then shrinks the program.

The programs are those that a session with the same seed runs; nothing is drawn for the mutant.

A session hunts one mutant, which its seed chooses, on a simulated device.  The oracle is the one
that is sure to find the mutant: the reference or the laws.  A find shows that programs and judge
see mistakes.  The session's own target is not touched.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gpusim.devices import SIMULATED
from gpusim.kernels import BUILTIN, Kernels
from properties.finding_file import FindingFile, read, write
from properties.generate.cases import CaseSettings, case_for
from properties.generate.choices import SeededChoices, Weights
from properties.model.case import Case
from properties.model.failure import Failure, FailureKind
from properties.mutants.mistakes import MUTANTS
from properties.mutants.mutant import SOUND, Mutant
from properties.mutants.oracles import (
    LAWS,
    PATIENCE_SECONDS,
    REFERENCE,
    Judgement,
    Oracle,
    factory_of,
    within,
)
from properties.oracles.judge import MEANING_ONLY, judge
from properties.oracles.judge import SOUND as SOUND_JUDGE
from properties.shrink.reducer import fails_like, reduce

_HARD_WEIGHT = 4
_PLANTED_PROGRAMS = 2000
_PLANTED_HARD_PROGRAMS = 8000
_REPLAYS = 20
_SHRINK_PATIENCE_SECONDS = 0.5
"""While a hang is shrunk, a program counts as hanging after this many seconds instead of
``PATIENCE_SECONDS``, because the shrinker waits that long for every trial that hangs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """The most that a hunt may take.  ``shrink_seconds`` is clock time, ``seconds`` CPU time."""

    programs: int
    seconds: float
    shrink_seconds: float = 10.0
    """0 leaves the case as it was drawn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hunt:
    """How a hunt went; ``case`` and ``failure`` are None if the mutant was not found."""

    oracle: str
    programs: int
    seconds: float
    case: Case | None = None
    failure: Failure | None = None
    shrunk: bool = False
    """Whether ``case`` has been through the shrinker."""
    shrink_seconds: float = 0.0
    """Seconds of CPU time that shrinking took."""

    @property
    def killed(self) -> bool:
        return self.failure is not None

    @property
    def shrunk_ops(self) -> int | None:
        """The number of ops of the smallest program; None if the case was not shrunk."""
        return len(self.case.program) if self.case is not None and self.shrunk else None


class Programs:
    """The programs of sessions on one device; each is made once, for all mutants."""

    def __init__(self, device: str = "simulated", kernels: Kernels = BUILTIN) -> None:
        self.device = device
        self.kernels = kernels
        factory = factory_of(SOUND, device, kernels)
        self._setting = CaseSettings(
            device=device,
            limits=factory.limits,
            kernels=kernels,
            small=factory.small,
            promises=factory.capabilities,
        )
        self._cases: dict[tuple[int, int], Case] = {}

    def case(self, seed: int, number: int) -> Case:
        """Program ``number`` of a session with that seed."""
        key = seed, number
        if key not in self._cases:
            self._cases[key] = case_for(seed, number, self._setting)
        return self._cases[key]


def hunt(mutant: Mutant, oracle: Oracle, seed: int, budget: Budget, made: Programs) -> Hunt:
    """Run programs of ``seed`` until ``oracle`` sees the mutant, or the budget is used up."""
    judgement = oracle.open(mutant, made.device, made.kernels)
    judged = within(PATIENCE_SECONDS, judgement)
    start = time.process_time()
    programs = 0
    while programs < budget.programs and time.process_time() - start < budget.seconds:
        case = made.case(seed, programs)
        programs += 1
        failure = judged(case)
        if failure is not None:
            seconds = time.process_time() - start
            small = _shrunk(case, failure, judgement, made.kernels, budget.shrink_seconds)
            shrink_seconds = time.process_time() - start - seconds
            return Hunt(
                oracle=oracle.name,
                programs=programs,
                seconds=seconds,
                case=small,
                failure=failure,
                shrunk=budget.shrink_seconds > 0,
                shrink_seconds=shrink_seconds,
            )
    return Hunt(oracle=oracle.name, programs=programs, seconds=time.process_time() - start)


def replays(
    found: Hunt, mutant: Mutant, oracle: Oracle, folder: Path, *, kernels: Kernels = BUILTIN
) -> bool:
    """Write the found case to a file in ``folder``, read it from there and run it again.

    Returns whether it fails 20 times of 20 with the mutant, and passes without the mutant.
    """
    assert found.case is not None
    path = folder / f"{mutant.name}.txt"
    write(path, FindingFile(case=found.case, summary=f"mutant {mutant.name}, oracle {oracle.name}"))
    case = read(path).case
    broken = within(PATIENCE_SECONDS, oracle.open(mutant, case.device.name, kernels))
    sound = within(PATIENCE_SECONDS, oracle.open(SOUND, case.device.name, kernels))
    # Each run of a hanging case takes the whole patience, so there is only one run.
    times = 1 if mutant.hangs else _REPLAYS
    return all(broken(case) is not None for _ in range(times)) and sound(case) is None


def _shrunk(
    case: Case, failure: Failure, judgement: Judgement, kernels: Kernels, seconds: float
) -> Case:
    if not seconds:
        return case
    hangs = failure.kind is FailureKind.HANG
    again = within(_SHRINK_PATIENCE_SECONDS if hangs else PATIENCE_SECONDS, judgement)

    def fails(candidate: Case) -> bool:
        return fails_like(candidate, failure, again)

    try:
        return reduce(case, fails, kernels=kernels, seconds=seconds)
    except ValueError:
        return case


@dataclass(frozen=True, kw_only=True, slots=True)
class PlantedMutant:
    """A planted mutant, and how many programs were run until it was found or given up."""

    name: str
    hard: bool
    programs: int
    found: bool


def plant(seed: int, *, hard: bool = True) -> Mutant:
    """Choose the mutant that a session with that seed hunts.

    It is a mutant of the runtime or its device that the reference or the laws find, and that
    neither hangs nor is rare.  With ``hard``, hard mutants are drawn more often than others;
    otherwise never.
    """
    weights = Weights(*((mutant, _weight(mutant, hard)) for mutant in MUTANTS))
    return SeededChoices(f"planted {seed}").weighted(weights)


def hunt_planted(
    seed: int, kernels: Kernels, *, hard: bool, tick: Callable[[], None]
) -> PlantedMutant:
    """Run programs of ``seed`` until its mutant is seen; ``tick`` is called before each program.

    With ``hard`` the mutant may be a hard one.  This is for long sessions, because the hunt of a
    hard mutant takes thousands of programs.
    """
    mutant = plant(seed, hard=hard)
    most = _PLANTED_HARD_PROGRAMS if mutant.hard else _PLANTED_PROGRAMS
    factory = factory_of(mutant, SIMULATED, kernels)
    made = Programs(SIMULATED, kernels)
    oracles = SOUND_JUDGE if mutant.found_by == LAWS.name else MEANING_ONLY
    programs, found = 0, False
    while programs < most and not found:
        tick()
        case = made.case(seed, programs)
        found = judge(case, factory, oracles).failure is not None
        programs += 1
    return PlantedMutant(name=mutant.name, hard=mutant.hard, programs=programs, found=found)


def _weight(mutant: Mutant, hard: bool) -> int:
    of_the_runtime = mutant.reference is SOUND.reference
    seen = mutant.found_by in (REFERENCE.name, LAWS.name)
    if not seen or not of_the_runtime or mutant.hangs or mutant.rare:
        return 0
    if mutant.hard:
        return _HARD_WEIGHT if hard else 0
    return 1
