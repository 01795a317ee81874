"""Constants: literals, conversions between types, and operations on constants.

The value of a scalar constant is a Python int (i32, u32, abstract-int), bool or float
(abstract-float), or a NumPy scalar (f32, f16).  The value of a composite is a tuple of the values
of its parts.  Abstract numbers never wrap or round to infinity: a number that does not fit is an
error.
Source: WGSL specification, 6.2.1 "Abstract Numeric Types", 8.1 "Early Evaluation Expressions" and
"Conversion Rank".
"""

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from gpusim.wgsl.ir import Const
from gpusim.wgsl.operations import meaning_of
from gpusim.wgsl.syntax import Literal, Place, ShaderError
from gpusim.wgsl.types import (
    ABSTRACT_FLOAT,
    ABSTRACT_INT,
    BOOL,
    F16,
    F32,
    I32,
    U32,
    Scalar,
    Type,
    element_of,
    parts_of,
)

_RANGES = {
    "i32": (-(2**31), 2**31 - 1),
    "u32": (0, 2**32 - 1),
    "abstract-int": (-(2**63), 2**63 - 1),
}
_LARGEST = {"f32": float(np.finfo(np.float32).max), "f16": float(np.finfo(np.float16).max)}
_NUMPY: dict[str, Any] = {"f32": np.float32, "f16": np.float16}
_ABSTRACT_OPS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "neg": operator.neg,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "inv": operator.invert,
    "shl": operator.lshift,
    "shr": operator.rshift,
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "min": min,
    "max": max,
    "abs": abs,
    "sign": lambda value: (value > 0) - (value < 0),
    "select": lambda no, yes, which: yes if which else no,
}


def literal(node: Literal) -> tuple[Scalar, Any]:
    """The type and the value of a literal; ShaderError if its type cannot hold it."""
    if node.kind == "bool":
        return BOOL, node.text == "true"
    if node.kind == "int":
        kind = {"": ABSTRACT_INT, "i": I32, "u": U32}[node.suffix]
        value = int(node.text, 0)
        return kind, _in_range(value, kind, node.place)
    kind = {"": ABSTRACT_FLOAT, "f": F32, "h": F16}[node.suffix]
    is_hex = node.text[:2] in ("0x", "0X")
    try:
        number = float.fromhex(_with_exponent(node.text)) if is_hex else float(node.text)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise ShaderError(f"{node.text} is no finite number", node.place)
    converted = convert(number, ABSTRACT_FLOAT, kind, node.place)
    if is_hex and kind != ABSTRACT_FLOAT and float(converted) != number:
        raise ShaderError(f"{kind} cannot hold {node.text} exactly", node.place)
    return kind, converted


def _with_exponent(text: str) -> str:
    return text if "p" in text or "P" in text else text + "p0"


def _in_range(value: int, kind: Scalar, place: Place) -> int:
    low, high = _RANGES[kind.name]
    if not low <= value <= high:
        raise ShaderError(f"{kind} cannot hold {value}", place)
    return value


def convert(value: Any, given: Type, wanted: Type, place: Place) -> Any:
    """A constant converted to a type to which WGSL converts it implicitly."""
    if given == wanted:
        return value
    parts = parts_of(wanted)
    if parts:
        from_parts = parts_of(given)
        return tuple(
            convert(each, of, to, place)
            for each, of, to in zip(value, from_parts, parts, strict=True)
        )
    name = str(wanted)
    if name in _RANGES:
        return _in_range(int(value), Scalar(name), place)
    if name == "abstract-float":
        return float(value)
    return rounded(float(value), name, place)


def rounded(value: float, name: str, place: Place) -> Any:
    """A number rounded to f32 or f16; ShaderError if it is too large."""
    with np.errstate(all="ignore"):
        made = _NUMPY[name](value)
    if not np.isfinite(made):
        raise ShaderError(f"{name} holds at most {_LARGEST[name]!r}, not {value!r}", place)
    return made


def zero(kind: Type) -> Any:
    """The zero value of a type."""
    parts = parts_of(kind)
    if parts:
        first = zero(parts[0])
        same = all(part == parts[0] for part in parts)
        return (first,) * len(parts) if same else tuple(zero(part) for part in parts)
    name = str(element_of(kind))
    if name == "bool":
        return False
    return _NUMPY[name](0) if name in _NUMPY else 0.0 if name == "abstract-float" else 0


def fold(name: str, kind: str, operands: tuple[Const, ...], place: Place | None) -> Const:
    """The value of an operation on constants; without a ``place``, forbidden values are kept.

    Raises:
        ShaderError: there is a ``place``, and WGSL forbids the value there.
    """
    of = operands[0].type
    values = [operand.value for operand in operands]
    if place is not None:
        _check_integers(name, of, values, place)
    with np.errstate(all="ignore"):
        value = _computed(name, of, kind, values, place)
    if kind in _NUMPY or kind == "abstract-float":
        if not np.isfinite(value):
            if place is None:
                return Const(kind, value)
            raise ShaderError(f"the result {value} is no finite number", place)
        value = float(value) if kind == "abstract-float" else _NUMPY[kind](value)
    elif kind == "bool":
        value = bool(value)
    return Const(kind, value)


def _computed(name: str, of: str, kind: str, values: list[Any], place: Place | None) -> Any:
    if not of.startswith("abstract"):
        return meaning_of(name, of, len(values))(*values)
    where = place or Place(1, 1)
    if name.startswith("to_"):
        if kind in _RANGES and of == "abstract-float":
            low, high = _RANGES[kind]
            return min(max(int(values[0]), low), high)
        return convert(values[0], Scalar(of), Scalar(kind), where) if kind != "bool" else values[0]
    if of == "abstract-int":
        if name in ("div", "mod"):
            quotient = abs(values[0]) // abs(values[1])
            quotient = quotient if (values[0] < 0) == (values[1] < 0) else -quotient
            result = quotient if name == "div" else values[0] - quotient * values[1]
        elif name in _ABSTRACT_OPS:
            result = _ABSTRACT_OPS[name](*values)
        else:
            return _computed(name, "i32", kind, values, place)
        return _in_range(result, ABSTRACT_INT, where) if kind == "abstract-int" else result
    if name == "select" or name in ("eq", "ne", "lt", "le", "gt", "ge"):
        return _ABSTRACT_OPS[name](*values)
    wide = [np.float64(value) if isinstance(value, float) else value for value in values]
    return meaning_of(name, "f32", len(values))(*wide)


def _check_integers(name: str, of: str, values: list[Any], place: Place) -> None:
    if of not in _RANGES:
        return
    if name in ("div", "mod"):
        if values[1] == 0:
            raise ShaderError("a constant is divided by zero", place)
        if values[1] == -1 and values[0] == _RANGES[of][0]:
            raise ShaderError(f"{of} cannot hold the quotient {-values[0]}", place)
    if name in ("shl", "shr") and of != "abstract-int" and values[1] >= 32:
        raise ShaderError(f"cannot shift {of} by {values[1]} bits because it has only 32", place)
    if name == "shl":
        shifted = values[0] << min(values[1], 128)
        low, high = _RANGES[of]
        if not low <= shifted <= high:
            raise ShaderError(f"{of} cannot hold {values[0]} << {values[1]}", place)
