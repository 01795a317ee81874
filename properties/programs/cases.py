"""Drawing a whole case: a policy, a device's behaviour, and a program that knows their limits.

``case_for`` gives program number i of a session, made again by anyone who has the seed and i.
"""

from dataclasses import dataclass, field

from gpusim.devices import SIMULATED
from gpusim.kernels import BUILTIN, Kernels
from gpusim.limits import Limits
from gpusim.runtime.policy import PRESETS, Policy
from gpusim.simulated import NO_FAULTS, FaultPlan
from properties.model.case import RUNTIME, SCHEDULERS, AskedLimits, Case, DeviceSpec
from properties.model.target import Capabilities
from properties.programs.choices import Choices, SeededChoices
from properties.programs.generator import generate
from properties.programs.policies import draw_policy
from properties.programs.shape import Shape
from properties.programs.words import in_words

_MOST_SEED = 2**32 - 1
_ALL_PROMISED = Capabilities(replays=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What the cases of a session are drawn for.

    ``limits`` are the device's, and ``small`` what it may be asked for instead.
    The presets take turns, and on a simulated device the schedulers do so from one
    round of presets to the next; with ``faults`` it fails now and then.
    """

    device: str
    limits: Limits
    kernels: Kernels = field(default_factory=lambda: BUILTIN)
    small: tuple[AskedLimits, ...] = ()
    presets: tuple[str, ...] = tuple(PRESETS)
    schedulers: tuple[str, ...] = SCHEDULERS
    faults: bool = False
    target: str = RUNTIME
    promises: Capabilities = _ALL_PROMISED


def case_for(seed: int, number: int, setting: Setting) -> Case:
    """The case that follows from ``seed`` and ``number``."""
    text = f"{seed}/{number}"
    turn, preset = divmod(number, len(setting.presets))
    asked = SeededChoices(f"limits {text}").pick(setting.small) if setting.small else ()
    device = DeviceSpec(name=setting.device, limits=asked)
    if device.is_simulated:
        scheduler = setting.schedulers[turn % len(setting.schedulers)]
        device = _behaving(text, scheduler, setting.faults, asked)
    return draw_case(
        SeededChoices(text),
        preset=PRESETS[setting.presets[preset]],
        device=device,
        seed=text,
        kernels=setting.kernels,
        limits=device.held(setting.limits),
        target=setting.target,
        promises=setting.promises,
    )


def draw_case(
    choices: Choices,
    *,
    preset: Policy,
    device: DeviceSpec,
    seed: str = "",
    kernels: Kernels = BUILTIN,
    limits: Limits | None = None,
    shape: Shape | None = None,
    target: str = RUNTIME,
    promises: Capabilities = _ALL_PROMISED,
) -> Case:
    """One case around ``preset``; ``limits`` are the device's.

    Its program asks for nothing beyond ``promises``.
    """
    policy = draw_policy(choices, preset)
    limits = (limits or Limits()).within(policy.memory_budget_bytes)
    program = generate(
        choices,
        kernels=kernels,
        limits=limits,
        shape=shape,
        invalid=promises.refuses,
        replays=promises.replays,
    )
    if not promises.byte_exact:
        program = in_words(program)
    return Case(
        program=program, policy=policy, device=device, seed=seed, target=target, promises=promises
    )


def _behaving(text: str, scheduler: str, faults: bool, asked: AskedLimits) -> DeviceSpec:
    """A simulated device, drawn apart from the program so as not to change that."""
    if scheduler != "random" and not faults:
        return DeviceSpec(name=SIMULATED, scheduler=scheduler, limits=asked)
    choices = SeededChoices(f"device {text}")
    return DeviceSpec(
        name=SIMULATED,
        scheduler=scheduler,
        seed=choices.integer(0, _MOST_SEED) if scheduler == "random" else 0,
        faults=_faults(choices) if faults else NO_FAULTS,
        limits=asked,
    )


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
