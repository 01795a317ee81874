"""For each function and operator on floats, the interval that WGSL allows.

A rule takes the arithmetic of a float type and the Spans of the operands, of shape (lanes,
components), and gives the Span of the result.
Source: WGSL specification, 15.7.3.1 "Accuracy of Concrete Floating Point Expressions".
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tools.wgsl.intervals import Floats, Span

Rule = Callable[..., Span]


def free(m: Floats, *operands: Span) -> Span:
    """Anything."""
    zero = operands[0].low * 0
    return Span(zero, zero, np.ones_like(zero, bool))


def select(m: Floats, a: Span, b: Span, c: Span) -> Span:
    """``a`` if ``c`` is false, or else ``b``, neither rounded nor flushed."""
    chosen = c.low != 0
    low, high = np.where(chosen, b.low, a.low), np.where(chosen, b.high, a.high)
    return Span(low, high, a.free | b.free)


def compared(sign: str) -> Rule:
    """A comparison; true or false where the operands' intervals allow both."""

    def rule(m: Floats, a: Span, b: Span) -> Span:
        surely, maybe = {
            "<": (a.high < b.low, a.low < b.high),
            "<=": (a.high <= b.low, a.low <= b.high),
            ">": (a.low > b.high, a.high > b.low),
            ">=": (a.low >= b.high, a.high >= b.low),
            "==": (
                (a.low == b.high) & (a.high == b.low),
                (a.low <= b.high) & (b.low <= a.high),
            ),
            "!=": (
                (a.high < b.low) | (b.high < a.low),
                ~((a.low == b.high) & (a.high == b.low)),
            ),
        }[sign]
        return Span(surely.astype(float), maybe.astype(float), a.free | b.free)

    return rule


def mix(m: Floats, a: Span, b: Span, c: Span) -> Span:
    """``a * (1 - c) + b * c``, or ``a + (b - a) * c``, to which it may be reassociated."""
    rest = m.sub(m.constant(1), c)
    one = m.add(m.mul(a, rest), m.mul(b, c))
    return m.union(one, m.add(a, m.mul(m.sub(b, a), c)))


def _smoothstep(m: Floats, low: Span, high: Span, a: Span) -> Span:
    ratio = m.div(m.sub(a, low), m.sub(high, low))
    t = m.clamp(ratio, m.constant(0), m.constant(1))
    slope = m.sub(m.constant(3), m.mul(m.constant(2), t))
    return m.mul(m.mul(t, t), slope)


def _acos(m: Floats, a: Span) -> Span:
    by = 6.77e-5 if m.name == "f32" else 3.91e-3
    root = m.sqrt(m.sub(m.constant(1), m.mul(a, a)))
    return m.worse(m.atan2(root, a), _exact(np.arccos, a), by)


def _asin(m: Floats, a: Span) -> Span:
    by = 6.81e-5 if m.name == "f32" else 3.91e-3
    root = m.sqrt(m.sub(m.constant(1), m.mul(a, a)))
    return m.worse(m.atan2(a, root), _exact(np.arcsin, a), by)


def _exact(compute: Any, a: Span) -> Any:
    with np.errstate(all="ignore"):
        return compute((a.low + a.high) / 2)


def _acosh(m: Floats, a: Span) -> Span:
    return m.log(m.add(a, m.sqrt(m.sub(m.mul(a, a), m.constant(1)))))


def _asinh(m: Floats, a: Span) -> Span:
    return m.log(m.add(a, m.sqrt(m.add(m.mul(a, a), m.constant(1)))))


def _atanh(m: Floats, a: Span) -> Span:
    one = m.constant(1)
    return m.mul(m.log(m.div(m.add(one, a), m.sub(one, a))), m.constant(0.5))


def _cosh(m: Floats, a: Span) -> Span:
    return m.mul(m.add(m.exp(a), m.exp(m.neg(a))), m.constant(0.5))


