"""Aims the faults of a case at calls whose failure leaves a runtime the most to put right.

A fault at a drawn number usually meets an op with nothing around it.  So some cases first run once
without faults.  Their trace shows the better calls: those while a sync waits for reads, in the
middle of a replay, or when a pool or a ring grows.  One of these calls then fails, and sometimes an
earlier submit too.  Only our own runtime on a simulated device is aimed at, since there the trace
counts calls as a plan does.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from gpusim.ops import Alloc, Op, Read, Replay, Sync
from gpusim.runtime.commands import Role
from gpusim.simulated import NO_FAULTS, FaultPlan
from gpusim.trace import Event, Trace
from properties.clients import BESIDE
from properties.execute import execute
from properties.generate.choices import Choices, SeededChoices, Weights
from properties.model.case import FIELD_OF_CALL, PLAIN, Case
from properties.targets.factory import TargetFactory

_CALLS_OF_ITS_OWN = (BESIDE, "sharing")
"""Clients that make calls which the trace does not count."""
_OFTEN = {"sync": 4, "replay": 4}
"""The weights of kinds of calls; any other kind has weight 1."""
_EARLIER = 4
"""The most submits by which a second fault may come before the first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Spot:
    """A call to aim at: why its failure matters, its verb and number, and the submits before it."""

    kind: str
    verb: str
    number: int
    submits: int


def with_aim(case: Case, factory: TargetFactory) -> Case:
    """``case`` with its faults replaced by aimed ones; in most cases unchanged.

    To aim, this runs the case once without faults.
    """
    is_fit = case.device.is_simulated and case.client not in _CALLS_OF_ITS_OWN
    if not is_fit or not case.device.shown_faults:
        return case
    choices = SeededChoices(f"aim {case.seed}")
    if not choices.chance(1, 6 if case.client == PLAIN else 2):
        return case
    sound = replace(case, device=replace(case.device, faults=NO_FAULTS))
    spots = [*_spots(execute(sound, factory).trace)]
    if not spots:
        return case
    kinds = {spot.kind for spot in spots}
    kind = choices.weighted(Weights(*((kind, _OFTEN.get(kind, 1)) for kind in sorted(kinds))))
    aim = choices.pick([spot for spot in spots if spot.kind == kind])
    return replace(case, device=replace(case.device, faults=_plan(choices, aim)))


def _plan(choices: Choices, aim: _Spot) -> FaultPlan:
    planned = {FIELD_OF_CALL[aim.verb]: {aim.number}}
    if aim.submits and choices.chance(1, 2):
        back = choices.integer(1, min(_EARLIER, aim.submits))
        planned.setdefault("failed_submits", set()).add(aim.submits - back)
    values: dict[str, Any] = {name: tuple(sorted(numbers)) for name, numbers in planned.items()}
    return FaultPlan(**values)


def _spots(trace: Trace) -> Iterator[_Spot]:
    """The calls at which a failure leaves most to be put right."""
    op: Op | None = None
    calls: Counter[str] = Counter()
    pending: deque[str] = deque()
    made: set[Role] = set()
    for event in trace:
        if event.kind == "drain":
            return  # The calls of a drain are not in the trace, so later numbers would be wrong.
        if event.kind == "op":
            op = event["op"]
        elif event.kind == "outcome" and isinstance(op, Read) and event["error"] is None:
            pending.append(op.result)
        elif event.kind == "delivered" and event["result"] in pending:
            pending.remove(event["result"])
        elif event.kind in FIELD_OF_CALL and event.about.get("commands") != 0:
            # An encode of nothing has no number.
            kind = _kind_of(event, op, bool(pending), made)
            if kind:
                number, submits = calls[event.kind], calls["submit"]
                yield _Spot(kind=kind, verb=event.kind, number=number, submits=submits)
            calls[event.kind] += 1


def _kind_of(event: Event, op: Op | None, reads_wait: bool, made: set[Role]) -> str:
    """Why a call is worth a fault; empty if it is not.  Notes in ``made`` what was made."""
    if event.kind == "create_buffer" and not isinstance(op, Alloc):
        role = event["role"]
        if role in made and role is not Role.STORAGE:
            return f"another {role} buffer"
        made.add(role)
    if event.kind == "map":
        return "map"
    if isinstance(op, Sync) and reads_wait:
        return "sync"
    return "replay" if isinstance(op, Replay) else ""
