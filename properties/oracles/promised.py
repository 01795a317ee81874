"""Whether a program asks a target for nothing that it does not promise.

Programs are drawn like that; what is made of them, smaller or changed, may ask for more.
"""

from gpusim.kernels import Kernels
from gpusim.limits import Limits
from gpusim.program import Program
from properties.model.target import Capabilities
from properties.programs.words import in_words
from reference import run as run_reference


def is_promised(
    program: Program, capabilities: Capabilities, kernels: Kernels, limits: Limits
) -> bool:
    """Whether ``program`` holds whole words only, and nothing that is refused, where it has to."""
    if not capabilities.byte_exact and in_words(program) != program:
        return False
    if capabilities.refuses:
        return True
    meant = run_reference(program, kernels, limits)
    return all(outcome.error is None for outcome in meant.outcomes)
