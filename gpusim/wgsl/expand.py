"""What the built-in functions mean, by scalar operations.

A value here is a scalar expression, or a tuple of its parts' values.  A Builder makes operations;
one that folds constants makes constants of them, so the same lines serve constants and runs.
What a function takes stands in ``functions.py``; the arithmetic itself in ``operations.py``.
Source: WGSL specification, 17 "Built-in Functions".
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from gpusim.wgsl.ir import Const, Scalar
from gpusim.wgsl.types import Matrix, Type, Vector, element_of, parts_of

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
    "negate": "neg",
    "round": "rint",
    "quantizeToF16": "quantize",
}


def expand(
    b: Builder, name: str, kinds: Sequence[Type], operands: Sequence[Value], result: Type | None
) -> Value:
    """The value of a call of a built-in function or operator."""
    special = _SPECIAL.get(name)
    if special is not None:
        return special(b, kinds, operands, result)
    return _each(b, str(_element(result)), _OPS.get(name, name), *operands)


def _element(kind: Any) -> Any:
    return element_of(kind)


def _each(b: Builder, kind: str, name: str, *operands: Value) -> Value:
    """An operation component by component; numbers go with each component."""
    size = next((len(operand) for operand in operands if isinstance(operand, tuple)), 0)
    if not size:
        return simple(b, kind, name, *operands)
    shared = [each if isinstance(each, tuple) else b.hold(each) for each in operands]
    return tuple(
        _each(b, kind, name, *(each[at] if isinstance(each, tuple) else each for each in shared))
        for at in range(size)
    )


def simple(b: Builder, kind: str, name: str, *operands: Scalar) -> Scalar:
    """One operation, or a cheaper one where an operand is a constant."""
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


def convert(b: Builder, value: Value, given: Type, wanted: Type) -> Value:
    """A value as another type, component by component."""
    if isinstance(value, tuple):
        pairs = zip(value, parts_of(given), parts_of(wanted), strict=True)
        return tuple(convert(b, each, of, to) for each, of, to in pairs)
    name = str(wanted)
    return value if str(given) == name else b.op(name, f"to_{name}", value)


def bitcast(b: Builder, value: Value, wanted: Type) -> Value:
    """The bits of a value as another type of the same size."""
    leaves = list(_leaves(value))
    to = str(element_of(wanted))
    if leaves[0].type != "f16" and to != "f16":
        made = [each if each.type == to else b.op(to, f"bits_{to}", each) for each in leaves]
    else:
        words = _words(b, leaves)
        made = words if to == "u32" else [b.op(to, f"bits_{to}", word) for word in words]
        if to == "f16":
            halves = [_half(b, word, at) for word in map(b.hold, words) for at in (0, 16)]
            made = [b.op("f16", "bits_f16", half) for half in halves]
    return tuple(made) if isinstance(wanted, Vector) else made[0]


def _words(b: Builder, leaves: list[Scalar]) -> list[Scalar]:
    if leaves[0].type != "f16":
        return [each if each.type == "u32" else b.op("u32", "bits_u32", each) for each in leaves]
    bits = [b.op("u32", "bits_of", each) for each in leaves]
    pairs = zip(bits[::2], bits[1::2], strict=True)
    return [b.op("u32", "or", low, _shl(b, high, 16)) for low, high in pairs]


def _leaves(value: Value) -> Any:
    if isinstance(value, tuple):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _u32(value: int) -> Const:
    return Const("u32", value)


def _shl(b: Builder, value: Scalar, by: int) -> Scalar:
    return b.op(value.type, "shl_by", value, _u32(by)) if by else value


def _half(b: Builder, word: Scalar, at: int) -> Scalar:
    shifted = b.op("u32", "shr_by", word, _u32(at)) if at else word
    return b.op("u32", "and", shifted, _u32(0xFFFF))


def _number(b: Builder, value: float, kind: str) -> Scalar:
    whole = Const("abstract-float", float(value))
    return whole if kind == "abstract-float" else b.op(kind, f"to_{kind}", whole)


def _sum(b: Builder, kind: str, parts: Sequence[Scalar]) -> Scalar:
    total = parts[0]
    for part in parts[1:]:
        total = b.op(kind, "add", total, part)
    return total


def _dot(b: Builder, left: Value, right: Value) -> Scalar:
    kind = left[0].type
    pairs = zip(left, right, strict=True)
    return _sum(b, kind, [b.op(kind, "mul", one, other) for one, other in pairs])


def _held(b: Builder, value: Value) -> Value:
    return tuple(_held(b, each) for each in value) if isinstance(value, tuple) else b.hold(value)


def _product(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    left, right = operands
    first, second = kinds
    if not isinstance(first, Matrix) and not isinstance(second, Matrix):
        return _each(b, str(_element(result)), "mul", left, right)
    left, right = _held(b, left), _held(b, right)
    if not isinstance(left, tuple) or not isinstance(right, tuple):
        return _each(b, str(_element(result)), "mul", left, right)
    if not isinstance(first, Matrix):
        return tuple(_dot(b, left, column) for column in right)
    rows = list(zip(*left, strict=True))
    if not isinstance(second, Matrix):
        return tuple(_dot(b, row, right) for row in rows)
    return tuple(tuple(_dot(b, row, column) for row in rows) for column in right)


def _clamp(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    kind = str(_element(result))
    value, low, high = operands
    return _each(b, kind, "min", _each(b, kind, "max", value, low), high)


def _saturate(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    kind = str(_element(result))
    ends = _number(b, 0, kind), _number(b, 1, kind)
    return _clamp(b, kinds, (operands[0], *ends), result)


def _step(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    kind = str(_element(result))
    below = _each(b, "bool", "le", *operands)
    return _each(b, kind, "select", _number(b, 0, kind), _number(b, 1, kind), below)


def _smoothstep(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    kind = str(_element(result))
    low, high, value = operands
    low = _held(b, low)
    over = _each(b, kind, "sub", value, low)
    span = _each(b, kind, "sub", high, low)
    ratio = _each(b, kind, "div", over, span)
    t = _held(b, _saturate(b, kinds, (ratio,), result))
    two, three = _number(b, 2, kind), _number(b, 3, kind)
    slope = _each(b, kind, "sub", three, _each(b, kind, "mul", two, t))
    return _each(b, kind, "mul", _each(b, kind, "mul", t, t), slope)


def _mix(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    kind = str(_element(result))
    one, other, part = operands
    part = _held(b, part)
    rest = _each(b, kind, "sub", _number(b, 1, kind), part)
    return _each(
        b, kind, "add", _each(b, kind, "mul", one, rest), _each(b, kind, "mul", other, part)
    )


def _select(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    return _each(b, str(_element(result)), "select", *operands)


def _dot_of(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    return _dot(b, *operands)


def _length(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    value = _held(b, operands[0])
    kind = str(_element(result))
    if not isinstance(value, tuple):
        return b.op(kind, "abs", value)
    return b.op(kind, "sqrt", _dot(b, value, value))


def _distance(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    return _length(b, kinds, (_each(b, str(_element(result)), "sub", *operands),), result)


def _normalize(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    value = _held(b, operands[0])
    kind = str(_element(result))
    return _each(b, kind, "div", value, b.hold(_length(b, kinds, (value,), _element(result))))


def _cross(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    left, right = _held(b, operands[0]), _held(b, operands[1])
    kind = str(_element(result))

    def part(one: int, other: int) -> Scalar:
        return b.op(
            kind,
            "sub",
            b.op(kind, "mul", left[one], right[other]),
            b.op(kind, "mul", left[other], right[one]),
        )

    return part(1, 2), part(2, 0), part(0, 1)


def _reflect(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    value, normal = _held(b, operands[0]), _held(b, operands[1])
    kind = str(_element(result))
    twice = b.hold(b.op(kind, "mul", _number(b, 2, kind), _dot(b, normal, value)))
    return _each(b, kind, "sub", value, _each(b, kind, "mul", twice, normal))


def _face_forward(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    value = _held(b, operands[0])
    kind = str(_element(result))
    below = b.op("bool", "lt", _dot(b, operands[1], operands[2]), _number(b, 0, kind))
    return _each(b, kind, "select", _each(b, kind, "neg", value), value, b.hold(below))


def _refract(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    value, normal, ratio = (_held(b, operand) for operand in operands)
    kind = str(_element(result))
    one, zero = _number(b, 1, kind), _number(b, 0, kind)
    along = b.hold(_dot(b, normal, value))
    rest = b.op(kind, "sub", one, b.op(kind, "mul", along, along))
    k = b.hold(b.op(kind, "sub", one, b.op(kind, "mul", b.op(kind, "mul", ratio, ratio), rest)))
    root = b.op(kind, "sqrt", b.op(kind, "max", k, zero))
    factor = b.hold(b.op(kind, "add", b.op(kind, "mul", ratio, along), root))
    bent = _each(
        b,
        kind,
        "sub",
        _each(b, kind, "mul", ratio, value),
        _each(b, kind, "mul", factor, normal),
    )
    return _each(b, kind, "select", bent, zero, b.hold(b.op("bool", "lt", k, zero)))


def _frexp(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    value = _held(b, operands[0])
    fract, whole = (str(_element(member.type)) for member in result.members)
    return _each(b, fract, "frexp_fract", value), _each(b, whole, "frexp_exp", value)


def _modf(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    value = _held(b, operands[0])
    kind = str(_element(result.members[0].type))
    return _each(b, kind, "modf_fract", value), _each(b, kind, "trunc", value)


def _transpose(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    return tuple(zip(*operands[0], strict=True))


def _determinant(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    return _minor(b, str(result), _held(b, operands[0]))


def _minor(b: Builder, kind: str, columns: Any) -> Scalar:
    """The determinant, along the first column's rows."""
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
    return _joined(b, "and", operands[0])


