"""Which variables every invocation sees alike, so that one Python value stands for all.

A value varies if something in it does.  A variable varies if it is given a varying value, or is
given any in a place that only some of the lanes reach that hold the variable: a branch on a
varying condition, or a loop that lanes leave at different rounds.  What is found grows until
nothing changes.  The same marks, among the invocations of one workgroup, find a barrier that some
of them may miss.  There a variable of a vector or struct varies as a whole, and the module's
private variables always do.  Source: WGSL specification, 15.2 "Uniformity"; unlike there, values
that are no variable's are followed by their parts, and functions that nobody calls are not read.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gpusim.wgsl.ir import (
    Assign,
    Barrier,
    Const,
    Get,
    If,
    Leave,
    Length,
    Load,
    Loop,
    Modify,
    Op,
    Scalar,
    Statement,
    Store,
    Variable,
)


@dataclass(eq=False, slots=True)
class Region:
    """Where statements stand: which lanes reach it, compared with the region around."""

    parent: "Region | None"
    parts: bool
    """Whether only some of the parent's lanes may be here."""


def varies(value: Scalar, *, among_groups: bool = True) -> bool:
    """Whether invocations may see different values: those of a block, or of one workgroup."""
    if isinstance(value, Get):
        return value.variable.varying
    if isinstance(value, Op):
        return any(varies(each, among_groups=among_groups) for each in value.operands)
    if isinstance(value, Load):
        if _memory_differs(value, among_groups):
            return True
        return any(varies(index, among_groups=among_groups) for _, index in value.address.terms)
    assert isinstance(value, Const | Length)
    return False


def _memory_differs(value: Load, among_groups: bool) -> bool:
    memory = value.memory
    if among_groups:
        return memory.space in ("private", "workgroup")
    if memory.space == "private":
        return memory.varying
    return not value.shared and (memory.space == "workgroup" or memory.writable)


def find_varying(body: list[Statement], varying: Iterable[Variable]) -> None:
    """Mark every variable of the statements; ``varying`` are those that vary from the start."""
    _Marker(among_groups=True).find(body, varying)


def parted_barrier(body: list[Statement], varying: Iterable[Variable]) -> Barrier | None:
    """A barrier that some invocations of a workgroup may miss; ``varying`` as above."""
    return _Marker(among_groups=False).find(body, varying)


def parts(loop: Loop, *, among_groups: bool = True) -> bool:
    """Whether lanes of a block, or of one workgroup, may leave a loop at different rounds."""
    return any(
        isinstance(each, Leave) and varies(each.condition, among_groups=among_groups)
        for each in loop.body
    )


class _Marker:
    """Marks variables until nothing changes, among the lanes of a block or of a workgroup."""

    def __init__(self, *, among_groups: bool) -> None:
        self._among_groups = among_groups
        self._barrier: Barrier | None = None

    def find(self, body: list[Statement], varying: Iterable[Variable]) -> Barrier | None:
        seeds = [*varying]
        for variable in assigned(body):
            variable.varying = False
        for variable in seeds:
            variable.varying = True
        while self._mark(body, Region(None, False)):
            pass
        return self._barrier

    def _differs(self, value: Scalar) -> bool:
        return varies(value, among_groups=self._among_groups)

    def _mark(self, body: list[Statement], region: Region) -> bool:
        changed = False
        for statement in body:
            if isinstance(statement, Assign):
                changed |= self._assign(statement, region)
            elif isinstance(statement, Store) and not self._among_groups:
                changed |= self._store(statement, region)
            elif isinstance(statement, Modify) and statement.before is not None:
                changed |= not statement.before.varying
                statement.before.varying = True
                statement.before.region = region
            elif isinstance(statement, Barrier):
                if _is_parted(region, None):
                    self._barrier = self._barrier or statement
            elif isinstance(statement, If):
                apart = self._differs(statement.condition)
                changed |= self._mark(statement.then, Region(region, apart))
                changed |= self._mark(statement.other, Region(region, apart))
            elif isinstance(statement, Loop):
                inner = Region(region, parts(statement, among_groups=self._among_groups))
                for variable in statement.owned:
                    variable.region = inner
                changed |= self._mark(statement.body, inner)
        return changed

    def _assign(self, statement: Assign, region: Region) -> bool:
        variable = statement.variable
        if statement.first:
            variable.region = region
        if variable.varying:
            return False
        apart = _is_parted(region, variable.region)
        variable.varying = self._differs(statement.value) or apart
        if variable.varying and not self._among_groups:
            for part in variable.whole:
                part.varying = True
        return variable.varying

    def _store(self, statement: Store, region: Region) -> bool:
        memory = statement.memory
        if memory.varying or memory.space != "private":
            return False
        indices = [index for _, index in statement.address.terms]
        memory.varying = _is_parted(region, None) or any(
            self._differs(each) for each in (statement.value, *indices)
        )
        return memory.varying


def _is_parted(region: Region, home: Region | None) -> bool:
    """Whether lanes part between a region and one around it."""
    here: Region | None = region
    while here is not None and here is not home:
        if here.parts:
            return True
        here = here.parent
    return False


def assigned(body: list[Statement]) -> Iterator[Variable]:
    """Every variable that statements give a value, as often as they do."""
    for statement in statements_in(body):
        if isinstance(statement, Assign):
            yield statement.variable
        elif isinstance(statement, Modify) and statement.before is not None:
            yield statement.before


def statements_in(body: list[Any]) -> Iterator[Any]:
    """All statements, the inner ones too."""
    for statement in body:
        yield statement
        if isinstance(statement, If):
            yield from statements_in(statement.then)
            yield from statements_in(statement.other)
        elif isinstance(statement, Loop):
            yield from statements_in(statement.body)
