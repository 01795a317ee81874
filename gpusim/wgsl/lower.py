"""Lowers a checked entry point to statements over scalars.

Each call is replaced by the body of its function.  Then all pointers are known, so a pointer is a
place and costs nothing.  Vectors, matrices and structs become their scalars.  A variable that holds
an array lies in a private memory; any other becomes scalar variables.  Expressions are evaluated
from left to right, so a value is held (computed at its place, and kept) if something with effects
comes after it.
"""

from typing import Any

import numpy as np

from gpusim.wgsl import ir, typed
from gpusim.wgsl.check import BUILT_INS
from gpusim.wgsl.componentwise import Value, held, leaves_in, tree_of
from gpusim.wgsl.constants import zero
from gpusim.wgsl.expand import expand
from gpusim.wgsl.ir import Address, Get, Label, Length, Memory, Op, Scalar
from gpusim.wgsl.lower_statements import StatementLowering
from gpusim.wgsl.syntax import ShaderError
from gpusim.wgsl.typed import Function, Symbol
from gpusim.wgsl.types import (
    Array,
    Atomic,
    Pointer,
    Struct,
    Type,
    holds_array,
    is_fixed,
    leaves_of,
    scalar_name,
    size_of,
    stride_of,
)
from gpusim.wgsl.values import Cells, Spot, Spotted

_MOST = 500_000
"""The most expressions of one entry point, after every call was replaced by a function's body."""


class Lowered:
    """What an entry point does, and what it binds."""

    def __init__(self, function: Function, lowering: "Lowering | None" = None) -> None:
        lowering = lowering or Lowering(function)
        self.body: list[ir.Statement] = lowering.out
        self.built_ins = lowering.built_ins
        self.memories = lowering.memories
        self.bound: dict[Symbol, Memory] = lowering.bound
        self.waits = lowering.waits
        self.shares = self.waits or any(memory.space == "workgroup" for memory in self.memories)
        """Whether the invocations of a workgroup share memory or wait for each other."""
        self.workgroup_size = function.workgroup_size or (1, 1, 1)


