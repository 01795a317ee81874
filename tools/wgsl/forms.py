"""The table of what is compared: each operator, conversion and built-in function on each type.

A Form is an expression over operands ``a``, ``b`` and ``c``.  Integers and bools are compared to
the bit.  A float, and a bool that floats decide, has a ``span``: what WGSL allows.
Source: WGSL specification, 8 "Expressions", 17 "Built-in Functions" and 15.7.3 "Floating Point
Accuracy".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tools.wgsl import float_rules as rules
from tools.wgsl.intervals import Floats

Kind = tuple[str, int]
"""A scalar type, and how many of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """An expression, its operands' types, its result's, and what it may give."""

    text: str
    operands: tuple[Kind, ...]
    result: Kind
    rule: rules.Rule | None = None
    floats: str = "f32"
    is_compound: bool = False
    """Whether operations may be reassociated, and so overflow."""

    @property
    def name(self) -> str:
        """The expression with its types."""
        shown = (f"{'abcd'[at]}: {shown_type(each)}" for at, each in enumerate(self.operands))
        return f"{self.text} ({', '.join(shown)})"


def shown_type(kind: Kind) -> str:
    """A type in WGSL."""
    return kind[0] if kind[1] == 1 else f"vec{kind[1]}<{kind[0]}>"


_WIDTHS = (1, 2, 3, 4)
_FLOATS = ("f32", "f16")
_INTEGERS = ("i32", "u32")
_SIGNS = ("+", "-", "*", "/", "%")
_COMPARED = ("==", "!=", "<", "<=", ">", ">=")


def forms(f16: bool) -> list[Form]:
    """The whole table, for adapters with or without f16."""
    made = [*_float_forms(), *_integer_forms(), *_conversions(), *_packing(), *_shapes()]
    if f16:
        return made
    return [each for each in made if not uses_f16(each)]


def uses_f16(form: Form) -> bool:
    """Whether only adapters with f16 can compute a form."""
    return "f16" in form.text or any(kind[0] == "f16" for kind in (*form.operands, form.result))


def _float_forms() -> Iterator[Form]:
    for name in _FLOATS:
        for width in _WIDTHS:
            kind = (name, width)
            for text, rule in rules.FUNCTIONS.items():
                count = len(set(re.findall(r"\b[abc]\b", text)))
                yield _floats(text, (kind,) * count, kind, rule)
            for sign in _COMPARED:
                rule = rules.compared(sign)
                yield _floats(f"a {sign} b", (kind, kind), ("bool", width), rule)
            yield _floats("a == a", (kind,), ("bool", width), rules.free)
            bools = ("bool", width)
            yield _floats("select(a, b, c)", (kind, kind, bools), kind, rules.select)
            yield _floats("ldexp(a, b)", (kind, ("i32", width)), kind, rules.ldexp)
            yield _floats("frexp(a).fract", (kind,), kind, rules.frexp(0))
            yield _floats("frexp(a).exp", (kind,), ("i32", width), rules.frexp(1))
            if name == "f32":
                yield _floats("quantizeToF16(a)", (kind,), kind, rules.rounded_to("f16"))
            if width > 1:
                yield from _mixed(name, width)
                yield from _vector_forms(name, width)


def _mixed(name: str, width: int) -> Iterator[Form]:
    kind, one = (name, width), (name, 1)
    for sign in _SIGNS:
        rule = rules.FUNCTIONS[f"a {sign} b"]
        yield _floats(f"a {sign} b", (kind, one), kind, rule)
        yield _floats(f"a {sign} b", (one, kind), kind, rule)
    yield _floats("mix(a, b, c)", (kind, kind, one), kind, rules.mix)
    yield _floats("select(a, b, c)", (kind, kind, ("bool", 1)), kind, rules.select)


def _vector_forms(name: str, width: int) -> Iterator[Form]:
    kind, one = (name, width), (name, 1)
    yield _floats("dot(a, b)", (kind, kind), one, Floats.dot)
    yield _floats("length(a)", (kind,), one, rules.length)
    yield _floats("distance(a, b)", (kind, kind), one, rules.distance)
    yield _floats("normalize(a)", (kind,), kind, rules.normalize)
    yield _floats("reflect(a, b)", (kind, kind), kind, rules.reflect)
    yield _floats("refract(a, b, c)", (kind, kind, one), kind, rules.refract)
    yield _floats("faceForward(a, b, c)", (kind, kind, kind), kind, rules.face_forward)
    if width == 3:
        yield _floats("cross(a, b)", (kind, kind), kind, rules.cross)


