"""Writes, copies and reads cut in two, and neighbours joined."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from gpusim.kernels import Kernel
from gpusim.ops import Copy, Op, Read, Write
from properties.model.case import Case, Image
from properties.oracles.metamorphic.effects import fresh_names, is_inside, sizes_of
from properties.oracles.metamorphic.image import Rewriting
from properties.oracles.metamorphic.registry import Scope, draw_op, transformation
from properties.programs.choices import Choices


@transformation(3)
@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """The write, copy or read at ``at`` in two: so many sixteenths of it, then the rest."""

    name: ClassVar[str] = "split"
    at: int
    sixteenths: int

    @classmethod
    def draw(cls, choices: Choices, scope: Scope) -> Self:
        at = draw_op(choices, scope, Write, Copy, Read)
        return cls(at=at, sixteenths=choices.pick((8, 0, 1, 4, 5, 11, 15)))

    @property
    def words(self) -> str:
        return f"op {self.at} split after {self.sixteenths}/16 of its bytes"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Image | None:
        program = case.program
        if not 0 <= self.at < len(program) or not is_inside(program[self.at], sizes_of(program)):
            return None
        results = fresh_names(program, 2)
        pieces = _pieces(program[self.at], self.sixteenths, results[0], results[1])
        if not pieces:
            return None
        rewriting = Rewriting(case)
        for position, op in enumerate(program):
            if position == self.at:
                rewriting.keep_as(*pieces)
            else:
                rewriting.keep(op)
        return rewriting.image()


@transformation(1)
@dataclass(frozen=True, kw_only=True, slots=True)
class Merge:
    """The write or copy at ``at`` and the next op, which goes on where it ends, as one.

    A write may also start inside the one before it, whose bytes it then replaces.
    """

    name: ClassVar[str] = "merge"
    at: int

    @classmethod
    def draw(cls, choices: Choices, scope: Scope) -> Self:
        program = scope.case.program
        twins = [
            position
            for position, (op, other) in enumerate(zip(program, program.ops[1:], strict=False))
            if isinstance(op, Write | Copy) and type(op) is type(other)
        ]
        return cls(at=choices.pick(twins) if twins else len(program))

    @property
    def words(self) -> str:
        return f"ops {self.at} and {self.at + 1} merged"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Image | None:
        ops = case.program.ops
        if not 0 <= self.at < len(ops) - 1:
            return None
        sizes = sizes_of(case.program)
        first, second = ops[self.at : self.at + 2]
        whole = _joined(first, second)
        if whole is None or not (is_inside(first, sizes) and is_inside(second, sizes)):
            return None
        rewriting = Rewriting(case)
        for position, op in enumerate(ops):
            if position == self.at:
                rewriting.keep(whole)
            elif position == self.at + 1:
                rewriting.places.append((self.at,))
            else:
                rewriting.keep(op)
        return rewriting.image()


def _pieces(op: Op, sixteenths: int, head: str, tail: str) -> tuple[Op, ...]:
    """The op in two; none where it is of another kind, or an overlap ties its bytes."""
    match op:
        case Write():
            cut = len(op.data) * sixteenths // 16
            return (
                replace(op, data=op.data[:cut]),
                replace(op, offset=op.offset + cut, data=op.data[cut:]),
            )
        case Read():
            cut = op.size_bytes * sixteenths // 16
            return (
                replace(op, size_bytes=cut, result=head),
                replace(op, offset=op.offset + cut, size_bytes=op.size_bytes - cut, result=tail),
            )
        case Copy() if op.source != op.target:
            cut = op.size_bytes * sixteenths // 16
            return replace(op, size_bytes=cut), replace(
                op,
                source_offset=op.source_offset + cut,
                target_offset=op.target_offset + cut,
                size_bytes=op.size_bytes - cut,
            )
    return ()


def _joined(first: Op, second: Op) -> Op | None:
    match first, second:
        case Write(), Write() if first.buffer == second.buffer:
            start, end = second.offset - first.offset, len(first.data)
            if 0 <= start <= end:
                tail = first.data[start + len(second.data) :]
                return replace(first, data=first.data[:start] + second.data + tail)
        case Copy(), Copy() if _continues(first, second):
            return replace(first, size_bytes=first.size_bytes + second.size_bytes)
    return None


def _continues(first: Copy, second: Copy) -> bool:
    return (
        first.source != first.target
        and (first.source, first.target) == (second.source, second.target)
        and first.source_offset + first.size_bytes == second.source_offset
        and first.target_offset + first.size_bytes == second.target_offset
    )
