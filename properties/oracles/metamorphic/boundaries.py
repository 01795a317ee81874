"""Flush and sync put in and left out: neither changes what a program shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from gpusim.kernels import Kernel
from gpusim.ops import Flush, Sync
from properties.model.case import Case, Image
from properties.oracles.metamorphic.image import Rewriting, inserted
from properties.oracles.metamorphic.registry import Scope, draw_gap, draw_op, transformation
from properties.programs.choices import Choices

Boundary = Literal["flush", "sync"]


@transformation(6)
@dataclass(frozen=True, kw_only=True, slots=True)
class InsertBoundary:
    """A flush or a sync in the gap before op ``at``."""

    name: ClassVar[str] = "insert_boundary"
    boundary: Boundary
    at: int

    @classmethod
    def draw(cls, choices: Choices, scope: Scope) -> Self:
        return cls(boundary=_draw_boundary(choices), at=draw_gap(choices, scope))

    @property
    def words(self) -> str:
        return f"`{self.boundary}` before op {self.at}"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Image | None:
        return inserted(case, self.at, [Flush() if self.boundary == "flush" else Sync()])


@transformation(2)
@dataclass(frozen=True, kw_only=True, slots=True)
class InsertEverywhere:
    """A flush or a sync before every op."""

    name: ClassVar[str] = "insert_everywhere"
    boundary: Boundary

    @classmethod
    def draw(cls, choices: Choices, scope: Scope) -> Self:
        return cls(boundary=_draw_boundary(choices))

    @property
    def words(self) -> str:
        return f"`{self.boundary}` before every op"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Image | None:
        rewriting = Rewriting(case)
        for op in case.program:
            rewriting.add(Flush() if self.boundary == "flush" else Sync())
            rewriting.keep(op)
        return rewriting.image()


@transformation(2)
@dataclass(frozen=True, kw_only=True, slots=True)
class DeleteBoundary:
    """The flush or sync at ``at`` is left out."""

    name: ClassVar[str] = "delete_boundary"
    at: int

    @classmethod
    def draw(cls, choices: Choices, scope: Scope) -> Self:
        return cls(at=draw_op(choices, scope, Flush, Sync))

    @property
    def words(self) -> str:
        return f"op {self.at}, a flush or sync, left out"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Image | None:
        return _without(case, [self.at])


@transformation(2)
@dataclass(frozen=True, kw_only=True, slots=True)
class DeleteEverywhere:
    """Every flush and sync is left out."""

    name: ClassVar[str] = "delete_everywhere"

    @classmethod
    def draw(cls, choices: Choices, scope: Scope) -> Self:
        return cls()

    @property
    def words(self) -> str:
        return "every flush and sync left out"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Image | None:
        return _without(case, range(len(case.program)))


def _without(case: Case, positions: range | list[int]) -> Image | None:
    rewriting = Rewriting(case)
    for position, op in enumerate(case.program):
        if position in positions and isinstance(op, Flush | Sync):
            rewriting.drop()
        else:
            rewriting.keep(op)
    return rewriting.image() if len(rewriting.ops) < len(case.program) else None


def _draw_boundary(choices: Choices) -> Boundary:
    return "sync" if choices.chance(1, 3) else "flush"
