"""Every kind of transformation by its name, and what its ``draw`` may ask.

A kind is one decorated class: how it is written, drawn and applied stands in it, and nowhere
else is a list of kinds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from gpusim.ops import Op
from properties.model.case import Case, Transformation
from properties.programs.choices import Choices

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
