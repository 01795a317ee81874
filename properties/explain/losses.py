"""Tries what is lost with a failed batch or with the device, and which ops are accepted then.

The loss of a batch is tried in small programs, on a device whose first submit fails.  The buffer x
is lost with that submit.  Until x is written whole, every op that uses it must be refused.  No
command of the failed batch may run later.

The loss of a device is tried with the failing case, right after the op at which the device was
lost.  A lost device of profile ``spec`` settles a promise, and calls on it raise nothing.  A lost
device of profile ``wgpu-native`` has no such promise, and calls on it raise.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from gpusim.errors import DataLost, DeviceLost, SubmitFailed
from gpusim.limits import WORD_BYTES
from gpusim.ops import Alloc, Write
from gpusim.program import Program
from gpusim.simulated.faults import FaultPlan
from gpusim.simulated.profile import PROFILES
from gpusim.text import write_op
from properties.explain.calls import Call, calls, calls_of
from properties.explain.neighbours import instead
from properties.explain.told import NOTHING, Told, listed
from properties.explain.trials import LIFTED, Evidence, Trials, by_trial
from properties.model.failure import FailureKind
from properties.oracles.laws.catalogue import G5
from properties.oracles.metamorphic.rewrites import sizes_of
from properties.targets.failing import faults_of

_MADE = (
    "alloc x 12\nalloc y 12\ncapture g {}\nwrite y 0 020000000200000002000000\n"
    "{}flush\n{}read x 0 12 -> rx\n"
)
_DISPATCH, _COPY = "dispatch affine x 1,1 1x1x1", "copy y 0 x 0 4"
_FOLD, _REPLAY = "dispatch fold x,y 1 1x1x1", "replay g * -"
_WRITERS = {
    "a dispatch": (_DISPATCH, _DISPATCH),
    "a copy": (_DISPATCH, _COPY),
    "a copy of odd bytes": (_DISPATCH, "copy y 0 x 1 3"),
    "a copy within it": (_DISPATCH, "copy x 0 x 4 8"),
    "a short write": (_DISPATCH, "write x 1 01"),
    "a replay of a dispatch": (_DISPATCH, _REPLAY),
    "a replay of a copy": (_COPY, _REPLAY),
}
"""By what wrote x: the command that is captured as g, and the op before the failing flush."""
_USERS = {
    "a read": (_DISPATCH, "read x 0 4 -> r"),
    "a dispatch that reads it": (_DISPATCH, _FOLD),
    "a dispatch that writes it": (_DISPATCH, _DISPATCH),
    "a copy from it": (_DISPATCH, "copy x 0 y 0 4"),
    "a replay of a dispatch that reads it": (_FOLD, _REPLAY),
    "a replay of a dispatch that writes it": (_DISPATCH, _REPLAY),
    "a replay of a copy from it": ("copy x 0 y 0 4", _REPLAY),
}
"""By what uses x: the command that is captured as g, and the op after the failing flush."""
_PARTS = {
    "a write of a part": "write x 0 01010101",
    "a write of one byte": "write x 1 01",
    "a copy to a part": _COPY,
}
_FLUSH, _USE, _AT_THE_END = 5, 6, -1
"""The places, in such a program, of the flush, of the op after it, and of the read at the end."""
_LOST = DataLost.__name__
_UNTOLD = "no submit failed"
_MOST_SAID = 4
_THREE = (
    "alloc x 8\nalloc y 8\ncopy x 0 y 0 4\ndispatch affine x 3,1 1x1x1\ncopy x 4 y 4 4\nflush\n"
    "sync\n"
)
_DEVICE_LOST = DeviceLost.__name__
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


def losses(evidence: Evidence) -> tuple[str, ...]:
    """Says what does not count as lost, which ops accept a lost buffer, and which make it usable.

    Empty if all of this is right.
    """
    is_traced = evidence.verdict.execution.is_lawful
    is_simulated = evidence.case.device.is_simulated
    if evidence.trials is None or not (is_simulated and is_traced and evidence.fits.replays):
        return ()
    trials = _with_failed_submit(evidence.trials)

    def tried(rows: Mapping[str, tuple[str, str, str]], asked: int) -> dict[str, bool]:
        ends = {what: _ends(trials, *ops)[asked] for what, ops in rows.items()}
        return {what: end is None for what, end in ends.items() if end in (None, _LOST)}

    kept = tried({what: (*ops, "") for what, ops in _WRITERS.items()}, _AT_THE_END)
    told = _said(
        kept,
        "after a failed submit, what {} wrote does not count as lost",
        "what {} wrote does",
        "after a failed submit nothing is lost, whatever wrote it: a dispatch, a copy, a short "
        "write or a replay",
    )
    if not all(kept.values()):
        told += _said(
            tried({what: (one, _DISPATCH, use) for what, (one, use) in _USERS.items()}, _USE),
            "a lost buffer is accepted by {}",
            "refused by {}",
            "a lost buffer is accepted by every op",
        )
        told += _said(
            tried({what: (_DISPATCH, _DISPATCH, op) for what, op in _PARTS.items()}, _AT_THE_END),
            "a lost buffer is accepted again after {}",
            "not after {}",
            "a lost buffer is accepted again after any write or copy to it",
        )
    return tuple(f"tried alone: {each}" for each in told)


def _with_failed_submit(trials: Trials) -> Trials:
    """The trials without limits of batches, on a device whose first submit fails."""
    device = replace(trials.case.device, faults=FaultPlan(failed_submits=(0,)), schedule=())
    return trials.plainly().under(**LIFTED).having(device=device)


def _said(tried: Mapping[str, bool], wrong: str, right: str, every: str) -> list[str]:
    bad = [what for what, is_wrong in tried.items() if is_wrong]
    good = [what for what, is_wrong in tried.items() if not is_wrong]
    # Right ones of the same sort as a wrong one tell most, so they come first.
    sorts = {what.split()[1] for what in bad}
    good.sort(key=lambda what: what.split()[1] not in sorts)
    if not bad or not good:
        return [every] * bool(bad)
    some, others = listed(bad, _MOST_SAID, "or"), listed(good, _MOST_SAID, "or")
    return [f"{wrong.format(some)}; {right.format(others)}"]


def _ends(trials: Trials, captured: str, waits: str, after: str) -> list[str | None]:
    """The error of each op of a program whose flush is the first submit.

    If the flush did not fail, nothing was lost; then each op gets ``_UNTOLD`` instead of an error.
    """
    text = _MADE.format(captured, f"{waits}\n", f"{after}\n" if after else "")
    outcomes = trials.run(text).execution.history.outcomes
    errors = [each.error or each.late_error for each in outcomes]
    return errors if errors[_FLUSH] == SubmitFailed.__name__ else [_UNTOLD] * len(errors)


def healed_by(evidence: Evidence, name: str, at: int, start: int) -> tuple[str, ...]:
    """Says which write of a part of the lost buffer ``name`` the case needs in order to fail."""
    trials, program = evidence.trials, evidence.program
    for n, op in list(enumerate(program))[start - 1 : at]:
        is_refused = evidence.ends[n].error is not None
        if trials is None or not isinstance(op, Write) or op.buffer != name or is_refused:
            continue
        if not trials.fails(instead(program, n)):
            return (
                f"without op {n} ({write_op(op)}), which writes a part of {name}, it passes: so op "
                f"{n} made {name} count as whole again{_healing(trials, n, op)}",
            )
    return ()


def _healing(trials: Trials, at: int, op: Write) -> str:
    """Says which lengths of the write at ``at`` make its buffer count as whole."""
    program = trials.case.program
    size = sizes_of(program).get(op.buffer, 0)
    words = size // WORD_BYTES * WORD_BYTES
    wrong, right = trials.apart(
        {
            str(length): instead(program, at, replace(op, offset=0, data=b"\1" * length))
            for length in sorted({1, words - WORD_BYTES, words, size - 1})
            if 0 < length < size
        }
    )
    if not wrong:
        return ""
    but = f", one of its first {' or '.join(right)} does not" if right else ""
    return f"; {op.buffer} has {size} bytes: a write of its first {' or '.join(wrong)} does so{but}"


def run_again(trials: Trials) -> tuple[str, ...]:
    """Says which commands of a batch run again after its submit failed.

    The batch has a copy, a dispatch and another copy.
    """
    trials = _with_failed_submit(trials).under(debug_submit_each=False)
    is_after, left = False, {"the first copy": 0, "the dispatch": 0, "the second copy": 0}
    for call in calls(trials.run(_THREE).execution.trace):
        if call.failed and call.event["verb"] == "submit":
            is_after = True
        elif is_after and call.event.kind == "dispatch":
            left["the dispatch"] += 1
        elif is_after and call.event.kind == "copy":
            left["the second copy" if call.event["target_offset"] else "the first copy"] += 1
    told = [what for what, count in left.items() if count]
    rest = [what for what, count in left.items() if not count]
    if not told:
        return ()
    return (
        "tried a copy, a dispatch and another copy in a batch whose submit fails; these run again: "
        f"{' and '.join(told)}{f', not {rest[0]}' if rest else ''}",
    )


@by_trial(FailureKind.ERROR, FailureKind.FAULTS)
def tell_loss(evidence: Evidence, trials: Trials) -> Told:
    """Tells which ops a runtime accepts after its device was lost.

    Also tells whether the case passes on a device that makes its loss known in the other way.
    """
    program, lost = evidence.program, _lost_at(evidence)
    if lost is None or lost.position < 0:
        return NOTHING
    outcomes = evidence.verdict.execution.history.outcomes
    raised = [n for n, each in enumerate(outcomes) if each.error == _DEVICE_LOST]
    after = raised[0] if raised else lost.position
    name = next((op.buffer for op in program if isinstance(op, Alloc)), "")
    ahead = Program(program.ops[: after + 1])
    ends = {
        what: trials.run(f"{ahead}{op.format(name=name)}").execution.history.outcomes[-1].error
        for what, op in _ON_THE_LOST.items()
    }
    accepted = [what for what, end in ends.items() if end is None]
    refused = [what for what, end in ends.items() if end == _DEVICE_LOST]
    if not accepted:
        return NOTHING
    which = f"which raised {_DEVICE_LOST}" if raised else "in which the device was lost"
    facts = [
        *_with_other_profile(trials, has_refused=bool(refused)),
        f"tried right after op {after}, {which}: accepted are {', '.join(accepted)}; refused are "
        f"{', '.join(refused) or 'none'}",
    ]
    if raised or evidence.failure.kind is not FailureKind.FAULTS:
        return Told(facts=tuple(facts))
    failed = [call for call in calls(evidence.trace) if call.failed]
    heard = [f"; the first call that failed is call {call.number}" for call in failed[:1]]
    facts.append(
        f"the {lost.event.kind} of call {lost.number} lost the device and raised nothing"
        f"{''.join(heard)}"
    )
    passed = next((n for n in range(after + 1, len(outcomes)) if outcomes[n].error is None), after)
    sentence = (
        f"op {passed} ({write_op(program[passed])}) was accepted, though the device was lost in op "
        f"{after} ({write_op(program[after])})"
    )
    return Told(sentence=sentence, culprit=passed, rule=G5, facts=tuple(facts))


def _with_other_profile(trials: Trials, *, has_refused: bool) -> Iterator[str]:
    """Says so if the case passes on a device that tells of its loss in the other way."""
    device = trials.case.device
    own = PROFILES[device.profile]
    other = next(each for each in PROFILES.values() if each.tells_loss != own.tells_loss)
    changed = trials.having(device=replace(device, profile=other.name, schedule=()))
    if changed.fails(trials.case.program):
        return
    likeliest = ": likeliest the runtime looks only at a promise"
    if own.tells_loss:
        likeliest = "" if has_refused else ": likeliest the runtime does not look at the promise"
    yield (
        f"this device (profile {own.name}) {_TELLS[own.tells_loss]}; with profile {other.name}, "
        f"which {_TELLS[other.tells_loss]}, it passes{likeliest}"
    )


def _lost_at(evidence: Evidence) -> Call | None:
    """The call at which the plan loses the device, if it was made."""
    device = evidence.case.device
    for fault in faults_of(device.faults) if device.is_simulated else ():
        made = [
            call
            for call in calls_of(evidence.trace, fault.verb)
            if call.event.about.get("commands") != 0
        ]
        if fault.error is DeviceLost and fault.call < len(made):
            return made[fault.call]
    return None