def _floats(text: str, operands: tuple[Kind, ...], result: Kind, rule: rules.Rule) -> Form:
    return Form(text=text, operands=operands, result=result, rule=rule, floats=operands[0][0])


_BITS_OF_ONE = (
    "abs(a)",
    "~a",
    "countLeadingZeros(a)",
    "countOneBits(a)",
    "countTrailingZeros(a)",
    "firstLeadingBit(a)",
    "firstTrailingBit(a)",
    "reverseBits(a)",
)
_OF_TWO = ("min(a, b)", "max(a, b)", "a & b", "a | b", "a ^ b")


def _integer_forms() -> Iterator[Form]:
    for name in _INTEGERS:
        for width in _WIDTHS:
            kind, fields = (name, width), (("u32", 1),) * 2
            for text in _BITS_OF_ONE:
                yield Form(text=text, operands=(kind,), result=kind)
            for text in (*_OF_TWO, *(f"a {sign} b" for sign in _SIGNS)):
                yield Form(text=text, operands=(kind, kind), result=kind)
            for sign in _COMPARED:
                text = f"a {sign} b"
                yield Form(text=text, operands=(kind, kind), result=("bool", width))
            for sign in ("<<", ">>"):
                yield Form(text=f"a {sign} b", operands=(kind, ("u32", width)), result=kind)
            yield Form(text="clamp(a, b, c)", operands=(kind,) * 3, result=kind)
            yield Form(text="select(a, b, c)", operands=(kind, kind, ("bool", width)), result=kind)
            yield Form(text="extractBits(a, b, c)", operands=(kind, *fields), result=kind)
            yield Form(text="insertBits(a, b, c, d)", operands=(kind, kind, *fields), result=kind)
            if name == "i32":
                yield Form(text="-a", operands=(kind,), result=kind)
                yield Form(text="sign(a)", operands=(kind,), result=kind)
            if width > 1:
                yield Form(text="dot(a, b)", operands=(kind, kind), result=(name, 1))
                for sign in _SIGNS:
                    one, text = (name, 1), f"a {sign} b"
                    yield Form(text=text, operands=(kind, one), result=kind)
                    yield Form(text=text, operands=(one, kind), result=kind)
    for width in _WIDTHS:
        bools = ("bool", width)
        yield Form(text="!a", operands=(bools,), result=bools)
        for sign in ("&", "|", "==", "!=", *(("&&", "||") if width == 1 else ())):
            yield Form(text=f"a {sign} b", operands=(bools, bools), result=bools)
        yield Form(text="all(a)", operands=(bools,), result=("bool", 1))
        yield Form(text="any(a)", operands=(bools,), result=("bool", 1))
        yield Form(text="select(a, b, c)", operands=(bools, bools, bools), result=bools)


def _conversions() -> Iterator[Form]:
    scalars = (*_INTEGERS, *_FLOATS, "bool")
    for given in scalars:
        for wanted in scalars:
            for width in _WIDTHS:
                operand, result = (given, width), (wanted, width)
                text = f"{shown_type(result)}(a)"
                rule = rules.converted(given, wanted)
                floats = given if given in _FLOATS else wanted if wanted in _FLOATS else "f32"
                yield Form(text=text, operands=(operand,), result=result, rule=rule, floats=floats)
    for given in (*_INTEGERS, "f32"):
        for wanted in (*_INTEGERS, "f32"):
            for width in _WIDTHS:
                text = f"bitcast<{shown_type((wanted, width))}>(a)"
                rule = rules.same_bits if wanted == "f32" != given else None
                yield Form(text=text, operands=((given, width),), result=(wanted, width), rule=rule)
    for wanted in _INTEGERS:
        yield Form(text=f"bitcast<{wanted}>(a)", operands=(("f16", 2),), result=(wanted, 1))
        text = f"bitcast<vec2<{wanted}>>(a)"
        yield Form(text=text, operands=(("f16", 4),), result=(wanted, 2))


