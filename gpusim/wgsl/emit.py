"""Writes statements as the Python of one entry point, over blocks of whole workgroups.

The text is a function ``make(**memories)`` that returns ``run(x, y, z)``.  If only some lanes take
a branch, they get a frame of their own (``frames.py``).  If both sides of a branch cost less than
that, all lanes compute both, and the values are blended.
"""

from typing import Any

from gpusim.wgsl import affine
from gpusim.wgsl.emit_expressions import may_alias
from gpusim.wgsl.emit_indices import unit_of
from gpusim.wgsl.emit_loops import LoopWriter
from gpusim.wgsl.frames import Frame, Lines
from gpusim.wgsl.ir import (
    Assign,
    Barrier,
    Clear,
    Const,
    Get,
    If,
    Leave,
    Length,
    Loop,
    Memory,
    Modify,
    Op,
    Scalar,
    Statement,
    Store,
    Variable,
)
from gpusim.wgsl.ranges import most_of
from gpusim.wgsl.uniformity import varies

_SMALL = 12
"""Operations of a branch that is computed by all lanes rather than by some."""


class Writer(LoopWriter):
    """Writes statements."""

    def statement(self, statement: Statement) -> None:
        """One statement."""
        form: Any = _FORMS[type(statement)]
        form(self, statement)

    def _assign(self, statement: Assign) -> None:
        variable, value = statement.variable, statement.value
        if variable.fixed or (statement.first and variable.writes == 1):
            self.polynomials[variable] = self._named(value) if varies(value) else self.kept(value)
            self.most[variable] = most_of(value, self.most)
            if not _changes(value):
                self.values[variable] = value
        if not variable.varying:
            self.lines.append(f"{variable} = {self.code(value)}")
            return
        if variable in self.unneeded:
            return
        if not statement.first and not variable.fixed:
            name = self.frame.write(variable)
            into = self.into(value, name, variable) if value.type == variable.type else None
            if into is not None:
                self.lines.append(into)
                return
        self.owner = variable if variable.fixed else None
        code = self._row(variable) or self.code(value)
        self.owner = None
        if not varies(value):
            code = f"full({self.frame.count}, {code}, {variable.type})"
        elif may_alias(value, changes=not variable.fixed):
            code = f"{code}.copy()"
        is_new = statement.first or (variable.fixed and variable not in self.frame.names)
        name = self.frame.declare(variable) if is_new else self.frame.write(variable)
        self.lines.append(f"{name} = {code}")

    def _row(self, variable: Variable) -> str | None:
        """The array of a value that counts the lanes, which stand in a row here."""
        polynomial = self.polynomials.get(variable)
        if not self.frame.in_row or not variable.fixed or polynomial is None:
            return None
        found = affine.affine(polynomial, self.size, self.linear)
        if found is None or not found.step or variable.type != "u32":
            return None
        name = self.frame.slices.get("row")
        if name is None:
            name = self.frame.slices["row"] = self.name("i")
            first = self.frame.first_lane()
            self.lines.append(f"{name} = arange({first}, {first} + {self.frame.count}, dtype=u32)")
        if found.step != 1:
            name = f"({name} * {found.step})"
        return f"({name} + ({affine.python_of(found.rest)} & 0xffffffff))" if found.rest else name

    def kept(self, value: Scalar) -> affine.Polynomial | None:
        """A polynomial that stays true when variables change."""
        return None if _changes(value) else self.polynomial(value)

    def _named(self, value: Scalar) -> affine.Polynomial | None:
        """The polynomial of a varying value, in which what lanes share has a name if it changes."""
        found = self.polynomial(value)
        if found is None:
            return None
        varying = {key: by for key, by in found.items() if any(each[0] == "$" for each in key)}
        shared = {key: by for key, by in found.items() if key not in varying}
        is_simple = all(each.isidentifier() for key in shared for each in key)
        if is_simple and not _changes(value):
            return found
        if any(len(key) > 1 for key in varying):
            return self.kept(value)
        name = self.name("u")
        self.lines.append(f"{name} = {affine.python_of(shared)}")
        return affine.add(varying, affine.atom(name))

    def _store(self, statement: Store) -> None:
        memory, address, value = statement.memory, statement.address, statement.value
        kind = value.type
        array = self.view(memory, kind)
        if memory.space == "private":
            self._store_private(statement, array)
            return
        if memory.space == "workgroup":
            self.store_workgroup(statement, array)
            return
        whole = self.shared_index(address, kind)
        if whole is not None:
            self.lines.append(f"store_one({array}, {whole}, {self.code(value)})")
            return
        target = self.slice_of(memory, address, kind)
        if target is not None:
            into = self.into(value, target, memory)
            self.lines.append(into or f"{target}[:] = {self.code(value)}")
            return
        where = self.span_of(memory, address, kind) or self.index(address, kind)
        self.lines.append(f"store({array}, {where}, {self.code(value)})")

    def _store_private(self, statement: Store, array: str) -> None:
        kind = statement.value.type
        whole = self.shared_index(statement.address, kind)
        code = self.code(statement.value)
        units = statement.memory.size // unit_of(kind)
        lanes = ":" if self.frame.parent is None else self.frame.read(self.lane)
        if whole is None:
            index = self.index(statement.address, kind)
            lanes = self.frame.read(self.lane)
            self.lines.append(f"store_private({array}, {index}, {lanes}, {code})")
        elif whole.isdigit():
            self.lines.append(f"{array}[{whole}, {lanes}] = {code}")
        else:
            self.lines.append(f"if {whole} < {units}: {array}[{whole}, {lanes}] = {code}")

    def _modify(self, statement: Modify) -> None:
        memory, address, kind = statement.memory, statement.address, statement.type
        array = self.view(memory, kind)
        if memory.space == "workgroup":
            where = self.workgroup_index(memory, address, kind)
        else:
            whole = self.shared_index(address, kind)
            index = self.index(address, kind) if whole is None else whole
            where = f"positions({index}, {self.frame.count})"
        operands = "".join(f"{self.code(each)}, " for each in statement.operands)
        before = statement.before
        wanted = before is not None and before not in self.unneeded
        call = f"modify({statement.name!r}, {array}, {where}, ({operands}), {wanted})"
        if before is None or not wanted:
            self.lines.append(call)
        else:
            self.asks = True
            self.lines.append(f"{self.frame.declare(before)} = {call}")

    def _wait(self, statement: Barrier) -> None:
        """Write nothing: all lanes of a frame finish a statement before any begins the next."""

    def _clear(self, statement: Clear) -> None:
        memory = statement.memory
        lanes = ":" if self.frame.parent is None else self.frame.read(self.lane)

        def cleared() -> Lines:
            names = [name for (each, _), name in self.views.items() if each is memory]
            return [f"{name}[:, {lanes}] = 0" for name in names]

        self.lines.append(cleared)

    def _if(self, statement: If) -> None:
        condition = statement.condition
        if not varies(condition):
            self.lines.append(f"if {self.code(condition)}:")
            self.lines.append(self.inside(statement.then))
            if statement.other:
                self.lines.append("else:")
                self.lines.append(self.inside(statement.other))
            return
        bound = None if statement.other else self.bound(condition)
        is_one_lane = bound is not None and bound[0] == "at" and self.frame.in_row
        if not is_one_lane and _weight(statement.then) + _weight(statement.other) <= _SMALL:
            self._blend(statement)
            return
        if not statement.other and self._guard(condition, statement.then):
            return
        name = self.name("b")
        self.lines.append(f"{name} = {self.code(condition)}")
        self._part(name, statement.then)
        if statement.other:
            self._part(f"~{name}", statement.other)

    def _blend(self, statement: If) -> None:
        """Both sides by all lanes, and each value from the side that the lane takes."""
        name = self.name("b")
        self.lines.append(f"{name} = {self.code(statement.condition)}")
        stable: dict[Variable, str] = {}
        then = self._side(statement.then, stable)
        other = self._side(statement.other, stable)
        for variable, here in stable.items():
            yes, no = then.get(variable, here), other.get(variable, here)
            self.lines.append(f"{here} = where({name}, {yes}, {no})")

    def _side(self, body: list[Statement], stable: dict[Variable, str]) -> dict[Variable, str]:
        """One side of a blend: the names of what it makes of the variables of both."""
        made: dict[Variable, str] = {}
        for statement in body:
            assert isinstance(statement, Assign)
            variable, value = statement.variable, statement.value
            if statement.first or variable.fixed or not variable.varying:
                self._assign(statement)
                continue
            if variable not in made:
                stable[variable] = self.frame.write(variable)
            code = self.code(value)
            if not varies(value):
                code = f"{value.type}({code})"
            made[variable] = self.name("s")
            self.lines.append(f"{made[variable]} = {code}")
            self.frame.names[variable] = made[variable]
        for variable in made:
            self.frame.names[variable] = stable[variable]
        return made

    def _guard(self, condition: Scalar, body: list[Statement]) -> bool:
        """A condition on the number of the lane, which makes a shorter range."""
        if isinstance(condition, Op) and condition.name == "and":
            return self._guards(condition, body)
        bound = self.bound(condition)
        if bound is None or not self.frame.in_row:
            return False
        kind, limit, below = bound
        outer = self.frame
        frame = self.new_frame(in_row=True)
        first = outer.first_lane()
        if kind == "below":
            self.lines.append(f"{frame.count} = min({outer.count}, {limit} - {first})")
            self.lines.append(f"if {frame.count} > 0:")
            part = f"slice(0, {frame.count})"
            start = first
        else:
            at = self.name("k")
            self.lines.append(f"{at} = {limit} - {first}")
            self.lines.append(f"if 0 <= {at} < {outer.count}:")
            part, start = f"slice({at}, {at} + 1)", f"{first} + {at}"
        frame.below = [*outer.below, *below]
        frame.uses_start = True
        self._fill(frame, part, start, body, "1" if kind != "below" else "")
        return True

    def _guards(self, condition: Op, body: list[Statement]) -> bool:
        left, right = condition.operands
        for one, other in ((left, right), (right, left)):
            if not varies(other):
                self._if(If(other, [If(one, body, [])], []))
                return True
            if self.bound(other) is not None:
                return self._guard(other, [If(one, body, [])])
        return False

    def bound(self, condition: Scalar) -> tuple[str, str, list[tuple[Memory, int]]] | None:
        """What a condition bounds the lane's number by."""
        if not isinstance(condition, Op) or condition.name not in _MIRRORED:
            return None
        left, right = condition.operands
        name = condition.name
        if left.type != "u32":
            return None
        if not varies(left):
            left, right, name = right, left, _MIRRORED[name]
        if name not in ("lt", "le", "eq") or varies(right) or self.lane_number(left) != {}:
            return None
        limit = self.code(right)
        if name == "eq":
            return "at", limit, []
        return (
            "below",
            f"{limit} + 1" if name == "le" else limit,
            (bounded(right) if name == "lt" else []),
        )

    def _part(self, condition: str, body: list[Statement]) -> None:
        """A frame of the lanes for which a condition holds."""
        frame = self.new_frame(in_row=False)
        part = self.name("p")
        self.lines.append(f"{part}, {frame.count} = chosen({condition})")
        self.lines.append(f"if {frame.count}:")
        self._fill(frame, part, f"start_of({self.frame.start}, {part})", body)

    def _fill(
        self, frame: Frame, part: str, start: str, body: list[Statement], lanes: str = ""
    ) -> None:
        """The body of a frame: what it takes, what it does, what it puts back."""
        outer, outer_lines = self.frame, self.lines
        self.frame, self.lines = frame, []
        self.statements(body)
        inner, self.lines, self.frame = self.lines, outer_lines, outer
        before: Lines = [f"{frame.count} = {lanes}"] if lanes else []
        if frame.uses_start:
            outer.first_lane()
            before.append(f"{frame.start} = {start}")
        before += [f"{here} = {there}[{part}]" for here, there in frame.taken.values()]
        after = [
            f"{there}[{part}] = {here}"
            for variable, (here, there) in frame.taken.items()
            if variable in frame.changed
        ]
        self.lines.append([*before, *inner, *after])