def _any(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    return _joined(b, "or", operands[0])


def _joined(b: Builder, name: str, value: Value) -> Scalar:
    parts: Sequence[Scalar] = value if isinstance(value, tuple) else (value,)
    total = parts[0]
    for part in parts[1:]:
        total = b.op("bool", name, total, part)
    return total


def _field(b: Builder, offset: Scalar, count: Scalar) -> tuple[Scalar, Scalar, Scalar]:
    """Offset and count of bits within a word, and whether there are none."""
    o = b.hold(b.op("u32", "min", offset, _u32(32)))
    c = b.hold(b.op("u32", "min", count, b.op("u32", "sub", _u32(32), o)))
    return o, c, b.hold(b.op("bool", "eq", c, _u32(0)))


def _extract_bits(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    o, c, none = _field(b, operands[1], operands[2])
    right = b.hold(b.op("u32", "sub", _u32(32), c))
    left = b.hold(b.op("u32", "sub", right, o))
    kind = str(_element(result))
    taken = _each(b, kind, "shr", _each(b, kind, "shl", operands[0], left), right)
    return _each(b, kind, "select", taken, Const(kind, 0), none)


def _insert_bits(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    o, c, none = _field(b, operands[2], operands[3])
    kind = str(_element(result))
    ones = b.op("u32", "shr", _u32(0xFFFFFFFF), b.op("u32", "sub", _u32(32), c))
    mask: Scalar = b.op("u32", "select", b.op("u32", "shl", ones, o), _u32(0), none)
    mask = b.hold(mask if kind == "u32" else b.op(kind, f"bits_{kind}", mask))
    kept = _each(b, kind, "and", operands[0], b.hold(b.op(kind, "inv", mask)))
    put = _each(b, kind, "and", _each(b, kind, "shl", operands[1], o), mask)
    return _each(b, kind, "or", kept, put)


def _pack(name: str, bits: int) -> Callable[..., Value]:
    def rule(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
        parts = [b.op("u32", name, part) for part in operands[0]]
        return _glued(b, parts, bits)

    return rule


def _glued(b: Builder, parts: list[Scalar], bits: int) -> Scalar:
    total = parts[0]
    for at, part in enumerate(parts[1:], 1):
        total = b.op("u32", "or", total, _shl(b, part, bits * at))
    return total


def _pack_bytes(clamped: bool) -> Callable[..., Value]:
    def rule(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
        parts = []
        for part in operands[0]:
            kind = part.type
            if clamped:
                low, high = (-128, 127) if kind == "i32" else (0, 255)
                part = b.op(kind, "max", part, Const(kind, low))
                part = b.op(kind, "min", part, Const(kind, high))
            word = part if kind == "u32" else b.op("u32", "bits_u32", part)
            parts.append(b.op("u32", "and", word, _u32(255)))
        return _glued(b, parts, 8)

    return rule


def _byte(b: Builder, word: Scalar, at: int, signed: bool, bits: int = 8) -> Scalar:
    """A part of a word as u32 or, with its sign, as i32."""
    if signed:
        number = b.op("i32", "bits_i32", _shl(b, word, 32 - bits - bits * at))
        return b.op("i32", "shr_by", number, _u32(32 - bits))
    shifted = b.op("u32", "shr_by", word, _u32(bits * at)) if at else word
    return b.op("u32", "and", shifted, _u32((1 << bits) - 1))


def _unpack(signed: bool, bits: int, scale: int) -> Callable[..., Value]:
    def rule(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
        word = b.hold(operands[0])
        parts: list[Scalar] = [_byte(b, word, at, signed, bits) for at in range(32 // bits)]
        if scale:
            by = _number(b, scale, "f32")
            parts = [b.op("f32", "div", b.op("f32", "to_f32", part), by) for part in parts]
            if signed:
                parts = [b.op("f32", "max", part, _number(b, -1, "f32")) for part in parts]
        return tuple(parts)

    return rule


def _unpack_half(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    word = b.hold(operands[0])
    return tuple(b.op("f32", "from_half", _half(b, word, at)) for at in (0, 16))


def _dot4(signed: bool) -> Callable[..., Value]:
    def rule(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
        words = [b.hold(operand) for operand in operands]
        left, right = ([_byte(b, word, at, signed) for at in range(4)] for word in words)
        return _dot(b, tuple(left), tuple(right))

    return rule


_SPECIAL: dict[str, Callable[..., Value]] = {
    "*": _product,
    "clamp": _clamp,
    "saturate": _saturate,
    "step": _step,
    "smoothstep": _smoothstep,
    "mix": _mix,
    "select": _select,
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
    "all": _all,
    "any": _any,
    "extractBits": _extract_bits,
    "insertBits": _insert_bits,
    "pack4x8snorm": _pack("snorm8", 8),
    "pack4x8unorm": _pack("unorm8", 8),
    "pack2x16snorm": _pack("snorm16", 16),
    "pack2x16unorm": _pack("unorm16", 16),
    "pack2x16float": _pack("half", 16),
    "pack4xI8": _pack_bytes(False),
    "pack4xU8": _pack_bytes(False),
    "pack4xI8Clamp": _pack_bytes(True),
    "pack4xU8Clamp": _pack_bytes(True),
    "unpack4x8snorm": _unpack(True, 8, 127),
    "unpack4x8unorm": _unpack(False, 8, 255),
    "unpack2x16snorm": _unpack(True, 16, 32767),
    "unpack2x16unorm": _unpack(False, 16, 65535),
    "unpack4xI8": _unpack(True, 8, 0),
    "unpack4xU8": _unpack(False, 8, 0),
    "unpack2x16float": _unpack_half,
    "dot4U8Packed": _dot4(False),
    "dot4I8Packed": _dot4(True),
}
