"""Follows planned faults: which call failed, which op raised the error, what was lost.

A fault is raised once, by the op or the read to which it belongs.  What the batch of the failed
call would have written is lost.  So a runtime can go wrong in five ways: it swallows the fault,
gives it to the wrong read, raises it again later, refuses bytes that were not lost, or uses lost
bytes.
"""

from collections.abc import Iterator
from dataclasses import replace

from gpusim.effects import written_by
from gpusim.errors import DataLost, SubmitFailed
from gpusim.ops import Op, Read, Replay, Sync
from gpusim.program import buffers_of, captures_of, replayed
from gpusim.text import write_op
from properties.explain import rules
from properties.explain.calls import Call
from properties.explain.disturbed import tell_disturbed
from properties.explain.experiments import shown_by
from properties.explain.kinds import UNEXPLAINED
from properties.explain.losses import healed_by, losses
from properties.explain.neighbours import instead
from properties.explain.pages import page_of
from properties.explain.reported import of_client
from properties.explain.scene import Step
from properties.explain.told import NOTHING, Told, told
from properties.explain.trials import Evidence
from properties.model.failure import FailureKind
from properties.oracles.faulted import overwritten, used
from properties.oracles.metamorphic.rewrites import sizes_of

_DATA_LOST = DataLost.__name__
_VALUES = (FailureKind.VALUE, FailureKind.LATE_ERROR)


def tell_faults(evidence: Evidence) -> Told:
    """What became of the faults that the device met; NOTHING if the device met no fault."""
    case, kind = evidence.case, evidence.failure.kind
    if case.disturbance is not None and case.injected:
        return tell_disturbed(evidence, case.disturbance)
    failed = evidence.failed
    if not failed or not len(case.device.faults):
        return NOTHING
    met, said = _met(failed[0], evidence), NOTHING
    if kind is FailureKind.FAULTS:
        kept = _kept(evidence, failed)
        return kept or Told(facts=of_client(evidence, failed[0]), later=(met,))
    if kind is FailureKind.ERROR:
        said = _swallowed(evidence, failed) or _held_against(evidence, failed)
    if kind in _VALUES:
        said = _stands(evidence, failed)
    return said or told(met)


def _met(call: Call, evidence: Evidence) -> str:
    """Says which call failed, during which op, and which op raised the error."""
    outcomes = evidence.verdict.execution.history.outcomes
    late = [n for n, each in enumerate(outcomes) if each.late_error == call.failed]
    error = outcomes[call.position].error if 0 <= call.position < len(outcomes) else None
    by = f", and that op raised it{'' if error == call.failed else f' as {error}'}" if error else ""
    by = by or (f", and the read of op {late[0]} gave it" if late else "")
    verb, reason = call.event["verb"], _reason(call, evidence)
    is_asked = call.op is None or reason in ("", call.op.verb, "asked")
    why = f", reason: {reason}" if verb == "submit" and not is_asked else ""
    number = f"call {call.number}{why}"
    return f"the call {verb} ({number}) failed with {call.failed} during {call.place}{by}"


def _reason(call: Call, evidence: Evidence) -> str:
    """The reason of the last submit begun no later than ``call``; empty if there was none."""
    begun = [each for each in evidence.calls("encode") if each.number <= call.number]
    return begun[-1].event["reason"] if begun else ""


def tell_taken_along(evidence: Evidence) -> Told:
    """Tells of a read that ended with the error of a failed call which did not serve that read.

    Only a case with a single failed call is told.
    """
    failed = evidence.failed
    if len(failed) != 1 or not len(evidence.case.device.faults):
        return NOTHING
    call = failed[0]
    same = [each for each in evidence.calls("map", "take") if each.number == call.number]
    for at, outcome in enumerate(evidence.verdict.execution.history.outcomes):
        page = page_of(evidence, at) if outcome.late_error == call.failed else None
        is_mapped = page and page.staging in [each.event["buffer"] for each in same]
        if page is not None and page.submit < call.number and not is_mapped:
            return told(
                f"the failed {call.event['verb']} (call {call.number}) was not made for op {at}, "
                f"which was submitted before (call {page.submit}); yet the read of op {at} ended "
                f"with {call.failed} as well"
            )
    return NOTHING