_MIRRORED = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le", "eq": "eq"}


def bounded(limit: Scalar) -> list[tuple[Memory, int]]:
    """The memories that have at least ``limit`` elements, and of how many bytes."""
    if isinstance(limit, Length) and not limit.offset:
        return [(limit.memory, limit.stride)]
    if isinstance(limit, Op) and limit.name == "min":
        return [each for operand in limit.operands for each in bounded(operand)]
    return []


def _changes(value: Scalar) -> bool:
    """Whether an expression may have another value later."""
    if isinstance(value, Get):
        return not value.variable.fixed and value.variable.writes > 1
    if isinstance(value, Op):
        return any(_changes(each) for each in value.operands)
    return not isinstance(value, Const | Length) and _load_changes(value)


def _load_changes(value: Any) -> bool:
    return value.memory.written or any(_changes(index) for _, index in value.address.terms)


def _weight(body: list[Statement]) -> int:
    """The operations of statements, or many where they do more than assign."""
    total = 0
    for statement in body:
        if not isinstance(statement, Assign):
            return _SMALL + 1
        total += 1 + _operations(statement.value)
    return total


def _operations(value: Scalar) -> int:
    if isinstance(value, Op):
        return 1 + sum(_operations(each) for each in value.operands)
    return 0 if isinstance(value, Const | Get | Length) else 3


_FORMS: dict[type, Any] = {
    Barrier: Writer._wait,
    Assign: Writer._assign,
    Store: Writer._store,
    Modify: Writer._modify,
    Clear: Writer._clear,
    If: Writer._if,
    Loop: Writer.write_loop,
    Leave: Writer.write_leave,
}
