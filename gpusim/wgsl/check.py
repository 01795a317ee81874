"""The checks of statements, functions and the module: a syntax tree becomes a typed one.

Each override has a value here: the value that the pipeline gives, or else its default, or else 1.
A module is checked when it is made, and again for each pipeline that sets overrides.
Source: WGSL specification, 7 "Variable and Value Declarations", 9 "Statements", 11 "Functions",
13 "Entry Points".
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpusim.wgsl import syntax, typed
from gpusim.wgsl.check_statements import Statements
from gpusim.wgsl.constants import rounded
from gpusim.wgsl.names import ACCESSES, SPACES, default_access, storable
from gpusim.wgsl.syntax import TOO_DEEP, Named, Place
from gpusim.wgsl.typed import OVERRIDE, Constant, Function, Symbol, override_key
from gpusim.wgsl.types import (
    BOOL,
    CONCRETE,
    I32,
    INTEGERS,
    U32,
    Pointer,
    Struct,
    Type,
    Vector,
    concrete,
    fits_uniform,
    has_atomic,
    has_bool,
    has_override_count,
    is_fixed,
)

BUILT_INS: dict[str, Type] = {
    "local_invocation_id": Vector(3, U32),
    "local_invocation_index": U32,
    "global_invocation_id": Vector(3, U32),
    "workgroup_id": Vector(3, U32),
    "num_workgroups": Vector(3, U32),
    "global_invocation_index": U32,
    "workgroup_index": U32,
}
"""The built-in values of compute shaders."""
FEATURES = {"f16": "shader-f16"}
"""The features that a text can enable, each with WebGPU's name for it."""
_POINTERS, _UNIFORMS = "unrestricted_pointer_parameters", "uniform_buffer_standard_layout"
_RARE = (_POINTERS, _UNIFORMS, "immediate_address_space")
"""The language extensions that not every device has."""
_EXTENSIONS = (
    "readonly_and_readwrite_storage_textures",
    "packed_4x8_integer_dot_product",
    "pointer_composite_access",
    *_RARE,
)


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A checked text: its entry points, its overrides, and its functions."""

    entry_points: dict[str, Function]
    overrides: tuple[Symbol, ...]
    functions: tuple[Function, ...]
    extensions: Mapping[str, Place]
    """The extensions that the text names or needs, and not every device has, with their places."""


def check(unit: syntax.Unit, overrides: Mapping[str, Any] | None = None) -> Checked:
    """The typed form of a text; ``overrides`` has the values that a pipeline sets.

    Their keys are those of ``override_key``: an override's number, or its name if it has none.

    Raises:
        ShaderError: something in the text is forbidden, or not supported.
    """
    return _Checker(unit, overrides).module(unit)


class _Checker(Statements):
    def __init__(self, unit: syntax.Unit, overrides: Mapping[str, Any] | None) -> None:
        super().__init__(unit, overrides)
        self._extensions: dict[str, Place] = {}

    def module(self, unit: syntax.Unit) -> Checked:
        for directive in unit.directives:
            self._directive(directive)
        functions: list[syntax.Function] = []
        overrides: list[Symbol] = []
        for node in unit.declarations:
            if isinstance(node, syntax.Assertion):
                self.assertion(node)
                continue
            try:
                symbol = self.module_symbol(node.name, node.place)  # type: ignore[attr-defined]
            except RecursionError:
                self.fail(TOO_DEEP, node.place)
            if isinstance(node, syntax.Function):
                functions.append(node)
            elif symbol is not None and symbol.kind == "override":
                overrides.append(symbol)
        self._check_ids(overrides)
        entries: dict[str, Function] = {}
        for node in functions:
            stages = [each.name for each in node.attributes if each.name in _STAGES]
            if "compute" in stages:
                symbol = self.module_symbol(node.name, node.place)
                assert symbol is not None
                entries[node.name] = symbol.value
                self._check_bindings(symbol.value)
        return Checked(
            entry_points=entries,
            overrides=tuple(overrides),
            functions=tuple(self._known[node.name].value for node in functions),
            extensions=self._extensions,
        )

    def _directive(self, node: syntax.Directive) -> None:
        if node.kind == "enable":
            for word in node.words:
                if word not in FEATURES:
                    self.fail(f"the feature {word} is not supported", node.place)
                self.features.add(word)
        if node.kind == "requires":
            for word in node.words:
                if word not in _EXTENSIONS:
                    self.fail(f"the language extension {word} is not supported", node.place)
                if word in _RARE:
                    self._extensions.setdefault(word, node.place)

    def _check_ids(self, overrides: list[Symbol]) -> None:
        numbers = [each.override_id for each in overrides if each.override_id is not None]
        for symbol in overrides:
            if symbol.override_id is not None and numbers.count(symbol.override_id) > 1:
                self.fail(f"two overrides have the id {symbol.override_id}", symbol.place)

    def _check_bindings(self, function: Function) -> None:
        taken: dict[tuple[int, int], Symbol] = {}
        for symbol in function.uses:
            if symbol.group < 0:
                continue
            other = taken.setdefault((symbol.group, symbol.binding), symbol)
            if other is not symbol:
                because = f"{other.name} and {symbol.name} share group and binding"
                self.fail(because, symbol.place)

    def make(self, node: Any) -> Symbol:
        """The symbol of a declaration of the module."""
        if isinstance(node, syntax.Declaration):
            return self._variable(node)
        if isinstance(node, syntax.Function):
            return self._function(node)
        kind = self.struct(node) if isinstance(node, syntax.Struct) else self.type_of(node.type)
        return Symbol(name=node.name, kind="type", type=kind, place=node.place)

    def _variable(self, node: syntax.Declaration) -> Symbol:
        if node.kind == "const":
            return self.const(node)
        return self._override(node) if node.kind == "override" else self._var(node)

    def _override(self, node: syntax.Declaration) -> Symbol:
        declared = self.type_of(node.type) if node.type else None
        made: typed.Expr | None = None
        if node.value is not None:
            made = self.constant_or_override(node.value)
            made = self.as_type(made, declared or concrete(made.type), "the value")
            declared = made.type
        if declared is None:
            self.fail(f"the override {node.name} has neither a type nor a value", node.place)
        if declared not in CONCRETE:
            self.fail(f"an override must be a number or bool, not {declared}", node.place)
        number = self._number(node.attributes, "id")
        symbol = Symbol(
            name=node.name,
            kind="override",
            type=declared,
            place=node.place,
            value=made.value if isinstance(made, Constant) else None,
            stage=OVERRIDE,
            override_id=number,
            has_default=made is not None,
        )
        symbol.value = self._override_value(symbol)
        return symbol

    def _override_value(self, symbol: Symbol) -> Any:
        given = None if self.overrides is None else self.overrides.get(override_key(symbol))
        if given is not None:
            return self._set_value(given, symbol)
        if symbol.value is not None:
            return symbol.value
        return self._set_value(1, symbol)

    def _set_value(self, given: Any, symbol: Symbol) -> Any:
        """The value that a pipeline sets, in the override's type."""
        kind, name = symbol.type, symbol.name
        if kind == BOOL:
            return bool(given)
        number = float(given)
        if not math.isfinite(number):
            self.fail(f"the override {name} is no finite number", symbol.place)
        if kind in (I32, U32):
            low, high = (-(2**31), 2**31 - 1) if kind == I32 else (0, 2**32 - 1)
            if not low <= int(number) <= high:
                because = f"the override {name} is {given}, which {kind} cannot hold"
                self.fail(because, symbol.place)
            return int(number)
        return rounded(number, str(kind), symbol.place)

    def _number(self, attributes: tuple[syntax.Attribute, ...], name: str) -> int | None:
        for attribute in attributes:
            if attribute.name == name:
                if len(attribute.arguments) != 1:
                    self.fail(f"@{name} takes one argument", attribute.place)
                made = self.constant(attribute.arguments[0], f"@{name}")
                if made.type not in INTEGERS or made.value < 0:
                    self.fail(f"@{name} takes an integer that is not negative", attribute.place)
                return int(made.value)
        return None

    def _var(self, node: syntax.Declaration) -> Symbol:
        declared = self.type_of(node.type) if node.type else None
        space, access = self.space_of(node)
        if space in ("", "function"):
            self.fail(f"the variable {node.name} needs an address space", node.place)
        value: typed.Expr | None = None
        if node.value is not None:
            if space != "private":
                self.fail(f"a variable in {space} takes no initial value", node.value.place)
            value = self.constant_or_override(node.value)
            value = self.as_type(value, declared or concrete(value.type), "the value")
            declared = value.type
        if declared is None:
            self.fail(f"the variable {node.name} has no type", node.place)
        group = self._number(node.attributes, "group")
        binding = self._number(node.attributes, "binding")
        symbol = Symbol(
            name=node.name,
            kind="var",
            type=declared,
            place=node.place,
            value=value,
            space=space,
            access=access,
            group=-1 if group is None else group,
            binding=-1 if binding is None else binding,
        )
        self._check_var(symbol)
        return symbol

    def space_of(self, node: syntax.Declaration) -> tuple[str, str]:
        """The address space and the access mode of a var."""
        words = [each.name if isinstance(each, Named) else "" for each in node.space]
        space = words[0] if words else ""
        self.check_predeclared(words, node.place)
        if words and space not in SPACES:
            self.fail(f"no address space is called {space!r}", node.place)
        if len(words) > 2:
            self.fail("var takes an address space and perhaps an access mode", node.place)
        access = default_access(space)
        if len(words) == 2:
            access = words[1]
            if space != "storage" or access not in ACCESSES:
                self.fail(f"{space} has no access mode {access!r}", node.place)
            if access == "write":
                self.fail("the access mode of storage is read or read_write", node.place)
        return space, access

    def _check_var(self, symbol: Symbol) -> None:
        kind, space, place = symbol.type, symbol.space, symbol.place
        bound = space in ("storage", "uniform")
        if bound != (symbol.group >= 0) or bound != (symbol.binding >= 0):
            because = "needs @group and @binding" if bound else "takes no @group and no @binding"
            self.fail(f"the variable {symbol.name} in {space} {because}", place)
        if isinstance(kind, Pointer):
            self.fail("a variable holds no pointer", place)
        if space != "storage" and not is_fixed(kind):
            self.fail(f"a runtime-sized array lies in storage, not in {space}", place)
        if has_atomic(kind) and (space not in ("storage", "workgroup") or symbol.access == "read"):
            self.fail("an atomic must be in workgroup memory or in read_write storage", place)
        if space in ("storage", "uniform", "immediate") and has_bool(kind):
            self.fail(f"no buffer holds {kind}: bool has no layout", place)
        if space == "uniform" and not fits_uniform(kind):
            self._extensions.setdefault(_UNIFORMS, place)
        if space in ("uniform", "private", "function") and has_override_count(kind):
            self.fail("only workgroup memory has a size from an override", place)

    def _function(self, node: syntax.Function) -> Symbol:
        function = Function(name=node.name, place=node.place)
        symbol = Symbol(
            name=node.name, kind="function", type=None, place=node.place, value=function
        )
        stages = [each for each in node.attributes if each.name in _STAGES]
        function.must_use = any(each.name == "must_use" for each in node.attributes)
        is_entry = bool(stages)
        if is_entry and stages[0].name == "compute":
            function.workgroup_size = self._workgroup_size(node)
        with self.scope():
            for parameter in node.parameters:
                function.parameters.append(self.declare(self._parameter(parameter, is_entry)))
            if function.workgroup_size is not None:
                function.built_ins = self._built_ins(node, function.parameters)
            if node.result is not None:
                function.result = self.type_of(node.result)
                if not storable(function.result):
                    self.fail(f"a function returns no {function.result}", node.result.place)
            if function.workgroup_size is not None and function.result is not None:
                self.fail("a compute shader returns nothing", node.place)
            function.body = self.body(node.body, function)
        function.uses = {**self.using}
        for called in function.calls:
            function.uses.update(called.uses)
        return symbol

    def _workgroup_size(self, node: syntax.Function) -> tuple[int, int, int]:
        for attribute in node.attributes:
            if attribute.name == "workgroup_size":
                if not 1 <= len(attribute.arguments) <= 3:
                    self.fail("@workgroup_size takes one to three arguments", attribute.place)
                sizes = [self._extent(each) for each in attribute.arguments]
                x, y, z = (*sizes, 1, 1)[:3]
                return x, y, z
        self.fail(f"the compute shader {node.name} needs @workgroup_size", node.place)

    def _extent(self, node: syntax.Expression) -> int:
        made = self.constant_or_override(node)
        if made.type not in INTEGERS:
            self.fail(f"@workgroup_size takes integers, not {made.type}", node.place)
        if made.value < 1:
            self.fail(f"@workgroup_size takes integers above zero, not {made.value}", node.place)
        return int(made.value)

    def _parameter(self, node: syntax.Parameter, is_entry: bool) -> Symbol:
        kind = self.type_of(node.type)
        if isinstance(kind, Pointer):
            if is_entry:
                self.fail("an entry point takes no pointer", node.place)
            if kind.space not in ("function", "private"):
                self._extensions.setdefault(_POINTERS, node.place)
        elif not storable(kind):
            self.fail(f"a parameter cannot be of type {kind}", node.place)
        return Symbol(name=node.name, kind="parameter", type=kind, place=node.place)

    def _built_ins(self, node: syntax.Function, parameters: list[Symbol]) -> list[Any]:
        found: list[Any] = []
        for parameter, symbol in zip(node.parameters, parameters, strict=True):
            if isinstance(symbol.type, Struct):
                declared = self._nodes[symbol.type.name]
                assert isinstance(declared, syntax.Struct)
                pairs = zip(declared.members, symbol.type.members, strict=True)
                found.append([self._built_in(each, member.type) for each, member in pairs])
            else:
                found.append(self._built_in(parameter, symbol.type))
        flat = [name for each in found for name in (each if isinstance(each, list) else [each])]
        for name in flat:
            if flat.count(name) > 1:
                self.fail(f"the built-in value {name} is taken twice", node.place)
        return found

    def _built_in(self, node: syntax.Parameter, kind: Type) -> str:
        for attribute in node.attributes:
            argument = attribute.arguments[0] if attribute.arguments else None
            if attribute.name == "builtin" and isinstance(argument, Named):
                wanted = BUILT_INS.get(argument.name)
                if wanted is None:
                    because = "no built-in value that is supported in compute shaders"
                    self.fail(f"{argument.name} is {because}", attribute.place)
                if kind != wanted:
                    self.fail(f"{argument.name} must be of type {wanted}, not {kind}", node.place)
                return argument.name
        self.fail(f"the parameter {node.name} of an entry point needs @builtin", node.place)


_STAGES = ("compute", "vertex", "fragment")
