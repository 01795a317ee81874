"""Whether the order of atomics decides which path a shader takes, or which word it reaches.

The result of an atomic depends on the order.  So does everything that is computed from it: values,
variables written under a condition, and the memories that hold them.  If none of these is used in a
condition, an index or checked arithmetic, one run shows the mistakes of every order.
"""

from typing import Any

from gpusim.wgsl.checks.nodes import ATOMIC, Bound, Doubt, Touch
from gpusim.wgsl.ir import (
    Address,
    Assign,
    Get,
    If,
    Leave,
    Load,
    Loop,
    Memory,
    Modify,
    Op,
    Scalar,
    Store,
    Variable,
)
from gpusim.wgsl.uniformity import statements_in


def depends_on_order(body: list[Any]) -> bool:
    """Whether another order of atomics may show another mistake."""
    follower = _Follower(body)
    while follower.grows(body):
        pass
    return follower.found


class _Follower:
    """Notes the variables and memories that depend on the order."""

    def __init__(self, body: list[Any]) -> None:
        self.found = False
        self._variables: dict[Variable, None] = {}
        touches = [each for each in statements_in(body) if isinstance(each, Touch)]
        self._memories: dict[Memory, None] = {
            each.memory: None for each in touches if each.how == ATOMIC
        }

    def grows(self, body: list[Any]) -> bool:
        """Go through the text once.  Returns whether more now depends on the order."""
        before = len(self._variables) + len(self._memories)
        self._walk(body, False)
        return len(self._variables) + len(self._memories) > before

    def _walk(self, body: list[Any], under: bool) -> None:
        for statement in body:
            if isinstance(statement, If):
                inner = under or self._decides(statement.condition)
                self._walk(statement.then, inner)
                self._walk(statement.other, inner)
            elif isinstance(statement, Loop):
                leaves = [each for each in statement.body if isinstance(each, Leave)]
                self._walk(statement.body, under or any([*map(self._leaves, leaves)]))
            else:
                self._plain(statement, under)

    def _leaves(self, leave: Leave) -> bool:
        return self._decides(leave.condition)

    def _plain(self, statement: Any, under: bool) -> None:
        if isinstance(statement, Assign):
            if under or self._open(statement.value):
                self._variables[statement.variable] = None
        elif isinstance(statement, Modify):
            if statement.before is not None:
                self._variables[statement.before] = None
        elif isinstance(statement, Store):
            if under or self._open(statement.value) or self._at(statement.address):
                self._memories[statement.memory] = None
        elif isinstance(statement, Touch):
            self.found = self.found or self._at(statement.address)
        elif isinstance(statement, Bound):
            self._decides(statement.index)
        elif isinstance(statement, Doubt):
            for each in statement.operands:
                self._decides(each)

    def _decides(self, value: Scalar) -> bool:
        """Whether a deciding value depends on the order; if so, note it in ``found``."""
        is_open = self._open(value)
        self.found = self.found or is_open
        return is_open

    def _at(self, address: Address) -> bool:
        return any(self._open(index) for _, index in address.terms)

    def _open(self, value: Scalar) -> bool:
        if isinstance(value, Get):
            return value.variable in self._variables
        if isinstance(value, Op):
            return any(map(self._open, value.operands))
        if isinstance(value, Load):
            return value.memory in self._memories or self._at(value.address)
        return False
