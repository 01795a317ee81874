"""Writes statements as the Python of one entry point, which computes a grid in blocks of lanes.

The text is a function ``make``, which takes the bytes of each memory that is bound and returns
``run(x, y, z)``.  If only some lanes take a branch, they get a frame of their own (``frames.py``).
If both sides of a branch together cost less than a frame, all lanes compute both, and the values
are blended.
"""

from typing import Any

from gpusim.wgsl import affine
from gpusim.wgsl.emit_expressions import may_alias
from gpusim.wgsl.emit_guards import GuardWriter
from gpusim.wgsl.emit_indices import unit_of
from gpusim.wgsl.frames import Lines
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
    Modify,
    Op,
    Scalar,
    Statement,
    Store,
    Variable,
)
from gpusim.wgsl.ranges import most_of
from gpusim.wgsl.uniformity import varies

_FRESH = ("gather(", "spread(")
"""Calls that make a new array."""
_SMALL = 12
"""A branch with at most this many operations is computed by all lanes, and then blended."""


class Writer(GuardWriter):
    """Writes statements."""

    def statement(self, statement: Statement) -> None:
        """Write one statement."""
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
        elif not code.startswith(_FRESH) and may_alias(value, changes=not variable.fixed):
            code = f"{code}.copy()"
        is_new = statement.first or (variable.fixed and variable not in self.frame.names)
        name = self.frame.declare(variable) if is_new else self.frame.write(variable)
        self.lines.append(f"{name} = {code}")

    def _row(self, variable: Variable) -> str | None:
        """Python that computes a variable's values from the consecutive numbers of the lanes.

        None if the lanes may not be consecutive, or if the variable is not a fixed u32 that is
        linear in the lane's number.
        """
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
        """The polynomial of an expression; None if it has none or may change its value later."""
        return None if _changes(value) else self.polynomial(value)

    def _named(self, value: Scalar) -> affine.Polynomial | None:
        """The polynomial that a varying value has now, or None.

        The part that all lanes share is computed here, into a Python variable of its own, if the
        value may change later or if that part is more than names and numbers.
        """
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
        if not statement.other and self.guard(condition, statement.then):
            return
        name = self.name("b")
        self.lines.append(f"{name} = {self.code(condition)}")
        self.part(name, statement.then)
        if statement.other:
            self.part(f"~{name}", statement.other)

    def _blend(self, statement: If) -> None:
        """All lanes compute both sides, and each takes the values of its own side."""
        name = self.name("b")
        self.lines.append(f"{name} = {self.code(statement.condition)}")
        stable: dict[Variable, str] = {}
        then = self._side(statement.then, stable)
        other = self._side(statement.other, stable)
        for variable, here in stable.items():
            yes, no = then.get(variable, here), other.get(variable, here)
            self.lines.append(f"{here} = where({name}, {yes}, {no})")

    def _side(self, body: list[Statement], stable: dict[Variable, str]) -> dict[Variable, str]:
        """Write one side of a blend.  Returns the names of the values that it gives to variables.

        ``stable``: the names of the variables to which either side gives a value.
        """
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
    """The number of operations of statements; above ``_SMALL`` if one is no assignment."""
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
