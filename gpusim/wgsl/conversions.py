"""Turns expressions into values: loads, conversions to the wanted type, and constants.

An operation on constants is computed here at once.  ``expand`` splits it into scalar operations, as
it does for operations in a run; the ``Folder`` that ``expand`` is given here computes each of them.
Source: WGSL specification, 6.1.2 "Conversion Rank", 6.4.4 "Load Rule", 8.1 "Early Evaluation".
"""

from typing import Any

from gpusim.wgsl import typed
from gpusim.wgsl.componentwise import tree_of
from gpusim.wgsl.constants import convert, fold
from gpusim.wgsl.expand import expand
from gpusim.wgsl.ir import Const, Scalar
from gpusim.wgsl.names import Names, storable
from gpusim.wgsl.syntax import Expression, Place
from gpusim.wgsl.typed import CONST, RUN, Apply, Constant, Expr
from gpusim.wgsl.types import (
    Pointer,
    Type,
    concrete,
    convertible,
)


class Folder:
    """The builder for operations whose operands are all constants: it computes each operation.

    A value that WGSL forbids is an error at ``place``; without a place it is kept.
    """

    def __init__(self, place: Place | None) -> None:
        self._place = place

    def op(self, kind: str, name: str, *operands: Scalar) -> Scalar:
        """The constant that the operation gives."""
        known = tuple(each for each in operands if isinstance(each, Const))
        assert len(known) == len(operands)
        return fold(name, kind, known, self._place)

    def hold(self, value: Scalar) -> Scalar:
        """The constant itself."""
        return value


def value_of(tree: Any) -> Any:
    """The value of a tree of constants."""
    return tuple(value_of(each) for each in tree) if isinstance(tree, tuple) else tree.value


class Conversions(Names):
    """Makes values of expressions."""

    def value(self, node: Expression) -> Expr:
        """The typed form of an expression; of a reference, the value to which it refers."""
        raise NotImplementedError

    def loaded(self, made: Expr) -> Expr:
        """The value of a reference; other expressions as they are."""
        kind = made.type
        if kind is None:
            self.fail("a call without a result has no value", made.place)
        if not isinstance(kind, Pointer) or not kind.is_reference:
            return made
        if kind.access == "write" or not storable(kind.of):
            self.fail(f"a value of type {kind.of} cannot be loaded", made.place)
        return typed.LoadOf(
            type=kind.of, place=made.place, stage=RUN, effects=made.effects, base=made
        )

    def as_type(self, made: Expr, wanted: Type, what: str) -> Expr:
        """A value, converted to the wanted type; ShaderError if it cannot be converted."""
        if made.type == wanted:
            return made
        if not convertible(made.type, wanted):
            self.fail(f"{what} is of type {made.type}, expected {wanted}", made.place)
        assert isinstance(made, Constant)
        value = convert(made.value, made.type, wanted, made.place)
        return Constant(type=wanted, place=made.place, stage=made.stage, value=value)

    def settled(self, made: Expr) -> Expr:
        """A value, converted to a type that is not abstract."""
        return self.as_type(made, concrete(made.type), "this")

    def constant(self, node: Expression, what: str) -> Constant:
        """The value of a const-expression."""
        made = self.value(node)
        if not isinstance(made, Constant) or made.stage != CONST:
            self.fail(f"{what} needs a const-expression", node.place)
        return made

    def constant_or_override(self, node: Expression) -> Constant:
        """The value of a const-expression or override-expression."""
        made = self.value(node)
        if not isinstance(made, Constant):
            self.fail("this needs a const-expression or override-expression", node.place)
        return made

    def folded(self, made: Apply) -> Expr:
        """The result of an operation if all its operands are constants; else the operation."""
        if made.stage == RUN or not all(isinstance(each, Constant) for each in made.operands):
            return made
        trees = [tree_of(each.value, each.type) for each in made.operands]  # type: ignore[attr-defined]
        place = made.place if made.stage == CONST or self.overrides is not None else None
        builder = Folder(place)
        kinds = [each.type for each in made.operands]
        value = value_of(expand(builder, made.name, kinds, trees, made.type))
        return Constant(type=made.type, place=made.place, stage=made.stage, value=value)