class Lowering(StatementLowering):
    """Lowers expressions, and the entry point with them."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.bound: dict[Symbol, Memory] = {}
        self.memories: list[Memory] = []
        self.built_ins: dict[str, Any] = {}
        self.waits = False
        self._expressions = 0
        self._tables: dict[int, Memory] = {}
        for symbol in function.uses:
            if symbol.kind == "var":
                self.env[symbol] = self._module_variable(symbol)
        for symbol, wanted in zip(function.parameters, function.built_ins, strict=True):
            if isinstance(symbol.type, Struct):
                self.env[symbol] = tuple(self._built_in(name) for name in wanted)
            else:
                self.env[symbol] = self._built_in(wanted)
        self.run_body(function)

    def _built_in(self, name: str) -> Value:
        if name not in self.built_ins:
            cells = self.cells(BUILT_INS[name], name)
            self.built_ins[name] = cells
            for variable in leaves_in(cells.tree):
                variable.fixed = True
        return self.load(self.built_ins[name])

    def _module_variable(self, symbol: Symbol) -> Spotted:
        kind = symbol.type
        if symbol.space == "private":
            place = self.new_variable(kind, symbol.name)
            value = symbol.value
            tree = zero(kind) if value is None else value.value
            self.initialize(place, kind, tree)
            return place
        memory = self._memory(symbol.name, symbol.space, kind)
        if symbol.space != "workgroup":
            self.bound[symbol] = memory
            memory.writable = symbol.access == "read_write"
        return Spot(kind, memory, Address(0))

    def _memory(self, name: str, space: str, kind: Type) -> Memory:
        memory = Memory(name, space, size_of(kind), grows=not is_fixed(kind))
        self.memories.append(memory)
        return memory

    def new_variable(self, kind: Type, name: str) -> Spotted:
        """A place for a variable of one invocation."""
        if holds_array(kind):
            return Spot(kind, self._memory(name, "private", kind), Address(0))
        return self.cells(kind, name)

    def initialize(self, place: Spotted, kind: Type, value: Any) -> None:
        """Give a new variable a constant."""
        if isinstance(place, Spot) and value == zero(kind):
            self.out.append(ir.Clear(place.memory))
        elif isinstance(place, Cells):
            self.declare_cells(place, tree_of(value, kind))
        else:
            self.store(place, tree_of(value, kind))

    def place(self, made: typed.Expr) -> Spotted:
        """The place that a reference or pointer names."""
        if isinstance(made, typed.Use):
            found: Spotted = self.env[made.symbol]
            return found
        if isinstance(made, typed.Recast):
            return self.place(made.base)
        if isinstance(made, typed.PartOf):
            return self.part(self.place(made.base), made.number)
        if isinstance(made, typed.ElementOf):
            base = self.place(made.base)
            return self.element(base, self.scalar(made.index))
        raise AssertionError(f"{made!r} names no place")

    def scalar(self, made: typed.Expr) -> Scalar:
        """The value of an expression of a scalar type."""
        value: Scalar = self.value(made)
        return value

    def value(self, made: typed.Expr) -> Value:
        """The value of an expression."""
        self._expressions += 1
        if self._expressions > _MOST:
            because = f"the entry point has more than {_MOST} expressions with its calls inlined"
            raise ShaderError(because, made.place)
        form: Any = _FORMS[type(made)]
        return form(self, made)

    def _constant(self, made: typed.Constant) -> Value:
        return tree_of(made.value, made.type)

    def _use(self, made: typed.Use) -> Value:
        if isinstance(made.type, Pointer):
            return self.place(made)
        value = self.env[made.symbol]
        return self.load(value) if isinstance(value, Spot) else value

    def _load(self, made: typed.LoadOf) -> Value:
        return self.load(self.place(made.base))

    def _part(self, made: typed.PartOf) -> Value:
        spot = self._array_spot(made.base)
        if spot is not None:
            return self.load(self.part(spot, made.number))
        return self.value(made.base)[made.number]

    def _element(self, made: typed.ElementOf) -> Value:
        base = made.base
        if isinstance(base.type, Array):
            spot = self._array_spot(base) or self._spill(base)
            return self.load(self.element(spot, self.scalar(made.index)))
        values = self.values((base, made.index))
        return self.pick(list(values[0]), values[1])

    def _array_spot(self, base: typed.Expr) -> Spotted | None:
        """The place of an array's value in memory; None if it has no place there."""
        if isinstance(base, typed.Use) and isinstance(self.env.get(base.symbol), Spot):
            found: Spotted = self.env[base.symbol]
            return found
        if isinstance(base, typed.LoadOf) and holds_array(base.type):
            return self.place(base.base)
        return None

    def _spill(self, base: typed.Expr) -> Spotted:
        """Put the value of an array into memory, where an index finds its elements."""
        if isinstance(base, typed.Constant):
            return self._table(base)
        place = self.new_variable(base.type, "array")
        self.store(place, self.value(base))
        return place

    def _table(self, base: typed.Constant) -> Spot:
        memory = self._tables.get(id(base.value))
        if memory is None:
            memory = self._memory("table", "constant", base.type)
            memory.data = np.zeros(size_of(base.type), np.uint8), base.value
            self._tables[id(base.value)] = memory
            _fill_table(memory.data[0], base.type, base.value)
        return Spot(base.type, memory, Address(0))

    def _swizzle(self, made: typed.Swizzle) -> Value:
        base = self.value(made.base)
        return tuple(base[number] for number in made.numbers)

    def values(self, operands: tuple[typed.Expr, ...]) -> list[Value]:
        """The values of the operands, in order; for a pointer, its place.

        A value is held if the evaluation of a later operand might change it.
        """
        found: list[Value] = []
        for number, operand in enumerate(operands):
            value = self.place(operand) if isinstance(operand.type, Pointer) else None
            if value is None:
                value = self.value(operand)
                if any(each.effects for each in operands[number + 1 :]):
                    value = held(self, value)
            found.append(value)
        return found

    def _apply(self, made: typed.Apply) -> Value:
        name = made.name
        if name in ("&&", "||") and made.operands[1].effects:
            return self._short(made)
        if name.startswith("atomic"):
            return self._atomic(made)
        if name == "workgroupUniformLoad":
            self._wait(made)
            return held(self, self.load(self.place(made.operands[0])))
        if name.endswith("Barrier"):
            self._wait(made)
            return None
        if name == "arrayLength":
            return self._length(self.place(made.operands[0]))
        values = self.values(made.operands)
        kinds = [each.type for each in made.operands]
        return expand(self, name, kinds, values, made.type)

    def _wait(self, made: typed.Apply) -> None:
        self.waits = True
        self.out.append(ir.Barrier())

    def _length(self, place: Spotted) -> Scalar:
        assert isinstance(place, Spot)
        assert isinstance(place.type, Array)
        return Length(place.memory, place.address.constant, stride_of(place.type))

    def _short(self, made: typed.Apply) -> Value:
        """``&&`` or ``||``, whose right side runs only if the left side does not decide."""
        result = ir.Variable("both", "bool")
        left, right = made.operands
        self.assign(result, self.scalar(left), first=True)
        condition: Scalar = Get(result)
        if made.name == "||":
            condition = self.op("bool", "not", condition)
        outer, self.out = self.out, []
        self.assign(result, self.scalar(right))
        branch = ir.If(condition, self.out, [])
        self.out = outer
        self.out.append(branch)
        return self.hold(Get(result))

    def _atomic(self, made: typed.Apply) -> Value:
        values = self.values(made.operands)
        spot = values[0]
        assert isinstance(spot, Spot)
        assert isinstance(spot.type, Atomic)
        kind = scalar_name(spot.type)
        if made.name == "atomicLoad":
            return self.hold(ir.Load(kind, spot.memory, spot.address))
        spot.memory.written = True
        if made.name == "atomicStore":
            self.out.append(ir.Store(spot.memory, spot.address, values[1]))
            return None
        before = ir.Variable("t", kind, fixed=True)
        name = made.name.removeprefix("atomic")
        operands = tuple(self.hold(each) for each in values[1:])
        self.out.append(ir.Modify(name, spot.memory, spot.address, operands, kind, before))
        before.writes += 1
        if name != "CompareExchangeWeak":
            return Get(before)
        return Get(before), Op("bool", "eq", (Get(before), operands[0]))

    def _invoke(self, made: typed.Invoke) -> Value:
        values = self.values(made.operands)
        function = made.function
        outer = self.env
        inner = {symbol: place for symbol, place in outer.items() if symbol.space}
        for symbol, value in zip(function.parameters, values, strict=True):
            inner[symbol] = value if isinstance(value, Spotted) else held(self, value)
        self.env = inner
        result = self.run_body(function)
        self.env = outer
        return result

    def run_body(self, function: Function) -> Value:
        """Lower the statements of a function.  Returns its result."""
        body = function.body
        returns = _returns(body)
        last = body[-1] if body else None
        direct = isinstance(last, typed.Jump) and last.kind == "return"
        outer = self.jumps
        self.jumps = {}
        result: Value = None
        if returns == 0 or (returns == 1 and direct):
            self.statements(body[:-1] if returns else body)
            if returns and isinstance(last, typed.Jump) and last.value is not None:
                result = held(self, self.value(last.value))
        else:
            label = Label([])
            place = None if function.result is None else self.new_variable(function.result, "r")
            if isinstance(place, Cells):
                self.declare_cells(place, tree_of(zero(place.type), place.type))
            self.jumps["return"] = (label, place)
            outer_out, self.out = self.out, label.body
            self.statements(body)
            self.out = outer_out
            self.out.append(label)
            result = None if place is None else held(self, self.load(place))
        self.jumps = outer
        return result


