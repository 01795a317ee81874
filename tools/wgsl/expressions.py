"""Random typed expressions over the operators and functions of the table.

An expression of floats carries the interval that WGSL allows, made of the intervals of its parts.
An expression of integers or bools is compared to the bit; its operands are values of any size, and
a divisor may be zero.
"""

import random
import re
from collections.abc import Callable, Iterator
from typing import Any

from tools.wgsl import float_rules as rules
from tools.wgsl.forms import Form, Kind
from tools.wgsl.intervals import Floats, Span

_OPERANDS = 3
_LETTER = re.compile(r"\b[abc]\b")
Made = tuple[str, Callable[..., Span]]
_INTEGERS: dict[str, tuple[str, ...]] = {
    "u32": (
        *("(a + b)", "(a - b)", "(a * b)", "(a / b)", "(a % b)", "(a & b)", "(a | b)", "(a ^ b)"),
        *("min(a, b)", "max(a, b)", "clamp(a, b, c)", "abs(a)", "(~a)", "reverseBits(a)"),
        *("countOneBits(a)", "countLeadingZeros(a)", "countTrailingZeros(a)"),
        *("firstLeadingBit(a)", "firstTrailingBit(a)", "select(a, b, c)"),
    )
}
_INTEGERS["i32"] = (*_INTEGERS["u32"], "(-a)", "sign(a)")


def random_forms(count: int, seed: int, f16: bool) -> Iterator[Form]:
    """``count`` expressions, of floats and of integers in turn."""
    chosen = random.Random(seed)
    for number in range(count):
        width = chosen.choice((1, 1, 2, 3, 4))
        if number % 2:
            name = chosen.choice(("f32", "f32", "f16") if f16 else ("f32",))
            text, rule = _floats(chosen, chosen.randint(1, 3))
            kind: Kind = (name, width)
            yield _form(text, kind, rule=rule)
        else:
            kind = (chosen.choice(("u32", "i32")), width)
            yield _form(_integers(chosen, kind, chosen.randint(2, 4)), kind, rule=None)


def _form(text: str, kind: Kind, rule: Any) -> Form:
    floats = kind[0] if kind[0] in ("f32", "f16") else "f32"
    return Form(
        text=text,
        operands=(kind,) * _OPERANDS,
        result=kind,
        rule=rule,
        floats=floats,
        is_compound=True,
    )


def _floats(chosen: random.Random, depth: int) -> Made:
    if depth == 0:
        at = chosen.randrange(_OPERANDS)
        return "abc"[at], lambda m, *operands: operands[at]
    text, rule = chosen.choice(list(rules.FUNCTIONS.items()))
    parts = {letter: _floats(chosen, depth - 1) for letter in sorted(set(_LETTER.findall(text)))}
    shown = _LETTER.sub(lambda found: parts[found.group()][0], text)

    def compound(m: Floats, *operands: Span) -> Span:
        return rule(m, *(part(m, *operands) for _, part in parts.values()))

    return f"({shown})", compound


def _integers(chosen: random.Random, kind: Kind, depth: int) -> str:
    if depth == 0 or chosen.random() < 0.1:
        return chosen.choice("abc")
    text = chosen.choice(_INTEGERS[kind[0]])
    parts = {letter: _integers(chosen, kind, depth - 1) for letter in "abc"}
    if text.startswith("select"):
        parts["c"] = f"({parts['c']} {chosen.choice(('<', '==', '>='))} {parts['a']})"
    return _LETTER.sub(lambda found: parts[found.group()], text)
