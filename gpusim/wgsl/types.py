"""Types, and how the values of each lie in memory.

Types are values: two are the same type if they are equal.  Abstract numbers have types of their
own, which only constants have.  Sizes, alignments and strides are in bytes.
Nothing here knows expressions.  Source: WGSL specification, section 6 "Types", and 14.4 "Memory
Layout".
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

_UNIFORM_UNIT = 16


@dataclass(frozen=True, slots=True)
class Scalar:
    """``bool``, ``i32``, ``u32``, ``f32``, ``f16``, or an abstract number."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Vector:
    """``vec2`` to ``vec4``."""

    size: int
    of: Scalar

    def __str__(self) -> str:
        return f"vec{self.size}<{self.of}>"


@dataclass(frozen=True, slots=True)
class Matrix:
    """``columns`` vectors of ``rows`` floats each."""

    columns: int
    rows: int
    of: Scalar

    @property
    def column(self) -> Vector:
        """The type of a column."""
        return Vector(self.rows, self.of)

    def __str__(self) -> str:
        return f"mat{self.columns}x{self.rows}<{self.of}>"


@dataclass(frozen=True, slots=True)
class Atomic:
    """``atomic<i32>`` or ``atomic<u32>``."""

    of: Scalar

    def __str__(self) -> str:
        return f"atomic<{self.of}>"


