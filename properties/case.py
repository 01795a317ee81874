"""One execution to be judged: everything that decides it, as data."""

from dataclasses import dataclass

from gpusim.program import Program
from gpusim.runtime.policy import Policy


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A program, the policy and the device that run it, and the seed that made it."""

    program: Program
    policy: Policy
    device: str
    seed: str = ""
