"""The built-in functions and operators: which operands each takes, and the type of its result.

One table.  For each name, it has the rule for the types of the operands (``overloads.py``), the
element types that the operands may have, and how many operands there are.  What a function means
is in ``expand.py``.
Source: WGSL specification, 8 "Expressions", 17 "Built-in Functions".
"""

from dataclasses import dataclass

from gpusim.wgsl import overloads
from gpusim.wgsl.overloads import NUMBERS, SIGNED, Rule
from gpusim.wgsl.types import ABSTRACT_FLOAT, BOOL, F32, FLOATS, I32, INTEGERS, U32, Scalar, Vector


@dataclass(frozen=True, slots=True)
class Function:
    """One row: the rule, the element types that operands may have, and the number of operands.

    ``constant``: whether the result is a constant if all operands are.  ``effects``: whether a
    call has effects (see ``typed.Expr``) even if no operand has.
    """

    rule: Rule
    allowed: tuple[Scalar, ...]
    count: int
    constant: bool = True
    effects: bool = False


FUNCTIONS: dict[str, Function] = {}


def _add(
    names: str,
    rule: Rule,
    allowed: tuple[Scalar, ...],
    count: int,
    *,
    constant: bool = True,
    effects: bool = False,
) -> None:
    for name in names.split():
        FUNCTIONS[name] = Function(rule, allowed, count, constant, effects)


_BITS = (*INTEGERS, BOOL)
_V2F, _V4F = Vector(2, F32), Vector(4, F32)
_V4I, _V4U = Vector(4, I32), Vector(4, U32)
_add("+ -", overloads.arithmetic_rule, NUMBERS, 2)
_add("*", overloads.product_rule, NUMBERS, 2)
_add("/ %", overloads.quotient_rule, NUMBERS, 2)
_add("& | ^", overloads.same_rule, _BITS, 2)
_add("<< >>", overloads.shift_rule, INTEGERS, 2)
_add("== !=", overloads.compare_rule, (*NUMBERS, BOOL), 2)
_add("< <= > >=", overloads.compare_rule, NUMBERS, 2)
_add("&& ||", overloads.logic_rule, (BOOL,), 2)
_add("-x", overloads.negate_rule, SIGNED, 1)
_add("!", overloads.same_rule, (BOOL,), 1)
_add("~", overloads.same_rule, INTEGERS, 1)
_add("abs", overloads.same_rule, NUMBERS, 1)
_add("sign", overloads.same_rule, SIGNED, 1)
_add("min max", overloads.same_rule, NUMBERS, 2)
_add("clamp", overloads.same_rule, NUMBERS, 3)
_add(
    "acos acosh asin asinh atan atanh ceil cos cosh degrees exp exp2 floor fract inverseSqrt log "
    "log2 radians round saturate sin sinh sqrt tan tanh trunc",
    overloads.same_rule,
    FLOATS,
    1,
)
_add("atan2 pow step", overloads.same_rule, FLOATS, 2)
_add("fma smoothstep", overloads.same_rule, FLOATS, 3)
_add("mix", overloads.mix_rule, FLOATS, 3)
_add("ldexp", overloads.ldexp_rule, FLOATS, 2)
_add("quantizeToF16", overloads.concrete_same_rule, (F32, ABSTRACT_FLOAT), 1)
_add(
    "countLeadingZeros countOneBits countTrailingZeros firstLeadingBit firstTrailingBit "
    "reverseBits",
    overloads.concrete_same_rule,
    INTEGERS,
    1,
)
_add("extractBits", overloads.extract_rule, INTEGERS, 3)
_add("insertBits", overloads.extract_rule, INTEGERS, 4)
_add("all any", overloads.all_rule, (BOOL,), 1)
_add("select", overloads.select_rule, (*NUMBERS, BOOL), 3)
_add("dot", overloads.reduce_vectors_rule, NUMBERS, 2)
_add("length", overloads.reduce_rule, FLOATS, 1)
_add("distance", overloads.reduce_rule, FLOATS, 2)
_add("normalize", overloads.vectors_rule, FLOATS, 1)
_add("cross", overloads.cross_rule, FLOATS, 2)
_add("reflect", overloads.vectors_rule, FLOATS, 2)
_add("faceForward", overloads.vectors_rule, FLOATS, 3)
_add("refract", overloads.refract_rule, FLOATS, 3)
_add("transpose", overloads.transpose_rule, FLOATS, 1)
_add("determinant", overloads.determinant_rule, FLOATS, 1)
_add("frexp", overloads.parts_rule("exp", True), FLOATS, 1)
_add("modf", overloads.parts_rule("whole", False), FLOATS, 1)
_add("dot4U8Packed", overloads.fixed_rule((U32, U32), U32), (), 2)
_add("dot4I8Packed", overloads.fixed_rule((U32, U32), I32), (), 2)
_add("pack4x8snorm pack4x8unorm", overloads.fixed_rule((_V4F,), U32), (), 1)
_add("pack4xI8 pack4xI8Clamp", overloads.fixed_rule((_V4I,), U32), (), 1)
_add("pack4xU8 pack4xU8Clamp", overloads.fixed_rule((_V4U,), U32), (), 1)
_add("pack2x16snorm pack2x16unorm pack2x16float", overloads.fixed_rule((_V2F,), U32), (), 1)
_add("unpack4x8snorm unpack4x8unorm", overloads.fixed_rule((U32,), _V4F), (), 1)
_add("unpack4xI8", overloads.fixed_rule((U32,), _V4I), (), 1)
_add("unpack4xU8", overloads.fixed_rule((U32,), _V4U), (), 1)
_add("unpack2x16snorm unpack2x16unorm unpack2x16float", overloads.fixed_rule((U32,), _V2F), (), 1)
_add("arrayLength", overloads.array_length_rule, (), 1, constant=False)
_add(
    "workgroupBarrier storageBarrier textureBarrier",
    overloads.fixed_rule((), None),
    (),
    0,
    constant=False,
)
_add("workgroupUniformLoad", overloads.uniform_load_rule, (), 1, constant=False, effects=True)
_add("atomicLoad", overloads.atomic_rule, (), 1, constant=False, effects=True)
_add("atomicStore", overloads.atomic_store_rule, (), 2, constant=False, effects=True)
_add(
    "atomicAdd atomicSub atomicMax atomicMin atomicAnd atomicOr atomicXor atomicExchange",
    overloads.atomic_rule,
    (),
    2,
    constant=False,
    effects=True,
)
_add(
    "atomicCompareExchangeWeak", overloads.atomic_exchange_rule, (), 3, constant=False, effects=True
)
REFUSED = ("texture", "subgroup", "quad", "dpdx", "dpdy", "fwidth", "bufferView", "bufferArray")
"""The prefixes of functions that need textures, fragments, subgroups or buffer views."""
