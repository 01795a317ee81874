"""The registry of transformations by name: how each is written, read and drawn.

The text form of a transformation is one line:

    insert_boundary boundary=flush at=3
    swap at=5

Reading what was written gives the same transformation.  A kind of transformation is one decorated
class with all that it needs: how it is drawn, written and applied.  ``KINDS`` is the only list of
kinds.  The functions that draw fields are here too.  No kind is defined here.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import (
    Annotated,
    Any,
    ClassVar,
    Self,
    TypeVar,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from gpusim.errors import ProgramError, meant
from gpusim.kernels import BUILTIN, Kernel
from gpusim.ops import Op
from properties.generate.choices import Choices, Weights
from properties.model.case import Case, Rewrite, Transformation

_MOST_WHICH = 63
_MOST_SEED = 2**31 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """What a draw depends on: the case, other devices, and whether invalid ops are refused."""

    case: Case
    others: tuple[str, ...] = ()
    """The names of other devices that the case may run on."""
    refuses: bool = True
    """Whether the target refuses what is invalid."""


Weight = Callable[[Scope], int]
Draw = Callable[[Choices, Scope], Any]
"""Draws one field of a transformation."""
AnyKind = TypeVar("AnyKind", bound="Kind")


def draw_gap(choices: Choices, scope: Scope) -> int:
    """Draws a gap as a number: the position of the op after it.

    The number of the gap after the last op is the length of the program.
    """
    return choices.integer(0, len(scope.case.program))


def op_of(*kinds: type[Op]) -> Draw:
    """Returns a function that draws the position of an op of these kinds.

    If the program has no such op, the function gives the length of the program.
    """

    def draw(choices: Choices, scope: Scope) -> int:
        program = scope.case.program
        positions = [position for position, op in enumerate(program) if isinstance(op, kinds)]
        return choices.pick(positions) if positions else len(program)

    return draw


class OneOf:
    """Draws one of ``values``."""

    def __init__(self, *values: Any) -> None:
        self.values = values

    def __call__(self, choices: Choices, scope: Scope) -> Any:
        return choices.pick(self.values)


Gap = Annotated[int, draw_gap]
Which = Annotated[int, lambda choices, scope: choices.integer(0, _MOST_WHICH)]
"""An index into a list whose length is known only later.  The index wraps round at the end."""
Seed = Annotated[int, lambda choices, scope: choices.integer(0, _MOST_SEED)]


class Kind(ABC):
    """A class of transformations: frozen data, with a text form.

    Fields are whole numbers and words, each annotated with how it is drawn.  The field ``at`` is
    the position of an op, or the number of a gap as in ``draw_gap``.
    """

    __slots__ = ()
    name: ClassVar[str]
    weight: ClassVar[Weight]
    """How often the kind is drawn; 0 if it cannot apply."""
    _description: ClassVar[str]
    _draws: ClassVar[Mapping[str, Draw]]

    @classmethod
    def draw(cls, choices: Choices, scope: Scope) -> Self:
        """A transformation of this kind for the case of ``scope``, drawn field by field."""
        return cls(**{name: draw(choices, scope) for name, draw in cls._draws.items()})

    @property
    def description(self) -> str:
        """The change for a reader: ``flush before op 3``."""
        return self._description.format(**_values(self))

    @abstractmethod
    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        """The rewrite of ``case``; None if there is nothing here to transform."""


KINDS: dict[str, type[Kind]] = {}


@dataclass_transform(frozen_default=True, kw_only_default=True)
def transformation(
    weight: int | Weight, description: str
) -> Callable[[type[AnyKind]], type[AnyKind]]:
    """Register a kind, drawn as often as ``weight`` says.

    ``description`` tells a reader the change; in it a field's name in braces stands for the field's
    value.
    """

    def register(kind: type[AnyKind]) -> type[AnyKind]:
        hints = get_type_hints(kind, include_extras=True)
        kind.name = re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()
        kind.weight = staticmethod(weight if callable(weight) else lambda scope: weight)
        kind._description = description
        kind._draws = {
            name: hint.__metadata__[0] for name, hint in hints.items() if _is_drawn(hint)
        }
        made = dataclass(frozen=True, kw_only=True, slots=True)(kind)
        KINDS[made.name] = made
        return made

    return register


_TRIES = 6
"""The most draws for each transformation that is wanted."""


def draw_transformations(
    choices: Choices,
    case: Case,
    *,
    devices: Collection[str] = (),
    refuses: bool = True,
    most: int = 3,
    kinds: Collection[str] = (),
    kernels: Mapping[str, Kernel] = BUILTIN,
) -> tuple[Transformation, ...]:
    """One to ``most`` transformations that apply to ``case``, one after the other.

    ``devices``: other devices on which the case may run.  ``refuses``: whether the target
    refuses invalid ops.  ``kinds``: the names of the kinds to draw from, by default
    all.  The result is empty if none that was drawn applies.
    """
    others = tuple(device for device in devices if device != case.device.name)
    scope = Scope(case=case, others=others, refuses=refuses)
    weights: Weights[type[Kind]] = Weights(
        *(
            (KINDS[name], KINDS[name].weight(scope))
            for name in sorted(KINDS)
            if not kinds or name in kinds
        )
    )
    drawn: list[Transformation] = []
    wanted = choices.integer(1, most)
    for _ in range(wanted * _TRIES):
        if len(drawn) == wanted:
            break
        transformation = choices.weighted(weights).draw(choices, scope)
        rewrite = transformation.apply(scope.case, kernels)
        if rewrite is not None:
            drawn.append(transformation)
            scope = replace(scope, case=rewrite.case)
    return tuple(drawn)


def write_transformation(transformation: Transformation) -> str:
    """The text form of ``transformation``, without a newline."""
    values = [f"{name}={value}" for name, value in _values(transformation).items()]
    return " ".join([transformation.name, *values])


def parse_transformation(text: str) -> Transformation:
    """Read what ``write_transformation`` wrote.

    Raises:
        ProgramError: ``text`` names none of ``KINDS``, or a field cannot have such a value.
    """
    name, *words = text.split() or [""]
    kind: Any = KINDS.get(name)
    if kind is None:
        raise _unreadable(text, f"none is named {name!r}", meant(name, KINDS, "a misspelling"))
    hints = get_type_hints(kind, include_extras=True)
    wanted = {field.name: field.default is MISSING for field in fields(kind)}
    values: dict[str, Any] = {}
    for word in words:
        key, _, value = word.partition("=")
        if key in values:
            raise _unreadable(text, f"it gives {key} twice", "two lines were joined")
        if key not in wanted:
            has = f"it has {', '.join(wanted) or 'none'}"
            raise _unreadable(text, f"{word!r} is no field of it", meant(key, wanted, has))
        values[key] = _parsed(text, key, hints[key], value)
    missing = [key for key, is_needed in wanted.items() if is_needed and key not in values]
    if missing:
        raise _unreadable(text, f"it has no {missing[0]}", "the line was cut")
    made: Transformation = kind(**values)
    return made


def _parsed(text: str, key: str, hint: Any, word: str) -> int | str:
    """The value of a field; ProgramError if the field cannot have it."""
    kind, draws = (hint.__origin__, hint.__metadata__[0]) if _is_drawn(hint) else (hint, None)
    value: int | str = word
    if kind is int:
        if not (word.isascii() and word.isdecimal()) or len(word) > 10 or int(word) > _MOST_SEED:
            raise _unreadable(text, f"{key} is no number from 0 to {_MOST_SEED}", "a slip in it")
        value = int(word)
    allowed = draws.values if isinstance(draws, OneOf) else get_args(kind)
    if allowed and value not in allowed:
        known = tuple(map(str, allowed))
        probably = meant(word, known, "a misspelling")
        raise _unreadable(text, f"{key} is none of {', '.join(known)}", probably)
    return value


def _unreadable(text: str, because: str, probably: str) -> ProgramError:
    return ProgramError(
        f"cannot read transformation {text[:200]!r} because {because} (probably {probably})"
    )


def _is_drawn(hint: object) -> bool:
    return get_origin(hint) is Annotated


def _values(transformation: Any) -> dict[str, Any]:
    return {field.name: getattr(transformation, field.name) for field in fields(transformation)}