def _sinh(m: Floats, a: Span) -> Span:
    return m.mul(m.sub(m.exp(a), m.exp(m.neg(a))), m.constant(0.5))


def _tanh(m: Floats, a: Span) -> Span:
    return m.worse(m.div(_sinh(m, a), _cosh(m, a)), _exact(np.tanh, a), 1.0e-5)


def _pow(m: Floats, a: Span, b: Span) -> Span:
    return m.exp2(m.mul(b, m.log(a, np.log2)))


def length(m: Floats, a: Span) -> Span:
    """``sqrt(dot(a, a))``."""
    return m.sqrt(m.dot(a, a))


def distance(m: Floats, a: Span, b: Span) -> Span:
    """``length(a - b)``."""
    return length(m, m.sub(a, b))


def normalize(m: Floats, a: Span) -> Span:
    """``a / length(a)``."""
    return m.div(a, length(m, a))


def cross(m: Floats, a: Span, b: Span) -> Span:
    """``cross(a, b)``, whose components are differences of two products, fused or not."""
    parts = []
    for one, other in ((1, 2), (2, 0), (0, 1)):
        left = m.mul(_part(a, one), _part(b, other))
        parts.append(m.sub(left, m.mul(_part(a, other), _part(b, one))))
    return _joined(parts)


def _sliced(a: Span, part: slice) -> Span:
    return Span(*(each[..., part] for each in (a.low, a.high, a.free)))


def _part(a: Span, at: int) -> Span:
    return _sliced(a, slice(at, at + 1))


def _joined(parts: list[Span]) -> Span:
    fields = ([part.low for part in parts], [p.high for p in parts], [p.free for p in parts])
    return Span(*(np.concatenate(np.broadcast_arrays(*each), -1) for each in fields))


def reflect(m: Floats, a: Span, b: Span) -> Span:
    """``a - 2 * dot(a, b) * b``, in any order of the products."""
    along = m.dot(a, b)
    one = m.mul(m.mul(m.constant(2), along), b)
    other = m.mul(m.constant(2), m.mul(along, b))
    return m.sub(a, m.union(one, other))


def refract(m: Floats, a: Span, b: Span, c: Span) -> Span:
    """``refract(a, b, c)``: the bent vector, or zero where no light passes."""
    along = m.dot(b, a)
    one = m.constant(1)
    k = m.sub(one, m.mul(m.mul(c, c), m.sub(one, m.mul(along, along))))
    bent = m.sub(m.mul(c, a), m.mul(m.add(m.mul(c, along), m.sqrt(k)), b))
    zero = np.zeros_like(bent.low)
    surely, maybe = np.broadcast_to(k.high < 0, zero.shape), k.low < 0
    low = np.where(surely, zero, bent.low)
    high = np.where(surely, zero, bent.high)
    open_one = maybe & ~surely
    return Span(
        low, high, np.where(surely, a.free | b.free | c.free | k.free, bent.free | open_one)
    )


def face_forward(m: Floats, a: Span, b: Span, c: Span) -> Span:
    """``a`` or its negative."""
    below = compared("<")(m, m.dot(b, c), m.constant(0))
    minus = m.neg(a)
    either = m.union(a, minus)
    low = np.where(below.low == 1, a.low, np.where(below.high == 0, minus.low, either.low))
    high = np.where(below.low == 1, a.high, np.where(below.high == 0, minus.high, either.high))
    return Span(low, high, a.free | below.free)


def ldexp(m: Floats, a: Span, b: Span) -> Span:
    """Correctly rounded, for exponents that a float can have."""
    by = np.clip(b.low, -3000, 3000).astype(int)
    with np.errstate(all="ignore"):
        low, high = np.ldexp(a.low, by), np.ldexp(a.high, by)
    made = m.rounded(low, high, a.free | (by > m.exponent + 2))
    tiny = by < -m.exponent
    return Span(
        np.where(tiny, np.minimum(made.low, 0), made.low),
        np.where(tiny, np.maximum(made.high, 0), made.high),
        made.free,
    )


