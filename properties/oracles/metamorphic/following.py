"""Transformations that keep their place while the program around them shrinks.

A position in a transformation follows the op that it meant.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from difflib import SequenceMatcher
from typing import Any

from gpusim.kernels import Kernel
from gpusim.program import Program
from properties.model.case import Case, Transformation

Transformations = tuple[Transformation, ...]
Follow = Callable[[int], int]


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
