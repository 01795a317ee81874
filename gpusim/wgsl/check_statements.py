"""The checks of statements and of calls of the text's own functions.

Source: WGSL specification, 9 "Statements", 9.9 "Statements Behavior Analysis", 11.3 "Restrictions
on Functions".
"""

from typing import Any

from gpusim.wgsl import syntax, typed
from gpusim.wgsl.check_expressions import Expressions
from gpusim.wgsl.functions import FUNCTIONS
from gpusim.wgsl.names import storable
from gpusim.wgsl.syntax import TOO_DEEP, Place
from gpusim.wgsl.typed import CONST, RUN, Expr, Function, Symbol
from gpusim.wgsl.types import (
    BOOL,
    I32,
    INTEGERS,
    U32,
    Pointer,
    Type,
    concrete,
    is_abstract,
    is_fixed,
)

_UPDATES = {"++": "+", "--": "-"}
NEXT, BREAK, CONTINUE, RETURN = "next", "break", "continue", "return"
Behavior = frozenset[str]
"""How a statement may end."""


class Statements(Expressions):
    """Checks statements: one method for each form of statement."""

    _function_now: Function
    _loops: list[str]

    def body(self, block: syntax.Block, function: Function) -> list[typed.Statement]:
        """The typed statements of a function, whose parameters are in scope."""
        outer = getattr(self, "_function_now", None), getattr(self, "_loops", [])
        self._function_now, self._loops = function, []
        self.scopes.append({})
        parameters, own = self.scopes[-2], self.scopes[-1]
        own.update(parameters)
        statements, behavior = self._statements(block.statements)
        self.scopes.pop()
        if function.result is not None and NEXT in behavior:
            self.fail(f"the function {function.name} may end without a value", function.place)
        self._function_now, self._loops = outer  # type: ignore[assignment]
        return statements

    def _statements(
        self, nodes: tuple[syntax.Statement, ...]
    ) -> tuple[list[typed.Statement], Behavior]:
        made: list[typed.Statement] = []
        behavior: Behavior = frozenset({NEXT})
        for node in nodes:
            form: Any = _FORMS[type(node)]
            try:
                statement, ends = form(self, node)
            except RecursionError:
                self.fail(TOO_DEEP, node.place)
            if statement is not None and NEXT in behavior:
                made.append(statement)
            if NEXT in behavior:
                behavior = (behavior - {NEXT}) | ends
        return made, behavior

    def _block(self, node: syntax.Block) -> tuple[typed.Statement, Behavior]:
        with self.scope():
            made, behavior = self._statements(node.statements)
        return typed.Block(made), behavior

    def _inner(self, node: syntax.Block) -> tuple[list[typed.Statement], Behavior]:
        with self.scope():
            return self._statements(node.statements)

    def const(self, node: syntax.Declaration) -> Symbol:
        """A const, in the module or in a function."""
        assert node.value is not None
        made: Expr = self.constant(node.value, f"the const {node.name}")
        if node.type is not None:
            made = self.as_type(made, self.type_of(node.type), "the value")
        assert isinstance(made, typed.Constant)
        return Symbol(
            name=node.name,
            kind="const",
            type=made.type,
            place=node.place,
            value=made.value,
            stage=CONST,
        )

    def assertion(self, node: syntax.Assertion) -> tuple[None, Behavior]:
        """A const_assert."""
        made = self.constant(node.condition, "const_assert")
        if made.type != BOOL:
            self.fail(f"const_assert takes a bool, not {made.type}", node.place)
        if not made.value:
            self.fail("the const_assert is false", node.place)
        return None, frozenset({NEXT})

    def _declaration(self, node: syntax.Declaration) -> tuple[typed.Statement | None, Behavior]:
        goes_on: Behavior = frozenset({NEXT})
        if node.kind == "const":
            self.declare(self.const(node))
            return None, goes_on
        declared = self.type_of(node.type) if node.type else None
        value = None if node.value is None else self.value(node.value)
        if value is not None:
            value = self.as_type(value, declared or concrete(value.type), "the value")
            declared = value.type
        if declared is None:
            self.fail(f"the variable {node.name} has neither a type nor a value", node.place)
        if node.kind == "let":
            if not isinstance(declared, Pointer) and not storable(declared):
                self.fail(f"a let cannot be of type {declared}", node.place)
            symbol = Symbol(name=node.name, kind="let", type=declared, place=node.place)
            return typed.Declare(self.declare(symbol), value), goes_on
        space, _ = self.space_of(node)
        if space not in ("", "function"):
            self.fail(f"a variable in {space} must be declared outside of functions", node.place)
        if not storable(declared) or not is_fixed(declared):
            self.fail(f"a variable of a function cannot be of type {declared}", node.place)
        symbol = Symbol(
            name=node.name,
            kind="var",
            type=declared,
            place=node.place,
            space="function",
            access="read_write",
        )
        return typed.Declare(self.declare(symbol), value), goes_on

    def space_of(self, node: syntax.Declaration) -> tuple[str, str]:
        """The address space and the access mode of a var."""
        raise NotImplementedError

    def _assignment(self, node: syntax.Assignment) -> tuple[typed.Statement, Behavior]:
        goes_on: Behavior = frozenset({NEXT})
        if node.target is None:
            made = self.value(node.value)
            if not isinstance(made.type, Pointer):
                made = self.settled(made)
            return typed.Assign(None, "", made), goes_on
        target = self.expression(node.target)
        kind = target.type
        if not isinstance(kind, Pointer) or not kind.is_reference:
            self.fail("the left side of an assignment must be a variable", node.target.place)
        if kind.access == "read":
            self.fail(f"this variable in {kind.space} can only be read", node.target.place)
        if not storable(kind.of):
            self.fail(f"a value of type {kind.of} cannot be stored", node.target.place)
        value = self.value(node.value)
        if not node.sign:
            return typed.Assign(target, "", self.as_type(value, kind.of, "the value")), goes_on
        sign = _UPDATES.get(node.sign, node.sign)
        if node.sign in _UPDATES and kind.of not in (I32, U32):
            self.fail(f"'{node.sign}' takes a variable of i32 or u32", node.place)
        result = self.apply(sign, [self.loaded(target), value], node.place)
        if not isinstance(result, typed.Apply) or result.type != kind.of:
            self.fail(f"the result is of type {result.type}, expected {kind.of}", node.place)
        types = result.operands[0].type, result.operands[1].type
        return typed.Assign(target, sign, result.operands[1], types), goes_on

    def _do(self, node: syntax.CallStatement) -> tuple[typed.Statement, Behavior]:
        made = self.expression(node.call)
        name = node.call.callee.name
        symbol = self.lookup(name, node.place)
        if symbol is None:
            function = FUNCTIONS.get(name)
            must_use = name in ("arrayLength", "workgroupUniformLoad")
            if function is None or function.constant or must_use:
                self.fail(f"the value of {name} must be used", node.place)
        elif symbol.kind != "function" or symbol.value.must_use:
            self.fail(f"the value of {name} must be used", node.place)
        return typed.Do(made), frozenset({NEXT})

    def invoke(self, symbol: Symbol, node: syntax.Call) -> Expr:
        """A call of a function of the text."""
        function: Function = symbol.value
        if function.workgroup_size is not None:
            self.fail(f"the entry point {function.name} cannot be called", node.place)
        count = len(function.parameters)
        if len(node.arguments) != count:
            got = len(node.arguments)
            self.fail(f"{function.name} takes {count} arguments, not {got}", node.place)
        operands = tuple(
            self.as_type(self.value(each), parameter.type, f"the argument {parameter.name}")
            for each, parameter in zip(node.arguments, function.parameters, strict=True)
        )
        self._function_now.calls.setdefault(function, node.place)
        return typed.Invoke(
            type=function.result,
            place=node.place,
            stage=RUN,
            effects=True,
            function=function,
            operands=operands,
        )

    def condition(self, node: syntax.Expression, what: str) -> Expr:
        """The typed form of a condition."""
        made = self.value(node)
        if made.type != BOOL:
            self.fail(f"the condition of {what} must be a bool, not {made.type}", node.place)
        return made

    def _if(self, node: syntax.If) -> tuple[typed.Statement, Behavior]:
        condition = self.condition(node.condition, "'if'")
        then, behavior = self._inner(node.then)
        other: list[typed.Statement] = []
        rest: Behavior = frozenset({NEXT})
        if isinstance(node.other, syntax.Block):
            other, rest = self._inner(node.other)
        elif node.other is not None:
            form: Any = _FORMS[type(node.other)]
            statement, rest = form(self, node.other)
            other = [statement]
        return typed.If(condition, then, other), behavior | rest

    def _switch(self, node: syntax.Switch) -> tuple[typed.Statement, Behavior]:
        selector = self.value(node.selector)
        if selector.type not in INTEGERS:
            self.fail(f"the selector must be an integer, not {selector.type}", node.selector.place)
        cases = [
            [None if each is None else self.constant(each, "a case") for each in clause.selectors]
            for clause in node.clauses
        ]
        kind = self._switch_type(selector, cases)
        selector = self.as_type(selector, kind, "the selector")
        clauses: list[tuple[list[int | None], list[typed.Statement]]] = []
        behavior: Behavior = frozenset()
        seen: list[int | None] = []
        self._loops.append("switch")
        for clause, case in zip(node.clauses, cases, strict=True):
            values: list[int | None] = []
            for each in case:
                value = None if each is None else self._case(each, kind)
                if value in seen:
                    what = "default" if value is None else f"case {value}"
                    self.fail(f"the {what} occurs twice", clause.place)
                seen.append(value)
                values.append(value)
            made, ends = self._inner(clause.body)
            clauses.append((values, made))
            behavior |= ends
        self._loops.pop()
        if None not in seen:
            self.fail("the switch has no default", node.place)
        if BREAK in behavior:
            behavior = (behavior - {BREAK}) | {NEXT}
        return typed.Switch(selector, clauses), behavior

    def _case(self, made: Expr, kind: Type) -> int:
        constant = self.as_type(made, kind, "the case")
        assert isinstance(constant, typed.Constant)
        return int(constant.value)

    def _switch_type(self, selector: Expr, cases: list[list[typed.Constant | None]]) -> Type:
        kinds = [selector.type, *(each.type for case in cases for each in case if each)]
        for kind in kinds:
            if not is_abstract(kind):
                found: Type = kind
                return found
        return I32

    def _loop(self, node: syntax.Loop) -> tuple[typed.Statement, Behavior]:
        continuing: list[typed.Statement] = []
        break_if: Expr | None = None
        with self.scope():
            first: list[typed.Statement] = []
            if node.first is not None:
                first, _ = self._statements((node.first,))
            condition = None
            if node.condition is not None:
                condition = self.condition(node.condition, f"'{node.kind}'")
            self._loops.append("loop")
            with self.scope():
                body, behavior = self._statements(node.body.statements)
                if node.kind == "loop":
                    # The continuing block of a loop sees what the body declares.
                    continuing, break_if = self._continuing(node)
            if node.kind == "for":
                continuing, break_if = self._continuing(node)
            self._loops.pop()
        made = typed.Loop(first, condition, body, continuing, break_if)
        return made, self._loop_behavior(node, behavior)

    def _continuing(self, node: syntax.Loop) -> tuple[list[typed.Statement], Expr | None]:
        """The statements of the continuing block, and the condition of its ``break if``."""
        if node.continuing is None:
            return [], None
        self._loops.append("continuing")
        with self.scope():
            made, _ = self._statements(node.continuing.statements)
            break_if = None
            if node.break_if is not None:
                break_if = self.condition(node.break_if, "'break if'")
        self._loops.pop()
        return made, break_if

    def _loop_behavior(self, node: syntax.Loop, behavior: Behavior) -> Behavior:
        ends = behavior - {NEXT, BREAK, CONTINUE}
        leaves = BREAK in behavior or node.condition is not None or node.break_if is not None
        if leaves:
            return ends | {NEXT}
        if not ends:
            self.fail("the loop has no end: it neither breaks nor returns", node.place)
        return ends

    def _jump(self, node: syntax.Jump) -> tuple[typed.Statement, Behavior]:
        if node.kind == "discard":
            self.fail("discard belongs to fragment shaders", node.place)
        value: Expr | None = None
        if node.kind == "return":
            value = self._returned(node)
        self._check_jump(node.kind, node.place)
        return typed.Jump(node.kind, value), frozenset({node.kind})

    def _returned(self, node: syntax.Jump) -> Expr | None:
        wanted = self._function_now.result
        if node.value is None:
            if wanted is not None:
                self.fail(f"return needs a value of type {wanted}", node.place)
            return None
        if wanted is None:
            self.fail("return has a value, but the function has no result type", node.place)
        return self.as_type(self.value(node.value), wanted, "the value")

    def _check_jump(self, kind: str, place: Place) -> None:
        if "continuing" in self._loops:
            inner = self._loops[::-1]
            inner = inner[: inner.index("continuing")]
            if kind == "return" or not [
                each for each in inner if each != "switch" or kind == BREAK
            ]:
                self.fail(f"{kind} must not leave a continuing block", place)
        if kind == CONTINUE and "loop" not in self._loops:
            self.fail("continue stands in no loop", place)
        if kind == BREAK and not self._loops:
            self.fail("break stands in no loop and no switch", place)


_FORMS: dict[type, Any] = {
    syntax.Block: Statements._block,
    syntax.Declaration: Statements._declaration,
    syntax.Assignment: Statements._assignment,
    syntax.CallStatement: Statements._do,
    syntax.If: Statements._if,
    syntax.Switch: Statements._switch,
    syntax.Loop: Statements._loop,
    syntax.Jump: Statements._jump,
    syntax.Assertion: Statements.assertion,
}
