"""Removes exits from statements, so that only branches, loops and ``Leave`` remain.

If one side of a branch always exits, the statements after the branch move into the other side.  If
that is not enough, an exit sets a flag, and the statements that it skips run only if no flag is
set.  In a loop, lanes whose flag is set leave at the end of the statement that set the flag.  So
lanes separate only at branches and at ``Leave``.
"""

from collections.abc import Iterable

from gpusim.wgsl.ir import (
    Assign,
    Const,
    Exit,
    Get,
    If,
    Label,
    Leave,
    Loop,
    Op,
    Scalar,
    Statement,
    Variable,
)

Target = Label | Loop


def without_exits(body: list[Statement]) -> list[Statement]:
    """The same statements without labels and exits."""
    return _Cleaner().clean(body, ())


def _exits(statement: Statement) -> dict[Target, None]:
    """Which of the labels and loops around a statement the statement may exit."""
    found: dict[Target, None] = {}
    if isinstance(statement, Exit):
        found[statement.target] = None
    elif isinstance(statement, If):
        for each in (*statement.then, *statement.other):
            found.update(_exits(each))
    elif isinstance(statement, Label | Loop):
        for each in statement.body:
            found.update(_exits(each))
        found.pop(statement, None)
    return found


def _always_exits(body: list[Statement]) -> bool:
    if not body:
        return False
    last = body[-1]
    if isinstance(last, If):
        return _always_exits(last.then) and _always_exits(last.other)
    return isinstance(last, Exit)


class _Cleaner:
    def __init__(self) -> None:
        self._flags: dict[Target, Variable] = {}

    def clean(self, body: list[Statement], tails: tuple[Target, ...]) -> list[Statement]:
        """Statements without exits.  An exit to one of ``tails`` leads to the end of ``body``."""
        out: list[Statement] = []
        for number, statement in enumerate(body):
            rest = body[number + 1 :]
            if isinstance(statement, Exit):
                if statement.target not in tails:
                    out.append(self._raise(statement.target))
                return out
            leaving = _exits(statement)
            if isinstance(statement, If) and leaving and rest:
                moved = self._moved(statement, rest)
                if moved is not None:
                    out.append(self._if(moved, tails))
                    return out
            out += self._cleaned(statement, () if rest else tails)
            raised = [target for target in leaving if rest or target not in tails]
            if rest and raised:
                inner = self.clean(rest, tails)
                out += [If(self._none_raised(raised), inner, [])] if inner else []
                return out
        return out

    def _moved(self, statement: If, rest: list[Statement]) -> If | None:
        """The branch with ``rest`` moved into the side that may go on.

        None if both sides may go on; if neither may, ``rest`` is dropped.
        """
        then, other = _always_exits(statement.then), _always_exits(statement.other)
        if then and other:
            return statement
        if then:
            return If(statement.condition, statement.then, [*statement.other, *rest])
        return If(statement.condition, [*statement.then, *rest], statement.other) if other else None

    def _if(self, statement: If, tails: tuple[Target, ...]) -> Statement:
        then = self.clean(statement.then, tails)
        other = self.clean(statement.other, tails)
        return branch(statement.condition, then, other)

    def _cleaned(self, statement: Statement, tails: tuple[Target, ...]) -> list[Statement]:
        if isinstance(statement, If):
            return [self._if(statement, tails)]
        if isinstance(statement, Label):
            return self._label(statement, tails)
        if isinstance(statement, Loop):
            return [self._loop(statement)]
        return [statement]

    def _label(self, label: Label, tails: tuple[Target, ...]) -> list[Statement]:
        inner = self.clean(label.body, (label, *tails))
        return [*self._unset_flag(label), *inner]

    def _unset_flag(self, target: Target) -> list[Statement]:
        """The statement that unsets the flag of a target, if the target has a flag."""
        flag = self._flags.get(target)
        return [] if flag is None else [Assign(flag, Const("bool", False), True)]

    def _loop(self, loop: Loop) -> Statement:
        body: list[Statement] = []
        for statement in loop.body:
            if isinstance(statement, Label) and statement not in _exits_in(statement.body):
                for inner in statement.body:
                    self._in_loop(loop, inner, body)
            else:
                self._in_loop(loop, statement, body)
        return Loop([*self._unset_flag(loop), *body], loop.owned)

    def _in_loop(self, loop: Loop, statement: Statement, body: list[Statement]) -> None:
        """Add to ``body`` what replaces ``statement``, which is directly inside ``loop``."""
        if isinstance(statement, Exit) and statement.target is loop:
            body.append(Leave(Const("bool", True)))
            return
        if isinstance(statement, If) and len(statement.then) == 1:
            only = statement.then[0]
            if isinstance(only, Exit) and only.target is loop:
                body.append(Leave(statement.condition))
                for inner in statement.other:
                    self._in_loop(loop, inner, body)
                return
        leaving = list(_exits(statement))
        body += (
            self._cleaned(statement, ())
            if not isinstance(statement, Exit)
            else [self._raise(statement.target)]
        )
        if leaving:
            body.append(Leave(self._any_raised(leaving)))

    def _raise(self, target: Target) -> Statement:
        flag = self._flags.setdefault(target, Variable("left", "bool"))
        flag.writes += 1
        return Assign(flag, Const("bool", True))

    def _any_raised(self, targets: Iterable[Target]) -> Scalar:
        raised: Scalar | None = None
        for target in targets:
            one = Get(self._flags.setdefault(target, Variable("left", "bool")))
            raised = one if raised is None else Op("bool", "or", (raised, one))
        assert raised is not None
        return raised

    def _none_raised(self, targets: Iterable[Target]) -> Scalar:
        return Op("bool", "not", (self._any_raised(targets),))


def _exits_in(body: list[Statement]) -> dict[Target, None]:
    found: dict[Target, None] = {}
    for statement in body:
        found.update(_exits(statement))
    return found


_OPPOSITES = {"lt": "ge", "ge": "lt", "gt": "le", "le": "gt", "eq": "ne", "ne": "eq"}


def opposite(condition: Scalar) -> Scalar:
    """The negation of a condition."""
    if isinstance(condition, Op):
        if condition.name == "not":
            return condition.operands[0]
        exact = condition.name in ("eq", "ne") or condition.operands[0].type in ("i32", "u32")
        if condition.name in _OPPOSITES and exact:
            return Op("bool", _OPPOSITES[condition.name], condition.operands)
    return Op("bool", "not", (condition,))


def branch(condition: Scalar, then: list[Statement], other: list[Statement]) -> Statement:
    """A branch; if only one side has statements, it is the first side."""
    if then or not other:
        return If(condition, then, other)
    return If(opposite(condition), other, [])
