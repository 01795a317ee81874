"""Mistakes that a session plants on purpose, to show that it would see a real mistake.

Each mistake is planted between the judge and the session's own target, and tried with the session's
programs, device and comparison.  It counts as seen if a program passes without the mistake and
shows a wrong value with it.  Mutants of our own runtime are not here; a session hunts one
mutant, and only if it judges that runtime.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from gpusim.devices import SIMULATED
from gpusim.kernels import Kernels
from gpusim.ops import AnyDispatch, Free, Op, Write
from properties.model.case import PLAIN, Case
from properties.model.failure import FailureKind
from properties.model.target import Delivery, Target
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import TargetFactory, Wrapping

_MOST_PROGRAMS = 100
"""The most programs within which a mistake must show; a few are usually enough."""
_MOST_FAILING = 10
"""The hunt stops after this many programs that fail even without the mistake."""
_EVERY = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class PlantedMistake:
    """A mistake, its place, whether it was seen, and the number of programs that were tried."""

    what: str
    where: str
    programs: int
    seen: bool
    blind: bool = False
    """Whether sessions with these settings cannot see the mistake; the report says so."""

    @property
    def is_as_known(self) -> bool:
        """Whether the mistake was seen and is not ``blind``, or was missed and is ``blind``."""
        return self.seen != self.blind

    def __str__(self) -> str:
        programs = f"{self.programs} program{'s' * (self.programs != 1)}"
        seen = f"seen after {programs}" if self.seen else f"not seen in {programs}"
        known = ", as expected: this session cannot see it" * (self.blind and not self.seen)
        return f"{self.what}, planted in {self.where}: {seen}{known}"


class _Mistaken(ABC):
    """A target with a mistake in front of it."""

    def __init__(self, target: Target) -> None:
        self.capabilities, self.limits = target.capabilities, target.limits
        self.close = target.close
        self._target = target

    @abstractmethod
    def perform(self, op: Op) -> Delivery | None:
        """See ``Target``."""
        ...


class _Overtaking(_Mistaken):
    """Repeats a host write after the dispatch that follows it."""

    _write: Write | None = None

    def perform(self, op: Op) -> Delivery | None:
        delivery = self._target.perform(op)
        if isinstance(op, Write):
            self._write = op
        elif isinstance(op, AnyDispatch) and self._write is not None:
            write, self._write = self._write, None
            self._target.perform(write)
        elif isinstance(op, Free):
            self._write = None
        return delivery


class _Dropping(_Mistaken):
    """Drops every ``_EVERY``-th host write."""

    _writes = 0

    def perform(self, op: Op) -> Delivery | None:
        self._writes += isinstance(op, Write)
        if isinstance(op, Write) and not self._writes % _EVERY:
            return None
        return self._target.perform(op)


class _Doubling(_Mistaken):
    """Carries out every ``_EVERY``-th dispatch twice."""

    _dispatches = 0

    def perform(self, op: Op) -> Delivery | None:
        self._dispatches += isinstance(op, AnyDispatch)
        delivery = self._target.perform(op)
        if isinstance(op, AnyDispatch) and not self._dispatches % _EVERY:
            self._target.perform(op)
        return delivery


MISTAKES: Mapping[str, Callable[[Target], Target]] = {
    "a write is repeated after the dispatch that follows it": _Overtaking,
    "a write is dropped": _Dropping,
    "a dispatch is carried out twice": _Doubling,
}
"""The mistakes by their description; each wraps any target."""


def with_mistake(factory: TargetFactory, what: str) -> TargetFactory:
    """A factory whose targets make one of ``MISTAKES``."""
    return Wrapping(factory, MISTAKES[what])


def hunt_mistakes(
    factory: TargetFactory, target: str, case_of: Callable[[int], Case], tick: Callable[[], None]
) -> tuple[PlantedMistake, ...]:
    """Plant each mistake in the targets of ``factory``, and run programs until it is seen.

    ``case_of`` makes a program of the session by its number; ``tick`` is called before each
    program.
    """
    seen: dict[str, int] = {}
    programs = failing = 0
    while programs < _MOST_PROGRAMS and failing < _MOST_FAILING and len(seen) < len(MISTAKES):
        tick()
        # The mistake takes the client's place, so no client is used.
        case = replace(case_of(programs).plain, client=PLAIN)
        programs += 1
        if judge(case, factory, MEANING_ONLY).failure is not None:
            failing += 1
            continue
        for what in MISTAKES:
            if what not in seen and _shows(case, with_mistake(factory, what)):
                seen[what] = programs
    return tuple(
        PlantedMistake(
            what=what,
            where=f"target {target}",
            programs=seen.get(what, programs),
            seen=what in seen,
        )
        for what in MISTAKES
    )


def hunt_mutant(
    seed: int, kernels: Kernels, *, hard: bool, tick: Callable[[], None]
) -> PlantedMistake:
    """Hunt a mutant of our own runtime, on the simulated device; ``seed`` chooses the mutant."""
    # Only one worker of a session hunts it, and only if our own runtime is judged.  So the others
    # need not load this.
    from properties.mutants.hunt import hunt_planted

    mutant = hunt_planted(seed, kernels, hard=hard, tick=tick)
    return PlantedMistake(
        what=f"mutant {mutant.name}",
        where=f"gpusim's own runtime on device {SIMULATED}",
        programs=mutant.programs,
        seen=mutant.found,
    )


def _shows(case: Case, factory: TargetFactory) -> bool:
    failure = judge(case, factory, MEANING_ONLY).failure
    return failure is not None and failure.kind == FailureKind.VALUE
