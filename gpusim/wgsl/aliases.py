"""Finds calls in which a function reaches a variable in two ways, and writes it.

A pointer has a root: the variable or the parameter that it was made of.  For each function, this
file finds which roots the function reads and which it writes, itself or by the functions that it
calls.  A call is wrong if the called function reaches one variable by two pointers, or by a pointer
and by name, and writes it in one of these ways.
Source: WGSL specification, 11.4 "Alias Analysis".
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gpusim.wgsl import typed
from gpusim.wgsl.syntax import Place
from gpusim.wgsl.typed import Expr, Function, Symbol
from gpusim.wgsl.types import Pointer


@dataclass(slots=True)
class _Reach:
    """The roots that a function reads and writes, and its first wrong call."""

    reads: dict[Symbol, None] = field(default_factory=dict)
    writes: dict[Symbol, None] = field(default_factory=dict)
    wrong: Place | None = None


class Aliases:
    """Finds the wrong calls in the bodies of functions, and keeps the result for each function."""

    def __init__(self) -> None:
        self._known: dict[Function, _Reach] = {}

    def wrong_call(self, function: Function) -> Place | None:
        """Where the first wrong call in a function's own body stands; None if there is none."""
        return self._reach(function).wrong

    def _reach(self, function: Function) -> _Reach:
        found = self._known.get(function)
        if found is None:
            found = self._known[function] = _Reach()
            _Walk(self, found).statements(function.body)
        return found

    def called(self, made: typed.Invoke, roots: list[Symbol | None], caller: _Reach) -> None:
        """Add to ``caller`` what the call ``made`` reads and writes, and its place if it is wrong.

        ``roots`` has the root of each argument that is a pointer, and None for the others.
        """
        reach = self._reach(made.function)
        own = made.function.parameters
        for symbols, there in ((caller.reads, reach.reads), (caller.writes, reach.writes)):
            symbols.update({symbol: None for symbol in there if symbol.kind == "var"})
            symbols.update(
                {
                    root: None
                    for parameter, root in zip(own, roots, strict=True)
                    if root is not None and parameter in there
                }
            )
        if caller.wrong is None and _is_wrong(own, roots, reach):
            caller.wrong = made.place


def _is_wrong(own: list[Symbol], roots: list[Symbol | None], reach: _Reach) -> bool:
    seen: dict[Symbol, bool] = {}
    for parameter, root in zip(own, roots, strict=True):
        if root is None:
            continue
        reads, writes = parameter in reach.reads, parameter in reach.writes
        if root in seen and (writes or seen[root]):
            return True
        seen[root] = writes or seen.get(root, False)
        if root in reach.writes and (reads or writes):
            return True
        if root in reach.reads and writes:
            return True
    return False


class _Walk:
    """Walks over the statements of one function."""

    def __init__(self, aliases: Aliases, reach: _Reach) -> None:
        self._aliases, self._reach = aliases, reach
        self._roots: dict[Symbol, Symbol] = {}
        """The roots of the lets that are pointers."""

    def statements(self, body: list[typed.Statement]) -> None:
        for statement in body:
            if isinstance(statement, typed.Declare):
                value = statement.value
                if value is not None and isinstance(statement.symbol.type, Pointer):
                    self._roots[statement.symbol] = self._root(value)
            elif isinstance(statement, typed.Assign) and statement.target is not None:
                root = self._root(statement.target)
                self._reach.writes[root] = None
                if statement.sign:
                    self._reach.reads[root] = None
            for each in _expressions(statement):
                self._expression(each)
            for inner in _bodies(statement):
                self.statements(inner)

    def _expression(self, made: Expr) -> None:
        for inner in _operands(made):
            self._expression(inner)
        if isinstance(made, typed.LoadOf):
            self._reach.reads[self._root(made.base)] = None
        elif isinstance(made, typed.Invoke):
            roots = [
                self._root(each) if isinstance(each.type, Pointer) else None
                for each in made.operands
            ]
            self._aliases.called(made, roots, self._reach)
        elif isinstance(made, typed.Apply) and made.name.startswith(_TOUCH):
            root = self._root(made.operands[0])
            if made.name != "atomicStore":
                self._reach.reads[root] = None
            if made.name not in ("atomicLoad", "workgroupUniformLoad"):
                self._reach.writes[root] = None

    def _root(self, made: Any) -> Symbol:
        while not isinstance(made, typed.Use):
            made = made.base
        symbol: Symbol = made.symbol
        return self._roots.get(symbol, symbol)


_TOUCH = ("atomic", "workgroupUniformLoad")


def _operands(made: Any) -> Iterator[Expr]:
    """The expressions directly inside an expression."""
    for name in ("base", "index"):
        inner = getattr(made, name, None)
        if inner is not None:
            yield inner
    yield from getattr(made, "operands", ())


def _expressions(statement: Any) -> Iterator[Expr]:
    """The expressions of a statement, without those of the statements inside it."""
    for name in ("value", "target", "condition", "selector", "break_if"):
        inner = getattr(statement, name, None)
        if inner is not None:
            yield inner


def _bodies(statement: Any) -> Iterator[list[typed.Statement]]:
    """The lists of statements directly inside a statement."""
    if isinstance(statement, typed.If):
        yield from (statement.then, statement.other)
    elif isinstance(statement, typed.Switch):
        yield from (body for _, body in statement.clauses)
    elif isinstance(statement, typed.Loop):
        yield from (statement.first, statement.body, statement.continuing)
    elif isinstance(statement, typed.Block):
        yield statement.body
