"""The syntax tree of a text, before its types are known.

Every node is frozen and has the place where it begins.  Nothing is checked here.
Source: WGSL specification, sections 5 to 11 (declarations, expressions, statements, functions).
"""

from dataclasses import dataclass
from typing import NamedTuple

TOO_DEEP = "this is nested too deep"
"""The error of a text that is nested far deeper than any real shader."""


class Place(NamedTuple):
    """Where something stands in the text; lines and columns count from 1."""

    line: int
    column: int


class ShaderError(ValueError):
    """A text that WGSL forbids, or that uses a part of the language that is not supported.

    ``place`` is where the error stands in the text; the message begins with it.
    """

    def __init__(self, because: str, place: Place) -> None:
        super().__init__(f"line {place.line}, column {place.column}: {because}")
        self.because = because
        self.place = place


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Node:
    """Anything in the tree."""

    place: Place


class Expression(Node):
    """Something that has a value, or names a place in memory."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Literal(Expression):
    """A number or a truth value.

    ``kind`` is int, float or bool.  ``suffix`` is i, u, f or h, or "" if there is none.
    """

    kind: str
    text: str
    suffix: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Named(Expression):
    """An identifier, perhaps with a template list: a variable, a type or an enumerant."""

    name: str
    template: tuple[Expression, ...] | None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Call(Expression):
    """A call of a function, or a construction of a type's value."""

    callee: Named
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Unary(Expression):
    """``- ! ~ & *``."""

    sign: str
    operand: Expression


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Binary(Expression):
    """Two operands with a sign between."""

    sign: str
    left: Expression
    right: Expression


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Index(Expression):
    """``base[index]``."""

    base: Expression
    index: Expression


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Field(Expression):
    """``base.name``: a member of a struct, or a swizzle."""

    base: Expression
    name: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Attribute(Node):
    """``@name(arguments)``."""

    name: str
    arguments: tuple[Expression, ...]


class Statement(Node):
    """Something that is done."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Block(Statement):
    """Statements in braces."""

    statements: tuple[Statement, ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Declaration(Statement):
    """``const``, ``let``, ``var`` or ``override``, in a function or in the module."""

    kind: str
    name: str
    space: tuple[Expression, ...]
    """The template list of ``var``: an address space and an access mode."""
    type: Expression | None
    value: Expression | None
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Assignment(Statement):
    """``target = value``, ``target op= value``, ``target++``.

    In ``_ = value`` the target is None.
    """

    target: Expression | None
    sign: str
    """The operator before ``=``, "" for a plain assignment, or ``++`` or ``--``."""
    value: Expression


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CallStatement(Statement):
    """A call whose value, if any, is dropped."""

    call: Call


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class If(Statement):
    """A condition and two branches; the second may be another ``if``, a block or None."""

    condition: Expression
    then: Block
    other: Statement | None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Clause(Node):
    """One ``case`` of a switch; None among the selectors is ``default``."""

    selectors: tuple[Expression | None, ...]
    body: Block


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Switch(Statement):
    """A selection among constants."""

    selector: Expression
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Loop(Statement):
    """``loop``, ``for`` and ``while``.

    ``first`` is the initializer of a ``for``.  ``condition`` is asked before each round.
    ``continuing`` is done at the end of each round; ``break_if`` is asked after it.
    """

    first: Statement | None
    condition: Expression | None
    body: Block
    continuing: Block | None
    break_if: Expression | None
    kind: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Jump(Statement):
    """``break``, ``continue``, ``discard`` or ``return``; only ``return`` may have a value."""

    kind: str
    value: Expression | None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Assertion(Statement):
    """``const_assert``."""

    condition: Expression


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Parameter(Node):
    """A parameter of a function, or a member of a struct."""

    name: str
    type: Expression
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Function(Node):
    """A function; with the attribute ``compute``, an entry point."""

    name: str
    parameters: tuple[Parameter, ...]
    result: Expression | None
    body: Block
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Struct(Node):
    """A struct and its members."""

    name: str
    members: tuple[Parameter, ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Alias(Node):
    """Another name of a type."""

    name: str
    type: Expression


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Directive(Node):
    """``enable``, ``requires`` or ``diagnostic``, with its words."""

    kind: str
    words: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Unit(Node):
    """A whole text: its directives and its declarations, in order."""

    directives: tuple[Directive, ...]
    declarations: tuple[Node, ...]
