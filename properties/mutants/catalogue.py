"""All mutants, by the part they break."""

from gpusim.errors import ProgramError
from properties.mutants import (
    bind_groups,
    buffers,
    caches,
    comparison,
    device,
    driver,
    flush_rules,
    harmless,
    laws,
    plans,
    readback,
    recorder,
    reducer,
    reference,
    replays,
    staging,
    transfers,
    uniforms,
    uploads,
)
from properties.mutants.mutant import Mutant

_FILES = (
    uniforms,
    bind_groups,
    caches,
    plans,
    uploads,
    staging,
    flush_rules,
    harmless,
    recorder,
    replays,
    buffers,
    transfers,
    readback,
    driver,
    device,
    reference,
    laws,
    comparison,
    reducer,
)

MUTANTS: tuple[Mutant, ...] = tuple(mutant for file in _FILES for mutant in file.MUTANTS)


def find(name: str) -> Mutant:
    """The mutant of that name; ProgramError where there is none."""
    for mutant in MUTANTS:
        if mutant.name == name:
            return mutant
    raise ProgramError(
        f"cannot find mutant {name!r} because none has that name (probably a misspelling)"
    )
