"""Lowers an entry point as usual, and marks each access, index and barrier with its place.

A write to a component of a vector counts as a write to the whole vector, since the specification
lets an implementation write all of it.  ``&&`` and ``||`` become branches if their right side has
anything that is checked, since then it matters which invocations evaluate that side.  A call of
``workgroupUniformLoad`` loads only after all accesses that precede the call, and before all that
follow it.  So the call counts as two barriers, one on each side of the load.
Source: WGSL specification, "Memory Operation" and "Synchronization Built-in Functions".
"""

from dataclasses import dataclass
from typing import Any

from gpusim.wgsl import ir, typed
from gpusim.wgsl.checks.doubts import rule_of
from gpusim.wgsl.checks.nodes import ATOMIC, READ, WRITE, Bound, Doubt, Sites, Touch, Wait
from gpusim.wgsl.componentwise import Value, leaves_in
from gpusim.wgsl.ir import Const, Length, Memory, Op, Scalar
from gpusim.wgsl.lower import Lowering
from gpusim.wgsl.syntax import Place
from gpusim.wgsl.typed import Expr, Function
from gpusim.wgsl.types import Array, Vector, leaves_of, parts_of, stride_of
from gpusim.wgsl.values import Spot, Spotted

_ORDERED = {"storageBarrier": "storage", "textureBarrier": "handle"}
"""The address space in which a barrier orders accesses; for other barriers it is workgroup."""


@dataclass(slots=True, eq=False)
class Component(Spot):
    """The place of a component of a vector in memory; ``vector`` is that of the whole vector."""

    vector: Spot


class CheckedLowering(Lowering):
    """Lowers with marks."""

    def __init__(self, function: Function, *, arithmetic: bool) -> None:
        self.sites = Sites()
        self.arithmetic = arithmetic
        self._at: Place = function.place
        super().__init__(function)

    def value(self, made: Expr) -> Value:
        """The value of an expression, with marks before it."""
        outer, self._at = self._at, _start(made)
        value = self._marked(made)
        self._at = outer
        return value

    def _marked(self, made: Expr) -> Value:
        if isinstance(made, typed.ElementOf) and not isinstance(made.base.type, Array):
            values, index = self.values((made.base, made.index))
            index = self.hold(index)
            self._bound(index, len(values), "the vector")
            return self.pick(list(values), index)
        if isinstance(made, typed.Apply):
            if made.name in ("&&", "||") and self._matters(made.operands[1]):
                return self._short(made)
            if made.name == "workgroupUniformLoad":
                value = super().value(made)
                self._waited("workgroup", made.place)
                return value
        return super().value(made)

    def _matters(self, made: Expr) -> bool:
        """Whether it matters which invocations evaluate an expression."""
        if isinstance(made, typed.LoadOf | typed.ElementOf | typed.Invoke):
            return True
        if isinstance(made, typed.Apply):
            return self.arithmetic or any(map(self._matters, made.operands))
        base = getattr(made, "base", None)
        return base is not None and self._matters(base)

    def place(self, made: Expr) -> Spotted:
        """The place that a reference names, with marks before it."""
        outer, self._at = self._at, _start(made)
        place = super().place(made)
        self._at = outer
        return place

    def statements(self, body: list[typed.Statement]) -> None:
        """Lower statements one after another, and append what they become to ``out``."""
        for statement in body:
            if isinstance(statement, typed.Assign) and statement.target is not None:
                self._at = _start(statement.target)
            super().statements([statement])

    def load(self, place: Spotted) -> Value:
        """The value at a place, whose access is marked."""
        if isinstance(place, Spot):
            self._touch(READ, place)
        return super().load(place)

    def store(self, place: Spotted, value: Value) -> None:
        """Write a value to a place, whose access is marked."""
        if isinstance(place, Component):
            self._touch(WRITE, place.vector, (value,))
        elif isinstance(place, Spot):
            self._touch(WRITE, place, tuple(leaves_in(value)))
        super().store(place, value)

    def _touch(
        self,
        how: str,
        place: Spot,
        values: tuple[Scalar, ...] = (),
    ) -> None:
        memory = place.memory
        if memory.space == "workgroup" or (memory.space == "storage" and memory.writable):
            site = self.sites.add(self._at, how, memory.name, tuple(leaves_of(place.type)))
            self._mark(Touch(site, memory, place.address, values))

    def part(self, place: Spotted, number: int) -> Spotted:
        """The place of the part with this number."""
        return _with_vector(super().part(place, number), place)

    def element(self, place: Spotted, index: Scalar) -> Spotted:
        """The place of the part whose number ``index`` gives; the index is marked."""
        kind = place.type
        index = self.hold(index)
        if isinstance(kind, Array) and kind.count is None:
            assert isinstance(place, Spot)
            limit = Length(place.memory, place.address.constant, stride_of(kind))
            if not isinstance(index, Const) or index.value:
                self._bound(index, limit, place.memory.name, place.memory, stride_of(kind))
        elif not isinstance(index, Const):
            name = place.memory.name if isinstance(place, Spot) else "the vector"
            self._bound(index, kind.count if isinstance(kind, Array) else len(parts_of(kind)), name)  # type: ignore[arg-type]
        return _with_vector(super().element(place, index), place)

    def _bound(
        self,
        index: Scalar,
        limit: int | Length,
        name: str,
        memory: Memory | None = None,
        stride: int = 0,
    ) -> None:
        if not isinstance(limit, Length) and isinstance(index, Const):
            return
        site = self.sites.add(self._at, "index", name, ((0, index.type),))
        self._mark(Bound(site, index, limit, memory, stride))

    def _atomic(self, made: typed.Apply) -> Value:
        outer, self._at = self._at, made.place
        before = len(self.out)
        value = super()._atomic(made)
        self._at = outer
        for at in range(before, len(self.out)):
            done = self.out[at]
            if isinstance(done, ir.Store | ir.Modify):
                site = self.sites.add(made.place, ATOMIC, done.memory.name, ((0, "u32"),))
                self.out.insert(at, Touch(site, done.memory, done.address))  # type: ignore[arg-type]
                break
        return value

    def _mark(self, mark: Any) -> None:
        self.out.append(mark)

    def _wait(self, made: typed.Apply) -> None:
        super()._wait(made)
        self._waited(_ORDERED.get(made.name, "workgroup"), made.place)

    def _waited(self, space: str, place: Place) -> None:
        self._mark(Wait(self.sites.add(place, "wait", space), space))

    def op(self, kind: str, name: str, *operands: Scalar) -> Scalar:
        """An operation, which is marked if arithmetic is checked."""
        made = super().op(kind, name, *operands)
        if not self.arithmetic or not isinstance(made, Op):
            return made
        rule = rule_of(name, kind, made.operands)
        if rule is None:
            return made
        held = tuple(self.hold(each) for each in made.operands)
        result = self.hold(Op(kind, name, held))
        site = self.sites.add(
            self._at, rule, name, tuple((0, each.type) for each in (*held, result))
        )
        self._mark(Doubt(site, rule, held, result))
        return result


def _start(made: Expr) -> Place:
    """Where the text of an expression begins."""
    base = getattr(made, "base", None)
    return made.place if base is None else _start(base)


def _with_vector(part: Spotted, whole: Spotted) -> Spotted:
    if isinstance(part, Spot) and isinstance(whole, Spot) and isinstance(whole.type, Vector):
        return Component(part.type, part.memory, part.address, whole)
    return part