def _may_be_subnormal(m: Floats, a: Span) -> Any:
    """Where an input was neither zero nor normal."""
    return (a.low != a.high) & (np.abs(a.low) < m.tiny)


def frexp(part: int) -> Rule:
    """The fraction (0) or the exponent (1), correct for zero and normal numbers."""

    def rule(m: Floats, a: Span) -> Span:
        found = np.frexp(a.low)[part].astype(float)
        return Span(found, found, a.free | _may_be_subnormal(m, a))

    return rule


def same_bits(m: Floats, a: Span) -> Span:
    """The float whose bits an integer has."""
    return m.given((a.low.astype(np.int64) & 0xFFFFFFFF).astype(np.uint32).view(np.float32))


def converted(given: str, wanted: str) -> Rule | None:
    """A conversion from or to floats; None if neither type is a float."""
    if wanted in ("f32", "f16"):
        return rounded_to(wanted)
    if given not in ("f32", "f16"):
        return None
    if wanted == "bool":
        return lambda m, a: compared("!=")(m, a, m.constant(0))
    low, high = (0, 2**32 - 1) if wanted == "u32" else (-(2**31), 2**31 - 1)

    def rule(m: Floats, a: Span) -> Span:
        most = m.most if m.name == "f16" else float(np.nextafter(np.float32(high), np.float32(0)))
        with np.errstate(all="ignore"):
            found = np.clip(np.trunc(a.low), max(low, -m.most), most)
        return Span(found, found, a.free)

    return rule


def rounded_to(wanted: str) -> Rule:
    """Rounded to a float type, up or down."""
    floats = Floats(wanted)

    def rule(m: Floats, a: Span) -> Span:
        return floats.rounded(a.low, a.high, a.free)

    return rule


def _scaled(m: Floats, a: Span, scale: int, least: int) -> tuple[Any, Any]:
    f32 = Floats("f32")
    clamped = f32.clamp(a, f32.constant(least), f32.constant(1))
    whole = f32.add(f32.constant(0.5), f32.mul(f32.constant(scale), clamped))
    return np.floor(whole.low), np.floor(whole.high)


def packed(scale: int, least: int, bits: int) -> Rule:
    """The packed word; free if the least and the greatest value of a part differ."""

    def rule(m: Floats, a: Span) -> Span:
        low, high = _scaled(m, a, scale, least)
        parts = low.astype(np.int64) & ((1 << bits) - 1)
        word = sum(parts[:, at] << (bits * at) for at in range(parts.shape[1]))
        word = np.asarray(word, float)[:, None]
        return Span(word, word, ((low != high) | a.free).any(-1, keepdims=True))

    return rule


