"""Lowers statements of the typed tree to statements over scalars.

A switch becomes a chain of branches.  Every loop becomes endless rounds with exits.  Jumps become
exits of labels or loops, which ``exits.py`` removes.
"""

from typing import Any

from gpusim.wgsl import ir, typed
from gpusim.wgsl.componentwise import Value, held
from gpusim.wgsl.constants import zero
from gpusim.wgsl.expand import expand
from gpusim.wgsl.ir import Const, Exit, Label, Scalar
from gpusim.wgsl.typed import Symbol
from gpusim.wgsl.types import Pointer, Type, holds_array
from gpusim.wgsl.values import Cells, Emitter, Spotted


class StatementLowering(Emitter):
    """Lowers statements; a subclass lowers expressions."""

    def __init__(self) -> None:
        super().__init__()
        self.env: dict[Symbol, Any] = {}
        self.jumps: dict[str, Any] = {}

    def value(self, made: typed.Expr) -> Value:
        """The value of an expression."""
        raise NotImplementedError

    def values(self, operands: tuple[typed.Expr, ...]) -> list[Value]:
        """The values of several expressions, in order; for a pointer, its place."""
        raise NotImplementedError

    def scalar(self, made: typed.Expr) -> Scalar:
        """The value of an expression of a scalar type."""
        raise NotImplementedError

    def place(self, made: typed.Expr) -> Spotted:
        """The place that a reference names."""
        raise NotImplementedError

    def new_variable(self, kind: Type, name: str) -> Spotted:
        """A place for a variable of one invocation."""
        raise NotImplementedError

    def initialize(self, place: Spotted, kind: Type, value: Any) -> None:
        """Give a new variable a constant."""
        raise NotImplementedError

    def statements(self, body: list[typed.Statement]) -> None:
        """Lower statements one after another, and append what they become to ``out``."""
        for statement in body:
            form: Any = _FORMS[type(statement)]
            form(self, statement)

    def gathered(self, body: list[typed.Statement]) -> list[ir.Statement]:
        """Lower statements to a list of their own, and return it."""
        outer, self.out = self.out, []
        self.statements(body)
        made, self.out = self.out, outer
        return made

    def declare_cells(self, place: Cells, value: Value) -> None:
        """Give new variables their first values."""
        if isinstance(place.tree, tuple):
            kinds = [Cells(place.type, part) for part in place.tree]
            for part, each in zip(kinds, value, strict=True):
                self.declare_cells(part, each)
        else:
            self.assign(place.tree, value, first=True)

    def _declare(self, statement: typed.Declare) -> None:
        symbol, value = statement.symbol, statement.value
        if isinstance(symbol.type, Pointer):
            assert value is not None
            self.env[symbol] = self.place(value)
            return
        if symbol.kind == "let":
            assert value is not None
            made = self.value(value)
            if not holds_array(symbol.type):
                self.env[symbol] = held(self, made)
                return
            place = self.new_variable(symbol.type, symbol.name)
            self.store(place, made)
            self.env[symbol] = place
            return
        self._declare_var(symbol, value)

    def _declare_var(self, symbol: Symbol, value: typed.Expr | None) -> None:
        if value is None or isinstance(value, typed.Constant):
            place = self.new_variable(symbol.type, symbol.name)
            self.env[symbol] = place
            given = zero(symbol.type) if value is None else value.value
            self.initialize(place, symbol.type, given)
            return
        made = self.value(value)
        place = self.new_variable(symbol.type, symbol.name)
        self.env[symbol] = place
        if isinstance(place, Cells):
            self.declare_cells(place, made)
        else:
            self.store(place, made)

    def _assign(self, statement: typed.Assign) -> None:
        target, value = statement.target, statement.value
        if target is None:
            if value.effects:
                self.values((value,))
            return
        place, made = self.values((target, value))
        if statement.operands is not None:
            left = self.load(place)
            made = expand(self, statement.sign, statement.operands, (left, made), target.type.of)
        self.store(place, made)

    def _do(self, statement: typed.Do) -> None:
        self.value(statement.value)

    def _if(self, statement: typed.If) -> None:
        condition = self.scalar(statement.condition)
        if isinstance(condition, Const):
            self.statements(statement.then if condition.value else statement.other)
            return
        then, other = self.gathered(statement.then), self.gathered(statement.other)
        self.out.append(ir.If(condition, then, other))

    def _switch(self, statement: typed.Switch) -> None:
        selector = self.hold(self.scalar(statement.selector))
        label = Label([])
        outer = self.jumps
        self.jumps = {**outer, "break": (label, None)}
        default: list[ir.Statement] = []
        cases: list[tuple[Scalar, list[ir.Statement]]] = []
        for values, body in statement.clauses:
            made = self.gathered(body)
            if None in values:
                default = made
                continue
            condition = self._is_any(selector, [value for value in values if value is not None])
            cases.append((condition, made))
        self.jumps = outer
        chain = default
        for condition, made in reversed(cases):
            chain = [ir.If(condition, made, chain)]
        label.body.extend(chain)
        self.out.append(label)

    def _is_any(self, selector: Scalar, values: list[int]) -> Scalar:
        condition: Scalar | None = None
        for value in values:
            one = self.op("bool", "eq", selector, Const(selector.type, value))
            condition = one if condition is None else self.op("bool", "or", condition, one)
        assert condition is not None
        return condition

    def _loop(self, statement: typed.Loop) -> None:
        before = len(self.out)
        self.statements(statement.first)
        loop = ir.Loop([])
        for made in self.out[before:]:
            if isinstance(made, ir.Assign) and made.first:
                loop.owned.append(made.variable)
        outer_out, self.out = self.out, loop.body
        outer_jumps = self.jumps
        if statement.condition is not None:
            condition = self.op("bool", "not", self.scalar(statement.condition))
            self.out.append(ir.If(condition, [Exit(loop)], []))
        label = Label([])
        self.jumps = {**outer_jumps, "break": (loop, None), "continue": (label, None)}
        label.body.extend(self.gathered(statement.body))
        self.out.append(label)
        self.statements(statement.continuing)
        if statement.break_if is not None:
            self.out.append(ir.If(self.scalar(statement.break_if), [Exit(loop)], []))
        self.jumps = outer_jumps
        self.out = outer_out
        self.out.append(loop)

    def _jump(self, statement: typed.Jump) -> None:
        target, place = self.jumps[statement.kind]
        if statement.value is not None:
            self.store(place, self.value(statement.value))
        self.out.append(Exit(target))

    def _block(self, statement: typed.Block) -> None:
        self.statements(statement.body)


_FORMS: dict[type, Any] = {
    typed.Declare: StatementLowering._declare,
    typed.Assign: StatementLowering._assign,
    typed.Do: StatementLowering._do,
    typed.If: StatementLowering._if,
    typed.Switch: StatementLowering._switch,
    typed.Loop: StatementLowering._loop,
    typed.Jump: StatementLowering._jump,
    typed.Block: StatementLowering._block,
}
