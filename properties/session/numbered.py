"""Program number i of a session, made again by anyone who has the seed and i."""

from gpusim.kernels import Kernels
from gpusim.limits import Limits
from gpusim.runtime.policy import PRESETS
from properties.case import Case
from properties.programs.cases import draw_case
from properties.programs.choices import SeededChoices
from properties.session.devices import SimulatedDevice, is_simulated


def numbered_case(
    seed: int,
    number: int,
    *,
    presets: tuple[str, ...],
    schedulers: tuple[str, ...],
    device: str,
    kernels: Kernels,
    limits: Limits,
    invalid: bool = True,
) -> Case:
    """The case that follows from ``seed`` and ``number``.

    The presets take turns, and on a simulated ``device`` the schedulers do so
    from one round of presets to the next.
    """
    text = f"{seed}/{number}"
    if is_simulated(device):
        scheduler = schedulers[number // len(presets) % len(schedulers)]
        device = str(SimulatedDevice(scheduler=scheduler, seed=_schedule_seed(scheduler, text)))
    return draw_case(
        SeededChoices(text),
        preset=PRESETS[presets[number % len(presets)]],
        device=device,
        seed=text,
        kernels=kernels,
        limits=limits,
        invalid=invalid,
    )


def _schedule_seed(scheduler: str, text: str) -> int:
    """Another number than any that makes the program."""
    if scheduler != "random":
        return 0
    return SeededChoices(f"schedule {text}").integer(0, 2**32 - 1)
