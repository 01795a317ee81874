"""Checks expressions: overloads, conversions, references, calls, and the values of constants.

Constant expressions are computed here at once.  Where a value is wanted, a reference is loaded.
Source: WGSL specification, 8 "Expressions", 6.1 "Type Checking", 6.4 "Memory Views".
"""

from typing import Any

from gpusim.wgsl import syntax, typed
from gpusim.wgsl.constants import literal
from gpusim.wgsl.constructors import Constructors
from gpusim.wgsl.functions import FUNCTIONS
from gpusim.wgsl.names import is_foreign_function, is_function_name
from gpusim.wgsl.overloads import NoOverload, Resolved
from gpusim.wgsl.syntax import Expression, Place
from gpusim.wgsl.typed import CONST, RUN, Apply, Constant, Expr
from gpusim.wgsl.types import (
    BOOL,
    I32,
    INTEGERS,
    U32,
    Array,
    Matrix,
    Pointer,
    Struct,
    Type,
    Vector,
    concrete,
    element_of,
    is_abstract,
    parts_of,
)

_SETS = ("xyzw", "rgba")


class Expressions(Constructors):
    """Finds the type of each expression: one method for each form of expression."""

    def expression(self, node: Expression) -> Expr:
        """The typed form of an expression, which may be a reference."""
        form: Any = _FORMS[type(node)]
        made: Expr = form(self, node)
        return made

    def value(self, node: Expression) -> Expr:
        """The typed form of an expression; of a reference, the value to which it refers."""
        return self.loaded(self.expression(node))

    def _literal(self, node: syntax.Literal) -> Expr:
        kind, value = literal(node)
        self.check_feature(kind, node.place)
        return Constant(type=kind, place=node.place, stage=CONST, value=value)

    def _named(self, node: syntax.Named) -> Expr:
        symbol = self.lookup(node.name, node.place)
        if symbol is None:
            what = "a type or function, and no value" if self._is_known(node) else "not declared"
            self.fail(f"{node.name!r} is {what}", node.place)
        if symbol.kind in ("type", "function"):
            self.fail(f"{node.name!r} is a {symbol.kind} and no value", node.place)
        if node.template is not None:
            self.fail(f"the {symbol.kind} {node.name!r} takes no template list", node.place)
        if symbol.kind in ("const", "override"):
            self.using[symbol] = None
            return Constant(
                type=symbol.type, place=node.place, stage=symbol.stage, value=symbol.value
            )
        if symbol.kind != "var":
            return typed.Use(type=symbol.type, place=node.place, symbol=symbol)
        if symbol.space != "function":
            self.using[symbol] = None
            if not self.scopes:
                self.fail(f"{node.name!r} is a var, and only functions may use it", node.place)
        kind = Pointer(symbol.space, symbol.type, symbol.access, True)
        return typed.Use(type=kind, place=node.place, symbol=symbol)

    def _is_known(self, node: syntax.Named) -> bool:
        return is_function_name(node.name) or self.names_type(node.name, node.place)

    def _unary(self, node: syntax.Unary) -> Expr:
        if node.sign == "&":
            made = self.expression(node.operand)
            kind = made.type
            if not isinstance(kind, Pointer) or not kind.is_reference:
                self.fail("'&' takes a variable", node.place)
            self._check_addressable(made)
            pointer = Pointer(kind.space, kind.of, kind.access)
            return typed.Recast(type=pointer, place=node.place, effects=made.effects, base=made)
        operand = self.value(node.operand)
        if node.sign == "*":
            kind = operand.type
            if not isinstance(kind, Pointer):
                self.fail(f"'*' takes a pointer, not {kind}", node.place)
            reference = Pointer(kind.space, kind.of, kind.access, True)
            return typed.Recast(
                type=reference, place=node.place, effects=operand.effects, base=operand
            )
        name = "-x" if node.sign == "-" else node.sign
        return self.apply(name, [operand], node.place)

    def _check_addressable(self, made: Expr) -> None:
        """Raise if ``made`` names a component of a vector, since components have no address."""
        if isinstance(made, typed.PartOf | typed.ElementOf):
            base = made.base.type
            if isinstance(base, Pointer) and isinstance(base.of, Vector):
                self.fail("a component of a vector has no address", made.place)

    def _binary(self, node: syntax.Binary) -> Expr:
        left, right = self.value(node.left), self.value(node.right)
        if node.sign in ("&&", "||") and isinstance(left, Constant) and left.type == BOOL:
            made = self.apply(node.sign, [left, right], node.place)
            if bool(left.value) != (node.sign == "||"):
                return right
            return left if isinstance(right, Constant) else made
        return self.apply(node.sign, [left, right], node.place)

    def apply(self, name: str, operands: list[Expr], place: Place) -> Expr:
        """Apply the built-in function or operator ``name``; constants are computed at once."""
        function = FUNCTIONS[name]
        if len(operands) != function.count:
            self.fail(f"{name} takes {function.count} arguments, not {len(operands)}", place)
        try:
            found = function.rule([each.type for each in operands], function.allowed)
        except NoOverload as error:
            shown = ", ".join(str(each.type) for each in operands)
            self.fail(f"{_shown(name)} does not take ({shown}), expected {error}", place)
        if not function.constant or not all(isinstance(each, Constant) for each in operands):
            found = self._concrete(name, operands, found)
        converted = tuple(
            self.as_type(each, kind, "the operand")
            for each, kind in zip(operands, found.operands, strict=True)
        )
        self._check_runtime(name, converted)
        effects = function.effects or any(each.effects for each in converted)
        stage = RUN if not function.constant else max((each.stage for each in converted), default=2)
        made = Apply(
            type=found.result,
            place=place,
            stage=stage,
            effects=effects,
            name=name,
            operands=converted,
        )
        return self.folded(made)

    def _concrete(self, name: str, operands: list[Expr], found: Resolved) -> Resolved:
        """The overload for an operation in a run, where abstract operands take concrete types."""
        if not any(is_abstract(kind) for kind in found.operands if not isinstance(kind, Pointer)):
            return found
        kinds = [concrete(kind) for kind in found.operands]
        function = FUNCTIONS[name]
        try:
            return function.rule(kinds, function.allowed)
        except NoOverload as error:
            self.fail(f"{_shown(name)} takes {error}", operands[0].place)

    def _check_runtime(self, name: str, operands: tuple[Expr, ...]) -> None:
        """Refuse a constant second operand that is wrong for every first operand."""
        last = operands[-1] if operands else None
        if not isinstance(last, Constant) or last.stage != CONST or len(operands) != 2:
            return
        of = element_of(operands[0].type)
        values = last.value if isinstance(last.value, tuple) else (last.value,)
        if name in ("/", "%") and of in INTEGERS and any(value == 0 for value in values):
            self.fail("a value is divided by zero", last.place)
        if name in ("<<", ">>") and of in (I32, U32) and any(value >= 32 for value in values):
            self.fail(f"cannot shift {of} by {max(values)} bits because it has only 32", last.place)

    def _index(self, node: syntax.Index) -> Expr:
        base = self._pointee(self.expression(node.base))
        index = self.value(node.index)
        kind = base.type.of if isinstance(base.type, Pointer) else base.type
        if index.type not in INTEGERS:
            self.fail(f"an index must be an integer, not {index.type}", node.index.place)
        if not isinstance(kind, Vector | Matrix | Array):
            self.fail(f"a value of type {kind} has no elements", node.place)
        of = kind.column if isinstance(kind, Matrix) else kind.of
        if isinstance(index, Constant):
            count = kind.count if isinstance(kind, Array) else len(parts_of(kind))
            bound = index.stage == CONST and not getattr(kind, "count_name", "")
            if index.value < 0 or (count is not None and bound and index.value >= count):
                because = "is negative" if index.value < 0 else f"is not below {count}"
                self.fail(f"the index {index.value} {because}", node.index.place)
            return self.part(base, int(index.value), of, node.place, of_constant=bound)
        result: Type = of
        index = self.settled(index)
        if isinstance(base.type, Pointer):
            result = Pointer(base.type.space, of, base.type.access, True)
        elif isinstance(base, Constant):
            base = self.settled(base)
            result = concrete(of)
        return typed.ElementOf(
            type=result,
            place=node.place,
            effects=base.effects or index.effects,
            base=base,
            index=index,
        )

    def _pointee(self, made: Expr) -> Expr:
        """What stands before ``.`` or ``[``; of a pointer, a reference to where it points."""
        kind = made.type
        if isinstance(kind, Pointer) and not kind.is_reference:
            reference = Pointer(kind.space, kind.of, kind.access, True)
            return typed.Recast(type=reference, place=made.place, effects=made.effects, base=made)
        if kind is None:
            self.fail("a call without a result has no value", made.place)
        return made

    def part(
        self, base: Expr, number: int, of: Type, place: Place, *, of_constant: bool = True
    ) -> Expr:
        """The part of ``base`` with this number, of type ``of``.

        With ``of_constant``, the part of a constant is a constant as well.
        """
        if isinstance(base, Constant) and of_constant:
            return Constant(type=of, place=place, stage=base.stage, value=base.value[number])
        kind: Type = of
        if isinstance(base.type, Pointer):
            kind = Pointer(base.type.space, of, base.type.access, True)
        return typed.PartOf(
            type=kind, place=place, stage=base.stage, effects=base.effects, base=base, number=number
        )

    def _field(self, node: syntax.Field) -> Expr:
        base = self._pointee(self.expression(node.base))
        kind = base.type.of if isinstance(base.type, Pointer) else base.type
        if isinstance(kind, Struct):
            for number, member in enumerate(kind.members):
                if member.name == node.name:
                    return self.part(base, number, member.type, node.place)
            self.fail(f"the struct {kind} has no member {node.name!r}", node.place)
        if not isinstance(kind, Vector):
            self.fail(f"a value of type {kind} has no member {node.name!r}", node.place)
        numbers = _swizzle(node.name, kind.size)
        if numbers is None:
            self.fail(f"{kind} has no components {node.name!r}", node.place)
        if len(numbers) == 1:
            return self.part(base, numbers[0], kind.of, node.place)
        base = self.loaded(base)
        result = Vector(len(numbers), kind.of)
        if isinstance(base, Constant):
            value = tuple(base.value[number] for number in numbers)
            return Constant(type=result, place=node.place, stage=base.stage, value=value)
        return typed.Swizzle(
            type=result,
            place=node.place,
            stage=base.stage,
            effects=base.effects,
            base=base,
            numbers=numbers,
        )

    def _call(self, node: syntax.Call) -> Expr:
        callee = node.callee
        symbol = self.lookup(callee.name, callee.place)
        if symbol is not None and symbol.kind == "function":
            return self.invoke(symbol, node)
        if symbol is None and is_function_name(callee.name):
            if callee.template is not None:
                self.fail(f"{callee.name} takes no template list", callee.place)
            return self.apply(callee.name, self._arguments(node), node.place)
        if symbol is None and callee.name == "bitcast":
            return self._bitcast(node)
        if symbol is None and is_foreign_function(callee.name):
            because = "needs textures, fragments or subgroups"
            self.fail(f"{callee.name} is not supported: it {because}", callee.place)
        if self.names_type(callee.name, callee.place):
            return self._construct(node)
        what = "not declared" if symbol is None else f"a {symbol.kind}"
        self.fail(f"{callee.name!r} is {what}, expected a function or type", callee.place)

    def invoke(self, symbol: typed.Symbol, node: syntax.Call) -> Expr:
        """A call of a function of the text."""
        raise NotImplementedError

    def _arguments(self, node: syntax.Call) -> list[Expr]:
        return [self.value(each) for each in node.arguments]


def _swizzle(name: str, size: int) -> tuple[int, ...] | None:
    for letters in _SETS:
        if len(name) <= 4 and all(letter in letters[:size] for letter in name):
            return tuple(letters.index(letter) for letter in name)
    return None


def _shown(name: str) -> str:
    return name if name[0].isalpha() else f"'{name}'"


_FORMS: dict[type, Any] = {
    syntax.Literal: Expressions._literal,
    syntax.Named: Expressions._named,
    syntax.Unary: Expressions._unary,
    syntax.Binary: Expressions._binary,
    syntax.Index: Expressions._index,
    syntax.Field: Expressions._field,
    syntax.Call: Expressions._call,
}
