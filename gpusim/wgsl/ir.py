"""Statements over scalars: what a checked entry point becomes before it becomes Python.

There are no calls, since every function is inlined where it was called.  There are no composites: a
vector is its components, and a value in memory is a root memory with an address.  An Address is in
bytes: a constant, and for each index a stride and an expression.  Expressions have no effects; a
load happens when its statement runs.  Nothing here computes.
"""

from dataclasses import dataclass, field
from itertools import count
from typing import Any

_numbers = count(1)


@dataclass(slots=True, eq=False)
class Variable:
    """A scalar of an invocation: its type by name, and what is found out about it later."""

    name: str
    type: str
    writes: int = 0
    """How many statements give it a value."""
    varying: bool = False
    """Whether invocations may see different values."""
    region: Any = None
    fixed: bool = False
    """Whether nothing changes its value after it was set, so that a read of it needs no copy."""
    number: int = field(default_factory=lambda: next(_numbers))

    def __str__(self) -> str:
        return f"{self.name}_{self.number}"


@dataclass(slots=True, eq=False)
class Memory:
    """A root variable that lies in memory.

    ``space``: storage, uniform, workgroup, private (one for each invocation) or constant.
    ``size``: bytes; for a binding the least that it needs.
    """

    name: str
    space: str
    size: int
    written: bool = False
    writable: bool = False
    """Whether the binding is declared ``read_write``, whatever this shader does."""
    grows: bool = False
    """Whether the binding decides the size."""
    data: Any = None
    number: int = field(default_factory=lambda: next(_numbers))

    def __str__(self) -> str:
        return f"{self.name}_{self.number}"


@dataclass(slots=True, eq=False)
class Const:
    """A constant of a scalar type."""

    type: str
    value: Any


@dataclass(slots=True, eq=False)
class Get:
    """The value of a variable."""

    variable: Variable

    @property
    def type(self) -> str:
        """The name of its type."""
        return self.variable.type


@dataclass(slots=True, eq=False)
class Op:
    """A scalar operation; ``name`` is a row of ``operations.py``."""

    type: str
    name: str
    operands: tuple["Scalar", ...]
    depth: int = 1
    """How deep operations are nested in it; 1 if nobody counted."""


@dataclass(slots=True, eq=False)
class Address:
    """A constant plus strides times indices, in bytes."""

    constant: int
    terms: tuple[tuple[int, "Scalar"], ...] = ()

    def plus(self, size: int) -> "Address":
        """The address ``size`` bytes further on."""
        return Address(self.constant + size, self.terms)

    def at(self, stride: int, index: "Scalar") -> "Address":
        """The address of an element."""
        if isinstance(index, Const):
            return Address(self.constant + stride * int(index.value), self.terms)
        return Address(self.constant, (*self.terms, (stride, index)))


@dataclass(slots=True, eq=False)
class Load:
    """A scalar in memory."""

    type: str
    memory: Memory
    address: Address


@dataclass(slots=True, eq=False)
class Length:
    """How many elements of ``stride`` bytes a binding has from ``offset`` on."""

    memory: Memory
    offset: int
    stride: int
    type: str = "u32"


Scalar = Const | Get | Op | Load | Length


@dataclass(slots=True, eq=False)
class Assign:
    """Give a variable a value; ``first``: whether this is the variable's declaration."""

    variable: Variable
    value: Scalar
    first: bool = False


@dataclass(slots=True, eq=False)
class Store:
    """Write a scalar to memory."""

    memory: Memory
    address: Address
    value: Scalar


@dataclass(slots=True, eq=False)
class Modify:
    """An atomic read-modify-write; ``before`` takes the old value, if it is asked for."""

    name: str
    memory: Memory
    address: Address
    operands: tuple[Scalar, ...]
    type: str
    before: Variable | None


@dataclass(slots=True, eq=False)
class Clear:
    """Set a private memory to zero."""

    memory: Memory


@dataclass(slots=True, eq=False)
class If:
    """A branch."""

    condition: Scalar
    then: list["Statement"]
    other: list["Statement"]


@dataclass(slots=True, eq=False)
class Loop:
    """Rounds without end.  Lanes leave by a ``Leave`` directly in ``body``, never in a branch."""

    body: list["Statement"]
    owned: list[Variable] = field(default_factory=list)
    """Variables that are declared before the loop and used only in it, such as a counter."""


@dataclass(slots=True, eq=False)
class Leave:
    """Lanes whose condition holds leave the enclosing loop."""

    condition: Scalar


@dataclass(slots=True, eq=False)
class Label:
    """A list of statements that can be left.  ``exits.py`` removes all labels."""

    body: list["Statement"]


@dataclass(slots=True, eq=False)
class Exit:
    """Leave a Label or a Loop.  ``exits.py`` removes all exits."""

    target: Any


@dataclass(slots=True, eq=False)
class Barrier:
    """Where the invocations of a workgroup wait for each other."""


Statement = Assign | Store | Modify | Clear | If | Loop | Leave | Label | Exit | Barrier
