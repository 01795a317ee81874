"""The typed tree of a text, in which every type, overload and constant is known.

An expression whose value is known is a Constant, however it was written.  A reference names a
place in memory; LoadOf is its value.  Nothing here is computed or checked.
"""

from dataclasses import dataclass, field
from typing import Any

from gpusim.wgsl.syntax import Place
from gpusim.wgsl.types import Type

CONST, OVERRIDE, RUN = 0, 1, 2
"""When a value is known: when the module is made, when the pipeline is made, or in a run."""


@dataclass(slots=True, eq=False, kw_only=True)
class Symbol:
    """What a name stands for: a const, override, let, parameter, var, type or function."""

    name: str
    kind: str
    type: Any
    place: Place
    value: Any = None
    """The constant's value, or for a var the typed initial value."""
    stage: int = RUN
    space: str = ""
    access: str = ""
    group: int = -1
    binding: int = -1
    override_id: int | None = None
    has_default: bool = True


def override_key(symbol: Symbol) -> str:
    """What a pipeline calls an override: its number or, without a number, its name."""
    return symbol.name if symbol.override_id is None else str(symbol.override_id)


@dataclass(slots=True, eq=False, kw_only=True)
class Expr:
    """A typed expression.

    ``effects``: whether it must keep its order among other expressions, because it may change
    something, wait for other invocations, or read an atomic.
    """

    type: Any
    place: Place
    stage: int = RUN
    effects: bool = False


@dataclass(slots=True, eq=False, kw_only=True)
class Constant(Expr):
    """A known value."""

    value: Any


@dataclass(slots=True, eq=False, kw_only=True)
class Use(Expr):
    """The value of a let or a parameter, or a reference to a var."""

    symbol: Symbol


@dataclass(slots=True, eq=False, kw_only=True)
class LoadOf(Expr):
    """The value where a reference points."""

    base: Expr


@dataclass(slots=True, eq=False, kw_only=True)
class PartOf(Expr):
    """Part ``number`` of a composite value; of a reference, a reference to that part."""

    base: Expr
    number: int


@dataclass(slots=True, eq=False, kw_only=True)
class ElementOf(Expr):
    """Like ``PartOf``, but ``index``, whose value is known only in a run, gives the number."""

    base: Expr
    index: Expr


@dataclass(slots=True, eq=False, kw_only=True)
class Swizzle(Expr):
    """Components of a vector."""

    base: Expr
    numbers: tuple[int, ...]


@dataclass(slots=True, eq=False, kw_only=True)
class Apply(Expr):
    """A built-in function or operator; also ``convert``, ``bitcast``, ``splat``, ``construct``."""

    name: str
    operands: tuple[Expr, ...]


@dataclass(slots=True, eq=False, kw_only=True)
class Invoke(Expr):
    """A call of a function of the text."""

    function: "Function"
    operands: tuple[Expr, ...]


@dataclass(slots=True, eq=False, kw_only=True)
class Recast(Expr):
    """A reference as a pointer, or the other way round."""

    base: Expr


@dataclass(slots=True, eq=False, kw_only=True)
class Function:
    """A checked function; only the entry point of a compute shader has a ``workgroup_size``."""

    name: str
    place: Place
    parameters: list[Symbol] = field(default_factory=list)
    built_ins: list[Any] = field(default_factory=list)
    """For each parameter of an entry point, the name of its built-in value.

    If the parameter is a struct, a list with the name for each member.
    """
    result: Type | None = None
    body: list["Statement"] = field(default_factory=list)
    workgroup_size: tuple[int, int, int] | None = None
    uses: dict[Symbol, None] = field(default_factory=dict)
    """The module's vars, the overrides and the consts that the function or a callee names."""
    calls: dict["Function", Place] = field(default_factory=dict)
    must_use: bool = False


@dataclass(slots=True, eq=False)
class Declare:
    """A let, or a var with its initial value."""

    symbol: Symbol
    value: Expr | None


@dataclass(slots=True, eq=False)
class Assign:
    """Store a value; without a target it is dropped.  ``sign``: the operator before ``=``."""

    target: Expr | None
    sign: str
    value: Expr
    operands: tuple[Type, Type] | None = None
    """The types to which the target's value and ``value`` are converted for ``sign``."""


@dataclass(slots=True, eq=False)
class Do:
    """Evaluate an expression for its effects, and drop its value."""

    value: Expr


@dataclass(slots=True, eq=False)
class If:
    """A branch."""

    condition: Expr
    then: list["Statement"]
    other: list["Statement"]


@dataclass(slots=True, eq=False)
class Switch:
    """Cases by value; None among the values is the default."""

    selector: Expr
    clauses: list[tuple[list[int | None], list["Statement"]]]


@dataclass(slots=True, eq=False)
class Loop:
    """Rounds: condition, body, continuing, break-if."""

    first: list["Statement"]
    condition: Expr | None
    body: list["Statement"]
    continuing: list["Statement"]
    break_if: Expr | None


@dataclass(slots=True, eq=False)
class Jump:
    """break, continue or return."""

    kind: str
    value: Expr | None


@dataclass(slots=True, eq=False)
class Block:
    """Statements in a scope of their own."""

    body: list["Statement"]


Statement = Declare | Assign | Do | If | Switch | Loop | Jump | Block
