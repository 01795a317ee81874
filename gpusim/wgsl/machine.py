"""The functions that compiled shaders call: arithmetic that NumPy lacks, on arrays of lanes.

Every function takes arrays with an element for each invocation, and most take single values too.
Most functions of floats compute in double precision and round once.
Source: WGSL specification, 15.7 "Floating Point Evaluation", 17 "Built-in Functions".
"""

from typing import Any

import numpy as np

u32, i32, f32, f16 = np.uint32, np.int32, np.float32, np.float16
_DOUBLE = np.float64
Values = Any
"""An array with an element for each invocation, or one value."""


def one_div(left: int, right: int) -> int:
    """Integer division of single values, rounded to zero; division by zero gives the dividend."""
    if right == 0 or (right == -1 and left == -0x80000000):
        return left
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def one_mod(left: int, right: int) -> int:
    """The remainder with the sign of the dividend; division by zero leaves the remainder 0."""
    if right == 0 or (right == -1 and left == -0x80000000):
        return 0
    remainder = abs(left) % abs(right)
    return -remainder if left < 0 else remainder


def div_u32(left: Values, right: Values) -> Values:
    """Division of arrays; division by zero gives the dividend."""
    return np.asarray(left, u32) // _or_one(np.asarray(right, u32))


def mod_u32(left: Values, right: Values) -> Values:
    """Remainder of arrays; division by zero leaves the remainder 0."""
    return np.asarray(left, u32) % _or_one(np.asarray(right, u32))


def _or_one(right: Values) -> Values:
    zero = right == 0
    return right + zero.astype(right.dtype) if zero.any() else right


def div_i32(left: Values, right: Values) -> Values:
    """Signed division of arrays, rounded to zero."""
    wide, by = np.asarray(left, np.int64), _or_one(np.asarray(right, np.int64))
    quotient = np.abs(wide) // np.abs(by)
    return np.where((wide < 0) == (by < 0), quotient, -quotient).astype(i32)


def mod_i32(left: Values, right: Values) -> Values:
    """Signed remainder of arrays."""
    wide, by = np.asarray(left, np.int64), _or_one(np.asarray(right, np.int64))
    return np.fmod(wide, by).astype(i32)


def shl_i32(left: Values, right: Values) -> Values:
    """Left shift of arrays by the low five bits."""
    return np.asarray(left, i32) << (np.asarray(right, u32) & u32(31)).astype(i32)


def shr_i32(left: Values, right: Values) -> Values:
    """Arithmetic right shift of arrays by the low five bits."""
    return np.asarray(left, i32) >> (np.asarray(right, u32) & u32(31)).astype(i32)


def saturate_u32(values: Values) -> Values:
    """Floats to u32: rounded to zero, clamped to floats that u32 holds, NaN to 0."""
    wide = np.nan_to_num(values.astype(_DOUBLE), nan=0.0)
    most = 65504.0 if values.dtype == f16 else 4294967040.0
    return np.clip(wide, 0.0, most).astype(np.int64).astype(u32)


def saturate_i32(values: Values) -> Values:
    """Floats to i32: rounded to zero, clamped to floats that i32 holds, NaN to 0."""
    wide = np.nan_to_num(values.astype(_DOUBLE), nan=0.0)
    least, most = (-65504.0, 65504.0) if values.dtype == f16 else (-2147483648.0, 2147483520.0)
    return np.clip(wide, least, most).astype(i32)


f_sign, f_floor, f_ceil, f_trunc = np.sign, np.floor, np.ceil, np.trunc


def f_fract(values: Values) -> Values:
    """The value minus the value rounded down."""
    return values - np.floor(values)


def _double(compute: Any) -> Any:
    def rounded(*values: Values) -> Values:
        kind = next(each.dtype.type for each in values if hasattr(each, "dtype"))
        wide = [np.asarray(each, _DOUBLE) for each in values]
        return compute(*wide).astype(kind)

    return rounded


f_sin, f_cos, f_tan = _double(np.sin), _double(np.cos), _double(np.tan)
f_asin, f_acos, f_atan = _double(np.arcsin), _double(np.arccos), _double(np.arctan)
f_sinh, f_cosh, f_tanh = _double(np.sinh), _double(np.cosh), _double(np.tanh)
f_asinh, f_acosh, f_atanh = _double(np.arcsinh), _double(np.arccosh), _double(np.arctanh)
f_exp, f_exp2, f_log, f_log2 = (_double(each) for each in (np.exp, np.exp2, np.log, np.log2))
f_degrees, f_radians = _double(np.degrees), _double(np.radians)
f_inverseSqrt = _double(lambda value: 1.0 / np.sqrt(value))
f_atan2, f_pow = _double(np.arctan2), _double(np.power)
f_fma = _double(lambda left, right, more: left * right + more)


