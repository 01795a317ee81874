"""The types of constructions: ``vec3(...)``, ``array(...)``, ``S(...)``, ``u32(...)``, ``bitcast``.

Source: WGSL specification, 17.1 "Constructor Built-in Functions", 17.2 "Bit Reinterpretation".
"""

from typing import Any

from gpusim.wgsl import syntax
from gpusim.wgsl.constants import zero
from gpusim.wgsl.conversions import Conversions
from gpusim.wgsl.names import storable
from gpusim.wgsl.overloads import NUMBERS, NoOverload, join
from gpusim.wgsl.syntax import Place
from gpusim.wgsl.typed import CONST, Apply, Constant, Expr
from gpusim.wgsl.types import (
    ABSTRACT_FLOAT,
    ABSTRACT_INT,
    BOOL,
    Array,
    Atomic,
    Matrix,
    Pointer,
    Scalar,
    Struct,
    Type,
    Vector,
    component_count,
    concrete,
    convertible,
    element_of,
    is_abstract,
    parts_of,
    size_of,
    with_element,
)

_EVERY = (*NUMBERS, BOOL)


class Constructors(Conversions):
    """Finds the type of each construction: one method for each kind of type."""

    def _bitcast(self, node: syntax.Call) -> Expr:
        template = node.callee.template
        if template is None or len(template) != 1 or len(node.arguments) != 1:
            self.fail("bitcast takes a type and one argument", node.place)
        wanted = self.type_of(template[0])
        operand = self.settled(self.value(node.arguments[0]))
        kinds = (wanted, operand.type)
        for kind in kinds:
            if isinstance(kind, Matrix) or element_of(kind) in (None, BOOL):
                self.fail(f"bitcast does not take {kind}", node.place)
        if size_of(wanted) != size_of(operand.type):
            self.fail(f"{operand.type} and {wanted} differ in size", node.place)
        if wanted == operand.type:
            return operand
        return self.folded(
            Apply(
                type=wanted,
                place=node.place,
                stage=operand.stage,
                effects=operand.effects,
                name="bitcast",
                operands=(operand,),
            )
        )

    def _construct(self, node: syntax.Call) -> Expr:
        kind = self.partial_type(node.callee)
        operands = [self.value(each) for each in node.arguments]
        place = node.place
        if isinstance(kind, str):
            kind = self._inferred(kind, operands, place)
        if storable(kind) and not operands:
            return Constant(type=kind, place=place, stage=CONST, value=zero(kind))
        if isinstance(kind, Array | Struct):
            return self._composite(kind, parts_of(kind), operands, place)
        if isinstance(kind, Matrix):
            return self._matrix(kind, operands, place)
        if isinstance(kind, Vector):
            return self._vector(kind, operands, place)
        if isinstance(kind, Pointer | Atomic):
            self.fail(f"{kind} cannot be constructed", place)
        if len(operands) != 1 or not isinstance(element_of(operands[0].type), type(kind)):
            self.fail(f"{kind} takes one number or bool", place)
        if isinstance(operands[0].type, Vector | Matrix):
            self.fail(f"{kind} takes one number or bool, not {operands[0].type}", place)
        return self._converted(operands[0], kind, place)

    def _inferred(self, name: str, operands: list[Expr], place: Place) -> Type:
        """The type of a construction without a template list, such as ``vec3(...)``."""
        if not operands and name.startswith("vec"):
            return Vector(int(name[3]), ABSTRACT_INT)
        if not operands or name in ("atomic", "ptr"):
            self.fail(f"{name} needs a template list here", place)
        kinds = [each.type for each in operands]
        if any(isinstance(kind, Pointer) for kind in kinds):
            self.fail(f"{name} takes no pointers", place)
        try:
            if name == "array":
                return Array(_joined(kinds), len(kinds))
            of = [each for each in map(element_of, kinds) if each is not None]
            element = join(of, _EVERY)
        except NoOverload as error:
            self.fail(f"{name} takes {error}", place)
        if name.startswith("vec"):
            return Vector(int(name[3]), element)  # type: ignore[arg-type]
        element = ABSTRACT_FLOAT if element == ABSTRACT_INT else element
        return Matrix(int(name[3]), int(name[5]), element)  # type: ignore[arg-type]

    def _composite(self, kind: Type, parts: list[Type], operands: list[Expr], place: Place) -> Expr:
        if not storable(kind):
            self.fail(f"{kind} cannot be constructed", place)
        if len(parts) != len(operands):
            self.fail(f"{kind} takes {len(parts)} values, not {len(operands)}", place)
        converted = tuple(
            self.as_type(each, part, "the value")
            for each, part in zip(operands, parts, strict=True)
        )
        if is_abstract(kind) and not all(isinstance(each, Constant) for each in converted):
            kind = concrete(kind)
            converted = tuple(self.settled(each) for each in converted)
        return self._made("construct", kind, converted, place)

    def _made(self, name: str, kind: Type, operands: tuple[Expr, ...], place: Place) -> Expr:
        stage = max(each.stage for each in operands)
        effects = any(each.effects for each in operands)
        return self.folded(
            Apply(
                type=kind, place=place, stage=stage, effects=effects, name=name, operands=operands
            )
        )

    def _converted(self, operand: Expr, kind: Type, place: Place) -> Expr:
        if operand.type == kind:
            return operand
        if not isinstance(operand, Constant):
            operand = self.settled(operand)
        elif is_abstract(operand.type) and convertible(operand.type, kind):
            return self.as_type(operand, kind, "the value")
        return self._made("convert", kind, (operand,), place)

    def _vector(self, kind: Vector, operands: list[Expr], place: Place) -> Expr:
        if len(operands) == 1:
            given = operands[0]
            if isinstance(given.type, Vector) and given.type.size == kind.size:
                return self._converted(given, kind, place)
            if element_of(given.type) == given.type:
                part = self.as_type(given, kind.of, "the component")
                return self._splat(part, kind, place)
        if not all(isinstance(each.type, Scalar | Vector) for each in operands):
            self.fail(f"{kind} takes numbers and vectors", place)
        count = sum(component_count(each.type) for each in operands)
        if count != kind.size:
            self.fail(f"{kind} takes {kind.size} components, not {count}", place)
        converted = tuple(
            self.as_type(each, with_element(each.type, kind.of), "the component")
            for each in operands
        )
        return self._made("construct", kind, converted, place)

    def _splat(self, part: Expr, kind: Vector, place: Place) -> Expr:
        return self._made("splat", kind, (part,), place)

    def _matrix(self, kind: Matrix, operands: list[Expr], place: Place) -> Expr:
        first = operands[0].type
        if len(operands) == 1 and isinstance(first, Matrix):
            if (first.columns, first.rows) != (kind.columns, kind.rows):
                self.fail(f"{kind} cannot be made of {first}", place)
            return self._converted(operands[0], kind, place)
        wanted: Type = kind.column if len(operands) == kind.columns else kind.of
        count = kind.columns if len(operands) == kind.columns else kind.columns * kind.rows
        if len(operands) != count:
            because = f"{kind.columns} columns or {kind.columns * kind.rows} numbers"
            self.fail(f"{kind} takes {because}, not {len(operands)} values", place)
        converted = tuple(self.as_type(each, wanted, "the value") for each in operands)
        return self._made("construct", kind, converted, place)


def _joined(kinds: list[Any]) -> Type:
    """The type to which all elements of an array are converted."""
    for kind in kinds:
        if all(convertible(each, kind) for each in kinds):
            found: Type = kind
            return found
    raise NoOverload("values of one type")
