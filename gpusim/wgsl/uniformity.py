"""Finds variables that are equal in all invocations, so that one Python value is enough.

A value varies if something in it varies.  A variable varies if it is given a varying value.  It
also varies if only some of the lanes that reach its declaration reach a place where it is given a
value: in a branch on a varying condition, or in a loop that lanes leave in different rounds.
Variables are marked until no further variable varies.  Whether a barrier is valid is another
question: see ``barriers.py``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

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
    """A part of the text, such as a branch, within the region ``parent``."""

    parent: "Region | None"
    parts: bool
    """Whether only some of the parent's lanes may be here."""


def varies(value: Scalar) -> bool:
    """Whether invocations that run together may see different values."""
    if isinstance(value, Get):
        return value.variable.varying
    if isinstance(value, Op):
        return any(varies(each) for each in value.operands)
    if isinstance(value, Load):
        apart = value.memory.space in ("private", "workgroup")
        return apart or any(varies(index) for _, index in value.address.terms)
    assert isinstance(value, Const | Length)
    return False


def find_varying(body: list[Statement], varying: Iterable[Variable]) -> None:
    """Find out which variables of the statements vary; ``varying`` vary from the start."""
    seeds = [*varying]
    for variable in assigned(body):
        variable.varying = False
    for variable in seeds:
        variable.varying = True
    while _mark(body, Region(None, False)):
        pass


def parts(loop: Loop) -> bool:
    """Whether lanes that run together may leave a loop in different rounds."""
    return any(isinstance(each, Leave) and varies(each.condition) for each in loop.body)


def _mark(body: list[Statement], region: Region) -> bool:
    """Mark the variables that are known to vary; True if any of them is new."""
    changed = False
    for statement in body:
        if isinstance(statement, Assign):
            changed |= _assign(statement, region)
        elif isinstance(statement, Modify) and statement.before is not None:
            changed |= not statement.before.varying
            statement.before.varying = True
            statement.before.region = region
        elif isinstance(statement, If):
            apart = varies(statement.condition)
            changed |= _mark(statement.then, Region(region, apart))
            changed |= _mark(statement.other, Region(region, apart))
        elif isinstance(statement, Loop):
            inner = Region(region, parts(statement))
            for variable in statement.owned:
                variable.region = inner
            changed |= _mark(statement.body, inner)
    return changed


def _assign(statement: Assign, region: Region) -> bool:
    variable = statement.variable
    if statement.first:
        variable.region = region
    if variable.varying:
        return False
    variable.varying = varies(statement.value) or _is_parted(region, variable.region)
    return variable.varying


def _is_parted(region: Region, home: Region | None) -> bool:
    """Whether only some of the lanes of the region ``home`` reach ``region`` inside it."""
    here: Region | None = region
    while here is not None and here is not home:
        if here.parts:
            return True
        here = here.parent
    return False


def assigned(body: list[Statement]) -> Iterator[Variable]:
    """For each statement that gives a variable a value, the variable."""
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
