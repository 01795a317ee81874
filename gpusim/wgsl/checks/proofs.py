"""Proves that no two invocations meet in a memory, from the addresses in the text alone.

An address is a polynomial, modulo 2^32, over the invocation's place (L0 to L2 in its workgroup, G0
to G2 of its workgroup in the grid, W the number of its workgroup) and over values that a dispatch
never changes.  The factors of L0 to L2 and W are the strides.  If all accesses to a memory have the
same strides, and each stride is at least as long as the bytes that an access and the smaller
strides cover together, then each invocation has bytes of its own.  Accesses for which this is not
proved are checked in the run.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gpusim.wgsl import affine
from gpusim.wgsl.affine import Polynomial
from gpusim.wgsl.checks.nodes import Touch
from gpusim.wgsl.componentwise import leaves_in
from gpusim.wgsl.ir import (
    Address,
    Assign,
    Const,
    Get,
    Length,
    Load,
    Op,
    Scalar,
    Statement,
    Variable,
)
from gpusim.wgsl.uniformity import statements_in

LOCAL = ("L0", "L1", "L2")
GROUP = ("G0", "G1", "G2")
COUNTS = ("N0", "N1", "N2")
WORKGROUP = "W"
_RING = {"add": 1, "sub": -1}
_SAME = ("bits_u32", "bits_i32", "to_u32", "to_i32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """An address, taken apart.

    ``strides``: for each of L0 to L2 and W, how many bytes one step is, up or down.  ``shared``:
    all terms but the constant; accesses are comparable only if these are equal.
    """

    strides: tuple[tuple[str, int], ...]
    shared: tuple[Any, ...]
    constant: int


class Prover:
    """Knows the addresses of one entry point, and proves which accesses do not meet."""

    def __init__(
        self,
        built_ins: dict[str, Any],
        sizes: tuple[int, int, int],
        body: list[Statement],
        *,
        flat: bool,
    ) -> None:
        self._sizes, self._flat = sizes, flat
        self._known: dict[Variable, Polynomial] = {}
        self._common: dict[Variable, bool] = {}
        self._values = dict(_definitions(body))
        for name, cells in built_ins.items():
            for axis, variable in enumerate(leaves_in(cells.tree)):
                made = self._built_in(name, axis)
                if made is not None:
                    self._known[variable] = made

    def _built_in(self, name: str, axis: int) -> Polynomial | None:
        local = affine.atom(LOCAL[axis]) if self._sizes[axis] > 1 else {}
        if name == "local_invocation_id":
            return local
        if name == "workgroup_id":
            return self._group(axis)
        if name == "num_workgroups":
            return affine.atom(COUNTS[axis])
        if name == "global_invocation_id":
            size = affine.constant(self._sizes[axis])
            return affine.add(affine.multiply(self._group(axis), size) or {}, local)
        if name == "local_invocation_index":
            x, y, _ = self._sizes
            steps = {(LOCAL[0],): 1, (LOCAL[1],): x, (LOCAL[2],): x * y}
            return {
                key: by
                for (key, by), size in zip(steps.items(), self._sizes, strict=True)
                if size > 1
            }
        return None

    def _group(self, axis: int) -> Polynomial:
        return {} if self._flat and axis else affine.atom(GROUP[axis])

    def form(self, address: Address, *, in_group: bool) -> Form | None:
        """The form of an address; None if the address is no such polynomial.

        With ``in_group``, a value counts as shared if all invocations of one workgroup have it;
        otherwise, if all invocations of the dispatch have it.
        """
        total: Polynomial | None = affine.constant(address.constant)
        for stride, index in address.terms:
            part = self._polynomial(index)
            scaled = None if part is None else affine.multiply(part, affine.constant(stride))
            if scaled is None or total is None:
                return None
            total = affine.add(total, scaled)
        assert total is not None
        return _form(total if in_group else self._by_workgroup(total), in_group=in_group)

    def _polynomial(self, value: Scalar) -> Polynomial | None:
        if isinstance(value, Const):
            return affine.constant(int(value.value))
        if value.type not in ("u32", "i32"):
            return None
        if isinstance(value, Get):
            return self._of_variable(value.variable)
        if isinstance(value, Length):
            return affine.atom(f"length {value.memory.number} {value.offset} {value.stride}")
        if isinstance(value, Load):
            if not _is_constant(value):
                return None
            return affine.atom(f"load {value.memory.number} {value.address.constant}")
        return self._of_op(value)

    def _is_common(self, value: Scalar) -> bool:
        """Whether a value is the same for all invocations of a dispatch, and never changes."""
        if isinstance(value, Op):
            return all(map(self._is_common, value.operands))
        if isinstance(value, Get):
            variable = value.variable
            if variable not in self._common:
                given = self._values.get(variable)
                self._common[variable] = given is not None and self._is_common(given)
            return self._common[variable]
        return isinstance(value, Const | Length) or _is_constant(value)

    def _of_variable(self, variable: Variable) -> Polynomial | None:
        known = self._known.get(variable)
        if known is None and variable in self._values:
            known = self._polynomial(self._values[variable])
            if known is None and self._is_common(Get(variable)):
                known = affine.atom(f"common {variable.number}")
            if known is not None:
                self._known[variable] = known
        return known

    def _of_op(self, value: Op) -> Polynomial | None:
        operands = value.operands
        if value.name in _SAME and operands[0].type in ("u32", "i32"):
            return self._polynomial(operands[0])
        if value.name not in ("add", "sub", "mul", "shl_by"):
            return None
        left, right = (self._polynomial(each) for each in operands)
        if left is None or right is None:
            return None
        if value.name == "shl_by":
            return affine.multiply(left, affine.constant(1 << right.get((), 0)))
        if value.name == "mul":
            return affine.multiply(left, right)
        return affine.add(left, right, _RING[value.name])

    def _by_workgroup(self, value: Polynomial) -> Polynomial:
        """Writes W for the part of G0 to G2 that is a multiple of the workgroup's number."""
        factor = value.get((GROUP[0],), 0)
        if not factor:
            return value
        plane: Polynomial = {(GROUP[0],): 1}
        if not self._flat:
            plane[tuple(sorted((GROUP[1], COUNTS[0])))] = 1
            plane[tuple(sorted((GROUP[2], COUNTS[0], COUNTS[1])))] = 1
        scaled = affine.multiply(plane, affine.constant(factor)) or {}
        return affine.add(affine.add(value, scaled, -1), {(WORKGROUP,): factor})

    def alone(self, touches: Iterable[Touch], *, in_group: bool) -> bool:
        """Whether no two invocations (with ``in_group``, of one workgroup) touch the same byte."""
        forms: list[Form] = []
        extents: list[tuple[int, int]] = []
        for touch in touches:
            form = self.form(touch.address, in_group=in_group)
            if form is None:
                return False
            forms.append(form)
            ends = [form.constant + at + bytes_of(kind) for at, kind in _leaves(touch)]
            extents.append((form.constant + min(touch.site.offsets), max(ends)))
        first = forms[0]
        if any(each.strides != first.strides or each.shared != first.shared for each in forms):
            return False
        span = max(end for _, end in extents) - min(start for start, _ in extents)
        return self._apart(dict(first.strides), span, in_group=in_group)

    def _apart(self, strides: dict[str, int], span: int, *, in_group: bool) -> bool:
        """Whether no two invocations share any of their ``span`` bytes."""
        axes = {name: size for name, size in zip(LOCAL, self._sizes, strict=True) if size > 1}
        if not in_group:
            axes[WORKGROUP] = 0
        if {*strides} != {*axes}:
            return False
        below = span
        for name in sorted(strides, key=lambda each: strides[each]):
            if strides[name] < below or (axes[name] == 0 and name != max(strides, key=strides.get)):  # type: ignore[arg-type]
                return False
            below = strides[name] * (axes[name] - 1) + below
        return True

    def covers(self, touch: Touch) -> bool:
        """Whether all invocations of a workgroup together touch all of a memory."""
        x, y, z = self._sizes
        bytes_each = sum(bytes_of(kind) for _, kind in _leaves(touch))
        return bytes_each * x * y * z == touch.memory.size and self.alone([touch], in_group=True)


