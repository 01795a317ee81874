"""Variants: which cases get a client, transformations, or a policy that drops late dispatches.

Variants are drawn independently of the program.  Only about half of our runtime's programs have a
client or transformations: these cost a second execution, or a slower one.  No program has both.
Nothing here runs a case.
"""

from dataclasses import replace

from gpusim.kernels import Kernels
from gpusim.limits import Limits
from properties.clients import asked_by, draw_client, draw_meeting, suiting
from properties.generate.choices import SeededChoices
from properties.generate.fitting import fitted
from properties.model.capabilities import Capabilities
from properties.model.case import Case
from properties.oracles.metamorphic import draw_transformations

_IN_EIGHT = {"client": 2, "relations": 2, "without faults": 2, "client meets faults": 3}
"""How many of eight programs get each variant; the last two are for programs with faults."""
_LIMITED = 7
"""Of eight programs, the one whose policy may drop all dispatches past a limit."""
_MOST_DISPATCHES = 12


def with_foreign_client(
    case: Case, promises: Capabilities, kernels: Kernels, limits: Limits
) -> Case:
    """``case`` of a foreign target; two cases of eight get a client that suits the target.

    A client that waits by itself could take the error by which a sync reports a refused op.  So
    its case promises nothing of such ops, and has none.
    """
    choices = SeededChoices(f"drawn {case.seed}")
    names = asked_by(promises)
    if not names or choices.integer(0, 7) >= _IN_EIGHT["client"]:
        return case
    case = replace(case, client=choices.pick(names))
    if case.client in suiting(promises):
        return case
    told = promises.without_late()
    return replace(case, promises=told, program=fitted(case.program, told, kernels, limits))


def with_variants(case: Case, kernels: Kernels, *, refuses: bool, clients: bool = True) -> Case:
    """``case``, at times with drawn transformations or, if ``clients``, with a drawn client.

    A case with planned faults gets no transformations.  A fault is planned for a call by its
    number, so transformations would move faults to other ops.  Such a case may get a client, or
    be compared with the same case without faults.
    """
    choices = SeededChoices(f"drawn {case.seed}")
    turn = choices.integer(0, 7)
    if case.device.shown_faults:
        meets = 0 <= turn - _IN_EIGHT["without faults"] < _IN_EIGHT["client meets faults"]
        return replace(case, client=draw_meeting(choices)) if clients and meets else case
    if turn < _IN_EIGHT["client"]:
        return replace(case, client=draw_client(choices)) if clients else case
    if turn < _IN_EIGHT["client"] + _IN_EIGHT["relations"]:
        drawn = draw_transformations(choices, case, refuses=refuses, kernels=kernels)
        return replace(case, transformations=drawn)
    if clients and turn == _LIMITED and choices.chance(1, 4):
        # Dropping dispatches changes what a program means, so it gets no client and no relation.
        limit = choices.integer(0, _MOST_DISPATCHES)
        return replace(case, policy=replace(case.policy, debug_dispatch_limit=limit))
    return case


def tries_without_faults(case: Case) -> bool:
    """Whether a session compares ``case``, which has faults, with the same case without faults."""
    turn = SeededChoices(f"drawn {case.seed}").integer(0, 7)
    return bool(case.device.shown_faults) and turn < _IN_EIGHT["without faults"]
