"""Flush and sync put in and left out: neither changes what a program shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from gpusim.kernels import Kernel
from gpusim.program import Flush, Sync
from properties.case import Case
from properties.oracles.metamorphic.image import Image, Rewriting, inserted

Boundary = Literal["flush", "sync"]


@dataclass(frozen=True, kw_only=True, slots=True)
class InsertBoundary:
    """A flush or a sync in the gap before op ``at``."""

    name: ClassVar[str] = "insert_boundary"
    boundary: Boundary
    at: int

    @property
    def words(self) -> str:
        return f"`{self.boundary}` before op {self.at}"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Image | None:
        return inserted(case, self.at, [Flush() if self.boundary == "flush" else Sync()])


@dataclass(frozen=True, kw_only=True, slots=True)
class InsertEverywhere:
    """A flush or a sync before every op."""

    name: ClassVar[str] = "insert_everywhere"
    boundary: Boundary

    @property
    def words(self) -> str:
        return f"`{self.boundary}` before every op"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Image | None:
        rewriting = Rewriting(case)
        for op in case.program:
            rewriting.add(Flush() if self.boundary == "flush" else Sync())
            rewriting.keep(op)
        return rewriting.image()


@dataclass(frozen=True, kw_only=True, slots=True)
class DeleteBoundary:
    """The flush or sync at ``at`` is left out."""

    name: ClassVar[str] = "delete_boundary"
    at: int

    @property
    def words(self) -> str:
        return f"op {self.at}, a flush or sync, left out"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Image | None:
        return _without(case, [self.at])


@dataclass(frozen=True, kw_only=True, slots=True)
class DeleteEverywhere:
    """Every flush and sync is left out."""

    name: ClassVar[str] = "delete_everywhere"

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
