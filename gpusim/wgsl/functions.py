"""The built-in functions and operators: which operands each takes, and the type of its result.

One table: a name, the rule by which its operands become one type, the elements that it allows, and
how many operands it takes.  What a function means stands in ``expand.py``.
Source: WGSL specification, 8 "Expressions", 17 "Built-in Functions" and 6.1.3 "Overload
Resolution".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gpusim.wgsl.types import (
    ABSTRACT_FLOAT,
    ABSTRACT_INT,
    BOOL,
    F32,
    FLOATS,
    I32,
    INTEGERS,
    U32,
    Array,
    Atomic,
    Matrix,
    Pointer,
    Scalar,
    Struct,
    Type,
    Vector,
    concrete,
    convertible,
    element_of,
    is_abstract,
    struct_of,
    with_element,
)


class NoOverload(Exception):
    """No form of the function takes these operands; the text says what it takes."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a call does to its operands: the types they are converted to, and the result's."""

    operands: tuple[Type, ...]
    result: Type | None


Rule = Callable[[Sequence[Type], tuple[Scalar, ...]], Resolved]
NUMBERS = (*INTEGERS, *FLOATS)
SIGNED = (I32, ABSTRACT_INT, *FLOATS)
_ORDER = (ABSTRACT_INT, ABSTRACT_FLOAT)


@dataclass(frozen=True, slots=True)
class Function:
    """One row: the rule, the elements allowed, the number of operands, and what it may do."""

    rule: Rule
    allowed: tuple[Scalar, ...]
    count: int
    constant: bool = True
    effects: bool = False


