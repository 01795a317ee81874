"""Program number i of a session, made again by anyone who has the seed and i."""

from collections.abc import Mapping
from dataclasses import replace

from gpusim.kernels import Kernels
from gpusim.limits import Limits
from gpusim.runtime.policy import PRESETS
from gpusim.simulated import NO_FAULTS, FaultPlan
from properties.case import Case
from properties.programs.cases import draw_case
from properties.programs.choices import Choices, SeededChoices
from properties.session.devices import SimulatedDevice, is_simulated
from properties.session.limits import asked_limits
from properties.target import Capabilities
from properties.targets.runtime_target import RuntimeTarget

_MOST_SEED = 2**32 - 1


def numbered_case(
    seed: int,
    number: int,
    *,
    presets: tuple[str, ...],
    schedulers: tuple[str, ...],
    device: str,
    kernels: Kernels,
    limits: Limits,
    capabilities: Capabilities = RuntimeTarget.capabilities,
    faults: bool = False,
    small: tuple[str, ...] = (),
) -> Case:
    """The case that follows from ``seed`` and ``number``.

    The presets take turns, and on a simulated ``device`` the schedulers do so
    from one round of presets to the next; with ``faults`` it fails now and then.
    ``limits`` are the device's, and ``small`` what it is asked for instead;
    programs hold what ``capabilities`` promise.
    """
    text = f"{seed}/{number}"
    turn, preset = divmod(number, len(presets))
    words = _small(text, small)
    asked = asked_limits(f"{device} {words}")
    if is_simulated(device):
        device = _simulated(text, schedulers[turn % len(schedulers)], faults, asked)
    else:
        device = f"{device} {words}".strip()
    return draw_case(
        SeededChoices(text),
        preset=PRESETS[presets[preset]],
        device=device,
        seed=text,
        kernels=kernels,
        limits=replace(limits, **asked) if asked else limits,
        invalid=capabilities.refuses,
        replays=capabilities.replays,
        byte_exact=capabilities.byte_exact,
    )


def _small(text: str, small: tuple[str, ...]) -> str:
    """The limits that one program is run on, drawn apart from it as well."""
    return SeededChoices(f"limits {text}").pick(small) if small else ""


def _simulated(text: str, scheduler: str, faults: bool, limits: Mapping[str, int]) -> str:
    """A simulated device, drawn apart from the program so as not to change that."""
    if scheduler != "random" and not faults:
        return str(SimulatedDevice(scheduler=scheduler, limits=limits))
    choices = SeededChoices(f"device {text}")
    behaviour = SimulatedDevice(
        scheduler=scheduler,
        seed=choices.integer(0, _MOST_SEED) if scheduler == "random" else 0,
        faults=_faults(choices) if faults else NO_FAULTS,
        limits=limits,
    )
    return str(behaviour)


def _faults(choices: Choices) -> FaultPlan:
    """Usually one or two faults, early enough that most programs meet them."""
    return FaultPlan(
        failed_maps=_counts(choices, 8),
        out_of_memory=_counts(choices, 40),
        failed_submits=_counts(choices, 16),
        lost_at_call=choices.integer(0, 400) if choices.chance(1, 8) else None,
        lost_at_submit=choices.integer(0, 16) if choices.chance(1, 8) else None,
    )


def _counts(choices: Choices, most: int) -> tuple[int, ...]:
    drawn = [choices.integer(0, most) for _ in range(choices.integer(0, 2))]
    return tuple(sorted(dict.fromkeys(drawn))) if choices.chance(1, 2) else ()
