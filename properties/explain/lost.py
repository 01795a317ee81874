"""Tries which ops a runtime accepts on a lost device, and from what it hears of the loss.

A device of profile ``spec`` has a promise of its loss, and calls on it raise nothing once it is
lost.  A device of profile ``wgpu-native`` has no such promise, and calls on it raise.
"""

from collections.abc import Iterator
from dataclasses import replace

from gpusim.errors import DeviceLost
from gpusim.ops import Alloc
from gpusim.program import Program
from gpusim.simulated.profile import PROFILES
from gpusim.text import write_op
from properties.explain.calls import Call, calls
from properties.explain.experiments import Judge, instead_of
from properties.explain.told import NOTHING, Told
from properties.model.case import Case
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws.catalogue import G5
from properties.targets.failing import faults_of

_DEVICE_LOST = DeviceLost.__name__
_OF_LOSS = (FailureKind.ERROR, FailureKind.FAULTS)
_ON_THE_LOST = {
    "alloc": "alloc tried 4\n",
    "write": "write {name} 0 01010101\n",
    "write of no bytes": "write {name} 0 -\n",
    "dispatch": "dispatch affine {name} 1,1 1x1x1\n",
    "flush": "flush\n",
}
_TELLS = {
    True: "tells of its loss by a promise alone",
    False: "tells of its loss by the errors of calls, and has no promise of it",
}


def _end(verdict: Verdict, at: int, ops: str, again: Judge) -> str | None:
    """The error of the last of ``ops``, if these stand in the place of the op at ``at``."""
    text = f"{Program(verdict.execution.case.program.ops[:at])}{ops}"
    longer = instead_of(verdict, text, again)
    return longer.execution.history.outcomes[text.count("\n") - 1].error


def tell_loss(verdict: Verdict, failure: Failure, again: Judge | None) -> Told:
    """Which ops a runtime accepts after the loss of its device, and from what it hears of one."""
    case, lost = verdict.execution.case, _lost_at(verdict)
    if again is None or failure.kind not in _OF_LOSS or lost is None or lost.position < 0:
        return NOTHING
    outcomes = verdict.execution.history.outcomes
    raised = [n for n, each in enumerate(outcomes) if each.error == _DEVICE_LOST]
    after = raised[0] if raised else lost.position
    name = next((op.buffer for op in case.program if isinstance(op, Alloc)), "")
    ends = {
        what: _end(verdict, after + 1, op.format(name=name), again)
        for what, op in _ON_THE_LOST.items()
    }
    accepted = [what for what, end in ends.items() if end is None]
    refused = [what for what, end in ends.items() if end == _DEVICE_LOST]
    if not accepted:
        return NOTHING
    which = f"which raised {_DEVICE_LOST}" if raised else "in which the device was lost"
    facts = [
        *_with_other_profile(case, again, has_refused=bool(refused)),
        f"tried right after op {after}, {which}: accepted are {', '.join(accepted)}; refused are "
        f"{', '.join(refused) or 'none'}",
    ]
    if raised or failure.kind is not FailureKind.FAULTS:
        return Told(facts=tuple(facts))
    failed = [call for call in calls(verdict.execution.trace) if call.failed]
    heard = [f"; the first call that failed is call {call.number}" for call in failed[:1]]
    facts.append(
        f"the {lost.event.kind} of call {lost.number} lost the device and raised nothing"
        f"{''.join(heard)}"
    )
    passed = next((n for n in range(after + 1, len(outcomes)) if outcomes[n].error is None), after)
    sentence = (
        f"op {passed} ({write_op(case.program[passed])}) was accepted, though the device was lost "
        f"in op {after} ({write_op(case.program[after])})"
    )
    return Told(sentence=sentence, culprit=passed, rule=G5, facts=tuple(facts))


def _with_other_profile(case: Case, again: Judge, *, has_refused: bool) -> Iterator[str]:
    """Says so if the case passes on a device that tells of its loss in the other way."""
    own = PROFILES[case.device.profile]
    other = next(each for each in PROFILES.values() if each.tells_loss != own.tells_loss)
    device = replace(case.device, profile=other.name, schedule=())
    if again(replace(case, device=device)).failure is not None:
        return
    likeliest = ": likeliest only a promise is looked at"
    if own.tells_loss:
        likeliest = "" if has_refused else ": likeliest the promise is not looked at"
    yield (
        f"this device (profile {own.name}) {_TELLS[own.tells_loss]}; with profile {other.name}, "
        f"which {_TELLS[other.tells_loss]}, it passes{likeliest}"
    )


def _lost_at(verdict: Verdict) -> Call | None:
    """The call at which the plan loses the device, if it was made."""
    case = verdict.execution.case
    planned = faults_of(case.device.faults) if case.device.is_simulated else []
    for fault in planned:
        made = [call for call in calls(verdict.execution.trace) if call.event.kind == fault.verb]
        made = [call for call in made if call.event.about.get("commands") != 0]
        if fault.error is DeviceLost and fault.call < len(made):
            return made[fault.call]
    return None