def join(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Type:
    """The one type that all operands convert to; NoOverload where there is none."""
    element = join_elements(kinds, allowed)
    shape = kinds[0]
    for kind in kinds:
        if with_element(shape, element) != with_element(kind, element):
            raise NoOverload("operands of one type")
    return with_element(shape, element)


def join_elements(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Scalar:
    """The one element type that all operands' elements convert to."""
    found: Scalar | None = None
    for kind in kinds:
        of = element_of(kind)
        if of is None:
            raise NoOverload("numbers or vectors")
        if found is None or of == found or convertible(found, of):
            found = of
        elif not convertible(of, found):
            raise NoOverload("operands of one type")
    assert found is not None
    if found not in allowed:
        options = [each for each in allowed if convertible(found, each)]
        if not options:
            raise NoOverload(f"operands of {', '.join(str(each) for each in allowed[:4])}")
        found = next((each for each in _ORDER if each in options), options[0])
    return found


def _same(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    if any(isinstance(kind, Matrix) for kind in kinds):
        raise NoOverload("numbers or vectors")
    joined = join(kinds, allowed)
    return Resolved((joined,) * len(kinds), joined)


def _compare(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    found = _same(kinds, allowed)
    return Resolved(found.operands, with_element(found.operands[0], BOOL))


def _arithmetic(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """``+ - * / %`` on numbers and vectors, one of which may be a number."""
    if any(isinstance(kind, Matrix) for kind in kinds):
        return _matrices(kinds, allowed)
    element = join_elements(kinds, allowed)
    operands = tuple(with_element(kind, element) for kind in kinds)
    sizes = {kind.size for kind in kinds if isinstance(kind, Vector)}
    if len(sizes) > 1:
        raise NoOverload("vectors of one size")
    return Resolved(operands, Vector(sizes.pop(), element) if sizes else element)


def _matrices(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """Matrices of one type are added and subtracted."""
    joined = join(kinds, FLOATS)
    if I32 not in allowed or len(allowed) == len(NUMBERS):
        return Resolved((joined,) * len(kinds), joined)
    raise NoOverload("numbers or vectors")


def _product(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    left, right = kinds
    if not isinstance(left, Matrix) and not isinstance(right, Matrix):
        return _arithmetic(kinds, allowed)
    element = join_elements(kinds, FLOATS)
    operands = tuple(with_element(kind, element) for kind in kinds)
    if isinstance(left, Scalar):
        return Resolved(operands, operands[1])
    if isinstance(right, Scalar):
        return Resolved(operands, operands[0])
    inner = left.columns if isinstance(left, Matrix) else getattr(left, "size", 0)
    outer = right.rows if isinstance(right, Matrix) else getattr(right, "size", 0)
    if inner != outer:
        raise NoOverload("matrices whose columns and rows match")
    if isinstance(left, Matrix) and isinstance(right, Matrix):
        return Resolved(operands, Matrix(right.columns, left.rows, element))
    size = left.rows if isinstance(left, Matrix) else getattr(right, "columns", 0)
    return Resolved(operands, Vector(size, element))


def _quotient(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    if any(isinstance(kind, Matrix) for kind in kinds):
        raise NoOverload("numbers or vectors")
    return _arithmetic(kinds, allowed)


def _shift(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    left = join(kinds[:1], allowed)
    right = with_element(left, U32)
    if not convertible(kinds[1], right):
        raise NoOverload(f"a shift by {right}")
    if is_abstract(left) and not is_abstract(kinds[1]):
        return Resolved((left, right), left)
    return Resolved((left, right), left)


def _logic(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    if any(kind != BOOL for kind in kinds):
        raise NoOverload("bool operands")
    return Resolved((BOOL,) * len(kinds), BOOL)


def _negate(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    joined = join(kinds, SIGNED)
    return Resolved((joined,), joined)


def _mix(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    element = join_elements(kinds, allowed)
    first = join(kinds[:2], (element,))
    third = with_element(kinds[2], element)
    if third not in (first, element):
        raise NoOverload("three operands of one type")
    return Resolved((first, first, third), first)


def _select(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    first = join(kinds[:2], allowed)
    condition = kinds[2]
    if condition != BOOL and condition != with_element(first, BOOL):
        raise NoOverload("a bool, or as many of them as the values have components")
    return Resolved((first, first, condition), first)


def _reduce(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    joined = join(kinds, allowed)
    return Resolved((joined,) * len(kinds), element_of(joined))


def _reduce_vectors(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    if not all(isinstance(kind, Vector) for kind in kinds):
        raise NoOverload("vectors")
    return _reduce(kinds, allowed)


def _vectors(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    if not all(isinstance(kind, Vector) for kind in kinds):
        raise NoOverload("vectors")
    return _same(kinds, allowed)


def _cross(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    found = _vectors(kinds, allowed)
    if found.result != Vector(3, element_of(kinds[0]) or F32) and getattr(kinds[0], "size", 0) != 3:
        raise NoOverload("vectors of three components")
    return found


def _refract(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    element = join_elements(kinds, allowed)
    first = join(kinds[:2], (element,))
    if not isinstance(first, Vector) or not isinstance(kinds[2], Scalar):
        raise NoOverload("two vectors and a number")
    return Resolved((first, first, element), first)


def _ldexp(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    first = join(kinds[:1], FLOATS)
    second = with_element(first, I32)
    if not convertible(kinds[1], second):
        raise NoOverload(f"an exponent of type {second}")
    return Resolved((first, second), first)


def _extract(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    fields = kinds[-2:]
    if not all(convertible(kind, U32) for kind in fields):
        raise NoOverload("an offset and a count of type u32")
    first = concrete(join(kinds[:-2], allowed))
    return Resolved((*(first,) * (len(kinds) - 2), U32, U32), first)


def _concrete_same(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    found = _same(kinds, allowed)
    return Resolved(tuple(concrete(kind) for kind in found.operands), concrete(found.operands[0]))


def _all(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    if element_of(kinds[0]) != BOOL:
        raise NoOverload("bool, or a vector of them")
    return Resolved(tuple(kinds), BOOL)


def _transpose(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    kind = kinds[0]
    if not isinstance(kind, Matrix):
        raise NoOverload("a matrix")
    return Resolved((kind,), Matrix(kind.rows, kind.columns, kind.of))


def _determinant(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    kind = kinds[0]
    if not isinstance(kind, Matrix) or kind.columns != kind.rows:
        raise NoOverload("a square matrix")
    return Resolved((kind,), kind.of)


def _parts(first: str, second: str, whole: bool) -> Rule:
    def rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
        kind = _same(kinds, allowed).operands[0]
        other: Type = kind
        if whole:
            of = ABSTRACT_INT if is_abstract(kind) else I32
            other = with_element(kind, of)
        shape = f"vec{kind.size}_" if isinstance(kind, Vector) else ""
        name = f"__{'frexp' if whole else 'modf'}_result_{shape}{_short(element_of(kind))}"
        return Resolved((kind,), struct_of(name, [(first, kind), (second, other)]))

    return rule


def _short(kind: Scalar | None) -> str:
    return "abstract" if kind == ABSTRACT_FLOAT else str(kind)


def _fixed(given: Sequence[Type], result: Type | None) -> Rule:
    def rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
        for kind, wanted in zip(kinds, given, strict=True):
            if not convertible(kind, wanted):
                raise NoOverload(f"{', '.join(str(each) for each in given)}")
        return Resolved(tuple(given), result)

    return rule


def _array_length(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    kind = kinds[0]
    target = kind.of if isinstance(kind, Pointer) and not kind.is_reference else None
    if not isinstance(target, Array) or target.count is not None:
        raise NoOverload("a pointer to a runtime-sized array")
    return Resolved((kind,), U32)


def _atomic(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    kind = kinds[0]
    if (
        not isinstance(kind, Pointer)
        or kind.is_reference
        or not isinstance(kind.of, Atomic)
        or kind.access != "read_write"
    ):
        raise NoOverload("a pointer to an atomic that may be written")
    assert isinstance(kind.of, Atomic)
    of = kind.of.of
    if not all(convertible(each, of) for each in kinds[1:]):
        raise NoOverload(f"operands of type {of}")
    return Resolved((kind, *(of,) * (len(kinds) - 1)), of)


def _atomic_store(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    return Resolved(_atomic(kinds, allowed).operands, None)


def _atomic_exchange(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    found = _atomic(kinds, allowed)
    assert found.result is not None
    name = f"__atomic_compare_exchange_result_{found.result}"
    result: Struct = struct_of(name, [("old_value", found.result), ("exchanged", BOOL)])
    return Resolved(found.operands, result)


def _uniform_load(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    kind = kinds[0]
    if not isinstance(kind, Pointer) or kind.is_reference or kind.space != "workgroup":
        raise NoOverload("a pointer to workgroup memory")
    return Resolved((kind,), kind.of.of if isinstance(kind.of, Atomic) else kind.of)


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
_add("+ -", _arithmetic, NUMBERS, 2)
_add("*", _product, NUMBERS, 2)
_add("/ %", _quotient, NUMBERS, 2)
_add("& | ^", _same, _BITS, 2)
_add("<< >>", _shift, INTEGERS, 2)
_add("== !=", _compare, (*NUMBERS, BOOL), 2)
_add("< <= > >=", _compare, NUMBERS, 2)
_add("&& ||", _logic, (BOOL,), 2)
_add("negate", _negate, SIGNED, 1)
_add("!", _same, (BOOL,), 1)
_add("~", _same, INTEGERS, 1)
_add("abs", _same, NUMBERS, 1)
_add("sign", _same, SIGNED, 1)
_add("min max", _same, NUMBERS, 2)
_add("clamp", _same, NUMBERS, 3)
_add(
    "acos acosh asin asinh atan atanh ceil cos cosh degrees exp exp2 floor fract inverseSqrt log "
    "log2 radians round saturate sin sinh sqrt tan tanh trunc",
    _same,
    FLOATS,
    1,
)
_add("atan2 pow step", _same, FLOATS, 2)
_add("fma smoothstep", _same, FLOATS, 3)
_add("mix", _mix, FLOATS, 3)
_add("ldexp", _ldexp, FLOATS, 2)
_add("quantizeToF16", _concrete_same, (F32, ABSTRACT_FLOAT), 1)
_add(
    "countLeadingZeros countOneBits countTrailingZeros firstLeadingBit firstTrailingBit "
    "reverseBits",
    _concrete_same,
    INTEGERS,
    1,
)
_add("extractBits", _extract, INTEGERS, 3)
_add("insertBits", _extract, INTEGERS, 4)
_add("all any", _all, (BOOL,), 1)
_add("select", _select, (*NUMBERS, BOOL), 3)
_add("dot", _reduce_vectors, NUMBERS, 2)
_add("length", _reduce, FLOATS, 1)
_add("distance", _reduce, FLOATS, 2)
_add("normalize", _vectors, FLOATS, 1)
_add("cross", _cross, FLOATS, 2)
_add("reflect", _vectors, FLOATS, 2)
_add("faceForward", _vectors, FLOATS, 3)
_add("refract", _refract, FLOATS, 3)
_add("transpose", _transpose, FLOATS, 1)
_add("determinant", _determinant, FLOATS, 1)
_add("frexp", _parts("fract", "exp", True), FLOATS, 1)
_add("modf", _parts("fract", "whole", False), FLOATS, 1)
_add("dot4U8Packed", _fixed((U32, U32), U32), (), 2)
_add("dot4I8Packed", _fixed((U32, U32), I32), (), 2)
_add("pack4x8snorm pack4x8unorm", _fixed((_V4F,), U32), (), 1)
_add("pack4xI8 pack4xI8Clamp", _fixed((_V4I,), U32), (), 1)
_add("pack4xU8 pack4xU8Clamp", _fixed((_V4U,), U32), (), 1)
_add("pack2x16snorm pack2x16unorm pack2x16float", _fixed((_V2F,), U32), (), 1)
_add("unpack4x8snorm unpack4x8unorm", _fixed((U32,), _V4F), (), 1)
_add("unpack4xI8", _fixed((U32,), _V4I), (), 1)
_add("unpack4xU8", _fixed((U32,), _V4U), (), 1)
_add("unpack2x16snorm unpack2x16unorm unpack2x16float", _fixed((U32,), _V2F), (), 1)
_add("arrayLength", _array_length, (), 1, constant=False)
_add("workgroupBarrier storageBarrier textureBarrier", _fixed((), None), (), 0, constant=False)
_add("workgroupUniformLoad", _uniform_load, (), 1, constant=False, effects=True)
_add("atomicLoad", _atomic, (), 1, constant=False, effects=True)
_add("atomicStore", _atomic_store, (), 2, constant=False, effects=True)
_add(
    "atomicAdd atomicSub atomicMax atomicMin atomicAnd atomicOr atomicXor atomicExchange",
    _atomic,
    (),
    2,
    constant=False,
    effects=True,
)
_add("atomicCompareExchangeWeak", _atomic_exchange, (), 3, constant=False, effects=True)
REFUSED = ("texture", "subgroup", "quad", "dpdx", "dpdy", "fwidth", "bufferView", "bufferArray")
"""How the names of functions begin that belong to textures, fragments and subgroups."""
