"""The mutant that a session plants and has to find: drawn by its seed, unknown to the generator.

It is hunted on a simulated device with programs of the session's seed and judged
by the reference or the laws, whichever it takes, which shows that programs and
judge see; the session's own target is not touched.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gpusim.devices import SIMULATED
from gpusim.kernels import Kernels
from properties.generate.choices import SeededChoices, Weights
from properties.mutants.catalogue import MUTANTS
from properties.mutants.hunt import Programs
from properties.mutants.mutant import SOUND, Mutant
from properties.mutants.oracles import LAWS, REFERENCE, factory_of
from properties.oracles.judge import MEANING_ONLY, judge
from properties.oracles.judge import SOUND as SOUND_JUDGE

_HARD_WEIGHT = 4
_PROGRAMS = 2000
_HARD_PROGRAMS = 8000


@dataclass(frozen=True, kw_only=True, slots=True)
class PlantedMutant:
    """A planted mutant, and the programs that were run until it was found, or in vain."""

    name: str
    hard: bool
    programs: int
    found: bool


def plant(seed: int, *, hard: bool = True) -> Mutant:
    """The mutant of a session with that seed; the hard ones more often, or not at all.

    Only what reference and laws find is planted, and what ends by itself.
    """
    weights = Weights(*((mutant, _weight(mutant, hard)) for mutant in MUTANTS))
    return SeededChoices(f"planted {seed}").weighted(weights)


def hunt_planted(
    seed: int, kernels: Kernels, *, hard: bool, tick: Callable[[], None]
) -> PlantedMutant:
    """Run programs of ``seed`` until its mutant is seen; ``tick`` is called before each.

    ``hard`` is for sessions so long that the programs this takes are few beside theirs.
    """
    mutant = plant(seed, hard=hard)
    most = _HARD_PROGRAMS if mutant.hard else _PROGRAMS
    factory = factory_of(mutant, SIMULATED, kernels)
    made = Programs(SIMULATED, kernels)
    oracles = SOUND_JUDGE if mutant.prey == LAWS.name else MEANING_ONLY
    programs, found = 0, False
    while programs < most and not found:
        tick()
        case = made.case(seed, programs)
        found = judge(case, factory, oracles).failure is not None
        programs += 1
    return PlantedMutant(name=mutant.name, hard=mutant.hard, programs=programs, found=found)


def _weight(mutant: Mutant, hard: bool) -> int:
    judges = (mutant.reference, mutant.compare, mutant.reduce)
    sound = judges == (SOUND.reference, SOUND.compare, SOUND.reduce)
    seen = mutant.prey in (REFERENCE.name, LAWS.name)
    if not seen or not sound or mutant.hangs or mutant.rare:
        return 0
    if mutant.hard:
        return _HARD_WEIGHT if hard else 0
    return 1
