"""Every kind of transformation by its name: written, read, and drawn.

    insert_boundary boundary=flush at=3
    swap at=5

is a program's transformations in their text form, one a line; reading what was written gives
the same transformation.  A kind is one decorated class: how it is written, drawn and applied
stands in it, and nowhere else is a list of kinds.  What a class's ``draw`` may ask is here, and
a few are drawn for a case from the source of choices that drew the program.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

from gpusim.errors import ProgramError
from gpusim.kernels import BUILTIN, Kernel
from gpusim.ops import Op
from properties.generate.choices import Choices, Weights
from properties.model.case import Case, Transformation

MOST_WHICH = 63
MOST_SEED = 2**31 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """What transformations are drawn for: a case, where else it may run, what is refused there."""

    case: Case
    others: tuple[str, ...] = ()
    """The names of other devices that it may run on."""
    refuses: bool = True
    """Whether the target refuses what is invalid."""


class Kind(Protocol):
    """A class of transformations."""

    name: str

    def __call__(self, **fields: Any) -> Transformation: ...
    def draw(self, choices: Choices, scope: Scope) -> Transformation: ...


Weight = Callable[[Scope], int]
KINDS: dict[str, Kind] = {}
"""In the order in which they were defined."""
WEIGHTS: dict[str, Weight] = {}
"""How often each kind is drawn; 0 where it cannot apply."""


def transformation(weight: int | Weight) -> Callable[[type], Any]:
    """Register a kind, to be drawn as often as ``weight`` says."""

    def register(kind: Any) -> Any:
        KINDS[kind.name] = kind
        WEIGHTS[kind.name] = weight if callable(weight) else lambda scope: weight
        return kind

    return register


def draw_gap(choices: Choices, scope: Scope) -> int:
    """The gap before an op, or the one after the last."""
    return choices.integer(0, len(scope.case.program))


def draw_op(choices: Choices, scope: Scope, *kinds: type[Op]) -> int:
    """The position of an op of these kinds; one that is none of them where there is none."""
    program = scope.case.program
    positions = [position for position, op in enumerate(program) if isinstance(op, kinds)]
    return choices.pick(positions) if positions else len(program)


def draw_which(choices: Choices) -> int:
    """Which of some things whose number is known only later."""
    return choices.integer(0, MOST_WHICH)


_TRIES = 6
"""Kinds asked for before a case is given up as one that hardly any applies to."""


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

    ``devices`` are others that it may run on; ``refuses`` is whether the target
    refuses what is invalid; ``kinds`` are the names of those to draw from, all
    where left out.  None where nothing that was drawn applies.
    """
    others = tuple(device for device in devices if device != case.device.name)
    scope = Scope(case=case, others=others, refuses=refuses)
    weights: Weights[Kind] = Weights(
        *(
            (kind, WEIGHTS[name](scope))
            for name, kind in KINDS.items()
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
    """One line without its newline."""
    entries: Any = transformation
    values = [f"{field.name}={getattr(entries, field.name)}" for field in fields(entries)]
    return " ".join([transformation.name, *values])


def parse_transformation(text: str) -> Transformation:
    """Read what ``write_transformation`` wrote; ProgramError where it did not."""
    name, *words = text.split(" ") if "=" in text else [text]
    values: dict[str, object] = {}
    for word in words:
        key, _, value = word.partition("=")
        values[key] = value
    try:
        kind: Any = KINDS[name]
        types = {field.name: field.type for field in fields(kind)}
        return kind(**{key: _typed(types[key], value) for key, value in values.items()})  # type: ignore[no-any-return]
    except (KeyError, TypeError, ValueError) as error:
        raise ProgramError(
            f"cannot read transformation {text!r} because {error!r} is no name, field or value "
            "of one (probably a misspelling)"
        ) from error


def _typed(kind: object, value: object) -> object:
    return int(str(value)) if kind in (int, "int") else value
