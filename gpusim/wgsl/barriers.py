"""Finds the barriers that some invocations of a workgroup may miss.

Each function becomes a graph.  A node is a claim: that all invocations of a workgroup come to a
point of the text, or that a value is the same in all.  An edge leads from a claim to another claim
that it needs.  All invocations must meet a barrier, so the claim at its place is required; the
claim VARIES never holds.  If a path leads from a required claim to VARIES, some invocations may
miss the barrier.  The Tags of a function say what it demands of its callers, and what it does to
their values.  So each function is read only once.  A variable has a new node after each assignment.
A vector, array or struct is one value.  Unreachable statements are left out.

Source: WGSL specification, 15.2 "Uniformity" and 9.9 "Statements Behavior Analysis".  In five
places the specification's tables are weaker than its own rule of soundness.  This file follows Tint
there.  The result of an atomic varies.  A pointer argument has two claims: its value and its
contents.  A callee's write through a pointer also needs the claim at the place of the call.  After
a loop, a variable may have its value from a break-if.  The rest of a statement sees what a call in
the statement wrote.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from gpusim.wgsl import typed
from gpusim.wgsl.syntax import TOO_DEEP, Place, ShaderError
from gpusim.wgsl.typed import Expr, Function, Symbol
from gpusim.wgsl.types import Pointer

_UNIFORM = ("workgroup_id", "num_workgroups")
"""The built-in values that a workgroup shares."""
_NEXT, _BREAK, _CONTINUE, _RETURN = "next", "break", "continue", "return"
Behavior = frozenset[str]
_GOES_ON: Behavior = frozenset({_NEXT})


@dataclass(eq=False, slots=True)
class Node:
    """A claim; it holds only if all claims in ``needs`` hold."""

    needs: list["Node"] = field(default_factory=list)


VARIES = Node()
"""The claim that never holds."""
Values = dict[Symbol, Node]
"""The node of each variable's value at a point of the text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tags:
    """What callers have to know of a function, by the numbers of its inputs.

    Its inputs are claims: one about the place of the call, one about the value of each argument,
    one about the contents of each (what it points to), and last VARIES.
    """

    demands: dict[int, Place]
    """The inputs that must hold, each with the place of a barrier that demands it."""
    result: tuple[int, ...]
    """The inputs that the result needs."""
    left: tuple[tuple[int, ...], ...]
    """For each parameter, the inputs that the claim about its contents needs after a call."""
    missed: Place | None


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """A place in memory: a variable or pointer, and the indices that lead from it to the place."""

    root: Symbol
    full: bool
    indices: tuple[Node, ...] = ()


def missed_barriers(functions: Iterable[Function]) -> tuple[Place, ...]:
    """The places of barriers that some invocations may miss: the first of each function.

    Functions that ``functions`` call are read too, before their callers.

    Raises:
        ShaderError: a function is nested too deep.
    """
    known: dict[Function, Tags] = {}
    for function in functions:
        _tags(function, known)
    return tuple(each.missed for each in known.values() if each.missed is not None)


def _tags(function: Function, known: dict[Function, Tags]) -> Tags:
    found = known.get(function)
    if found is None:
        for called in function.calls:
            _tags(called, known)
        try:
            found = known[function] = _Graph(function, known).tags()
        except RecursionError:
            raise ShaderError(TOO_DEEP, function.place) from None
    return found


def _reach(start: Node) -> set[Node]:
    """A node and all that it needs."""
    seen, waiting = {start}, [start]
    while waiting:
        for node in waiting.pop().needs:
            if node not in seen:
                seen.add(node)
                waiting.append(node)
    return seen


@dataclass(slots=True, kw_only=True)
class _Target:
    """The values of the variables at the breaks of a loop or switch, and at a loop's continues."""

    breaks: list[Values] = field(default_factory=list)
    continues: list[Values] | None = None


