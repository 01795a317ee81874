"""The mutant that a session plants and has to find: drawn by its seed, unknown to the generator.

It is hunted on a simulated device with the very programs of the session, which
shows that they and the comparison see; the session's own target is not touched.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gpusim.devices import SIMULATED
from gpusim.kernels import Kernels
from properties.mutants.catalogue import MUTANTS
from properties.mutants.hunt import Programs
from properties.mutants.mutant import SOUND, Mutant
from properties.mutants.oracles import REFERENCE
from properties.programs.choices import SeededChoices, Weights

_HARD_WEIGHT = 4
_PROGRAMS = 600
_HARD_PROGRAMS = 6000
_LONG_SESSION_PROGRAMS = 20_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Planted:
    """A planted mutant, and the programs that were run to find it."""

    name: str
    hard: bool
    programs: int
    found: bool


def plant(seed: int, *, hard: bool = True) -> Mutant:
    """The mutant of a session with that seed; the hard ones more often, or not at all.

    Only what the reference finds by itself is planted, and what ends by itself.
    """
    weights = Weights(*((mutant, _weight(mutant, hard)) for mutant in MUTANTS))
    return SeededChoices(f"planted {seed}").weighted(weights)


def hunt_planted(
    seed: int, kernels: Kernels, *, session_programs: int, tick: Callable[[], None]
) -> Planted:
    """Run the session's programs until its mutant is seen; ``tick`` is called before each.

    A hard one is planted where the session is so long that its programs are few beside it.
    """
    mutant = plant(seed, hard=session_programs >= _LONG_SESSION_PROGRAMS)
    most = _HARD_PROGRAMS if mutant.hard else _PROGRAMS
    judged = REFERENCE.open(mutant, SIMULATED, kernels)
    made = Programs(SIMULATED, kernels)
    for number in range(most):
        tick()
        if judged(made.case(seed, number)) is not None:
            return Planted(name=mutant.name, hard=mutant.hard, programs=number + 1, found=True)
    return Planted(name=mutant.name, hard=mutant.hard, programs=most, found=False)


def _weight(mutant: Mutant, hard: bool) -> int:
    judges = (mutant.reference, mutant.compare, mutant.reduce)
    sound = judges == (SOUND.reference, SOUND.compare, SOUND.reduce)
    if mutant.prey != REFERENCE.name or not sound or mutant.hangs or mutant.rare:
        return 0
    if mutant.hard:
        return _HARD_WEIGHT if hard else 0
    return 1
