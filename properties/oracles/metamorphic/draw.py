"""Drawing a few transformations for a case, from the source of choices that drew the program.

Each is drawn for what the ones before it made of the case.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from gpusim.kernels import BUILTIN, Kernel
from properties.model.case import Case, Transformation
from properties.oracles.metamorphic.registry import KINDS, WEIGHTS, Kind, Scope
from properties.programs.choices import Choices, Weights

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
        image = transformation.apply(scope.case, kernels)
        if image is not None:
            drawn.append(transformation)
            scope = replace(scope, case=image.case)
    return tuple(drawn)