class _Graph:
    """The graph of one function; the walk through its statements makes the nodes."""

    def __init__(self, function: Function, known: dict[Function, Tags]) -> None:
        self._function, self._known = function, known
        self._own = function.parameters
        count = len(self._own)
        self._inputs = [*(Node() for _ in range(1 + 2 * count)), VARIES]
        self._given, contents = self._inputs[1 : 1 + count], self._inputs[1 + count : -1]
        self._result = Node()
        self._left = [Node() for _ in self._own]
        """The claims about the contents of the parameters when the function ends."""
        self._required: list[tuple[Node, Place]] = []
        self._pointers: dict[Symbol, View] = {}
        self._targets: list[_Target] = []
        self._values: Values = {}
        for number, symbol in enumerate(self._own):
            node = contents[number] if _is_local(symbol) else self._given[number]
            self._values[symbol] = VARIES if _is_unshared(function, number) else node

    def tags(self) -> Tags:
        """What the function demands and does."""
        _, behavior = self._statements(self._inputs[0], self._function.body)
        if _NEXT in behavior:
            self._leave()
        missed: Place | None = None
        demands: dict[int, Place] = {}
        for node, place in self._required:
            needed = self._needed(node)
            if len(self._inputs) - 1 in needed:
                missed = missed or place
            else:
                demands = {**dict.fromkeys(needed, place), **demands}
        return Tags(
            demands=demands,
            result=self._needed(self._result),
            left=tuple(map(self._needed, self._left)),
            missed=missed,
        )

    def _needed(self, node: Node) -> tuple[int, ...]:
        """The inputs that a node needs, by number."""
        reach = _reach(node)
        return tuple(number for number, each in enumerate(self._inputs) if each in reach)

    def _leave(self) -> None:
        for symbol, node in zip(self._own, self._left, strict=True):
            node.needs.append(self._values[symbol])

    # Statements: each method returns the claim at the place after it, and how it may end.

    def _statements(self, at: Node, body: list[typed.Statement]) -> tuple[Node, Behavior]:
        behavior = _GOES_ON
        for statement in body:
            at, ends = self._statement(at, statement)
            behavior = (behavior - {_NEXT}) | ends
            if _NEXT not in ends:
                break
        return at, behavior

    def _statement(self, at: Node, statement: typed.Statement) -> tuple[Node, Behavior]:
        if isinstance(statement, typed.If):
            return self._if(at, statement)
        if isinstance(statement, typed.Switch):
            return self._switch(at, statement)
        if isinstance(statement, typed.Loop):
            return self._loop(at, statement)
        if isinstance(statement, typed.Jump):
            return self._jump(at, statement)
        if isinstance(statement, typed.Block):
            return self._statements(at, statement.body)
        if isinstance(statement, typed.Declare):
            self._declare(at, statement)
        elif isinstance(statement, typed.Assign) and statement.target is not None:
            self._assign(at, statement)
        else:
            self._value(at, statement.value)
        return at, _GOES_ON

    def _declare(self, at: Node, statement: typed.Declare) -> None:
        symbol, value = statement.symbol, statement.value
        if isinstance(symbol.type, Pointer):
            self._pointers[symbol] = self._view(at, value)
        else:
            self._values[symbol] = at if value is None else self._value(at, value)

    def _assign(self, at: Node, statement: typed.Assign) -> None:
        view = self._view(at, statement.target)
        before = self._loaded(at, view)
        value = self._value(at, statement.value)
        if _is_local(view.root):
            node = Node([at, value, *view.indices])
            if statement.sign:
                node.needs.append(before)
            self._write(view, node)

    def _jump(self, at: Node, statement: typed.Jump) -> tuple[Node, Behavior]:
        if statement.kind == _RETURN:
            if statement.value is not None:
                self._result.needs.append(self._value(at, statement.value))
            self._leave()
        elif statement.kind == _BREAK:
            self._targets[-1].breaks.append(dict(self._values))
        else:
            loop = next(each for each in reversed(self._targets) if each.continues is not None)
            assert loop.continues is not None
            loop.continues.append(dict(self._values))
        return at, frozenset({statement.kind})

    def _if(self, at: Node, statement: typed.If) -> tuple[Node, Behavior]:
        inner = self._value(at, statement.condition)
        return self._branches(at, inner, [statement.then, statement.other], [])

    def _switch(self, at: Node, statement: typed.Switch) -> tuple[Node, Behavior]:
        inner = self._value(at, statement.selector)
        target = _Target()
        self._targets.append(target)
        bodies = [body for _, body in statement.clauses]
        end, behavior = self._branches(at, inner, bodies, target.breaks)
        self._targets.pop()
        if _BREAK in behavior:
            behavior = (behavior - {_BREAK}) | _GOES_ON
        return (at if behavior == _GOES_ON else end), behavior

    def _branches(
        self, at: Node, inner: Node, bodies: list[list[typed.Statement]], exits: list[Values]
    ) -> tuple[Node, Behavior]:
        """Several bodies, of which one runs.  ``exits``: the values at each break out of them."""
        before, behavior, ends = self._values, frozenset[str](), []
        after: list[Values] = []
        for body in bodies:
            self._values = dict(before)
            end, ways = self._statements(inner, body)
            ends.append(end)
            behavior |= ways
            if _NEXT in ways:
                after.append(self._values)
        self._values = _joined(before, [*after, *exits])
        return (at if behavior == _GOES_ON else Node(ends)), behavior

    def _loop(self, at: Node, statement: typed.Loop) -> tuple[Node, Behavior]:
        self._statements(at, statement.first)
        body = statement.body
        if statement.condition is not None:
            leaves = typed.If(statement.condition, [], [typed.Jump(_BREAK, None)])
            body = [leaves, *body]
        before = self._values
        begin = Node([at])
        joins = {symbol: Node([node]) for symbol, node in before.items()}
        self._values = dict(joins)
        target = _Target(continues=[])
        self._targets.append(target)
        end, behavior = self._statements(begin, body)
        if behavior & {_NEXT, _CONTINUE}:
            ways = [self._values] if _NEXT in behavior else []
            self._values = _joined(self._values, [*ways, *(target.continues or [])])
            begin.needs.append(self._continuing(end, statement, target))
            for symbol, node in joins.items():
                node.needs.append(self._values[symbol])
            end = begin
        self._targets.pop()
        self._values = _joined(before, target.breaks)
        behavior = (behavior & {_RETURN}) | (_GOES_ON if target.breaks else frozenset())
        return (end if _RETURN in behavior else at), behavior

    def _continuing(self, at: Node, statement: typed.Loop, target: _Target) -> Node:
        """Where control is at the end of a round."""
        at, _ = self._statements(at, statement.continuing)
        if statement.break_if is not None:
            at = Node([self._value(at, statement.break_if)])
            target.breaks.append(dict(self._values))
        return at

    def _value(self, at: Node, made: Expr) -> Node:
        if isinstance(made, typed.Constant):
            return at
        if isinstance(made.type, Pointer):
            return self._address(at, self._view(at, made))
        if isinstance(made, typed.LoadOf):
            return self._loaded(at, self._view(at, made.base))
        if isinstance(made, typed.Use):
            return Node([at, self._values[made.symbol]])
        if isinstance(made, typed.PartOf | typed.Swizzle):
            return self._value(at, made.base)
        if isinstance(made, typed.ElementOf):
            return Node([self._value(at, made.base), self._value(at, made.index)])
        if isinstance(made, typed.Invoke):
            return self._invoke(at, made)
        assert isinstance(made, typed.Apply)
        return self._apply(at, made)

    def _apply(self, at: Node, made: typed.Apply) -> Node:
        if made.name in ("&&", "||"):
            return self._value(self._value(at, made.operands[0]), made.operands[1])
        values = [self._value(at, each) for each in made.operands]
        if made.name.endswith("Barrier"):
            self._required.append((at, made.place))
        elif made.name == "workgroupUniformLoad":
            self._required += [(at, made.place), (values[0], made.place)]
        elif made.name.startswith("atomic"):
            values.append(VARIES)
        return Node([at, *values])

    def _view(self, at: Node, made: Any) -> View:
        """The place that a reference or a pointer names."""
        if isinstance(made, typed.Recast):
            return self._view(at, made.base)
        if isinstance(made, typed.Use):
            whole = View(root=made.symbol, full=True)
            return self._pointers.get(made.symbol, whole)
        view = self._view(at, made.base)
        if isinstance(made, typed.ElementOf):
            index = self._value(at, made.index)
            return replace(view, full=False, indices=(*view.indices, index))
        return replace(view, full=False)

    def _address(self, at: Node, view: View) -> Node:
        """The claim that a pointer itself has the same value in all invocations."""
        node = Node([at, *view.indices])
        if view.root in self._own:
            node.needs.append(self._given[self._own.index(view.root)])
        return node

    def _loaded(self, at: Node, view: View) -> Node:
        """The claim that the value in a place is the same in all invocations."""
        node = self._address(at, view)
        if _is_local(view.root):
            node.needs.append(self._values[view.root])
        elif (view.root.type if view.root in self._own else view.root).access != "read":
            node.needs.append(VARIES)
        return node

    def _invoke(self, at: Node, made: typed.Invoke) -> Node:
        tags = self._known[made.function]
        views: list[View | None] = []
        values: list[Node] = []
        for each in made.operands:
            view = self._view(at, each) if isinstance(each.type, Pointer) else None
            views.append(view)
            values.append(self._value(at, each) if view is None else self._address(at, view))
        contents = [
            value if view is None else self._loaded(at, view)
            for value, view in zip(values, views, strict=True)
        ]
        inputs = [at, *values, *contents, VARIES]
        self._required += [(inputs[number], place) for number, place in tags.demands.items()]
        for view, left in zip(views, tags.left, strict=True):
            if view is not None and _is_local(view.root):
                node = Node([at, *(inputs[number] for number in left)])
                self._write(view, node)
        return Node([at, *(inputs[number] for number in tags.result)])

    def _write(self, view: View, node: Node) -> None:
        """Give a variable a value; if only a part is written, the old value counts too."""
        if not view.full:
            node.needs.append(self._values[view.root])
        self._values[view.root] = node


def _joined(before: Values, ways: list[Values]) -> Values:
    """The values of the variables of ``before`` where several ways meet."""
    joined: Values = {}
    for symbol, node in before.items():
        nodes = {way[symbol]: None for way in ways if symbol in way}
        joined[symbol] = Node([*nodes]) if len(nodes) > 1 else next(iter(nodes), node)
    return joined


def _is_local(symbol: Symbol) -> bool:
    """Whether a symbol's contents are tracked: it is a variable of a function, or points to one."""
    if isinstance(symbol.type, Pointer):
        return symbol.type.space == "function"
    return symbol.space == "function"


def _is_unshared(function: Function, number: int) -> bool:
    """Whether a parameter is a built-in value that a workgroup does not share."""
    if not function.built_ins:
        return False
    names = function.built_ins[number]
    return any(each not in _UNIFORM for each in (names if isinstance(names, list) else [names]))
