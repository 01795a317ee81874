"""All mutants, in files by the part that they break; a new one is only a decorated class.

Importing this imports every file beside it, in the order of their names, and so
registers the mutants.
"""

from importlib import import_module
from pkgutil import iter_modules

from gpusim.errors import ProgramError, meant
from properties.mutants.mutant import REGISTERED, Mutant

for _name in sorted(module.name for module in iter_modules(__path__)):
    import_module(f"{__name__}.{_name}")

MUTANTS: tuple[Mutant, ...] = tuple(REGISTERED)


def find(name: str) -> Mutant:
    """The mutant of that name; ProgramError if there is none."""
    for mutant in MUTANTS:
        if mutant.name == name:
            return mutant
    probably = meant(
        name, [mutant.name for mutant in MUTANTS], "a misspelling: see docs/mutants.md"
    )
    raise ProgramError(
        f"cannot find mutant {name!r} because none has that name (probably {probably})"
    )
