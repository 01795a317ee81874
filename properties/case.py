"""One execution to be judged: everything that decides it, as data."""

from dataclasses import dataclass

from gpusim.program import Program
from gpusim.runtime.policy import Policy

PLAIN = "plain"
"""The caller that just calls."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A program, the policy and the device that run it, and the seed that made it.

    ``caller`` names how it is driven, as ``properties.callers`` does.
    ``transformations`` are what must change nothing, one a text, as
    ``properties.oracles.metamorphic`` writes them.
    """

    program: Program
    policy: Policy
    device: str
    seed: str = ""
    caller: str = PLAIN
    transformations: tuple[str, ...] = ()