def _kept(evidence: Evidence, failed: list[Call]) -> Told:
    """Tells of a failed call whose error was raised again when a later op asked for such a call."""
    device = evidence.case.device
    for at, later in enumerate(failed):
        verb, count = later.event["verb"], device.planned_faults[later.failed]
        same = [e for e in failed[:at] if (e.event["verb"], e.failed) == (verb, later.failed)]
        if not same or len(same) < count:
            continue
        first = same[0]
        return Told(
            sentence=f"{later.place} raised {later.failed}, the failure of the {verb} in "
            f"{first.place}, again: the failure was kept, and the {verb} was not tried again",
            culprit=later.position,
            rule=rules.REPORTED,
            facts=(
                f"the plan, {device.faults}, has {count} {later.failed}, and the first was the "
                f"{verb} of op {first.position}",
                f"nothing failed on the device in op {later.position}: the {verb} that op "
                f"{later.position} asked for was answered with the old error",
            ),
        )
    return NOTHING


def _taken(call: Call, evidence: Evidence) -> dict[str, int]:
    """The buffers that the batch of a failed call would have written, each with its writing op."""
    program, traced = evidence.program, evidence.traced
    positions = [position for position, _ in traced.submits.get(call.number, ())]
    earlier = (places for number, places in traced.submits.items() if number < call.number)
    if any(position == call.position for places in earlier for position, _ in places):
        # The op was done in part when the call failed, so it lost all that it writes.
        positions.append(call.position)
    if call.failed == SubmitFailed.__name__ and call.event["verb"] != "submit":
        # The call that failed came before the submit, so the batch was never submitted.
        positions = [
            each.position
            for each in traced.reached
            if each.submitted < 0 and each.position < min(call.position, len(program))
        ]
    kernels, captures = evidence.verdict.execution.kernels, captures_of(program)
    return {
        name: position
        for position in positions
        for name in written_by(program[position], kernels, captures)
    }


def _swallowed(evidence: Evidence, failed: list[Call]) -> Told:
    """Tells that a sync, made by the client within the op, swallowed a failed submit.

    The sync raised nothing; the op then raised DataLost.
    """
    at, outcomes = evidence.at, evidence.verdict.execution.history.outcomes
    call = next((each for each in failed if each.position == at), None)
    if call is None or call.op is None or isinstance(call.op, Sync | Read):
        return NOTHING
    is_synced = _reason(call, evidence) == Sync.verb and call.event["verb"] == "submit"
    if not is_synced or outcomes[at].error != _DATA_LOST:
        return NOTHING
    return Told(
        sentence=f"a sync that client {evidence.case.client} made in {evidence.place(at)} met the "
        f"failed submit of call {call.number} and ended in silence: the sync must raise "
        f"{call.failed}; instead op {at} then raised {_DATA_LOST}",
        culprit=at,
        rule=rules.REPORTED,
        facts=(
            f"the submit of call {call.number} was encoded for a sync, and failed with "
            f"{call.failed}",
        ),
    )


