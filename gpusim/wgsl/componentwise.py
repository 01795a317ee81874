"""Operations on values component by component, and building blocks of the built-in functions.

The value of a scalar type is a scalar expression here; that of a composite is the tuple of the
values of its parts.  A Builder makes operations; a builder that folds constants computes the
results at once.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from gpusim.wgsl.ir import Const, Scalar
from gpusim.wgsl.types import Type, parts_of, scalar_name

Value = Any
"""A scalar expression, or a tuple of values."""


class Builder(Protocol):
    """Makes scalar operations."""

    def op(self, kind: str, name: str, *operands: Scalar) -> Scalar:
        """An operation with a result of type ``kind``."""
        raise NotImplementedError

    def hold(self, value: Scalar) -> Scalar:
        """The same value, computed once however often it is used."""
        raise NotImplementedError


def each_part(b: Builder, kind: str, name: str, *operands: Value) -> Value:
    """An operation component by component; a single number is used for every component."""
    size = next((len(operand) for operand in operands if isinstance(operand, tuple)), 0)
    if not size:
        return simple(b, kind, name, *operands)
    shared = [each if isinstance(each, tuple) else b.hold(each) for each in operands]
    return tuple(
        each_part(
            b, kind, name, *(each[at] if isinstance(each, tuple) else each for each in shared)
        )
        for at in range(size)
    )


def simple(b: Builder, kind: str, name: str, *operands: Scalar) -> Scalar:
    """The operation, or a cheaper one with the same result if its second operand is constant."""
    if len(operands) == 2 and isinstance(operands[1], Const) and kind in ("u32", "i32"):
        value = operands[1].value
        is_constant = isinstance(operands[0], Const)
        if name in ("shl", "shr") and not is_constant:
            return b.op(kind, f"{name}_by", operands[0], Const("u32", value & 31))
        if name in ("div", "mod") and kind == "u32" and value > 0 and not is_constant:
            if value & (value - 1):
                cheap = "quotient" if name == "div" else "remainder"
                return b.op(kind, cheap, *operands)
            if name == "mod":
                return b.op(kind, "and", operands[0], Const("u32", value - 1))
            return b.op(kind, "shr_by", operands[0], Const("u32", value.bit_length() - 1))
    return b.op(kind, name, *operands)


def leaves_in(value: Any) -> Any:
    """The scalars of a value, in order."""
    if isinstance(value, tuple):
        for each in value:
            yield from leaves_in(each)
    else:
        yield value


def u32_of(value: int) -> Const:
    """A constant of u32."""
    return Const("u32", value)


def shifted_left(b: Builder, value: Scalar, by: int) -> Scalar:
    """A left shift by a constant."""
    return b.op(value.type, "shl_by", value, u32_of(by)) if by else value


def half_of(b: Builder, word: Scalar, at: int) -> Scalar:
    """16 bits of a word, from bit ``at`` on."""
    shifted = b.op("u32", "shr_by", word, u32_of(at)) if at else word
    return b.op("u32", "and", shifted, u32_of(0xFFFF))


def number_of(b: Builder, value: float, kind: str) -> Scalar:
    """A float constant of a type."""
    whole = Const("abstract-float", float(value))
    return whole if kind == "abstract-float" else b.op(kind, f"to_{kind}", whole)


def joined(b: Builder, kind: str, name: str, parts: Sequence[Scalar]) -> Scalar:
    """The scalars ``parts``, joined from left to right by the operation ``name``."""
    total = parts[0]
    for part in parts[1:]:
        total = b.op(kind, name, total, part)
    return total


def dot_product(b: Builder, left: Value, right: Value) -> Scalar:
    """The sum of the products of the components of ``left`` with those of ``right``, in order."""
    kind = left[0].type
    pairs = zip(left, right, strict=True)
    return joined(b, kind, "add", [b.op(kind, "mul", one, other) for one, other in pairs])


def tree_of(value: Any, kind: Type) -> Value:
    """A constant's value as a tree of scalar constants."""
    parts = parts_of(kind)
    if parts:
        return tuple(tree_of(each, part) for each, part in zip(value, parts, strict=True))
    return Const(scalar_name(kind), value)


def held(b: Builder, value: Value) -> Value:
    """A value whose scalars are computed once."""
    return tuple(held(b, each) for each in value) if isinstance(value, tuple) else b.hold(value)
