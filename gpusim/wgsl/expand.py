"""The meaning of the built-in functions, in scalar operations.

The functions here serve constants and runs; only the Builder differs (``componentwise.py``).
Functions on bits, and packing, are in ``expand_bits.py``.  The types of operands are in
``functions.py``, and the arithmetic itself is in ``operations.py``.
Source: WGSL specification, 17 "Built-in Functions".
"""

from collections.abc import Callable, Sequence
from typing import Any

from gpusim.wgsl.componentwise import (
    Builder,
    Value,
    dot_product,
    each_part,
    half_of,
    held,
    joined,
    leaves_in,
    number_of,
    shifted_left,
)
from gpusim.wgsl.expand_bits import BIT_FUNCTIONS
from gpusim.wgsl.ir import Scalar
from gpusim.wgsl.types import Matrix, Type, Vector, parts_of, scalar_name

_OPS = {
    "+": "add",
    "-": "sub",
    "*": "mul",
    "/": "div",
    "%": "mod",
    "&": "and",
    "|": "or",
    "^": "xor",
    "<<": "shl",
    ">>": "shr",
    "==": "eq",
    "!=": "ne",
    "<": "lt",
    "<=": "le",
    ">": "gt",
    ">=": "ge",
    "&&": "and",
    "||": "or",
    "!": "not",
    "~": "inv",
    "-x": "neg",
    "round": "rint",
    "quantizeToF16": "quantize",
}


def expand(
    b: Builder, name: str, kinds: Sequence[Type], operands: Sequence[Value], result: Type
) -> Value:
    """The value of a call of a built-in function or operator, or of a construction."""
    special = _SPECIAL.get(name)
    if special is not None:
        return special(b, kinds, operands, result)
    return each_part(b, scalar_name(result), _OPS.get(name, name), *operands)


