"""The scalar operations: the Python of each, for a single value and for an array.

A value that every invocation shares is a Python int (u32, i32), a Python bool, or a NumPy scalar
(f32, f16).  Integers are kept in their range.  A value that varies is an array with an element for
each invocation.  Each row has an expression for a single value and one for an array; ``{0}`` is the
first operand.  If a single ufunc computes an array, the row names the ufunc, so that the result can
go into an existing array.  Constants are folded with the expression for a single value, so a
constant has the same value as in a run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gpusim.wgsl.lanes import NAMES

_M, _H = "0xffffffff", "0x80000000"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One operation on one type: the expression for one value, for arrays, and a ufunc."""

    one: str
    many: str
    ufunc: str = ""


_ROWS: dict[tuple[str, str], Row] = {}
"""The rows, by the name of the operation and the type of its first operand."""


def _row(names: str, types: str, one: str, many: str = "", ufunc: str = "") -> None:
    for name in names.split():
        for kind in types.split():
            fields = {"name": name, "type": kind, "M": _M, "H": _H}
            _ROWS[name, kind] = Row(
                one=_fill(one, fields), many=_fill(many or one, fields), ufunc=ufunc
            )


def _fill(text: str, fields: dict[str, str]) -> str:
    for name, value in fields.items():
        text = text.replace("{" + name + "}", value)
    return text


_FLOATS = "f32 f16"
for _name, _sign, _ufunc in (
    ("add", "+", "add"),
    ("sub", "-", "subtract"),
    ("mul", "*", "multiply"),
):
    _many = f"({{0}} {_sign} {{1}})"
    _row(_name, "u32", f"({{0}} {_sign} {{1}} & {_M})", _many, _ufunc)
    _row(_name, "i32", f"((({{0}} {_sign} {{1}}) + {_H} & {_M}) - {_H})", _many, _ufunc)
    _row(_name, _FLOATS, _many, _many, _ufunc)
for _name, _sign, _ufunc in (
    ("and", "&", "bitwise_and"),
    ("or", "|", "bitwise_or"),
    ("xor", "^", "bitwise_xor"),
):
    _row(_name, "u32 i32 bool", f"({{0}} {_sign} {{1}})", "", _ufunc)
for _name, _sign, _ufunc in (
    ("eq", "==", "equal"),
    ("ne", "!=", "not_equal"),
    ("lt", "<", "less"),
    ("le", "<=", "less_equal"),
    ("gt", ">", "greater"),
    ("ge", ">=", "greater_equal"),
):
    _row(_name, "u32 i32 f32 f16 bool", f"({{0}} {_sign} {{1}})", "", _ufunc)
