"""A mutant: which place of which file is changed, and how; and a sample of mutants."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """One changed place: the ``number``-th that ``operator`` makes of ``path``."""

    path: str
    operator: str
    number: int
    function: str
    first_line: int
    """Where the statement begins, down to ``last_line`` where the change ends."""
    last_line: int

    @property
    def name(self) -> str:
        """The mutant in one word, as long as the file stays as it is."""
        return f"{self.path}:{self.operator}:{self.number}"

    @property
    def module(self) -> str:
        """The name under which the mutated module is imported."""
        parts = Path(self.path).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def draw(mutants: Sequence[Mutant], size: int, seed: int) -> list[Mutant]:
    """``size`` of ``mutants``, evenly spaced from a place that ``seed`` decides.

    Mutants stand module by module and operator by operator.  So each module and
    each operator gets its share to within one mutant.
    """
    if size >= len(mutants):
        return list(mutants)
    step = len(mutants) / size
    start = random.Random(seed).uniform(0, step)
    return [mutants[int(start + index * step)] for index in range(size)]