def _held_against(evidence: Evidence, failed: list[Call]) -> Told:
    """Tells that the op was refused for lost bytes, though no failed batch was to write these."""
    at, op, traced = evidence.at, evidence.op, evidence.traced
    if op is None or not traced.is_known or evidence.ends[at].error != _DATA_LOST:
        return NOTHING
    names = tuple(dict.fromkeys(buffers_of(op)))
    batches = [call for call in failed if call.event["verb"] == "submit" and call.position < at]
    lost = [_taken(call, evidence) for call in batches]
    if not batches or any(name in taken for taken in lost for name in names):
        return NOTHING
    held = ", ".join(f"op {n}" for n, _ in traced.submits.get(batches[-1].number, ()))
    facts = [
        f"{_met(batches[-1], evidence)}; the batch of that call held "
        f"{held or 'no command of an op'} and writes "
        f"{', '.join(lost[-1]) or 'no buffer of the program'}"
    ]
    writer = _last_writer(evidence, at, names)
    reached = traced.of(writer)
    if reached is not None and reached.submitted >= 0:
        facts.append(
            f"{evidence.place(writer)} wrote {', '.join(names)} last, and was submitted at call "
            f"{reached.submitted}, which did not fail"
        )
    return Told(
        sentence=f"{evidence.place(at)} was refused with {_DATA_LOST}, though the batch that "
        f"failed wrote nothing of {', '.join(names)}: what other batches wrote was taken for lost "
        "as well",
        culprit=at,
        rule=rules.LOST,
        facts=tuple(facts),
    )


def _last_writer(evidence: Evidence, until: int, names: tuple[str, ...]) -> int:
    program, kernels = evidence.program, evidence.verdict.execution.kernels
    captures = captures_of(program)
    writers = (
        at
        for at in reversed(range(until))
        if evidence.ends[at].error is None
        and {*names} & {*written_by(program[at], kernels, captures)}
    )
    return next(writers, -1)


def _stands(evidence: Evidence, failed: list[Call]) -> Told:
    """Tells of an op that used lost bytes and was accepted.

    Or of a failed replay whose first commands kept their effect.
    """
    half, healed = _half_done(evidence, failed), _healed(evidence, failed)
    if not (half or healed):
        return NOTHING
    lost = losses(evidence)
    # No trial of ``losses`` has a half-done replay.  So if one goes wrong, ``healed`` is the cause.
    said = healed if healed and (lost or not half) else half
    return replace(said, facts=(*lost[:1], *said.facts, *lost[1:]))


def _half_done(evidence: Evidence, failed: list[Call]) -> Told:
    """Tells that a replay failed at a command, and that its earlier commands kept their effect."""
    scene = shown_by(evidence.verdict).scene
    for call in failed:
        op, at = call.op, call.position
        if not isinstance(op, Replay) or at >= evidence.at:
            continue
        before = [step for step in scene.steps if step.position < at]
        after = [step for step in scene.steps if step.position > at]
        commands = replayed(scene.captures[op.graph], op)
        for count in range(1, len(commands) + 1):
            done = [Step(at, each, n, at) for n, each in enumerate(commands[:count])]
            history = scene.run([*before, *done, *after])
            if history is not None and history.outcomes[evidence.at].data == evidence.got:
                return _left(evidence, call, count)
    return NOTHING


def _left(evidence: Evidence, call: Call, count: int) -> Told:
    """Tells what the first ``count`` commands of a replay left behind when ``call`` failed."""
    at, met = evidence.at, _met(call, evidence)
    for name in buffers_of(evidence.program[at]):
        part = healed_by(evidence, name, at, call.position + 1)
        if part:
            return Told(
                sentence=f"{evidence.place(at)} used {name}, which is lost since {call.place} "
                f"failed half done, and was accepted: it must be refused with {_DATA_LOST}",
                culprit=at,
                rule=rules.LOST,
                facts=(*part, met),
            )
    first = "its first command" if count == 1 else f"its first {count} commands"
    return Told(
        sentence=f"{call.place} failed at the {call.event['verb']} of call {call.number}, but what "
        f"{first} wrote remains: {evidence.place(at)} gave those bytes.  A replay that fails must "
        f"change nothing, or else what its commands write must be lost ({_DATA_LOST})",
        culprit=call.position,
        rule=rules.WHOLE,
        facts=(met,),
    )


