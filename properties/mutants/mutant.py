"""One mistake, put in through the seam that it belongs to.

A mutant is data: which collaborator, driver, device or part of the judge is
replaced, and by what.  Who hunts it, and with which programs, is not known here.
"""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gpusim.runtime import Driver, Parts, WgpuDriver
from properties.model.case import Case
from properties.oracles.compare import compare
from properties.oracles.judge import Comparison, Laws, Reference
from properties.oracles.laws import check
from properties.shrink.reducer import reduce
from reference import run

Reducer = Callable[..., Case]

_ALL = Parts()


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """A broken part, named after its mistake; every other part is the sound one."""

    name: str
    place: str
    """The file and the methods that hold the mistake."""
    story: str
    """What is wrong, in a sentence."""
    ancestor: str = ""
    """The project and issue where it really happened, if it did."""
    prey: str = "reference"
    """The oracle that is sure to find it, given its whole budget."""
    hard: bool = False
    """Whether it was seen to survive a hundred random programs."""
    rare: bool = False
    """Whether it was seen to survive a thousand."""
    hangs: bool = False
    """Whether it ends only by being stopped."""
    parts: Parts = _ALL
    make_driver: Callable[[Any], Driver] = WgpuDriver
    reference: Reference = run
    compare: Comparison = compare
    reduce: Reducer = reduce
    laws: Laws = check


SOUND = Mutant(name="none", place="", story="Nothing is wrong: every oracle must pass it.")


def mutant(broken: Any, **about: Any) -> Mutant:
    """The mutant that ``broken`` stands for: a class or function that tells its own story."""
    return Mutant(
        name=re.sub(r"(?<!^)(?=[A-Z])", "_", broken.__name__).lower().strip("_"),
        place=_place(broken),
        story=" ".join((inspect.getdoc(broken) or "").split()),
        **about,
    )


def _place(broken: Any) -> str:
    file = broken.__module__.rpartition(".")[2]
    if not inspect.isclass(broken):
        return str(file)
    methods = [name for name, member in vars(broken).items() if inspect.isroutine(member)]
    kind = broken.__mro__[1].__name__
    return f"{file}: {kind}.{'/'.join(methods)}"
