"""What is drawn beside a program: who drives it, and what must change nothing.

Both are drawn apart from the program, so as not to change it, and belong to the
case from then on.  A program has one or the other or, mostly, neither: each
costs an execution or makes one slower.
"""

from dataclasses import replace

from gpusim.kernels import Kernels
from properties.clients import CLIENTS
from properties.model.case import PLAIN, Case
from properties.oracles.metamorphic import draw_transformations
from properties.programs.choices import Choices, SeededChoices, Weights

_IN_EIGHT = {"client": 2, "relations": 2, "without faults": 2}
_CLIENTS = Weights((PLAIN, len(CLIENTS)), *((name, 1) for name in CLIENTS if name != PLAIN))


def draw_client(choices: Choices) -> str:
    """The name of a client: the plain one in about half of the cases."""
    return choices.weighted(_CLIENTS)


def with_variants(case: Case, kernels: Kernels, *, refuses: bool, clients: bool = True) -> Case:
    """``case`` with a client, where any of ``clients`` could drive it, or with transformations.

    Planned faults come at a call by its number, which neither leaves as it was:
    there the faults are what is left out.
    """
    choices = SeededChoices(f"drawn {case.seed}")
    turn = choices.integer(0, 7)
    if case.device.shown_faults:
        return case
    if turn < _IN_EIGHT["client"]:
        return replace(case, client=draw_client(choices)) if clients else case
    if turn < _IN_EIGHT["client"] + _IN_EIGHT["relations"]:
        drawn = draw_transformations(choices, case, refuses=refuses, kernels=kernels)
        return replace(case, transformations=drawn)
    return case


def tries_without_faults(case: Case) -> bool:
    """Whether a session holds ``case``, on a device that fails, against the same without faults."""
    turn = SeededChoices(f"drawn {case.seed}").integer(0, 7)
    return bool(case.device.shown_faults) and turn < _IN_EIGHT["without faults"]
