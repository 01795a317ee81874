"""Finds the indices that are linear in the lane, so that memory is read and written by slices.

An index is a polynomial in the number of the lane (``affine.py``).  If it is clamped as well, the
written Python looks at the first and the last lane, and takes a slice if the clamp changes neither.
"""

from itertools import count
from math import prod

from gpusim.wgsl import affine
from gpusim.wgsl.affine import Polynomial
from gpusim.wgsl.frames import Frame, Lines
from gpusim.wgsl.ir import Address, Const, Get, Memory, Op, Scalar, Variable
from gpusim.wgsl.uniformity import varies

_RING = {"add": 1, "sub": -1}
_RECASTS = ("bits_u32", "bits_i32", "to_u32", "to_i32")
_SIGNS = {"add": "+", "sub": "-"}
_CLAMPS = ("min", "max", *_RING)


class IndexWriter:
    """Writes indices in ``frame``; ``lines`` takes what must stand before an index."""

    frame: Frame
    lines: Lines

    def __init__(self, sizes: tuple[int, int, int]) -> None:
        self.sizes = sizes
        """The invocations of a workgroup along each axis."""
        self.size = prod(sizes)
        self.numbers: count[int] = count()
        self.views: dict[tuple[Memory, str], str] = {}
        self.polynomials: dict[Variable, Polynomial | None] = {}
        self.linear: Polynomial | None = None
        self.most: dict[Variable, int] = {}
        """The largest values that fixed variables can have."""
        self.values: dict[Variable, Scalar] = {}
        """The expressions of fixed variables, if they never change their value."""

    def name(self, letter: str) -> str:
        """A new name."""
        return f"{letter}_{next(self.numbers)}"

    def code(self, value: Scalar) -> str:
        """The Python of an expression."""
        raise NotImplementedError

    def view(self, memory: Memory, kind: str) -> str:
        """The name of a memory as an array of one type."""
        return self.views.setdefault((memory, kind), f"{memory}_{kind}")

    def polynomial(self, value: Scalar) -> Polynomial | None:
        """An integer expression as a polynomial; None if it has no such form."""
        if isinstance(value, Const):
            return affine.constant(int(value.value))
        if value.type not in ("u32", "i32"):
            return None
        if isinstance(value, Get):
            return self._polynomial_of_variable(value.variable)
        if isinstance(value, Op):
            found = self._polynomial_of_op(value)
            if found is not None:
                return found
        return None if varies(value) else affine.atom(self.code(value))

    def _polynomial_of_variable(self, variable: Variable) -> Polynomial | None:
        known = self.polynomials.get(variable)
        if known is not None or variable.varying:
            return known
        return affine.atom(str(variable))

    def _polynomial_of_op(self, value: Op) -> Polynomial | None:
        if value.name in _RECASTS and value.operands[0].type in ("u32", "i32"):
            return self.polynomial(value.operands[0])
        if value.name == "shl_by" and isinstance(value.operands[1], Const):
            left = self.polynomial(value.operands[0])
            by = affine.constant(1 << value.operands[1].value)
            return None if left is None else affine.multiply(left, by)
        if value.name not in ("add", "sub", "mul"):
            return None
        left, right = (self.polynomial(each) for each in value.operands)
        if left is None or right is None:
            return None
        if value.name == "mul":
            return affine.multiply(left, right)
        return affine.add(left, right, _RING[value.name])

    def polynomial_of(self, address: Address, kind: str) -> Polynomial | None:
        """The index of an element as a polynomial; None if it has no such form."""
        unit = unit_of(kind)
        total: Polynomial | None = affine.constant(address.constant // unit)
        for stride, index in address.terms:
            part = self.polynomial(index)
            scaled = (
                None if part is None else affine.multiply(part, affine.constant(stride // unit))
            )
            if scaled is None or total is None:
                return None
            total = affine.add(total, scaled)
        return total

    def counted(self, address: Address, kind: str) -> affine.Affine | None:
        """The linear form of an index whose step is not 0; None for any other index."""
        total = self.polynomial_of(address, kind)
        if total is None:
            return None
        found = affine.affine(total, self.size, self.linear)
        return found if found is not None and found.step else None

    def lanes_of(self, value: Scalar) -> affine.Affine | None:
        """The linear form of an expression; None if it is not linear in the lane's number."""
        total = self.polynomial(value)
        return None if total is None else affine.affine(total, self.size, self.linear)

    def lane_number(self, value: Scalar) -> Polynomial | None:
        """The value that an expression adds to the lane's number; None if it is no such sum."""
        found = self.lanes_of(value)
        return found.rest if found is not None and found.step == 1 else None

    def span_of(self, memory: Memory, address: Address, kind: str) -> str | None:
        """Python that finds where the lanes' elements are; None if the index is not linear."""
        counted = self.counted(address, kind)
        if counted is None:
            return None
        start, rest = self.frame.first_lane(), affine.python_of(counted.rest)
        size = f"len({self.view(memory, kind)})"
        return f"span({start}, {counted.step}, {rest}, {self.frame.count}, {size})"

    def clamped(self, memory: Memory, address: Address, kind: str) -> str | None:
        """Like ``span_of`` for an index that is linear except for clamps; None for others."""
        if len(address.terms) != 1 or address.constant or address.terms[0][0] != unit_of(kind):
            return None
        found = self._between(address.terms[0][1]) if self.frame.in_row else None
        if found is None or not found[1]:
            return None
        counted, bounds, code = found
        row = f"{self.frame.first_lane()}, {self.frame.count}, {counted.step}"
        rest, size = affine.python_of(counted.rest), f"len({self.view(memory, kind)})"
        return f"clamped({row}, {rest}, {size}, ({bounds})) or {code}"

    def _between(self, value: Scalar) -> tuple[affine.Affine, str, str] | None:
        """Takes apart a value that is linear in the lane's number except for clamps.

        Returns the linear form, the Python of the clamps, and the Python of the value; None for any
        other value.  A clamp has the ``rest`` of the linear form that it clamps, and its bounds.
        """
        found = self.lanes_of(value)
        if found is None and isinstance(value, Get) and value.variable in self.values:
            return self._between(self.values[value.variable])
        if found is not None and found.step:
            rest = affine.python_of(found.rest)
            row = f"{self.frame.first_lane()}, {self.frame.count}, {found.step}, {rest}"
            return found, "", f"numbers({row})"
        if not isinstance(value, Op) or value.type != "u32" or value.name not in _CLAMPS:
            return None
        inner, other = value.operands if varies(value.operands[0]) else value.operands[::-1]
        within = None if varies(other) else self._between(inner)
        if within is None or (value.name == "sub" and inner is not value.operands[0]):
            return None
        counted, bounds, code = within
        by, rest = self.code(other), affine.python_of(counted.rest)
        if value.name in _RING:
            shift = self.polynomial(other) or {}
            moved = affine.add(counted.rest, shift, _RING[value.name])
            return affine.Affine(counted.step, moved), bounds, f"({code} {_SIGNS[value.name]} {by})"
        limits = f"0, {by}" if value.name == "min" else f"{by}, 0xffffffff"
        return counted, f"{bounds}({rest}, {limits}), ", f"{value.name}imum({code}, {by})"


def unit_of(kind: str) -> int:
    """Bytes of a scalar."""
    return 2 if kind == "f16" else 4
