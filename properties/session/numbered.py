"""Program number i of a session, made again by anyone who has the seed and i."""

from gpusim.kernels import Kernels
from gpusim.limits import Limits
from gpusim.runtime.policy import PRESETS
from properties.case import Case
from properties.programs.cases import draw_case
from properties.programs.choices import SeededChoices


def numbered_case(
    seed: int,
    number: int,
    *,
    presets: tuple[str, ...],
    device: str,
    kernels: Kernels,
    limits: Limits,
    invalid: bool = True,
) -> Case:
    """The case that follows from ``seed`` and ``number``; the presets take turns."""
    text = f"{seed}/{number}"
    return draw_case(
        SeededChoices(text),
        preset=PRESETS[presets[number % len(presets)]],
        device=device,
        seed=text,
        kernels=kernels,
        limits=limits,
        invalid=invalid,
    )