def _healed(evidence: Evidence, failed: list[Call]) -> Told:
    """Tells of an op that was accepted though it used what a failed batch would have written."""
    program, sizes = evidence.program, sizes_of(evidence.program)
    lost: dict[str, int] = {}
    undone: dict[str, int] = {}
    for call in failed:
        lost |= _taken(call, evidence)
    start = failed[0].position + 1
    for at, op in enumerate(program.ops[start : evidence.at + 1], start):
        ops = replayed(captures_of(program)[op.graph], op) if isinstance(op, Replay) else [op]
        names = [name for name in used(ops, sizes) if name in lost]
        end = evidence.ends[at]
        is_accepted = end.error is None and end.late_error is None
        if names and is_accepted:
            said = _used(evidence, at, names[0], lost[names[0]], failed[0])
            healed = healed_by(evidence, names[0], at, start)
            undid = (
                f"{evidence.place(n)} was to write the lost buffer whole, but raised "
                f"{evidence.ends[n].error} and was taken back; so the buffer is lost as before"
                for n in [undone[name] for name in names[:1] if name in undone]
            )
            return replace(said, facts=(*undid, *healed, *said.facts))
        for name in [name for each in ops for name in overwritten(each, sizes)]:
            if is_accepted:
                lost.pop(name, None)
            elif name in lost:
                undone[name] = at
    return NOTHING


def _used(evidence: Evidence, at: int, name: str, writer: int, call: Call) -> Told:
    return Told(
        sentence=f"{evidence.place(at)} used {name}, which was lost with the batch of op {writer}, "
        f"and was accepted: it must be refused with {_DATA_LOST}{_plainly(evidence, at)}",
        culprit=at,
        rule=rules.LOST,
        facts=(
            f"{_met(call, evidence)}; the batch of that call held {evidence.place(writer)}, so "
            f"{name} is lost until it is written whole",
        ),
    )


def _plainly(evidence: Evidence, at: int) -> str:
    """Calls the commands of a replay outside its graph; names the first that raises DataLost."""
    program, again, op = evidence.program, evidence.again, evidence.program[at]
    if again is None or not isinstance(op, Replay):
        return ""
    commands: list[Op] = list(replayed(captures_of(program)[op.graph], op))
    plain = replace(evidence.case, program=instead(program, at, *commands))
    outcomes = again(plain).execution.history.outcomes
    for command, outcome in zip(commands, outcomes[at : at + len(commands)], strict=True):
        if outcome.error == _DATA_LOST:
            return f"; called outside the graph, its {write_op(command)} is refused"
    return ""


def tell_zeros(evidence: Evidence) -> Told:
    """Tells that a read gave zeros and no error, though a later call failed.

    If a mistake explains the bytes, this tells nothing, unless no call took the read's bytes.
    """
    at, failed = evidence.at, evidence.failed
    if evidence.failure.kind is not FailureKind.VALUE or not failed or failed[0].position <= at:
        return NOTHING
    got, meant = evidence.got, evidence.meant
    if got is None or meant is None or len(got) != len(meant):
        return NOTHING
    wrong = [byte for byte, own in zip(got, meant, strict=True) if byte != own]
    untaken = (*_untaken(evidence, at),)
    is_explained = UNEXPLAINED not in evidence.argument.sentence
    if any(wrong) or evidence.ends[at].late_error is not None or (is_explained and not untaken):
        return NOTHING
    return Told(
        sentence=f"{evidence.place(at)} gave zeros instead of some bytes, and no error, "
        f"though {failed[0].event['verb']} (call {failed[0].number}) failed with "
        f"{failed[0].failed} in {failed[0].place}",
        culprit=at,
        rule=rules.OWN_ERROR,
        facts=(*untaken, _met(failed[0], evidence)),
    )


def _untaken(evidence: Evidence, at: int) -> Iterator[str]:
    """Says so if no call took the bytes of the read at ``at`` from its staging buffer."""
    page = page_of(evidence, at)
    if page is not None and not any(call.event["data"] for call in page.taken(evidence)):
        yield (
            f"no call took the bytes of op {at} from staging buffer {page.staging}, to which they "
            "were copied: so the zeros are not the device's, and the read must end with an error"
        )
