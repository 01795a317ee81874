"""The smallest violation: first the transformations, then the program, then once more.

A transformation keeps its place while the program around it shrinks: positions
follow the op that they meant.  What a violation is, the caller's judge says.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import SequenceMatcher
from typing import Any

from gpusim.kernels import BUILTIN, Kernel, Kernels
from gpusim.program import Program
from properties.case import Case
from properties.oracles.metamorphic.compare import Violation
from properties.oracles.metamorphic.image import Transformation
from properties.oracles.metamorphic.judging import Judge
from properties.programs.reducer import reduce

Transformations = tuple[Transformation, ...]
Follow = Callable[[int], int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reduced:
    """A case and the transformations that it takes, each of them needed."""

    case: Case
    transformations: Transformations
    violation: Violation

    def __str__(self) -> str:
        """``these 2 ops, and `flush` before op 1``, then the program and what differs."""
        words = "; ".join(transformation.words for transformation in self.transformations)
        return f"these {len(self.case.program)} ops, and {words}\n{self.case.program}\n\n" + str(
            self.violation
        )


def reduce_violation(
    case: Case,
    transformations: Sequence[Transformation],
    judge: Judge,
    *,
    kernels: Kernels = BUILTIN,
    seconds: float = 10.0,
) -> Reduced:
    """The smallest case, and a subset of the transformations, that violate in the same way.

    Raises:
        ValueError: where ``case`` and its image agree.
    """
    found = judge(case, transformations)
    if found is None:
        raise ValueError(
            "cannot reduce a case and its transformations because they show the same "
            "(probably what differed depends on something outside of them)"
        )
    search = _Search(case, tuple(transformations), found, judge, kernels, seconds)
    search.drop_transformations()
    search.shrink_program()
    search.drop_transformations()
    return Reduced(
        case=search.case, transformations=search.transformations, violation=search.violation
    )


class _Search:
    """The smallest violation so far."""

    def __init__(
        self,
        case: Case,
        transformations: Transformations,
        violation: Violation,
        judge: Judge,
        kernels: Kernels,
        seconds: float,
    ) -> None:
        self.case = case
        self.transformations = transformations
        self.violation = violation
        self._judge = judge
        self._kernels = kernels
        self._deadline = time.monotonic() + seconds

    def drop_transformations(self) -> None:
        """Leave out one after the other, the last first, until each is needed."""
        number = len(self.transformations)
        while number:
            number -= 1
            fewer = without_one(self.case, self.transformations, number, self._kernels)
            if fewer and self._take(self.case, fewer):
                number = len(self.transformations)

    def shrink_program(self) -> None:
        """The smallest case that still fails, its transformations moved along."""
        seconds = max(self._deadline - time.monotonic(), 0.1)
        reduce(self.case, self._still_fails, kernels=self._kernels, seconds=seconds)

    def _still_fails(self, candidate: Case) -> bool:
        moved = moved_along(self.case, candidate, self.transformations, self._kernels)
        return self._take(candidate, moved)

    def _take(self, case: Case, transformations: Transformations) -> bool:
        found = self._judge(case, transformations)
        if found is None or found.kind != self.violation.kind:
            return False
        self.case, self.transformations, self.violation = case, transformations, found
        return True


def without_one(
    case: Case, transformations: Transformations, number: int, kernels: Mapping[str, Kernel]
) -> Transformations:
    """The transformations without one; those after it keep the ops that they meant."""
    for transformation in transformations[:number]:
        image = transformation.apply(case, kernels)
        if image is None:
            return ()
        case = image.case
    dropped = transformations[number].apply(case, kernels)
    if dropped is None:
        return ()
    later = transformations[number + 1 :]
    return (*transformations[:number], *moved_along(dropped.case, case, later, kernels))


def moved_along(
    old: Case, new: Case, transformations: Sequence[Transformation], kernels: Mapping[str, Kernel]
) -> Transformations:
    """Transformations of ``old``, for ``new``: each position follows the op that it meant."""
    moved = []
    for number, transformation in enumerate(transformations):
        other = _moved(transformation, follower(old.program, new.program))
        moved.append(other)
        images = transformation.apply(old, kernels), other.apply(new, kernels)
        if images[0] is None or images[1] is None:
            return (*moved, *transformations[number + 1 :])
        old, new = images[0].case, images[1].case
    return tuple(moved)


def _moved(transformation: Transformation, follow: Follow) -> Transformation:
    entries: Any = transformation
    if "at" not in {field.name for field in fields(entries)}:
        return transformation
    return replace(entries, at=follow(entries.at))  # type: ignore[no-any-return]


def follower(old: Program, new: Program) -> Follow:
    """Where each position of ``old`` went: that of the next op that is still there."""
    kept = _kept(old, new)

    def follow(position: int) -> int:
        later = (kept[at] for at in range(position, len(old)) if at in kept)
        return next(later, len(new))

    return follow


def _kept(old: Program, new: Program) -> dict[int, int]:
    if len(old) == len(new):
        return {position: position for position in range(len(old))}
    kept: dict[int, int] = {}
    for position, op in enumerate(old):
        if len(kept) < len(new) and op == new[len(kept)]:
            kept[position] = len(kept)
    if len(kept) == min(len(new), len(old)):
        return kept
    kinds = [[type(op).__name__ for op in program] for program in (old, new)]
    blocks = SequenceMatcher(None, kinds[0], kinds[1], autojunk=False).get_matching_blocks()
    return {block.a + n: block.b + n for block in blocks for n in range(block.size)}
