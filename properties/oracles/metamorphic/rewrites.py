"""Helpers for rewriting programs: where each op went, and which ops depend on each other.

A rewrite is a rewritten program that knows the place of each original op.  The analyses find sizes,
lifetimes and conflicts of buffers, and run nothing.  While a program shrinks, the positions in its
transformations follow their ops.  No transformation is defined here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import SequenceMatcher
from typing import Any

from gpusim.effects import WHOLE, Access, accesses, written_by
from gpusim.errors import ProgramError
from gpusim.kernels import Kernel
from gpusim.ops import (
    VERBS,
    Alloc,
    AnyDispatch,
    Capture,
    Free,
    Op,
    Read,
    Replay,
    Sync,
)
from gpusim.program import Program, buffers_of, flattened
from properties.model.case import Case, Places, Promise, Rewrite, Transformation


def unchanged(case: Case, *, same_adapter: bool = True) -> Rewrite:
    """The rewrite under a transformation that does not change the program."""
    places = tuple((position,) for position in range(len(case.program)))
    return Rewrite(case=case, places=places, same_adapter=same_adapter)


@dataclass(slots=True)
class Rewriting:
    """Builds a transformed program, op by op."""

    case: Case
    ops: list[Op] = field(default_factory=list)
    places: list[Places] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)

    def keep(self, op: Op) -> None:
        """Keep the next op of the original, changed to ``op``."""
        self.places.append((len(self.ops),))
        self.ops.append(op)

    def keep_as(self, *pieces: Op) -> None:
        """Keep the next op of the original, in these pieces."""
        self.places.append(tuple(range(len(self.ops), len(self.ops) + len(pieces))))
        self.ops += pieces

    def drop(self) -> None:
        """Leave out the next op of the original."""
        self.places.append(())

    def add(self, *ops: Op) -> None:
        """Add ops that the original does not have."""
        self.ops += ops

    def add_promised(self, op: Op, data: bytes | None) -> None:
        """Add an op that must show ``data``, or be refused if ``data`` is None."""
        self.promises.append(Promise(position=len(self.ops), data=data))
        self.ops.append(op)

    def rewrite(self, *, steady: tuple[int, int] | None = None) -> Rewrite | None:
        """The rewrite; None if its program is not well formed."""
        try:
            program = Program(tuple(self.ops))
        except ProgramError:
            return None
        return Rewrite(
            case=replace(self.case, program=program),
            places=tuple(self.places),
            promises=tuple(self.promises),
            steady=steady,
        )


def inserted(case: Case, at: int, ops: Sequence[Op]) -> Rewrite | None:
    """The rewrite with ``ops`` in the gap before op ``at``."""
    if not ops or not 0 <= at <= len(case.program):
        return None
    rewriting = Rewriting(case)
    for position, op in enumerate(case.program):
        if position == at:
            rewriting.add(*ops)
        rewriting.keep(op)
    if at == len(case.program):
        rewriting.add(*ops)
    return rewriting.rewrite()


Sizes = Mapping[str, int]


def sizes_of(program: Program) -> dict[str, int]:
    """The size of each buffer, in bytes."""
    return {op.buffer: op.size_bytes for op in program if isinstance(op, Alloc)}


def live_before(program: Program, at: int) -> list[str]:
    """Buffers allocated and not freed by the ops before ``at``, in the order of their allocs."""
    live: dict[str, None] = {}
    for op in program.ops[:at]:
        if isinstance(op, Alloc):
            live[op.buffer] = None
        elif isinstance(op, Free):
            live.pop(op.buffer, None)
    return list(live)


def nth(names: list[str], which: int) -> str | None:
    """Name number ``which`` of ``names``, modulo their number; None if there are none."""
    return names[which % len(names)] if names else None


def fresh_names(program: Program, count: int) -> list[str]:
    """Names that are new to the program."""
    taken = {op.buffer for op in program if isinstance(op, Alloc)}
    taken |= {op.result for op in program if isinstance(op, Read)}
    names = (f"t_{number}" for number in range(len(taken) + count))
    return [name for name in names if name not in taken][:count]


def may_alloc(case: Case) -> bool:
    """Whether an alloc may be inserted: the policy has no memory budget."""
    return case.policy.memory_budget_bytes is None


def is_inside(op: Op, sizes: Sizes) -> bool:
    """Whether every range of the op lies in its buffer."""
    ranges = (span.of(op) for span in VERBS[type(op)].spans)
    return all(
        offset >= 0 and size_bytes >= 0 and offset + size_bytes <= sizes[buffer]
        for buffer, offset, size_bytes in ranges
    )


def independent(first: Op, second: Op, kernels: Mapping[str, Kernel]) -> bool:
    """Whether swapping two neighbouring ops changes no result."""
    if isinstance(first, Sync | Replay) or isinstance(second, Sync | Replay):
        return False
    if isinstance(first, Read) and isinstance(second, Read):
        # Swapped reads would be delivered in another order.
        return False
    if _begins_or_ends(first, second) or _begins_or_ends(second, first):
        return False
    return not any(
        (one.writes or other.writes) and one.overlaps(other)
        for one in _touches(first, kernels)
        for other in _touches(second, kernels)
    )


def _begins_or_ends(op: Op, other: Op) -> bool:
    """Whether ``op`` begins or ends the life of a buffer that ``other`` names."""
    return isinstance(op, Alloc | Free) and op.buffer in buffers_of(other)


def rounded_buffers(program: Program, kernels: Mapping[str, Kernel]) -> frozenset[str]:
    """Buffers that may hold what a kernel with a tolerance computed, or what was made of that."""
    rounded: set[str] = set()
    while True:
        before = len(rounded)
        for op in flattened(program):
            rounded.update(_rounded_by(op, rounded, kernels))
        if len(rounded) == before:
            return frozenset(rounded)


def _rounded_by(op: Op, rounded: set[str], kernels: Mapping[str, Kernel]) -> list[str]:
    """The buffers that ``op`` writes, if its kernel has a tolerance or it uses rounded bytes."""
    computes = isinstance(op, AnyDispatch) and kernels[op.kernel].tolerance is not None
    touched = accesses(op, kernels)
    is_source = any(one.buffer in rounded for one in touched if _computed_from(op, one))
    return written_by(op, kernels) if computes or is_source else []


def _computed_from(op: Op, access: Access) -> bool:
    """Whether the bytes that ``op`` writes may depend on the bytes of ``access``."""
    return isinstance(op, AnyDispatch) or not access.writes


def _touches(op: Op, kernels: Mapping[str, Kernel]) -> list[Access]:
    """Every byte that an op depends on or changes; for an alloc or free, the whole buffer."""
    if isinstance(op, Alloc | Free | Capture):
        return [Access(buffer, *WHOLE, True) for buffer in buffers_of(op)]
    return accesses(op, kernels)


Transformations = tuple[Transformation, ...]
Follow = Callable[[int], int]


def without_one(
    case: Case, transformations: Transformations, number: int, kernels: Mapping[str, Kernel]
) -> Transformations:
    """All transformations but number ``number``; the positions in later ones follow their ops.

    Empty if that transformation, or one before it, does not apply.
    """
    for transformation in transformations[:number]:
        rewrite = transformation.apply(case, kernels)
        if rewrite is None:
            return ()
        case = rewrite.case
    dropped = transformations[number].apply(case, kernels)
    if dropped is None:
        return ()
    later = transformations[number + 1 :]
    return (*transformations[:number], *moved_along(dropped.case, case, later, kernels))


def moved_along(
    old: Case, new: Case, transformations: Sequence[Transformation], kernels: Mapping[str, Kernel]
) -> Transformations:
    """Transformations of ``old``, adjusted to ``new``: each position follows its op."""
    moved = []
    for number, transformation in enumerate(transformations):
        other = _moved(transformation, follower(old.program, new.program))
        moved.append(other)
        rewrites = transformation.apply(old, kernels), other.apply(new, kernels)
        if rewrites[0] is None or rewrites[1] is None:
            return (*moved, *transformations[number + 1 :])
        old, new = rewrites[0].case, rewrites[1].case
    return tuple(moved)


def _moved(transformation: Transformation, follow: Follow) -> Transformation:
    entries: Any = transformation
    if "at" not in {field.name for field in fields(entries)}:
        return transformation
    return replace(entries, at=follow(entries.at))  # type: ignore[no-any-return]


def follower(old: Program, new: Program) -> Follow:
    """Maps a position of ``old`` to ``new``: to the same op, or else to the next op still there."""
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
