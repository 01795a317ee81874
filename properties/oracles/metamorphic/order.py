"""Ops in another order, among others, or all of them again."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from gpusim.kernels import Kernel, Kernels
from gpusim.ops import Alloc, Capture, Free, Op, Read, Replay, Sync
from gpusim.program import Program, buffers_of, renamed
from properties.model.case import Case, Image
from properties.oracles.metamorphic.effects import independent, may_alloc
from properties.oracles.metamorphic.image import Rewriting
from properties.oracles.metamorphic.registry import MOST_SEED, Scope, draw_gap, transformation
from properties.programs.choices import Choices, SeededChoices
from properties.programs.generator import generate
from properties.programs.shape import draw_shape
from properties.programs.signature import drawable

_OTHER_OPS = 24


@transformation(3)
@dataclass(frozen=True, kw_only=True, slots=True)
class Swap:
    """Op ``at`` and the one after it change places, where neither depends on the other."""

    name: ClassVar[str] = "swap"
    at: int

    @classmethod
    def draw(cls, choices: Choices, scope: Scope) -> Self:
        return cls(at=draw_gap(choices, scope))

    @property
    def words(self) -> str:
        return f"ops {self.at} and {self.at + 1}, which are independent, swapped"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Image | None:
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
        return Image(case=replace(case, program=swapped), places=tuple(places))


@transformation(2)
@dataclass(frozen=True, kw_only=True, slots=True)
class Interleave:
    """The ops of another program over buffers of its own, in between."""

    name: ClassVar[str] = "interleave"
    seed: int

    @classmethod
    def draw(cls, choices: Choices, scope: Scope) -> Self:
        return cls(seed=choices.integer(0, MOST_SEED))

    @property
    def words(self) -> str:
        return f"another program (seed {self.seed}) in between"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Image | None:
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
        return rewriting.image()


@transformation(2)
@dataclass(frozen=True, kw_only=True, slots=True)
class Twice:
    """The program, everything freed, and the program again on the same runtime.

    The second time shows what the first does, and makes no new pooled objects.
    """

    name: ClassVar[str] = "twice"

    @classmethod
    def draw(cls, choices: Choices, scope: Scope) -> Self:
        return cls()

    @property
    def words(self) -> str:
        return "the second time on one runtime, after everything was freed"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Image | None:
        rewriting = Rewriting(case)
        program = case.program
        freed = {op.buffer for op in program if isinstance(op, Free)}
        left = [op for op in program if isinstance(op, Alloc) and op.buffer not in freed]
        rewriting.add(*(_apart(op, "u_") for op in program))
        rewriting.add(Sync(), *(Free(buffer="u_" + op.buffer) for op in left), Sync())
        start = len(rewriting.ops)
        for op in program:
            rewriting.keep(op)
        return rewriting.image(steady=(start, len(rewriting.ops)))


def _other_program(choices: Choices, kernels: Kernels, replays: bool) -> list[Op]:
    """Ops over names of their own; graphs only where the target is known to have them."""
    shape = replace(draw_shape(choices, drawable(kernels)), min_ops=8, max_ops=_OTHER_OPS)
    program = generate(choices, kernels=kernels, shape=shape, replays=replays)
    return [_apart(op, "o_") for op in program]


def _apart(op: Op, prefix: str) -> Op:
    """The op over names that start with ``prefix``, which no generated name does."""
    match op:
        case Read():
            op = replace(op, result=prefix + op.result)
        case Capture() | Replay():
            op = replace(op, graph=prefix + op.graph)
    return renamed(op, {buffer: prefix + buffer for buffer in buffers_of(op)})
