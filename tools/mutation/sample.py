"""A stratified sample: every module and operator has its share."""

import random
from collections.abc import Sequence

from tools.mutation.mutant import Mutant


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
