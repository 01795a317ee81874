"""Which variables every invocation sees alike, so that one Python value stands for all.

A value varies if something in it does.  A variable varies if it is given a varying value, or is
given any in a place that only some of the lanes reach that hold the variable: a branch on a
varying condition, or a loop that lanes leave at different rounds.  What is found grows until
nothing changes.  Source: WGSL specification, 15.2 "Uniformity", which this is coarser than.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from gpusim.wgsl.ir import (
    Assign,
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
    Variable,
)


@dataclass(eq=False, slots=True)
class Region:
    """Where statements stand: which lanes reach it, compared with the region around."""

    parent: "Region | None"
    parts: bool
    """Whether only some of the parent's lanes may be here."""


def varies(value: Scalar) -> bool:
    """Whether invocations may see different values."""
    if isinstance(value, Get):
        return value.variable.varying
    if isinstance(value, Op):
        return any(varies(each) for each in value.operands)
    if isinstance(value, Load):
        if value.memory.space in ("private", "workgroup"):
            return True
        return any(varies(index) for _, index in value.address.terms)
    assert isinstance(value, Const | Length)
    return False


def find_varying(body: list[Statement], varying: Iterable[Variable]) -> None:
    """Mark every variable of the statements; ``varying`` are those that vary from the start."""
    seeds = [*varying]
    for variable in _assigned(body):
        variable.varying = False
    for variable in seeds:
        variable.varying = True
    changed = True
    while changed:
        changed = _mark(body, Region(None, False))


def _assigned(body: list[Statement]) -> Iterable[Variable]:
    for statement in body:
        if isinstance(statement, Assign):
            yield statement.variable
        elif isinstance(statement, Modify) and statement.before is not None:
            yield statement.before
        elif isinstance(statement, If):
            yield from _assigned(statement.then)
            yield from _assigned(statement.other)
        elif isinstance(statement, Loop):
            yield from _assigned(statement.body)


def _mark(body: list[Statement], region: Region) -> bool:
    changed = False
    for statement in body:
        if isinstance(statement, Assign):
            variable = statement.variable
            if statement.first:
                variable.region = region
            if not variable.varying and (varies(statement.value) or _parted(region, variable)):
                variable.varying = changed = True
        elif isinstance(statement, Modify) and statement.before is not None:
            changed |= not statement.before.varying
            statement.before.varying = True
            statement.before.region = region
        elif isinstance(statement, If):
            inner = Region(region, varies(statement.condition))
            changed |= _mark(statement.then, inner)
            changed |= _mark(statement.other, Region(region, inner.parts))
        elif isinstance(statement, Loop):
            inner = Region(region, parts(statement))
            for variable in statement.owned:
                variable.region = inner
            changed |= _mark(statement.body, inner)
    return changed


def parts(loop: Loop) -> bool:
    """Whether lanes may leave a loop at different rounds."""
    return any(isinstance(each, Leave) and varies(each.condition) for each in loop.body)


def _parted(region: Region, variable: Variable) -> bool:
    here: Region | None = region
    while here is not None and here is not variable.region:
        if here.parts:
            return True
        here = here.parent
    return False
