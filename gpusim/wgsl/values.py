"""Values and places during the lowering of an entry point, and the builder of scalar operations.

The value of a scalar type is a scalar expression; that of a composite is the tuple of the values of
its parts.  A place is where a value can be stored: in variables (Cells), in memory (Spot), or in
one part of a vector or matrix that lies in variables, chosen by an index (Picked).
"""

from dataclasses import dataclass
from typing import Any

from gpusim.wgsl.componentwise import Value, held
from gpusim.wgsl.constants import fold
from gpusim.wgsl.ir import (
    Address,
    Assign,
    Const,
    Get,
    Length,
    Load,
    Memory,
    Op,
    Scalar,
    Statement,
    Store,
    Variable,
)
from gpusim.wgsl.types import (
    Array,
    Matrix,
    Struct,
    Type,
    Vector,
    parts_of,
    scalar_name,
    stride_of,
)


@dataclass(slots=True, eq=False)
class Cells:
    """Variables for a value of ``type``.

    ``tree`` is one variable for a scalar; for a composite, it is a tuple of the trees of its parts.
    """

    type: Type
    tree: Any


@dataclass(slots=True, eq=False)
class Spot:
    """An address in a memory."""

    type: Type
    memory: Memory
    address: Address


@dataclass(slots=True, eq=False)
class Picked:
    """The part at ``index`` of a vector or matrix that variables hold."""

    type: Type
    parts: list[Any]
    index: Scalar


Spotted = Cells | Spot | Picked
"""A place."""
_DEEPEST = 40
"""How deep the operations of one expression of Python may be nested."""