@dataclass(frozen=True, slots=True)
class Array:
    """Elements of one type.  If ``count`` is None, the size of the binding decides the count.

    With a ``count_name``, the count depends on overrides; two arrays whose count names differ have
    different types.
    """

    of: "Type"
    count: int | None
    count_name: str = ""

    def __str__(self) -> str:
        shown = self.count_name or self.count
        return f"array<{self.of}>" if self.count is None else f"array<{self.of}, {shown}>"


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a struct, at its offset."""

    name: str
    type: "Type"
    offset: int


@dataclass(frozen=True, slots=True)
class Struct:
    """Members in order.  Each struct has a name of its own, so only names are compared."""

    name: str
    members: tuple[Member, ...] = field(compare=False)
    align: int = field(compare=False)
    size: int = field(compare=False)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Pointer:
    """A pointer, or with ``is_reference`` a reference, which names a place in memory."""

    space: str
    of: "Type"
    access: str
    is_reference: bool = False

    def __str__(self) -> str:
        kind = "ref" if self.is_reference else "ptr"
        return f"{kind}<{self.space}, {self.of}, {self.access}>"


Type = Scalar | Vector | Matrix | Atomic | Array | Struct | Pointer
BOOL, I32, U32, F32, F16 = (Scalar(name) for name in ("bool", "i32", "u32", "f32", "f16"))
ABSTRACT_INT, ABSTRACT_FLOAT = Scalar("abstract-int"), Scalar("abstract-float")
ABSTRACT = (ABSTRACT_INT, ABSTRACT_FLOAT)
FLOATS = (F32, F16, ABSTRACT_FLOAT)
INTEGERS = (I32, U32, ABSTRACT_INT)
CONCRETE = (BOOL, I32, U32, F32, F16)
_BYTES = {"bool": 4, "i32": 4, "u32": 4, "f32": 4, "f16": 2}


def scalar_name(kind: Type) -> str:
    """The name of the scalar that a scalar, vector, matrix or atomic is made of."""
    return kind.of.name if isinstance(kind, Atomic) else str(element_of(kind))


def element_of(kind: Type) -> Scalar | None:
    """The scalar that a scalar, vector or matrix is made of; None for other types."""
    if isinstance(kind, Scalar):
        return kind
    return kind.of if isinstance(kind, Vector | Matrix) else None


def with_element(kind: Type, of: Scalar) -> Type:
    """The scalar, vector or matrix type ``kind``, but made of the scalar ``of``."""
    if isinstance(kind, Vector):
        return Vector(kind.size, of)
    if isinstance(kind, Matrix):
        return Matrix(kind.columns, kind.rows, of)
    return of


def within(kind: Type) -> Iterator[Type]:
    """The type, and all types inside it: those of members and elements, and so on."""
    yield kind
    if isinstance(kind, Array):
        yield from within(kind.of)
    elif isinstance(kind, Struct):
        for member in kind.members:
            yield from within(member.type)


def scalars_in(kind: Type) -> set[str]:
    """The names of all scalars inside a type."""
    return {scalar_name(part) for part in within(kind) if not isinstance(part, Array | Struct)}


def is_abstract(kind: Type) -> bool:
    """Whether only constants have this type."""
    return any(element_of(part) in ABSTRACT for part in within(kind))


def concrete(kind: Type) -> Type:
    """What a type becomes in a run: abstract integers become i32, abstract floats become f32."""
    if isinstance(kind, Array):
        return Array(concrete(kind.of), kind.count, kind.count_name)
    if isinstance(kind, Struct) and is_abstract(kind):
        return _concrete_result(kind)
    of = element_of(kind)
    if of == ABSTRACT_INT:
        return with_element(kind, I32)
    return with_element(kind, F32) if of == ABSTRACT_FLOAT else kind


def _concrete_result(kind: Struct) -> Struct:
    members = [(member.name, concrete(member.type)) for member in kind.members]
    return struct_of(kind.name.replace("abstract", "f32"), members)


def convertible(given: Type, wanted: Type) -> bool:
    """Whether a value of one type is converted implicitly where the other is wanted."""
    if given == wanted:
        return True
    if isinstance(given, Array) and isinstance(wanted, Array):
        return given.count == wanted.count and convertible(given.of, wanted.of)
    if isinstance(given, Struct):
        return is_abstract(given) and concrete(given) == wanted
    of, to = element_of(given), element_of(wanted)
    if of is None or to is None or with_element(given, to) != wanted:
        return False
    if of == ABSTRACT_INT:
        return to in (*INTEGERS, *FLOATS)
    return of == ABSTRACT_FLOAT and to in FLOATS


def parts_of(kind: Type) -> list[Type]:
    """The types of the parts that a composite has, in order; none for a scalar."""
    if isinstance(kind, Vector):
        return [kind.of] * kind.size
    if isinstance(kind, Matrix):
        return [kind.column] * kind.columns
    if isinstance(kind, Array):
        return [kind.of] * (kind.count or 0)
    if isinstance(kind, Struct):
        return [member.type for member in kind.members]
    return []


def holds_array(kind: Type) -> bool:
    """Whether an array is part of the type."""
    return any(isinstance(part, Array) for part in within(kind))


def is_plain(kind: Type) -> bool:
    """Whether the type is no pointer, so that memory can hold it."""
    return not isinstance(kind, Pointer)


def has_atomic(kind: Type) -> bool:
    """Whether an atomic is part of the type."""
    return any(isinstance(part, Atomic) for part in within(kind))


def has_bool(kind: Type) -> bool:
    """Whether a truth value is part of the type, so that no buffer may hold it."""
    return any(element_of(part) == BOOL for part in within(kind))


def is_fixed(kind: Type) -> bool:
    """Whether the size is known without a binding."""
    return not any(isinstance(part, Array) and part.count is None for part in within(kind))


def has_override_count(kind: Type) -> bool:
    """Whether an override decides the size."""
    return any(isinstance(part, Array) and part.count_name for part in within(kind))


def align_of(kind: Type) -> int:
    """The alignment in bytes."""
    if isinstance(kind, Scalar | Atomic):
        return size_of(kind)
    if isinstance(kind, Vector):
        return (2 if kind.size == 2 else 4) * _BYTES[kind.of.name]
    if isinstance(kind, Matrix):
        return align_of(kind.column)
    if isinstance(kind, Struct):
        return kind.align
    return align_of(kind.of) if isinstance(kind, Array) else 4


def size_of(kind: Type) -> int:
    """The size in bytes; if a binding decides the size, the size with one element."""
    if isinstance(kind, Scalar):
        return _BYTES[kind.name]
    if isinstance(kind, Atomic):
        return 4
    if isinstance(kind, Vector):
        return kind.size * _BYTES[kind.of.name]
    if isinstance(kind, Matrix):
        return kind.columns * stride_of(kind)
    if isinstance(kind, Array):
        count = 1 if kind.count is None else max(kind.count, 1)
        return count * stride_of(kind)
    return kind.size if isinstance(kind, Struct) else 4


def stride_of(kind: Array | Matrix | Vector) -> int:
    """Bytes from one part of an array, matrix or vector to the next."""
    if isinstance(kind, Vector):
        return _BYTES[kind.of.name]
    part = kind.column if isinstance(kind, Matrix) else kind.of
    return rounded(size_of(part), align_of(part))


def rounded(size: int, align: int) -> int:
    """The size, rounded up to a multiple of ``align``."""
    return -(-size // align) * align


def fits_uniform(kind: Type) -> bool:
    """Whether a type is laid out so that any uniform buffer may hold it.

    There, arrays and structs begin at multiples of 16 bytes.  The language extension
    ``uniform_buffer_standard_layout`` lifts the rule; not every implementation has it.
    """
    if isinstance(kind, Array):
        return stride_of(kind) % _UNIFORM_UNIT == 0 and fits_uniform(kind.of)
    if not isinstance(kind, Struct):
        return True
    for member, after in pairwise(kind.members):
        least = rounded(size_of(member.type), _UNIFORM_UNIT)
        if isinstance(member.type, Struct) and after.offset - member.offset < least:
            return False
    return all(
        member.offset % _align_in_uniform(member.type) == 0 and fits_uniform(member.type)
        for member in kind.members
    )


def _align_in_uniform(kind: Type) -> int:
    """The alignment in a uniform buffer."""
    is_whole = isinstance(kind, Array | Struct)
    return rounded(align_of(kind), _UNIFORM_UNIT) if is_whole else align_of(kind)


def struct_of(
    name: str, members: list[tuple[str, Type]], given: dict[str, tuple[int, int]] | None = None
) -> Struct:
    """Lays out a struct; ``members`` has the name and type of each member, in order.

    ``given`` has the @align and the @size of members by name; 0 stands for an absent attribute.
    """
    offset, align, placed = 0, 1, []
    for member, kind in members:
        wanted_align, wanted_size = (given or {}).get(member, (0, 0))
        if is_abstract(kind):
            placed.append(Member(member, kind, 0))
            continue
        member_align = wanted_align or align_of(kind)
        offset = rounded(offset, member_align)
        placed.append(Member(member, kind, offset))
        offset += wanted_size or size_of(kind)
        align = max(align, member_align)
    return Struct(name, tuple(placed), align, rounded(offset, align))


def leaves_of(kind: Type, offset: int = 0) -> Iterator[tuple[int, str]]:
    """Each scalar of a type of fixed size: its offset in bytes and the name of its type."""
    if isinstance(kind, Scalar):
        yield offset, kind.name
    elif isinstance(kind, Atomic):
        yield offset, kind.of.name
    elif isinstance(kind, Struct):
        for member in kind.members:
            yield from leaves_of(member.type, offset + member.offset)
    elif isinstance(kind, Vector | Matrix | Array):
        stride = stride_of(kind)
        for number, part in enumerate(parts_of(kind)):
            yield from leaves_of(part, offset + number * stride)


def component_count(kind: Type) -> int:
    """How many scalars a type without runtime-sized arrays has."""
    parts = parts_of(kind)
    if isinstance(kind, Array):
        return (kind.count or 0) * component_count(kind.of)
    return sum(map(component_count, parts)) if parts else 1