def _is_constant(value: Load) -> bool:
    """Whether the loaded value never changes during a dispatch."""
    memory = value.memory
    is_kept = not memory.writable and memory.space in ("uniform", "storage")
    return is_kept and not value.address.terms


def bytes_of(kind: str) -> int:
    """Bytes of a scalar."""
    return 2 if kind == "f16" else 4


def _leaves(touch: Touch) -> list[tuple[int, str]]:
    return [*zip(touch.site.offsets, touch.site.kinds, strict=True)]


def _definitions(body: list[Statement]) -> Iterable[tuple[Variable, Scalar]]:
    """The variables that get one value and keep it, each with the expression of its value."""
    for statement in statements_in(body):
        is_given = isinstance(statement, Assign) and statement.variable.fixed
        if is_given and statement.variable.writes == 1:
            yield statement.variable, statement.value


def _form(total: Polynomial, *, in_group: bool) -> Form | None:
    apart = (*LOCAL, WORKGROUP) if in_group else (*LOCAL, WORKGROUP, *GROUP)
    strides: dict[str, int] = {}
    shared: list[Any] = []
    constant = 0
    for monomial, factor in sorted(total.items()):
        if not monomial:
            constant = factor
        elif len(monomial) == 1 and monomial[0] in (*LOCAL, WORKGROUP):
            # A step down is as good as a step up.
            strides[monomial[0]] = min(factor, 2**32 - factor)
            shared.append((monomial, factor))
        elif any(name in apart for name in monomial):
            return None
        else:
            shared.append((monomial, factor))
    return Form(strides=tuple(sorted(strides.items())), shared=tuple(shared), constant=constant)