def unpacked(scale: int, least: int, bits: int) -> Rule:
    """The parts of a word, each within three units in the last place."""

    def rule(m: Floats, a: Span) -> Span:
        words = a.low.astype(np.int64)
        parts = np.concatenate([words >> (bits * at) for at in range(32 // bits)], 1)
        parts &= (1 << bits) - 1
        if least:
            parts = np.where(parts >> (bits - 1), parts - (1 << bits), parts)
        exact = np.maximum(parts / scale, least)
        return m.off_ulps(exact, exact, a.free.any(-1, keepdims=True), 3.0)

    return rule


def halves(m: Floats, a: Span) -> Span:
    """The word of two halves; free if the rounding of a half is open, or a half is zero."""
    half = Floats("f16")
    made = half.rounded(a.low, a.high, a.free)
    bits = made.low.astype(np.float16).view(np.uint16).astype(np.int64)
    word = (bits[:, :1] | bits[:, 1:] << 16).astype(float)
    is_zero = made.low == 0
    return Span(word, word, ((made.low != made.high) | made.free | is_zero).any(-1, keepdims=True))


def unhalved(m: Floats, a: Span) -> Span:
    """Two halves of a word, exactly."""
    words = a.low.astype(np.int64)
    halves_of = np.concatenate([words & 0xFFFF, words >> 16], 1).astype(np.uint16)
    return Floats("f16").given(halves_of.view(np.float16))


def _column(a: Span, at: int) -> Span:
    return _sliced(a, slice(2 * at, 2 * at + 2))


def _row(a: Span, at: int) -> Span:
    return _sliced(a, slice(at, None, 2))


def matrix_vector(m: Floats, a: Span, b: Span) -> Span:
    """``mat2x2(a) * b``."""
    return _joined([m.dot(_row(a, at), b) for at in (0, 1)])


def vector_matrix(m: Floats, a: Span, b: Span) -> Span:
    """``b * mat2x2(a)``."""
    return _joined([m.dot(b, _column(a, at)) for at in (0, 1)])


def transposed(m: Floats, a: Span) -> Span:
    """The first column of the transposed matrix, which is the first row of ``a``."""
    return _row(a, 0)


def matrix_product(m: Floats, a: Span, b: Span) -> Span:
    """The second column of a product."""
    return matrix_vector(m, a, _column(b, 1))


def matrix_scaled(m: Floats, a: Span, b: Span) -> Span:
    """The second column times a number."""
    return m.mul(_column(a, 1), b)


FUNCTIONS: dict[str, Rule] = {
    "a + b": Floats.add,
    "a - b": Floats.sub,
    "a * b": Floats.mul,
    "a / b": Floats.div,
    "a % b": Floats.rem,
    "-a": Floats.neg,
    "abs(a)": Floats.absolute,
    "sign(a)": lambda m, a: m.exactly(np.sign, a),
    "min(a, b)": Floats.least,
    "max(a, b)": Floats.greatest,
    "clamp(a, b, c)": Floats.clamp,
    "saturate(a)": lambda m, a: m.clamp(a, m.constant(0), m.constant(1)),
    "ceil(a)": lambda m, a: m.exactly(np.ceil, a),
    "floor(a)": lambda m, a: m.exactly(np.floor, a),
    "trunc(a)": lambda m, a: m.exactly(np.trunc, a),
    "round(a)": lambda m, a: m.exactly(np.rint, a),
    "fract(a)": lambda m, a: m.sub(a, m.exactly(np.floor, a)),
    "modf(a).fract": lambda m, a: m.sub(a, m.exactly(np.trunc, a)),
    "modf(a).whole": lambda m, a: m.exactly(np.trunc, a),
    "sqrt(a)": Floats.sqrt,
    "inverseSqrt(a)": Floats.inverse_sqrt,
    "exp(a)": Floats.exp,
    "exp2(a)": Floats.exp2,
    "log(a)": Floats.log,
    "log2(a)": lambda m, a: m.log(a, np.log2),
    "pow(a, b)": _pow,
    "sin(a)": lambda m, a: m.wave(np.sin, a),
    "cos(a)": lambda m, a: m.wave(np.cos, a),
    "tan(a)": lambda m, a: m.div(m.wave(np.sin, a), m.wave(np.cos, a)),
    "asin(a)": _asin,
    "acos(a)": _acos,
    "atan(a)": Floats.atan,
    "atan2(a, b)": Floats.atan2,
    "sinh(a)": _sinh,
    "cosh(a)": _cosh,
    "tanh(a)": _tanh,
    "asinh(a)": _asinh,
    "acosh(a)": _acosh,
    "atanh(a)": _atanh,
    "degrees(a)": lambda m, a: m.mul(a, m.constant(57.295779513082322865)),
    "radians(a)": lambda m, a: m.mul(a, m.constant(0.017453292519943295474)),
    "fma(a, b, c)": lambda m, a, b, c: m.add(m.mul(a, b), c),
    "mix(a, b, c)": mix,
    "smoothstep(a, b, c)": _smoothstep,
    "step(a, b)": compared("<="),
}
