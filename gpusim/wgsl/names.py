"""Finds what a name stands for, in the scopes or in the module, and which type an expression names.

Declarations of the module may stand in any order; each is checked when it is first named.
Source: WGSL specification, 5 "Declaration and Scope", 6.9 "Predeclared Types and Type-Generators".
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from gpusim.wgsl import syntax, typed
from gpusim.wgsl.functions import FUNCTIONS, REFUSED
from gpusim.wgsl.syntax import Expression, Named, Place, ShaderError
from gpusim.wgsl.types import (
    BOOL,
    F16,
    F32,
    FLOATS,
    I32,
    U32,
    Array,
    Atomic,
    Matrix,
    Pointer,
    Scalar,
    Struct,
    Type,
    Vector,
    align_of,
    has_atomic,
    is_fixed,
    is_plain,
    size_of,
    struct_of,
)

SCALARS = {"bool": BOOL, "i32": I32, "u32": U32, "f32": F32, "f16": F16}
_SUFFIXES = {"i": I32, "u": U32, "f": F32, "h": F16}
_MATRICES = tuple(f"mat{columns}x{rows}" for columns in (2, 3, 4) for rows in (2, 3, 4))
GENERATORS = ("vec2", "vec3", "vec4", "array", "atomic", "ptr", *_MATRICES)
SPACES = ("function", "private", "workgroup", "uniform", "storage", "immediate")
ACCESSES = ("read", "write", "read_write")
_FOREIGN = ("texture_", "sampler", "binding_array", "ray_query", "acceleration_structure")
_BYTES = 2**31


class Names:
    """The names of one text: those of the scopes that are open now, and those of the module."""

    def __init__(self, unit: syntax.Unit, overrides: Mapping[str, Any] | None) -> None:
        self.overrides = overrides
        self.scopes: list[dict[str, typed.Symbol]] = []
        self.features: set[str] = set()
        self._nodes: dict[str, syntax.Node] = {}
        self._known: dict[str, typed.Symbol] = {}
        self._open: list[str] = []
        self.using: dict[typed.Symbol, None] = {}
        for node in unit.declarations:
            name = getattr(node, "name", None)
            if name is None:
                continue
            if name in self._nodes:
                raise ShaderError(f"{name!r} is declared twice", node.place)
            self._nodes[name] = node

    def fail(self, because: str, place: Place) -> NoReturn:
        """Raise ShaderError."""
        raise ShaderError(because, place)

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Names declared inside are gone afterwards."""
        self.scopes.append({})
        try:
            yield
        finally:
            self.scopes.pop()

    def declare(self, symbol: typed.Symbol) -> typed.Symbol:
        """Add a name to the innermost scope."""
        if symbol.name in self.scopes[-1]:
            self.fail(f"{symbol.name!r} is declared twice", symbol.place)
        self.scopes[-1][symbol.name] = symbol
        return symbol

    def lookup(self, name: str, place: Place) -> typed.Symbol | None:
        """What a name stands for; None if it is predeclared or unknown."""
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        return self.module_symbol(name, place)

    def module_symbol(self, name: str, place: Place) -> typed.Symbol | None:
        """What a name of the module stands for; None if the module does not declare it."""
        if name in self._known:
            return self._known[name]
        node = self._nodes.get(name)
        if node is None:
            return None
        if name in self._open:
            self.fail(f"{name!r} is declared by means of itself", place)
        self._open.append(name)
        scopes, self.scopes = self.scopes, []
        using, self.using = self.using, {}
        try:
            symbol = self._known[name] = self.make(node)
        finally:
            self.scopes, self.using = scopes, using
            self._open.pop()
        return symbol

    def make(self, node: Any) -> typed.Symbol:
        """The symbol of a declaration of the module."""
        raise NotImplementedError

    def constant(self, node: Expression, what: str) -> typed.Constant:
        """A const-expression's value."""
        raise NotImplementedError

    def names_type(self, name: str, place: Place) -> bool:
        """Whether a name stands for a type, alone or with a template list behind it."""
        symbol = self.lookup(name, place)
        if symbol is not None:
            return symbol.kind == "type"
        return name in SCALARS or name in GENERATORS or _short_vector(name) is not None

    def type_of(self, node: Expression) -> Type:
        """The type that an expression names."""
        if not isinstance(node, Named):
            self.fail("expected a type", node.place)
        found = self.partial_type(node)
        if isinstance(found, str):
            self.fail(f"the type {found} needs a template list", node.place)
        return found

    def partial_type(self, node: Named) -> Type | str:
        """A type; or the name, if it needs a template list and has none."""
        symbol = self.lookup(node.name, node.place)
        if symbol is not None:
            if symbol.kind != "type":
                self.fail(f"{node.name!r} is a {symbol.kind} and no type", node.place)
            if node.template is not None:
                self.fail(f"the type {node.name} takes no template list", node.place)
            found: Type = symbol.type
            return found
        short = SCALARS.get(node.name) or _short_vector(node.name)
        if short is not None:
            if node.template is not None:
                self.fail(f"the type {node.name} takes no template list", node.place)
            self.check_feature(short, node.place)
            return short
        if node.name.startswith(_FOREIGN):
            self.fail(f"{node.name} is not supported: only buffers can be bound", node.place)
        if node.name not in GENERATORS:
            self.fail(f"no type is called {node.name!r}", node.place)
        return node.name if node.template is None else self._generated(node, node.template)

    def check_feature(self, kind: Type, place: Place) -> None:
        """Raise if a type needs a feature that the text does not enable."""
        if getattr(kind, "of", kind) == F16 and "f16" not in self.features:
            self.fail("f16 needs 'enable f16;'", place)

    def _generated(self, node: Named, template: tuple[Expression, ...]) -> Type:
        name, place = node.name, node.place
        if name == "array":
            return self._array(template, place)
        if name == "ptr":
            return self._pointer(template, place)
        if len(template) != 1:
            self.fail(f"the type {name} takes one template parameter", place)
        of = self.type_of(template[0])
        if name == "atomic":
            if of not in (I32, U32):
                self.fail(f"an atomic must be of i32 or u32, not {of}", place)
            assert isinstance(of, Scalar)
            return Atomic(of)
        if name.startswith("vec"):
            if not isinstance(of, Scalar):
                self.fail(f"a vector must be of numbers or bool, not {of}", place)
            return Vector(int(name[3]), of)
        if of not in FLOATS or not isinstance(of, Scalar):
            self.fail(f"a matrix must be of f32 or f16, not {of}", place)
        return Matrix(int(name[3]), int(name[5]), of)

    def _array(self, template: tuple[Expression, ...], place: Place) -> Array:
        if len(template) > 2:
            self.fail("array takes one or two template parameters", place)
        of = self.type_of(template[0])
        if not is_plain(of) or not is_fixed(of):
            self.fail(f"an array's element cannot be {of}", place)
        if len(template) == 1:
            return Array(of, None)
        count = self.constant_or_override(template[1])
        if count.type not in (I32, U32) and str(count.type) != "abstract-int":
            self.fail(f"the count of an array must be an integer, not {count.type}", place)
        if count.value < 1 or count.value > _BYTES:
            self.fail(f"an array of {count.value} elements is not possible", place)
        name = ""
        if count.stage == typed.OVERRIDE:
            entry = template[1]
            name = entry.name if isinstance(entry, Named) else f"expression {entry.place}"
        return Array(of, int(count.value), name)

    def constant_or_override(self, node: Expression) -> typed.Constant:
        """The value of a const-expression or override-expression."""
        raise NotImplementedError

    def _pointer(self, template: tuple[Expression, ...], place: Place) -> Pointer:
        if len(template) not in (2, 3):
            self.fail("ptr takes an address space, a type and perhaps an access mode", place)
        words = [entry.name if isinstance(entry, Named) else "" for entry in template]
        self.check_predeclared(words, place)
        if words[0] not in SPACES:
            self.fail(f"no address space is called {words[0]!r}", place)
        of = self.type_of(template[1])
        access = default_access(words[0])
        if len(template) == 3:
            if words[0] != "storage":
                self.fail("only pointers to storage have an access mode", place)
            access = words[2]
        if access not in ACCESSES:
            self.fail(f"no access mode is called {access!r}", place)
        return Pointer(words[0], of, access)

    def check_predeclared(self, words: list[str], place: Place) -> None:
        """Raise if a declaration hides an address space or an access mode."""
        for word in words:
            if word in (*SPACES, *ACCESSES) and self.lookup(word, place) is not None:
                because = "so it is no address space any more, and no access mode"
                self.fail(f"the text declares {word!r}, {because}", place)

    def struct(self, node: syntax.Struct) -> Struct:
        """The type that a struct declares."""
        if not node.members:
            self.fail(f"the struct {node.name} has no members", node.place)
        members: list[tuple[str, Type]] = []
        given: dict[str, tuple[int, int]] = {}
        for member in node.members:
            if any(member.name == name for name, _ in members):
                self.fail(f"the member {member.name} is declared twice", member.place)
            kind = self.type_of(member.type)
            if not is_plain(kind):
                self.fail(f"a member cannot be of type {kind}", member.place)
            if members and not is_fixed(members[-1][1]):
                self.fail("only the last member may be a runtime-sized array", member.place)
            if isinstance(kind, Struct) and not is_fixed(kind):
                self.fail("a struct with a runtime-sized array cannot be a member", member.place)
            members.append((member.name, kind))
            given[member.name] = self._layout(member, kind)
        return struct_of(node.name, members, given)

    def _layout(self, member: syntax.Parameter, kind: Type) -> tuple[int, int]:
        values = {"align": 0, "size": 0}
        for attribute in member.attributes:
            if attribute.name in values:
                if len(attribute.arguments) != 1:
                    self.fail(f"@{attribute.name} takes one argument", attribute.place)
                value = self.constant(attribute.arguments[0], f"@{attribute.name}").value
                values[attribute.name] = self._checked(attribute.name, value, kind, member.place)
        return values["align"], values["size"]

    def _checked(self, name: str, value: Any, kind: Type, place: Place) -> int:
        if type(value) is not int or value < 1:
            self.fail(f"@{name} takes an integer above zero, not {value}", place)
        if name == "align" and (value & (value - 1) or value % align_of(kind)):
            because = f"is no power of two, or less than the alignment of {kind}"
            self.fail(f"@align({value}) {because}", place)
        if name == "size" and (value < size_of(kind) or not is_fixed(kind)):
            because = f"is less than {kind} needs, or a binding decides the size of {kind}"
            self.fail(f"@size({value}) {because}", place)
        return value


def _short_vector(name: str) -> Type | None:
    """The type of a short name such as ``vec3f`` or ``mat4x4h``; None for any other name."""
    of = _SUFFIXES.get(name[-1:])
    if of is None:
        return None
    if len(name) == 5 and name[:3] == "vec" and name[3] in "234":
        return Vector(int(name[3]), of)
    if name[:-1] in GENERATORS and name[:3] == "mat" and of in (F32, F16):
        return Matrix(int(name[3]), int(name[5]), of)
    return None


def default_access(space: str) -> str:
    """The access mode of an address space if the text names none."""
    return "read" if space in ("uniform", "storage", "immediate") else "read_write"


def is_function_name(name: str) -> bool:
    """Whether a name is a built-in function's."""
    return name in FUNCTIONS and name[0].isalpha()


def is_foreign_function(name: str) -> bool:
    """Whether a built-in function belongs to textures, fragments or subgroups."""
    return name.startswith(REFUSED)


def storable(kind: Type) -> bool:
    """Whether a value of the type can be loaded and stored whole."""
    return is_plain(kind) and is_fixed(kind) and not has_atomic(kind)