def f_ldexp(values: Values, exponents: Values) -> Values:
    """A float times a power of two."""
    wide = np.ldexp(np.asarray(values, _DOUBLE), np.clip(exponents, -2000, 2000))
    return wide.astype(values.dtype if hasattr(values, "dtype") else f32)


def f_quantize(values: Values) -> Values:
    """Rounded to a half float and back."""
    return values.astype(f16).astype(f32)


def frexp_fract(values: Values) -> Values:
    """The float divided by the power of two that leaves an absolute value from 0.5 to below 1."""
    return np.frexp(values)[0]


def frexp_exp(values: Values) -> Values:
    """The exponent of the power of two by which ``frexp_fract`` divides."""
    found = np.frexp(values)[1]
    return found.astype(i32) if isinstance(found, np.ndarray) else int(found)


def modf_fract(values: Values) -> Values:
    """The fraction, with the sign of the value."""
    return np.modf(values)[0]


def _packer(scale: float, low: float, mask: int) -> Any:
    def pack(values: Values) -> Values:
        wide = np.nan_to_num(np.clip(values.astype(_DOUBLE), low, 1.0), nan=0.0)
        words = np.floor(0.5 + wide * scale).astype(np.int64) & mask
        return words.astype(u32) if isinstance(words, np.ndarray) else int(words)

    return pack


pack_snorm8, pack_unorm8 = _packer(127.0, -1.0, 0xFF), _packer(255.0, 0.0, 0xFF)
pack_snorm16, pack_unorm16 = _packer(32767.0, -1.0, 0xFFFF), _packer(65535.0, 0.0, 0xFFFF)


def pack_half(values: Values) -> Values:
    """The bits of a float rounded to a half float."""
    return half_bits(values.astype(f16))


def half_bits(values: Values) -> Values:
    """The 16 bits of a half float as u32."""
    words = values.view(np.uint16)
    return words.astype(u32) if isinstance(words, np.ndarray) else int(words)


def half_of(words: Values) -> Values:
    """The half float of the low 16 bits."""
    if isinstance(words, np.ndarray):
        return words.astype(np.uint16).view(f16)
    return np.uint16(words & 0xFFFF).view(f16)


def from_half(words: Values) -> Values:
    """The float of a half float's 16 bits."""
    return half_of(words).astype(f32)


def one_bits(compute: Any, value: int, kind: str) -> int:
    """Applies ``compute``, a function of arrays such as ``countOneBits``, to one integer."""
    return int(compute(np.array([value], i32 if kind == "i32" else u32))[0])


def countOneBits(values: Values) -> Values:
    """How many bits are set."""
    words = values.view(u32)
    words = words - ((words >> 1) & 0x55555555)
    words = (words & 0x33333333) + ((words >> 2) & 0x33333333)
    words = (words + (words >> 4)) & 0x0F0F0F0F
    return ((words * 0x01010101) >> 24).view(values.dtype)


def _smeared(words: Values) -> Values:
    for shift in (1, 2, 4, 8, 16):
        words = words | (words >> shift)
    return words


def countLeadingZeros(values: Values) -> Values:
    """How many bits are above the highest bit that is set."""
    return (32 - countOneBits(_smeared(values.view(u32)))).astype(values.dtype)


def countTrailingZeros(values: Values) -> Values:
    """How many bits are below the lowest bit that is set."""
    words = values.view(u32)
    return countOneBits(~words & (words - 1)).view(values.dtype)


def firstTrailingBit(values: Values) -> Values:
    """The position of the lowest bit that is set; all ones if no bit is set."""
    found = countTrailingZeros(values.view(u32))
    return np.where(values == 0, u32(0xFFFFFFFF), found).view(values.dtype)


def firstLeadingBit(values: Values) -> Values:
    """The position of the highest bit that is set or, for i32, that differs from the sign bit."""
    words = values.view(u32)
    if values.dtype == i32:
        words = np.where(values < 0, ~words, words)
    return (countOneBits(_smeared(words)) - u32(1)).view(values.dtype)


def reverseBits(values: Values) -> Values:
    """The bits in the opposite order."""
    words = values.view(u32)
    for shift, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF)):
        words = ((words >> shift) & mask) | ((words & mask) << shift)
    return ((words >> 16) | (words << 16)).view(values.dtype)