class Emitter:
    """The list of statements that is being made.  Operations on constants are folded."""

    def __init__(self) -> None:
        self.out: list[Statement] = []

    def op(self, kind: str, name: str, *operands: Scalar) -> Scalar:
        """An operation, or its value if all operands are constants."""
        if all(isinstance(each, Const) for each in operands):
            return fold(name, kind, operands, None)  # type: ignore[arg-type]
        depth = 1 + max([each.depth for each in operands if isinstance(each, Op)], default=0)
        if depth > _DEEPEST:
            return Op(kind, name, tuple(map(self.hold, operands)))
        return Op(kind, name, operands, depth)

    def hold(self, value: Scalar) -> Scalar:
        """Compute a value once, at this point; returns an expression for it that never changes."""
        if is_fixed_value(value):
            return value
        variable = Variable("t", value.type, fixed=True)
        self.assign(variable, value, first=True)
        return Get(variable)

    def assign(self, variable: Variable, value: Scalar, *, first: bool = False) -> None:
        """Give a variable a value."""
        variable.writes += 1
        self.out.append(Assign(variable, value, first))

    def load(self, place: Spotted) -> Value:
        """The value at a place."""
        if isinstance(place, Cells):
            return _gets(place.tree)
        if isinstance(place, Spot):
            return self._load_spot(place.type, place.memory, place.address)
        return self.pick([_gets(part) for part in place.parts], place.index)

    def pick(self, values: list[Value], index: Scalar) -> Value:
        """One of several values, by an index; an index past the end gives the last value."""
        if isinstance(index, Const):
            return values[min(max(int(index.value), 0), len(values) - 1)]
        index = self.hold(index)
        found = values[-1]
        for number in range(len(values) - 2, -1, -1):
            here = self.hold(Op("bool", "eq", (index, Const(index.type, number))))
            found = self.choose(found, values[number], here)
        return found

    def choose(self, no: Value, yes: Value, condition: Scalar) -> Value:
        """The value ``yes`` if the condition is true, and else ``no``."""
        if isinstance(no, tuple):
            pairs = zip(no, yes, strict=True)
            return tuple(self.choose(one, other, condition) for one, other in pairs)
        return self.op(no.type, "select", no, yes, condition)

    def _load_spot(self, kind: Type, memory: Memory, address: Address) -> Value:
        if isinstance(kind, Struct):
            return tuple(
                self._load_spot(member.type, memory, address.plus(member.offset))
                for member in kind.members
            )
        parts = parts_of(kind)
        if parts:
            assert isinstance(kind, Vector | Matrix | Array)
            stride = stride_of(kind)
            return tuple(
                self._load_spot(part, memory, address.plus(number * stride))
                for number, part in enumerate(parts)
            )
        name = scalar_name(kind)
        if name == "bool":
            return Op("bool", "ne", (Load("u32", memory, address), Const("u32", 0)))
        return Load(name, memory, address)

    def store(self, place: Spotted, value: Value) -> None:
        """Write a value to a place."""
        if isinstance(value, tuple):
            value = tuple(self._settled(each) for each in value)
        if isinstance(place, Cells):
            self._store_cells(place.tree, value)
        elif isinstance(place, Spot):
            self._store_spot(place.type, place.memory, place.address, value)
        else:
            index = self.hold(place.index)
            value = held(self, value)
            for number, part in enumerate(place.parts):
                here = self.hold(self.op("bool", "eq", index, Const(index.type, number)))
                self._store_cells(part, self.choose(_gets(part), value, here))

    def _settled(self, value: Value) -> Value:
        """The value of a part, held if the store of another part might change it."""
        if isinstance(value, tuple):
            return tuple(self._settled(each) for each in value)
        return self.hold(value) if reads_anything(value) else value

    def _store_cells(self, tree: Any, value: Value) -> None:
        if isinstance(tree, tuple):
            for cell, each in zip(tree, value, strict=True):
                self._store_cells(cell, each)
        else:
            self.assign(tree, value)

    def _store_spot(self, kind: Type, memory: Memory, address: Address, value: Value) -> None:
        memory.written = True
        if isinstance(kind, Struct):
            for member, each in zip(kind.members, value, strict=True):
                self._store_spot(member.type, memory, address.plus(member.offset), each)
        elif isinstance(kind, Vector | Matrix | Array):
            stride = stride_of(kind)
            for number, (part, each) in enumerate(zip(parts_of(kind), value, strict=True)):
                self._store_spot(part, memory, address.plus(number * stride), each)
        else:
            if value.type == "bool":
                value = self.op("u32", "to_u32", value)
            self.out.append(Store(memory, address, value))

    def part(self, place: Spotted, number: int) -> Spotted:
        """The place of the part with this number."""
        kind = place.type
        of = kind.of if isinstance(kind, Array) else parts_of(kind)[number]
        if isinstance(place, Cells):
            return Cells(of, place.tree[number])
        if isinstance(place, Picked):
            return Picked(of, [part[number] for part in place.parts], place.index)
        if isinstance(kind, Struct):
            return Spot(of, place.memory, place.address.plus(kind.members[number].offset))
        assert isinstance(kind, Vector | Matrix | Array)
        return Spot(of, place.memory, place.address.plus(number * stride_of(kind)))

    def element(self, place: Spotted, index: Scalar) -> Spotted:
        """The place of the part whose number the scalar expression ``index`` gives."""
        kind = place.type
        if isinstance(index, Const):
            count = len(parts_of(kind))
            number = int(index.value)
            return self.part(place, min(number, count - 1) if count else number)
        assert isinstance(kind, Vector | Matrix | Array)
        of = kind.column if isinstance(kind, Matrix) else kind.of
        if isinstance(place, Spot):
            index = index if index.type == "u32" else Op("u32", "bits_u32", (index,))
            address = place.address.at(stride_of(kind), self.hold(index))
            return Spot(of, place.memory, address)
        index = self.hold(index)
        if isinstance(place, Cells):
            return Picked(of, list(place.tree), index)
        rows = Const("u32", len(place.parts[0]))
        column = self.op("u32", "mul", self._within(place.index, len(place.parts)), rows)
        flat = self.op("u32", "add", column, self._within(index, len(place.parts[0])))
        cells = [cell for column_cells in place.parts for cell in column_cells]
        return Picked(of, cells, self.hold(flat))

    def _within(self, index: Scalar, count: int) -> Scalar:
        """The index as a u32; an index past the end gives the last one."""
        whole = index if index.type == "u32" else self.op("u32", "bits_u32", index)
        return self.op("u32", "min", whole, Const("u32", count - 1))

    def cells(self, kind: Type, name: str) -> Cells:
        """New variables for a type."""
        return Cells(kind, _variables(kind, name))


def _variables(kind: Type, name: str) -> Any:
    parts = parts_of(kind)
    if parts:
        return tuple(_variables(part, f"{name}{number}") for number, part in enumerate(parts))
    return Variable(name, scalar_name(kind))


def _gets(tree: Any) -> Value:
    return tuple(_gets(each) for each in tree) if isinstance(tree, tuple) else Get(tree)


def is_fixed_value(value: Scalar) -> bool:
    """Whether a scalar expression never changes its value, and costs nothing."""
    if isinstance(value, Const | Length):
        return True
    return isinstance(value, Get) and value.variable.fixed


def reads_anything(value: Scalar) -> bool:
    """Whether a later store may change the value of a scalar expression."""
    if isinstance(value, Op):
        return any(reads_anything(each) for each in value.operands)
    return not is_fixed_value(value)
