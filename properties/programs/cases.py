"""Drawing a whole case: a policy, and a program that knows the policy's memory budget."""

from gpusim.kernels import BUILTIN, Kernels
from gpusim.limits import Limits
from gpusim.runtime.policy import Policy
from properties.case import Case
from properties.programs.choices import Choices
from properties.programs.generator import generate
from properties.programs.policies import draw_policy
from properties.programs.shape import Shape
from properties.programs.words import in_words


def draw_case(
    choices: Choices,
    *,
    preset: Policy,
    device: str,
    seed: str = "",
    kernels: Kernels = BUILTIN,
    limits: Limits | None = None,
    shape: Shape | None = None,
    invalid: bool = True,
    replays: bool = True,
    byte_exact: bool = True,
) -> Case:
    """One case around ``preset``; ``limits`` are the device's.

    Without ``byte_exact`` the program asks for whole words only.
    """
    policy = draw_policy(choices, preset)
    limits = (limits or Limits()).within(policy.memory_budget_bytes)
    program = generate(
        choices, kernels=kernels, limits=limits, shape=shape, invalid=invalid, replays=replays
    )
    if not byte_exact:
        program = in_words(program)
    return Case(program=program, policy=policy, device=device, seed=seed)