_row("div", _FLOATS, "({0} / {1})", "", "divide")
_row("mod", _FLOATS, "fmod({0}, {1})", "", "fmod")
_row("div mod", "u32 i32", "one_{name}({0}, {1})", "{name}_{type}({0}, {1})")
_row("quotient", "u32", "({0} // {1})", "", "floor_divide")
_row("remainder", "u32", "({0} % {1})", "", "remainder")
_row("not", "bool", "(not {0})", "(~{0})", "logical_not")
_row("inv", "u32", "({0} ^ {M})", "(~{0})", "invert")
_row("inv", "i32", "(~{0})", "(~{0})", "invert")
_row("neg", "i32", "((-{0} + {H} & {M}) - {H})", "(-{0})", "negative")
_row("neg", "u32", "(-{0} & {M})", "(-{0})")
_row("neg", _FLOATS, "(-{0})", "(-{0})", "negative")
_row("shl", "u32", "({0} << ({1} & 31) & {M})", "({0} << ({1} & 31))")
_row("shl", "i32", "((({0} << ({1} & 31)) + {H} & {M}) - {H})", "shl_i32({0}, {1})")
_row("shr", "u32", "({0} >> ({1} & 31))")
_row("shr", "i32", "({0} >> ({1} & 31))", "shr_i32({0}, {1})")
_row("shl_by", "u32", "({0} << {1} & {M})", "({0} << {1})", "left_shift")
_row("shl_by", "i32", "((({0} << {1}) + {H} & {M}) - {H})", "({0} << {1})", "left_shift")
_row("shr_by", "u32 i32", "({0} >> {1})", "", "right_shift")
_row("min", "u32 i32", "min({0}, {1})", "minimum({0}, {1})", "minimum")
_row("max", "u32 i32", "max({0}, {1})", "maximum({0}, {1})", "maximum")
_row("min", _FLOATS, "fmin({0}, {1})", "", "fmin")
_row("max", _FLOATS, "fmax({0}, {1})", "", "fmax")
_row("select", "bool u32 i32 f32 f16", "({1} if {2} else {0})", "where({2}, {1}, {0})")
_row("abs", "i32", "((abs({0}) + {H} & {M}) - {H})", "absolute({0})", "absolute")
_row("abs", "u32", "{0}")
_row("abs", _FLOATS, "abs({0})", "absolute({0})", "absolute")
_row("sign", "i32", "(({0} > 0) - ({0} < 0))", "sign({0})")
_row("sign floor ceil trunc fract", _FLOATS, "f_{name}({0})")
_row("rint", _FLOATS, "rint({0})", "", "rint")
_row("sqrt", _FLOATS, "sqrt({0})", "", "sqrt")
_row(
    "sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh exp exp2 log log2 inverseSqrt "
    "degrees radians",
    _FLOATS,
    "f_{name}({0})",
)
_row("atan2 pow", _FLOATS, "f_{name}({0}, {1})")
_row("fma", _FLOATS, "f_fma({0}, {1}, {2})")
_row("ldexp", _FLOATS, "f_ldexp({0}, {1})")
_row("quantize", "f32", "f_quantize({0})")
_row("frexp_fract frexp_exp modf_fract", _FLOATS, "{name}({0})")
_row("snorm8 unorm8 snorm16 unorm16 half", "f32", "pack_{name}({0})")
_row("from_half", "u32", "from_half({0})")
_row(
    "countOneBits countLeadingZeros countTrailingZeros reverseBits firstLeadingBit "
    "firstTrailingBit",
    "u32 i32",
    "one_bits({name}, {0}, '{type}')",
    "{name}({0})",
)
_TO = {"u32": "int({0}) & {M}", "i32": "(int({0}) + {H} & {M}) - {H}"}
for _to in ("u32", "i32"):
    for _from in ("u32", "i32", "bool"):
        _row(f"to_{_to}", _from, f"({_TO[_to]})", f"{{0}}.astype({_to})")
    _row(f"to_{_to}", _FLOATS, f"int(saturate_{_to}({{0}}))", f"saturate_{_to}({{0}})")
    _row(f"bits_{_to}", "u32 i32", f"({_TO[_to]})", f"{{0}}.view({_to})")
    _row(f"bits_{_to}", "f32", f"int({{0}}.view({_to}))", f"{{0}}.view({_to})")
for _to in ("f32", "f16"):
    _row(f"to_{_to}", "u32 i32 bool f32 f16", f"{_to}({{0}})", f"{{0}}.astype({_to})")
_row("bits_f32", "u32", "u32({0}).view(f32)", "{0}.view(f32)")
_row("bits_f32", "i32", "i32({0}).view(f32)", "{0}.view(f32)")
_row("to_bool", "u32 i32 f32 f16", "({0} != 0)")
_row("bits_f16", "u32", "half_of({0})")
_row("bits_of", "f16", "half_bits({0})")


def row_of(name: str, kind: str) -> Row:
    """The row of an operation on a type; KeyError if there is none."""
    return _ROWS[name, kind]


@lru_cache(maxsize=1024)
def meaning_of(name: str, kind: str, count: int) -> Callable[..., Any]:
    """A function that computes the operation ``name`` on single values, the first of type ``kind``.

    It takes ``count`` values.
    """
    names = [f"v{number}" for number in range(count)]
    code = f"lambda {', '.join(names)}: {_ROWS[name, kind].one.format(*names)}"
    made: Callable[..., Any] = eval(code, {**NAMES})
    return made
