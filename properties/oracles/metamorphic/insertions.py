"""Transformations that insert ops on which no other op depends.

These are reads, refused ops, writes that are overwritten, and work on a buffer that no op of the
program uses.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal, get_args

from gpusim.kernels import AFFINE, Kernel
from gpusim.ops import Alloc, Copy, Dispatch, Free, Op, Read, Write
from gpusim.program import Program
from properties.model.case import Case, Rewrite
from properties.oracles.metamorphic.registry import Gap, Kind, OneOf, Which, op_of, transformation
from properties.oracles.metamorphic.rewrites import (
    Rewriting,
    fresh_names,
    inserted,
    is_inside,
    live_before,
    may_alloc,
    nth,
    sizes_of,
)

Part = Literal["whole", "head", "tail"]
Refusal = Literal[
    "past_the_end", "before_the_start", "twice_freed", "freed_source", "aliased", "bad_scalar"
]
_GROUPS = (1, 1, 1)


@transformation(4, "a read before op {at}")
class InsertRead(Kind):
    """A read of a live buffer, or of part of it, before op ``at``."""

    at: Gap
    which: Which
    part: Annotated[Part, OneOf("whole", "head", "tail")] = "whole"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        buffer = nth(live_before(case.program, self.at), self.which)
        if buffer is None:
            return None
        size = sizes_of(case.program)[buffer]
        if size < 0:
            return None
        offset = size // 3 if self.part == "tail" else 0
        end = size - size // 3 if self.part == "head" else size
        (result,) = fresh_names(case.program, 1)
        read = Read(buffer=buffer, offset=offset, size_bytes=end - offset, result=result)
        return inserted(case, self.at, [read])


@transformation(2, "work on a buffer of its own before op {at}")
class InsertDeadWork(Kind):
    """A buffer that is filled from a live one, worked on and freed, before op ``at``."""

    at: Gap
    which: Which

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        source = nth(live_before(case.program, self.at), self.which)
        size = 0 if source is None else sizes_of(case.program)[source]
        if source is None or size < 4 or not may_alloc(case):
            return None
        (scratch,) = fresh_names(case.program, 1)
        return inserted(
            case,
            self.at,
            [
                Alloc(buffer=scratch, size_bytes=size),
                Copy(
                    source=source,
                    source_offset=0,
                    target=scratch,
                    target_offset=0,
                    size_bytes=size,
                ),
                _affine(scratch),
                Free(buffer=scratch),
            ],
        )


@transformation(3, "a buffer of the size of op {at} filled and freed just before it")
class Recycle(Kind):
    """Another buffer of the size of the alloc at ``at`` is filled and freed before this alloc."""

    at: Annotated[int, op_of(Alloc)]

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        op = case.program[self.at] if 0 <= self.at < len(case.program) else None
        if not isinstance(op, Alloc) or not 0 <= op.size_bytes <= 65_536 or not may_alloc(case):
            return None
        (scratch,) = fresh_names(case.program, 1)
        work: list[Op] = [
            Alloc(buffer=scratch, size_bytes=op.size_bytes),
            Write(buffer=scratch, offset=0, data=_garbage(op.size_bytes)),
        ]
        if op.size_bytes >= 4:
            work.append(_affine(scratch))
        return inserted(case, self.at, [*work, Free(buffer=scratch)])


@transformation(2, "garbage written before op {at} writes")
class GarbageFirst(Kind):
    """Other bytes are written first to the place where the write at ``at`` writes."""

    at: Annotated[int, op_of(Write)]

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        op = case.program[self.at] if 0 <= self.at < len(case.program) else None
        if not isinstance(op, Write) or not is_inside(op, sizes_of(case.program)):
            return None
        return inserted(case, self.at, [replace(op, data=_garbage(len(op.data)))])


@transformation(
    lambda scope: 2 * scope.refuses, "an op that must be refused ({refusal}) before op {at}"
)
class InsertRefused(Kind):
    """An op that must be refused, before op ``at``."""

    at: Gap
    which: Which
    refusal: Annotated[Refusal, OneOf(*get_args(Refusal))]

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        op = _refused(case.program, self)
        if op is None or self.at > len(case.program):
            return None
        rewriting = Rewriting(case)
        for position, kept in enumerate(case.program):
            if position == self.at:
                rewriting.add_promised(op, None)
            rewriting.keep(kept)
        if self.at == len(case.program):
            rewriting.add_promised(op, None)
        return rewriting.rewrite()


def _refused(program: Program, wanted: InsertRefused) -> Op | None:
    """The op to be refused, over a live or a freed buffer; None if no such buffer comes before."""
    live = live_before(program, wanted.at)
    before = program.ops[: wanted.at]
    gone = [op.buffer for op in before if isinstance(op, Alloc) and op.buffer not in live]
    buffer, freed = nth(live, wanted.which), nth(gone, wanted.which)
    if freed is not None and wanted.refusal == "twice_freed":
        return Free(buffer=freed)
    if buffer is None:
        return None
    size = sizes_of(program)[buffer]
    match wanted.refusal:
        case "past_the_end":
            return Write(buffer=buffer, offset=max(size - 3, 0), data=_garbage(7))
        case "before_the_start":
            return Read(buffer=buffer, offset=-4, size_bytes=4, result=fresh_names(program, 1)[0])
        case "freed_source" if freed is not None:
            return Copy(source=freed, source_offset=0, target=buffer, target_offset=0, size_bytes=0)
        case "aliased":
            return Dispatch(kernel="fold", buffers=(buffer, buffer), scalars=(3,), grid=_GROUPS)
        case "bad_scalar":
            return Dispatch(kernel=AFFINE.name, buffers=(buffer,), scalars=(1, -1), grid=_GROUPS)
    return None


def _affine(buffer: str) -> Dispatch:
    return Dispatch(kernel=AFFINE.name, buffers=(buffer,), scalars=(2654435761, 97), grid=_GROUPS)


def _garbage(size_bytes: int) -> bytes:
    return bytes(range(0xB0, 0xBB)) * (size_bytes // 11) + bytes(
        range(0xB0, 0xB0 + size_bytes % 11)
    )
