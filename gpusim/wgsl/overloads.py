"""Says which types the operands of a built-in function may have: a rule for each kind of function.

A rule takes the types of the operands, and the element types that the function allows.  It gives
the types to which the operands are converted, and the type of the result.  The docstring of a rule
says which operands it takes.  ``functions.py`` says which function has which rule.  Source: WGSL
specification, 6.1.3 "Overload Resolution".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gpusim.wgsl.types import (
    ABSTRACT,
    ABSTRACT_FLOAT,
    ABSTRACT_INT,
    BOOL,
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
    """No form of the function takes these operands; the error's text says what it takes."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """The types that the operands of a call are converted to, and the type of its result."""

    operands: tuple[Type, ...]
    result: Type | None


Rule = Callable[[Sequence[Type], tuple[Scalar, ...]], Resolved]
NUMBERS = (*INTEGERS, *FLOATS)
SIGNED = (I32, ABSTRACT_INT, *FLOATS)
_ORDER = (ABSTRACT_INT, ABSTRACT_FLOAT)


def join(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Type:
    """The type that all operands are converted to; NoOverload if there is no such type."""
    element = join_elements(kinds, allowed)
    shape = kinds[0]
    for kind in kinds:
        if with_element(shape, element) != with_element(kind, element):
            raise NoOverload("operands of one type")
    return with_element(shape, element)


def join_elements(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Scalar:
    """The type that the elements of all operands are converted to."""
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
            names = [str(each) for each in allowed if each not in ABSTRACT]
            raise NoOverload(f"operands of {', '.join(names)}")
        found = next((each for each in _ORDER if each in options), options[0])
    return found


def same_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """Numbers or vectors of one type, which is also the type of the result."""
    if any(isinstance(kind, Matrix) for kind in kinds):
        raise NoOverload("numbers or vectors")
    joined = join(kinds, allowed)
    return Resolved((joined,) * len(kinds), joined)


def compare_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """Operands of one type.  Gives a bool for each component."""
    found = same_rule(kinds, allowed)
    return Resolved(found.operands, with_element(found.operands[0], BOOL))


def arithmetic_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """``+ - * / %`` on numbers, vectors of one size, a number and a vector, or equal matrices."""
    if any(isinstance(kind, Matrix) for kind in kinds):
        joined = join(kinds, FLOATS)
        return Resolved((joined,) * len(kinds), joined)
    element = join_elements(kinds, allowed)
    operands = tuple(with_element(kind, element) for kind in kinds)
    sizes = {kind.size for kind in kinds if isinstance(kind, Vector)}
    if len(sizes) > 1:
        raise NoOverload("vectors of one size")
    return Resolved(operands, Vector(sizes.pop(), element) if sizes else element)


def product_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """``*``, which takes matrices too."""
    left, right = kinds
    if not isinstance(left, Matrix) and not isinstance(right, Matrix):
        return arithmetic_rule(kinds, allowed)
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


def quotient_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """``/`` and ``%``, which take no matrices."""
    if any(isinstance(kind, Matrix) for kind in kinds):
        raise NoOverload("numbers or vectors")
    return arithmetic_rule(kinds, allowed)


def shift_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """A value, and a u32 for each of its components."""
    left = join(kinds[:1], allowed)
    right = with_element(left, U32)
    if not convertible(kinds[1], right):
        raise NoOverload(f"a shift by {right}")
    return Resolved((left, right), left)


def logic_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """Bools alone, and no vectors of them.  Gives a bool."""
    if any(kind != BOOL for kind in kinds):
        raise NoOverload("bool operands")
    return Resolved((BOOL,) * len(kinds), BOOL)


def negate_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """A signed number, or a vector of them."""
    return same_rule(kinds, SIGNED)


def mix_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """Two values of one type, and a third of that type or a single number."""
    element = join_elements(kinds, allowed)
    first = join(kinds[:2], (element,))
    third = with_element(kinds[2], element)
    if third not in (first, element):
        raise NoOverload("two operands of one type, and a third of that type or a number")
    return Resolved((first, first, third), first)


def select_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """Two values of one type, and either one bool or a bool for each component."""
    first = join(kinds[:2], allowed)
    condition = kinds[2]
    if condition != BOOL and condition != with_element(first, BOOL):
        raise NoOverload("a bool, or a bool for each component")
    return Resolved((first, first, condition), first)


def reduce_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """Operands of one type.  Gives one number."""
    joined = join(kinds, allowed)
    return Resolved((joined,) * len(kinds), element_of(joined))


def reduce_vectors_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """Vectors of one type.  Gives one number."""
    if not all(isinstance(kind, Vector) for kind in kinds):
        raise NoOverload("vectors")
    return reduce_rule(kinds, allowed)


def vectors_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """Vectors of one type."""
    if not all(isinstance(kind, Vector) for kind in kinds):
        raise NoOverload("vectors")
    return same_rule(kinds, allowed)


def cross_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """Vectors of three components."""
    found = vectors_rule(kinds, allowed)
    if not isinstance(found.result, Vector) or found.result.size != 3:
        raise NoOverload("vectors of three components")
    return found


def refract_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """Two vectors and a number."""
    element = join_elements(kinds, allowed)
    first = join(kinds[:2], (element,))
    if not isinstance(first, Vector) or not isinstance(kinds[2], Scalar):
        raise NoOverload("two vectors and a number")
    return Resolved((first, first, element), first)


def ldexp_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """Floats, and an i32 for each of them."""
    first = join(kinds[:1], FLOATS)
    second = with_element(first, I32)
    if not convertible(kinds[1], second):
        raise NoOverload(f"an exponent of type {second}")
    return Resolved((first, second), first)


def extract_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """One or two operands of one integer type, then an offset and a count."""
    fields = kinds[-2:]
    if not all(convertible(kind, U32) for kind in fields):
        raise NoOverload("an offset and a count of type u32")
    first = concrete(join(kinds[:-2], allowed))
    return Resolved((*(first,) * (len(kinds) - 2), U32, U32), first)


def concrete_same_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """Operands of one type; an abstract type is made concrete."""
    found = same_rule(kinds, allowed)
    return Resolved(tuple(concrete(kind) for kind in found.operands), concrete(found.operands[0]))


def all_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """A bool, or a vector of bools.  Gives one bool."""
    if element_of(kinds[0]) != BOOL:
        raise NoOverload("a bool, or a vector of bools")
    return Resolved(tuple(kinds), BOOL)


def transpose_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """A matrix.  Gives a matrix whose columns are the operand's rows."""
    kind = kinds[0]
    if not isinstance(kind, Matrix):
        raise NoOverload("a matrix")
    return Resolved((kind,), Matrix(kind.rows, kind.columns, kind.of))


def determinant_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """A square matrix."""
    kind = kinds[0]
    if not isinstance(kind, Matrix) or kind.columns != kind.rows:
        raise NoOverload("a square matrix")
    return Resolved((kind,), kind.of)


def parts_rule(second: str, whole: bool) -> Rule:
    """Makes the rule for functions whose result is a struct of ``fract`` and the ``second`` member.

    The first member has the operand's type.  The second has that type too, unless it is ``whole``:
    then it has integers for the operand's floats.
    """

    def rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
        kind = same_rule(kinds, allowed).operands[0]
        other: Type = kind
        if whole:
            of = ABSTRACT_INT if is_abstract(kind) else I32
            other = with_element(kind, of)
        shape = f"vec{kind.size}_" if isinstance(kind, Vector) else ""
        name = f"__{'frexp' if whole else 'modf'}_result_{shape}{_short(element_of(kind))}"
        return Resolved((kind,), struct_of(name, [("fract", kind), (second, other)]))

    return rule


def _short(kind: Scalar | None) -> str:
    return "abstract" if kind == ABSTRACT_FLOAT else str(kind)


def fixed_rule(given: Sequence[Type], result: Type | None) -> Rule:
    """Makes the rule for functions whose operands have the types ``given``."""

    def rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
        for kind, wanted in zip(kinds, given, strict=True):
            if not convertible(kind, wanted):
                raise NoOverload(f"{', '.join(str(each) for each in given)}")
        return Resolved(tuple(given), result)

    return rule


def array_length_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """A pointer to a runtime-sized array."""
    kind = kinds[0]
    target = kind.of if isinstance(kind, Pointer) and not kind.is_reference else None
    if not isinstance(target, Array) or target.count is not None:
        raise NoOverload("a pointer to a runtime-sized array")
    return Resolved((kind,), U32)


def atomic_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """A pointer to an atomic, and values of its type."""
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


def atomic_store_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """Like ``atomic_rule``, without a result."""
    return Resolved(atomic_rule(kinds, allowed).operands, None)


def atomic_exchange_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """Like ``atomic_rule``.  Gives a struct: the old value, and whether it was exchanged."""
    found = atomic_rule(kinds, allowed)
    assert found.result is not None
    name = f"__atomic_compare_exchange_result_{found.result}"
    result: Struct = struct_of(name, [("old_value", found.result), ("exchanged", BOOL)])
    return Resolved(found.operands, result)


def uniform_load_rule(kinds: Sequence[Type], allowed: tuple[Scalar, ...]) -> Resolved:
    """A pointer to workgroup memory.  Gives the value there."""
    kind = kinds[0]
    if not isinstance(kind, Pointer) or kind.is_reference or kind.space != "workgroup":
        raise NoOverload("a pointer to workgroup memory")
    return Resolved((kind,), kind.of.of if isinstance(kind.of, Atomic) else kind.of)