def _convert(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    """A value as another type, component by component."""
    return _converted(b, held(b, operands[0]), kinds[0], result)


def _converted(b: Builder, value: Value, given: Type, wanted: Type) -> Value:
    if isinstance(value, tuple):
        pairs = zip(value, parts_of(given), parts_of(wanted), strict=True)
        return tuple(_converted(b, each, of, to) for each, of, to in pairs)
    name = str(wanted)
    return value if str(given) == name else b.op(name, f"to_{name}", value)


def _splat(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    return (b.hold(operands[0]),) * result.size


def _construct(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    """A composite of values; a vector or matrix takes the scalars of the values in order."""
    if isinstance(result, Vector):
        return tuple(leaves_in(tuple(operands)))
    if isinstance(result, Matrix):
        scalars = list(leaves_in(tuple(operands)))
        starts = range(0, len(scalars), result.rows)
        return tuple(tuple(scalars[at : at + result.rows]) for at in starts)
    return tuple(operands)


def _bitcast(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    """The bits of a value as another type of the same size."""
    leaves = list(leaves_in(operands[0]))
    to = scalar_name(result)
    if leaves[0].type != "f16" and to != "f16":
        made = [each if each.type == to else b.op(to, f"bits_{to}", each) for each in leaves]
    else:
        words = _words(b, leaves)
        made = words if to == "u32" else [b.op(to, f"bits_{to}", word) for word in words]
        if to == "f16":
            halves = [half_of(b, word, at) for word in map(b.hold, words) for at in (0, 16)]
            made = [b.op("f16", "bits_f16", half) for half in halves]
    return tuple(made) if isinstance(result, Vector) else made[0]


def _words(b: Builder, leaves: list[Scalar]) -> list[Scalar]:
    if leaves[0].type != "f16":
        return [each if each.type == "u32" else b.op("u32", "bits_u32", each) for each in leaves]
    bits = [b.op("u32", "bits_of", each) for each in leaves]
    pairs = zip(bits[::2], bits[1::2], strict=True)
    return [b.op("u32", "or", low, shifted_left(b, high, 16)) for low, high in pairs]


def _product(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    left, right = operands
    first, second = kinds
    if not isinstance(first, Matrix) and not isinstance(second, Matrix):
        return each_part(b, scalar_name(result), "mul", left, right)
    left, right = held(b, left), held(b, right)
    if not isinstance(left, tuple) or not isinstance(right, tuple):
        return each_part(b, scalar_name(result), "mul", left, right)
    if not isinstance(first, Matrix):
        return tuple(dot_product(b, left, column) for column in right)
    rows = list(zip(*left, strict=True))
    if not isinstance(second, Matrix):
        return tuple(dot_product(b, row, right) for row in rows)
    return tuple(tuple(dot_product(b, row, column) for row in rows) for column in right)


def _clamp(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    kind = scalar_name(result)
    value, low, high = operands
    return each_part(b, kind, "min", each_part(b, kind, "max", value, low), high)


def _saturate(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    kind = scalar_name(result)
    ends = number_of(b, 0, kind), number_of(b, 1, kind)
    return _clamp(b, kinds, (operands[0], *ends), result)


def _step(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    kind = scalar_name(result)
    below = each_part(b, "bool", "le", *operands)
    return each_part(b, kind, "select", number_of(b, 0, kind), number_of(b, 1, kind), below)


def _smoothstep(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    kind = scalar_name(result)
    low, high, value = operands
    low = held(b, low)
    over = each_part(b, kind, "sub", value, low)
    span = each_part(b, kind, "sub", high, low)
    ratio = each_part(b, kind, "div", over, span)
    t = held(b, _saturate(b, kinds, (ratio,), result))
    two, three = number_of(b, 2, kind), number_of(b, 3, kind)
    slope = each_part(b, kind, "sub", three, each_part(b, kind, "mul", two, t))
    return each_part(b, kind, "mul", each_part(b, kind, "mul", t, t), slope)


def _mix(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    kind = scalar_name(result)
    one, other, part = operands
    part = held(b, part)
    rest = each_part(b, kind, "sub", number_of(b, 1, kind), part)
    return each_part(
        b, kind, "add", each_part(b, kind, "mul", one, rest), each_part(b, kind, "mul", other, part)
    )


def _dot_of(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    return dot_product(b, *operands)


def _length(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    value = held(b, operands[0])
    kind = scalar_name(result)
    if not isinstance(value, tuple):
        return b.op(kind, "abs", value)
    return b.op(kind, "sqrt", dot_product(b, value, value))


def _distance(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    return _length(b, kinds, (each_part(b, scalar_name(result), "sub", *operands),), result)


def _normalize(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    value = held(b, operands[0])
    kind = scalar_name(result)
    return each_part(b, kind, "div", value, b.hold(_length(b, kinds, (value,), result)))


def _cross(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    left, right = held(b, operands[0]), held(b, operands[1])
    kind = scalar_name(result)

    def part(one: int, other: int) -> Scalar:
        return b.op(
            kind,
            "sub",
            b.op(kind, "mul", left[one], right[other]),
            b.op(kind, "mul", left[other], right[one]),
        )

    return part(1, 2), part(2, 0), part(0, 1)


def _reflect(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    value, normal = held(b, operands[0]), held(b, operands[1])
    kind = scalar_name(result)
    twice = b.hold(b.op(kind, "mul", number_of(b, 2, kind), dot_product(b, normal, value)))
    return each_part(b, kind, "sub", value, each_part(b, kind, "mul", twice, normal))


def _face_forward(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    value = held(b, operands[0])
    kind = scalar_name(result)
    below = b.op("bool", "lt", dot_product(b, operands[1], operands[2]), number_of(b, 0, kind))
    return each_part(b, kind, "select", each_part(b, kind, "neg", value), value, b.hold(below))


def _refract(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    value, normal, ratio = (held(b, operand) for operand in operands)
    kind = scalar_name(result)
    one, zero = number_of(b, 1, kind), number_of(b, 0, kind)
    along = b.hold(dot_product(b, normal, value))
    rest = b.op(kind, "sub", one, b.op(kind, "mul", along, along))
    k = b.hold(b.op(kind, "sub", one, b.op(kind, "mul", b.op(kind, "mul", ratio, ratio), rest)))
    root = b.op(kind, "sqrt", b.op(kind, "max", k, zero))
    factor = b.hold(b.op(kind, "add", b.op(kind, "mul", ratio, along), root))
    bent = each_part(
        b,
        kind,
        "sub",
        each_part(b, kind, "mul", ratio, value),
        each_part(b, kind, "mul", factor, normal),
    )
    return each_part(b, kind, "select", bent, zero, b.hold(b.op("bool", "lt", k, zero)))


def _frexp(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    value = held(b, operands[0])
    fract, whole = (scalar_name(member.type) for member in result.members)
    return each_part(b, fract, "frexp_fract", value), each_part(b, whole, "frexp_exp", value)


def _modf(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    value = held(b, operands[0])
    kind = scalar_name(result.members[0].type)
    return each_part(b, kind, "modf_fract", value), each_part(b, kind, "trunc", value)


def _transpose(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    return tuple(zip(*operands[0], strict=True))


def _determinant(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    return _minor(b, str(result), held(b, operands[0]))


def _minor(b: Builder, kind: str, columns: Any) -> Scalar:
    """The determinant, expanded along the first column."""
    if len(columns) == 1:
        only: Scalar = columns[0][0]
        return only
    total: Scalar | None = None
    for at, first in enumerate(columns[0]):
        rest = [(*column[:at], *column[at + 1 :]) for column in columns[1:]]
        part = b.op(kind, "mul", first, _minor(b, kind, rest))
        sign = "sub" if at % 2 else "add"
        total = part if total is None else b.op(kind, sign, total, part)
    assert total is not None
    return total


def _all(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    return joined(b, "bool", "and", list(leaves_in(operands[0])))


def _any(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    return joined(b, "bool", "or", list(leaves_in(operands[0])))


_SPECIAL: dict[str, Callable[..., Value]] = {
    "convert": _convert,
    "splat": _splat,
    "construct": _construct,
    "bitcast": _bitcast,
    "*": _product,
    "clamp": _clamp,
    "saturate": _saturate,
    "step": _step,
    "smoothstep": _smoothstep,
    "mix": _mix,
    "dot": _dot_of,
    "length": _length,
    "distance": _distance,
    "normalize": _normalize,
    "cross": _cross,
    "reflect": _reflect,
    "faceForward": _face_forward,
    "refract": _refract,
    "frexp": _frexp,
    "modf": _modf,
    "transpose": _transpose,
    "determinant": _determinant,
    **BIT_FUNCTIONS,
    "all": _all,
    "any": _any,
}