def _returns(body: list[Any]) -> int:
    """How many returns stand in statements."""
    count = 0
    for statement in body:
        if isinstance(statement, typed.Jump):
            count += statement.kind == "return"
        elif isinstance(statement, typed.If):
            count += _returns(statement.then) + _returns(statement.other)
        elif isinstance(statement, typed.Switch):
            count += sum(_returns(clause) for _, clause in statement.clauses)
        elif isinstance(statement, typed.Loop):
            count += _returns(statement.body) + _returns(statement.continuing)
        elif isinstance(statement, typed.Block):
            count += _returns(statement.body)
    return count


def _fill_table(memory: Any, kind: Type, value: Any) -> None:
    """Write a constant's bytes."""
    numpy = {"f32": np.float32, "f16": np.float16, "i32": np.int32}
    for (at, name), each in zip(leaves_of(kind), leaves_in(value), strict=True):
        data = np.array([each], numpy.get(name, np.uint32)).view(np.uint8)
        memory[at : at + len(data)] = data


_FORMS: dict[type, Any] = {
    typed.Constant: Lowering._constant,
    typed.Use: Lowering._use,
    typed.LoadOf: Lowering._load,
    typed.PartOf: Lowering._part,
    typed.ElementOf: Lowering._element,
    typed.Swizzle: Lowering._swizzle,
    typed.Apply: Lowering._apply,
    typed.Invoke: Lowering._invoke,
    typed.Recast: Lowering.place,
}
