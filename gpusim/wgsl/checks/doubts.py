"""Finds the operations, and the lanes, whose arithmetic WGSL allows but hardly anybody means.

Five rules say which arithmetic that is: an integer divided by zero, a shift by the width or more, a
float converted to an integer type whose range it exceeds, NaN from operands that are not NaN, and
an index that wrapped round.  WGSL forbids none of these, so they are warnings.  Source: WGSL
specification, 8.7 "Arithmetic Expressions", 8.9 "Bit Expressions", 15.7.6 "Floating Point
Conversion".
"""

from typing import Any

import numpy as np

from gpusim.wgsl.ir import Const, Scalar

_INTEGERS, _FLOATS = ("u32", "i32"), ("f32", "f16")
ZERO, WIDTH, RANGE, NAN, WRAP = "zero", "width", "range", "nan", "wrap"


def rule_of(name: str, kind: str, operands: tuple[Scalar, ...]) -> str | None:
    """Which rule, of ZERO to WRAP, an operation may break; None if it can break none of them."""
    of = operands[0].type
    if of in _INTEGERS:
        if name in ("div", "mod"):
            return None if isinstance(operands[1], Const) and operands[1].value else ZERO
        if name in ("shl", "shr"):
            return WIDTH
        return WRAP if name in ("add", "sub", "mul") else None
    if of in _FLOATS and kind in _INTEGERS and name.startswith("to_"):
        return RANGE
    return NAN if of in _FLOATS and kind in _FLOATS and name not in ("select", "neg") else None


def doubtful(rule: str, name: str, operands: list[Any], result: Any, kind: str) -> Any:
    """A mask of the lanes whose operation ``name`` breaks ``rule``.

    It is one truth value if all lanes share the operands.
    """
    with np.errstate(all="ignore"):
        if rule == ZERO:
            return operands[1] == 0
        if rule == WIDTH:
            return operands[1] > 31
        if rule == NAN:
            came_in = np.isnan(operands[0])
            for each in operands[1:]:
                came_in = came_in | np.isnan(each) if _is_float(each) else came_in
            return np.isnan(result) & ~came_in
        wide = [np.asarray(each, np.float64 if rule == RANGE else np.int64) for each in operands]
        if rule == RANGE:
            low, high = (0.0, 2.0**32) if kind == "u32" else (-(2.0**31), 2.0**31)
            whole = np.trunc(wide[0])
            return ~((whole >= low) & (whole < high))
        return _exact(name, wide) != np.asarray(result, np.int64)


def _is_float(value: Any) -> bool:
    return getattr(value, "dtype", np.dtype(np.int32)).kind == "f"


def _exact(name: str, wide: list[Any]) -> Any:
    """The result in 64 bits; it differs from the result in 32 bits if the operation wrapped.

    A product may overflow 64 bits too; it still differs from the result in 32 bits.
    """
    if name == "add":
        return wide[0] + wide[1]
    return wide[0] - wide[1] if name == "sub" else wide[0] * wide[1]
