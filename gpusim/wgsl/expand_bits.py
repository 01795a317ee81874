"""The meaning of the built-in functions on bits: fields of bits, packing and unpacking.

Source: WGSL specification, 17.5 "Numeric Built-in Functions", 17.9 "Data Packing", 17.10 "Data
Unpacking".
"""

from collections.abc import Callable
from typing import Any

from gpusim.wgsl.componentwise import (
    Builder,
    Value,
    dot_product,
    each_part,
    half_of,
    joined,
    number_of,
    shifted_left,
    u32_of,
)
from gpusim.wgsl.ir import Const, Scalar
from gpusim.wgsl.types import scalar_name


def _field(b: Builder, offset: Scalar, count: Scalar) -> tuple[Scalar, Scalar, Scalar]:
    """Limits an offset and a count of bits to a word.  Returns both, and whether the count is 0."""
    o = b.hold(b.op("u32", "min", offset, u32_of(32)))
    c = b.hold(b.op("u32", "min", count, b.op("u32", "sub", u32_of(32), o)))
    return o, c, b.hold(b.op("bool", "eq", c, u32_of(0)))


def _extract_bits(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    o, c, none = _field(b, operands[1], operands[2])
    right = b.hold(b.op("u32", "sub", u32_of(32), c))
    left = b.hold(b.op("u32", "sub", right, o))
    kind = scalar_name(result)
    taken = each_part(b, kind, "shr", each_part(b, kind, "shl", operands[0], left), right)
    return each_part(b, kind, "select", taken, Const(kind, 0), none)


def _insert_bits(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    o, c, none = _field(b, operands[2], operands[3])
    kind = scalar_name(result)
    ones = b.op("u32", "shr", u32_of(0xFFFFFFFF), b.op("u32", "sub", u32_of(32), c))
    mask: Scalar = b.op("u32", "select", b.op("u32", "shl", ones, o), u32_of(0), none)
    mask = b.hold(mask if kind == "u32" else b.op(kind, f"bits_{kind}", mask))
    kept = each_part(b, kind, "and", operands[0], b.hold(b.op(kind, "inv", mask)))
    put = each_part(b, kind, "and", each_part(b, kind, "shl", operands[1], o), mask)
    return each_part(b, kind, "or", kept, put)


def _pack(name: str, bits: int) -> Callable[..., Value]:
    def rule(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
        parts = [b.op("u32", name, part) for part in operands[0]]
        return _glued(b, parts, bits)

    return rule


def _glued(b: Builder, parts: list[Scalar], bits: int) -> Scalar:
    placed = [shifted_left(b, part, bits * at) for at, part in enumerate(parts)]
    return joined(b, "u32", "or", placed)


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
            parts.append(b.op("u32", "and", word, u32_of(255)))
        return _glued(b, parts, 8)

    return rule


def _piece(b: Builder, word: Scalar, at: int, signed: bool, bits: int = 8) -> Scalar:
    """Cuts a word into pieces of ``bits`` bits.  Returns piece ``at``, as i32 if ``signed``.

    Otherwise it is a u32.  Piece 0 has the lowest bits.
    """
    if signed:
        number = b.op("i32", "bits_i32", shifted_left(b, word, 32 - bits - bits * at))
        return b.op("i32", "shr_by", number, u32_of(32 - bits))
    shifted = b.op("u32", "shr_by", word, u32_of(bits * at)) if at else word
    return b.op("u32", "and", shifted, u32_of((1 << bits) - 1))


def _unpack(signed: bool, bits: int, scale: int) -> Callable[..., Value]:
    def rule(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
        word = b.hold(operands[0])
        parts: list[Scalar] = [_piece(b, word, at, signed, bits) for at in range(32 // bits)]
        if scale:
            by = number_of(b, scale, "f32")
            parts = [b.op("f32", "div", b.op("f32", "to_f32", part), by) for part in parts]
            if signed:
                parts = [b.op("f32", "max", part, number_of(b, -1, "f32")) for part in parts]
        return tuple(parts)

    return rule


def _unpack_half(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
    word = b.hold(operands[0])
    return tuple(b.op("f32", "from_half", half_of(b, word, at)) for at in (0, 16))


def _dot4(signed: bool) -> Callable[..., Value]:
    def rule(b: Builder, kinds: Any, operands: Any, result: Any) -> Value:
        words = [b.hold(operand) for operand in operands]
        left, right = ([_piece(b, word, at, signed) for at in range(4)] for word in words)
        return dot_product(b, tuple(left), tuple(right))

    return rule


BIT_FUNCTIONS: dict[str, Callable[..., Value]] = {
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