def _packing() -> Iterator[Form]:
    for text, width, scale, least in (
        ("pack4x8snorm(a)", 4, 127, -1),
        ("pack4x8unorm(a)", 4, 255, 0),
        ("pack2x16snorm(a)", 2, 32767, -1),
        ("pack2x16unorm(a)", 2, 65535, 0),
    ):
        rule = rules.packed(scale, least, 32 // width)
        yield Form(text=text, operands=(("f32", width),), result=("u32", 1), rule=rule)
        other = f"un{text}"
        rule = rules.unpacked(scale, least, 32 // width)
        yield Form(text=other, operands=(("u32", 1),), result=("f32", width), rule=rule)
    yield Form(
        text="pack2x16float(a)", operands=(("f32", 2),), result=("u32", 1), rule=rules.halves
    )
    yield Form(
        text="unpack2x16float(a)", operands=(("u32", 1),), result=("f32", 2), rule=rules.unhalved
    )
    for sign, name in (("I", "i32"), ("U", "u32")):
        yield Form(text=f"pack4x{sign}8(a)", operands=((name, 4),), result=("u32", 1))
        yield Form(text=f"pack4x{sign}8Clamp(a)", operands=((name, 4),), result=("u32", 1))
        yield Form(text=f"unpack4x{sign}8(a)", operands=(("u32", 1),), result=(name, 4))
        text = f"dot4{sign}8Packed(a, b)"
        yield Form(text=text, operands=(("u32", 1), ("u32", 1)), result=(name, 1))


def _shapes() -> Iterator[Form]:
    """Matrices, as vectors that are put together."""
    for name in _FLOATS:
        two, four = (name, 2), (name, 4)
        made = f"mat2x2<{name}>"
        text = f"{made}(a.xy, a.zw)"
        yield _floats(f"{text} * b", (four, two), two, rules.matrix_vector)
        yield _floats(f"b * {text}", (four, two), two, rules.vector_matrix)
        yield _floats(f"transpose({text})[0]", (four,), two, rules.transposed)
        other = f"{made}(b.xy, b.zw)"
        product = f"({text} * {other})[1]"
        yield _floats(product, (four, four), two, rules.matrix_product)
        yield _floats(f"({text} * b)[1]", (four, (name, 1)), two, rules.matrix_scaled)


def lanes(form: Form, count: int, seed: int) -> list[np.ndarray]:
    """For each operand its values, of shape (count, components)."""
    generator = np.random.default_rng(seed)
    whole = sum(kind[1] for kind in form.operands)
    made = []
    for at, (name, width) in enumerate(form.operands):
        values = edge_values(name)
        if whole == 1:
            index = (np.arange(count) % len(values))[:, None]
        elif whole == 2 and len(form.operands) == 2:
            index = (np.arange(count) // (1, len(values))[at] % len(values))[:, None]
        else:
            index = generator.integers(0, len(values), (count, width))
        chosen = values[index]
        usual = usual_values(name, generator, (count, width))
        made.append(np.where((np.arange(count) % 3 == 2)[:, None] & (whole > 2), usual, chosen))
    return made


def edge_values(name: str) -> np.ndarray:
    """At least 20 values of a type, or both of bool; at most 32."""
    if name == "bool":
        return np.array([False, True])
    if name in ("f32", "f16"):
        floats = Floats(name)
        tiny, most = floats.tiny, floats.most
        usual = [0.0, -0.0, 1, -1, 0.5, -0.5, 2, -2, 1.5, 2.5, -2.5, 3.14, -3.14, 0.1, 1e-3, 100.25]
        edges = [most, -most, tiny, -tiny, tiny / 4, -tiny / 8, 60000, 2049, np.inf, np.nan]
        wide = [1e10, -1e10, 2**31, 2.0**32, -(2.0**31), 16777217] if name == "f32" else [7, -9, 31]
        return np.array([*usual, *edges, *wide], floats.type)
    bits = [0, 1, 2, 3, 5, 7, 8, 16, 31, 32, 33, 127, 128, 255, 256, 65535, 65536, 0x7FFFFF]
    high = [0x1000001, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFF80, 0xFFFFFF00, 0xAAAAAAAA]
    more = [0x12345678, 0xDEADBEEF, 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFF0000, 0xC0000000]
    return np.array([*bits, *high, *more], np.uint32).view(
        {"i32": np.int32, "u32": np.uint32}[name]
    )


def usual_values(name: str, generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Values of no extreme size."""
    if name == "bool":
        return generator.integers(0, 2, shape).astype(bool)
    if name in ("f32", "f16"):
        return generator.normal(0, 1.5, shape).astype(Floats(name).type)
    return generator.integers(-40, 40, shape).astype({"i32": np.int32, "u32": np.uint32}[name])
