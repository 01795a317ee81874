"""Transformations of the order of ops, and of the pieces in which bytes move.

Ops are swapped, interleaved with others, or repeated.  Writes, copies and reads are split, and
neighbours merged.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from gpusim.kernels import Kernel, Kernels
from gpusim.ops import Alloc, Capture, Copy, Free, Op, Read, Replay, Sync, Write
from gpusim.program import Program, buffers_of, never_freed, renamed
from properties.generate.choices import Choices, SeededChoices
from properties.generate.generator import generate
from properties.generate.operands import drawable
from properties.generate.shape import draw_shape
from properties.model.case import Case, Rewrite
from properties.oracles.metamorphic.registry import (
    Gap,
    Kind,
    OneOf,
    Scope,
    Seed,
    op_of,
    transformation,
)
from properties.oracles.metamorphic.rewrites import (
    Rewriting,
    fresh_names,
    independent,
    is_inside,
    may_alloc,
    sizes_of,
)


@transformation(3, "op {at} split after {sixteenths}/16 of its bytes")
class Split(Kind):
    """The write, copy or read at ``at`` is split after ``sixteenths`` sixteenths of its bytes."""

    at: Annotated[int, op_of(Write, Copy, Read)]
    sixteenths: Annotated[int, OneOf(8, 0, 1, 4, 5, 11, 15)]

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
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
        return rewriting.rewrite()


def _draw_twin(choices: Choices, scope: Scope) -> int:
    """The position of the first of two writes or copies in a row; the program's end if none."""
    program = scope.case.program
    twins = [
        position
        for position, (op, other) in enumerate(zip(program, program.ops[1:], strict=False))
        if isinstance(op, Write | Copy) and type(op) is type(other)
    ]
    return choices.pick(twins) if twins else len(program)


@transformation(1, "op {at} and the next merged")
class Merge(Kind):
    """The write or copy at ``at`` and the next, which continues it, become one op.

    The second write may also start inside the first; where both write, the second counts.
    """

    at: Annotated[int, _draw_twin]

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
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
        return rewriting.rewrite()


def _pieces(op: Op, sixteenths: int, head: str, tail: str) -> tuple[Op, ...]:
    """The op in two pieces; empty for an op of another kind, and for a copy within one buffer."""
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


_OTHER_OPS = 24


@transformation(3, "op {at} and the next, which are independent, swapped")
class Swap(Kind):
    """Op ``at`` and the op after it change places, if neither depends on the other."""

    at: Gap

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        ops = case.program.ops
        if not 0 <= self.at < len(ops) - 1:
            return None
        first, second = ops[self.at : self.at + 2]
        counted = isinstance(first, Alloc | Free) and isinstance(second, Alloc | Free)
        if counted and not may_alloc(case):
            return None
        if not independent(first, second, kernels):
            return None
        swapped = Program((*ops[: self.at], second, first, *ops[self.at + 2 :]))
        places = [(position,) for position in range(len(ops))]
        places[self.at], places[self.at + 1] = places[self.at + 1], places[self.at]
        return Rewrite(case=replace(case, program=swapped), places=tuple(places))


@transformation(2, "another program (seed {seed}) in between")
class Interleave(Kind):
    """The ops of another program, over buffers of its own, come between those of the program."""

    seed: Seed

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        if not may_alloc(case):
            return None
        choices = SeededChoices(f"interleave {self.seed}")
        replays = any(isinstance(op, Capture) for op in case.program)
        others = _other_program(choices, Kernels(*kernels.values()), replays)
        rewriting = Rewriting(case)
        for op in case.program:
            for _ in range(choices.integer(0, 2)):
                if others:
                    rewriting.add(others.pop(0))
            rewriting.keep(op)
        rewriting.add(*others)
        return rewriting.rewrite()


@transformation(2, "the second time on one runtime, after everything was freed")
class Twice(Kind):
    """The program, everything freed, and the program again on the same runtime.

    The second run must show what the first shows, and make no new pooled objects.
    """

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        rewriting = Rewriting(case)
        program = case.program
        rewriting.add(*(_apart(op, "u_") for op in program))
        rewriting.add(
            Sync(), *(Free(buffer="u_" + op.buffer) for op in never_freed(program)), Sync()
        )
        start = len(rewriting.ops)
        for op in program:
            rewriting.keep(op)
        return rewriting.rewrite(steady=(start, len(rewriting.ops)))


def _other_program(choices: Choices, kernels: Kernels, replays: bool) -> list[Op]:
    """Another program, with graphs only if ``replays``."""
    shape = replace(draw_shape(choices, drawable(kernels)), min_ops=8, max_ops=_OTHER_OPS)
    program = generate(
        choices, kernels=kernels, shape=shape, replays=replays, indirect=False, parts=False
    )
    return [_apart(op, "o_") for op in program]


def _apart(op: Op, prefix: str) -> Op:
    """The op with ``prefix`` before its names; no generated name starts with it."""
    match op:
        case Read():
            op = replace(op, result=prefix + op.result)
        case Capture() | Replay():
            op = replace(op, graph=prefix + op.graph)
    return renamed(op, {buffer: prefix + buffer for buffer in buffers_of(op)})
