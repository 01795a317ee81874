"""Aims the faults of a case at calls after which a runtime has most to put right.

A fault at a drawn number mostly meets an op that is alone.  So some cases run once without faults,
and their trace says which calls come while a sync has reads to wait for, in the middle of a replay,
or where a pool or a ring grows.  One of those calls then fails, and at times an earlier submit too.
Only the calls of our own driver on a simulated device have the numbers of a plan.
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
"""Clients that call the device past the trace, so that its numbers are not those of a plan."""
_OFTEN = {"sync": 4, "replay": 4}
"""How often each kind of call is aimed at, where it is not once."""
_EARLIER = 4
"""How many submits before its call a second fault may come."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Spot:
    """A call that may fail: why that matters, its verb and number, and the submits before it."""

    kind: str
    verb: str
    number: int
    submits: int


def with_aim(case: Case, factory: TargetFactory) -> Case:
    """``case`` with its faults aimed, if it is one of the cases whose faults are.

    It runs once without faults for that.
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
            return  # What a drain calls is not in the trace, so that the numbers end here.
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
