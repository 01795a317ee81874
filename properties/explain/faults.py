"""Follows planned faults: which call failed, which op raised the error, what was lost.

A fault is raised once, by the op or the read to which it belongs.  What the batch of the failed
call would have written is lost.  So a runtime can go wrong in five ways: it swallows the fault,
gives it to the wrong read, raises it again later, refuses bytes that were not lost, or uses lost
bytes.
"""

from dataclasses import replace

from gpusim.effects import written_by
from gpusim.errors import DataLost, SubmitFailed
from gpusim.ops import Op, Read, Replay, Sync
from gpusim.program import buffers_of, captures_of, replayed
from gpusim.text import write_op
from properties.explain import rules
from properties.explain.calls import Call, calls
from properties.explain.clocks import Traced
from properties.explain.disturbed import tell_disturbed
from properties.explain.experiments import Judge, shown_by
from properties.explain.losses import healed_by, losses
from properties.explain.neighbours import instead
from properties.explain.reported import of_client
from properties.explain.scene import Step
from properties.explain.told import NOTHING, Told
from properties.model.failure import Failure, FailureKind
from properties.oracles.faulted import overwritten, used
from properties.oracles.judge import Verdict
from properties.oracles.metamorphic.rewrites import sizes_of

_DATA_LOST = DataLost.__name__
_OF_MAPS = ("map", "take")
_VALUES = (FailureKind.VALUE, FailureKind.LATE_ERROR)


def tell_faults(verdict: Verdict, failure: Failure, traced: Traced, again: Judge | None) -> Told:
    """What became of the faults that the device met; NOTHING if the device met no fault."""
    case = verdict.execution.case
    if case.disturbance is not None and case.injected:
        return tell_disturbed(verdict, failure, case.disturbance, again)
    failed = [call for call in calls(verdict.execution.trace) if call.failed and call.is_own]
    if not failed or not len(case.device.faults):
        return NOTHING
    facts = tuple(_met(call, verdict) for call in failed[:1])
    if failure.kind is FailureKind.FAULTS:
        kept = _kept(verdict, failed)
        return kept if kept.sentence else Told(facts=of_client(verdict, failed[0]), later=facts)
    if failure.kind is FailureKind.ERROR:
        told = _swallowed(verdict, failure, failed)
        return told or _held_against(verdict, failure, failed, traced) or Told(facts=facts)
    if failure.kind in _VALUES:
        return _stands(verdict, failure, failed, traced, again) or Told(facts=facts)
    return Told(facts=facts)


def _met(call: Call, verdict: Verdict) -> str:
    """Says which call failed, during which op, and which op raised the error."""
    outcomes = verdict.execution.history.outcomes
    late = [n for n, each in enumerate(outcomes) if each.late_error == call.failed]
    is_raised = call.position < len(outcomes) and call.position >= 0
    error = outcomes[call.position].error if is_raised else None
    by = f", and that op raised it{'' if error == call.failed else f' as {error}'}" if error else ""
    by = by or (f", and the read of op {late[0]} gave it" if late else "")
    verb = call.event["verb"]
    reasons = [
        each.event["reason"]
        for each in calls(verdict.execution.trace)
        if each.event.kind == "encode" and each.number <= call.number
    ]
    why = ""
    if (
        verb == "submit"
        and reasons
        and call.op is not None
        and reasons[-1] not in (call.op.verb, "asked")
    ):
        why = f", reason: {reasons[-1]}"
    number = f"call {call.number}{why}"
    return f"the call {verb} ({number}) failed with {call.failed} during {call.place}{by}"


def tell_taken_along(verdict: Verdict, traced: Traced) -> Told:
    """Tells of a read that ended with the error of the only failed call, made for other bytes."""
    failed = [call for call in calls(verdict.execution.trace) if call.failed and call.is_own]
    if len(failed) != 1 or not len(verdict.execution.case.device.faults):
        return NOTHING
    call = failed[0]
    same = [each.event for each in calls(verdict.execution.trace) if each.number == call.number]
    mapped = [event["buffer"] for event in same if event.kind in _OF_MAPS]
    for at, outcome in enumerate(verdict.execution.history.outcomes):
        submit, copy = traced.fetched.get(at, (call.number, {}))
        is_other = submit < call.number and copy.get("target") not in mapped
        if outcome.late_error == call.failed and is_other:
            fact = (
                f"the failed {call.event['verb']} (call {call.number}) was not made for op {at}, "
                f"which was submitted before (call {submit}); yet the read of op {at} ended with "
                f"{call.failed} as well"
            )
            return Told(facts=(fact,))
    return NOTHING


def _kept(verdict: Verdict, failed: list[Call]) -> Told:
    """Tells of a failed call whose error was raised again when a later op asked for such a call."""
    planned = verdict.execution.case.device.planned_faults
    for at, later in enumerate(failed):
        same = [each for each in failed[:at] if _alike(each, later)]
        if len(same) < planned[later.failed] or not same:
            continue
        first, verb = same[0], later.event["verb"]
        facts = (
            f"the plan, {verdict.execution.case.device.faults}, has {planned[later.failed]} "
            f"{later.failed}, and the first was the {verb} of op {first.position}",
            f"nothing failed on the device in op {later.position}: the {verb} that op "
            f"{later.position} asked for was answered with the old error",
        )
        sentence = (
            f"{later.place} raised {later.failed}, the failure of the {verb} in {first.place}, "
            f"again: the failure was kept, and the {verb} was not tried again"
        )
        return Told(sentence=sentence, culprit=later.position, rule=rules.REPORTED, facts=facts)
    return NOTHING


def _alike(one: Call, other: Call) -> bool:
    return (one.event["verb"], one.failed) == (other.event["verb"], other.failed)


def _taken(call: Call, traced: Traced, verdict: Verdict) -> dict[str, int]:
    """The buffers that the batch of a failed submit would have written, each with its writer."""
    program = verdict.execution.case.program
    positions = [position for position, _ in traced.submits.get(call.number, ())]
    earlier = (places for number, places in traced.submits.items() if number < call.number)
    if any(position == call.position for places in earlier for position, _ in places):
        # The op was done in part when the call failed, so it lost all that it writes.
        positions.append(call.position)
    if call.failed == SubmitFailed.__name__ and call.event["verb"] != "submit":
        # A call before the submit failed, so that the batch was never submitted.
        positions = [
            each.position
            for each in traced.reached
            if each.submitted < 0 and each.position < min(call.position, len(program))
        ]
    return {
        name: position
        for position in positions
        for name in written_by(program[position], verdict.execution.kernels, captures_of(program))
    }


def _swallowed(verdict: Verdict, failure: Failure, failed: list[Call]) -> Told | None:
    """Tells that a sync, made by the client within the op, swallowed a failed submit.

    So the op was refused in the place of the sync.
    """
    at, outcomes = failure.position, verdict.execution.history.outcomes
    if not 0 <= at < len(outcomes) or outcomes[at].error != _DATA_LOST:
        return None
    call = next((each for each in failed if each.position == at), None)
    if call is None or call.op is None or isinstance(call.op, Sync | Read):
        return None
    begun = [
        each.event["reason"]
        for each in calls(verdict.execution.trace)
        if each.event.kind == "encode" and each.number <= call.number
    ]
    if begun[-1:] != [Sync.verb] or call.event["verb"] != "submit":
        return None
    client = verdict.execution.case.client
    sentence = (
        f"a sync that client {client} made in op {at} ({failure.op}) met the failed submit of "
        f"call {call.number} and ended in silence: the sync must raise {call.failed}; instead op "
        f"{at} then raised {_DATA_LOST}"
    )
    fact = f"the submit of call {call.number} was encoded for a sync, and failed with {call.failed}"
    return Told(sentence=sentence, culprit=at, rule=rules.REPORTED, facts=(fact,))


def _held_against(
    verdict: Verdict, failure: Failure, failed: list[Call], traced: Traced
) -> Told | None:
    """Tells that the op was refused for lost bytes, though no failed batch was to write these."""
    program, at = verdict.execution.case.program, failure.position
    if not 0 <= at < len(program) or not traced.is_known:
        return None
    if verdict.execution.history.outcomes[at].error != _DATA_LOST:
        return None
    names = buffers_of(program[at])
    batches = [call for call in failed if call.event["verb"] == "submit" and call.position < at]
    if not batches or any(
        name in _taken(call, traced, verdict) for call in batches for name in names
    ):
        return None
    last = batches[-1]
    held = [f"op {position}" for position, _ in traced.submits.get(last.number, ())]
    writes = ", ".join(_taken(last, traced, verdict)) or "no buffer of the program"
    facts = [
        f"{_met(last, verdict)}; the batch of that call held "
        f"{', '.join(held) or 'no command of an op'} and writes {writes}"
    ]
    writer = _last_writer(verdict, at, names)
    reached = traced.of(writer) if writer >= 0 else None
    if reached is not None and reached.submitted >= 0:
        facts.append(
            f"op {writer} ({write_op(program[writer])}) wrote {', '.join(dict.fromkeys(names))} "
            f"last, and was submitted at call {reached.submitted}, which did not fail"
        )
    sentence = (
        f"op {at} ({failure.op}) was refused with {_DATA_LOST}, though the batch that failed "
        f"wrote nothing of {', '.join(dict.fromkeys(names))}: what other batches wrote was taken "
        "for lost as well"
    )
    return Told(sentence=sentence, culprit=at, rule=rules.LOST, facts=tuple(facts))


def _last_writer(verdict: Verdict, until: int, names: tuple[str, ...]) -> int:
    program, kernels = verdict.execution.case.program, verdict.execution.kernels
    captures = captures_of(program)
    for at in range(until - 1, -1, -1):
        is_accepted = verdict.execution.history.outcomes[at].error is None
        if is_accepted and set(names) & set(written_by(program[at], kernels, captures)):
            return at
    return -1


def _stands(
    verdict: Verdict, failure: Failure, failed: list[Call], traced: Traced, again: Judge | None
) -> Told | None:
    """Tells of effects that a failed batch, or the first part of a failed replay, left behind."""
    half = _half_done(verdict, failure, failed, again)
    healed = _healed(verdict, failure, failed, traced, again)
    if half is None and healed is None:
        return None
    lost = losses(verdict, again)
    # If losing goes wrong without a replay that ends in its middle as well, that is the cause.
    told = healed if healed is not None and (lost or half is None) else half
    return None if told is None else replace(told, facts=(*lost[:1], *told.facts, *lost[1:]))


def _half_done(
    verdict: Verdict, failure: Failure, failed: list[Call], again: Judge | None
) -> Told | None:
    """Tells that a replay failed at a command, and that its earlier commands kept their effect."""
    got = verdict.execution.history.outcomes[failure.position].data
    scene = shown_by(verdict).scene
    for call in failed:
        op, at = call.op, call.position
        if not isinstance(op, Replay) or at >= failure.position:
            continue
        before = [step for step in scene.steps if step.position < at]
        after = [step for step in scene.steps if step.position > at]
        commands = replayed(scene.captures[op.graph], op)
        for count in range(1, len(commands) + 1):
            done = [Step(at, each, n, at) for n, each in enumerate(commands[:count])]
            history = scene.run([*before, *done, *after])
            if history is not None and history.outcomes[failure.position].data == got:
                return _left(verdict, failure, call, count, again)
    return None


def _left(verdict: Verdict, failure: Failure, call: Call, count: int, again: Judge | None) -> Told:
    for name in buffers_of(verdict.execution.case.program[failure.position]):
        part = healed_by(verdict, name, failure.position, call.position + 1, again)
        if part:
            sentence = (
                f"op {failure.position} ({failure.op}) used {name}, which is lost since "
                f"{call.place} failed half done, and was accepted: it must be refused with "
                f"{_DATA_LOST}"
            )
            facts = (*part, _met(call, verdict))
            return Told(sentence=sentence, culprit=failure.position, rule=rules.LOST, facts=facts)
    first = "its first command" if count == 1 else f"its first {count} commands"
    sentence = (
        f"{call.place} failed at the {call.event['verb']} of call {call.number}, and what {first} "
        f"did stands: op {failure.position} ({failure.op}) gave those bytes.  A replay that fails "
        f"must change nothing, or else what its commands write must be lost ({_DATA_LOST})"
    )
    return Told(
        sentence=sentence, culprit=call.position, rule=rules.WHOLE, facts=(_met(call, verdict),)
    )


def _healed(
    verdict: Verdict, failure: Failure, failed: list[Call], traced: Traced, again: Judge | None
) -> Told | None:
    """Tells of an op that was accepted though it used what a failed batch would have written."""
    program, outcomes = verdict.execution.case.program, verdict.execution.history.outcomes
    sizes = sizes_of(program)
    lost: dict[str, int] = {}
    undone: dict[str, int] = {}
    for call in failed:
        lost |= _taken(call, traced, verdict)
    start = failed[0].position + 1
    for at, op in enumerate(program.ops[start : failure.position + 1], start):
        ops = replayed(captures_of(program)[op.graph], op) if isinstance(op, Replay) else [op]
        names = [name for name in used(ops, sizes) if name in lost]
        is_accepted = outcomes[at].error is None and outcomes[at].late_error is None
        if names and is_accepted:
            told = _used(verdict, at, names[0], lost[names[0]], failed[0], again)
            undid = undone.get(names[0], -1)
            told = replace(
                told, facts=(*healed_by(verdict, names[0], at, start, again), *told.facts)
            )
            return told if undid < 0 else replace(told, facts=(_undid(verdict, undid), *told.facts))
        for name in [name for each in ops for name in overwritten(each, sizes)]:
            if is_accepted:
                lost.pop(name, None)
            elif name in lost:
                undone[name] = at
    return None


def _undid(verdict: Verdict, at: int) -> str:
    """Says that op ``at`` was to overwrite the lost buffer but failed, so that it stays lost."""
    error = verdict.execution.history.outcomes[at].error
    return (
        f"op {at} ({write_op(verdict.execution.case.program[at])}) was to write the lost buffer "
        f"whole, but raised {error} and was taken back; so the buffer is lost as before"
    )


def tell_zeros(verdict: Verdict, failure: Failure, traced: Traced, *, is_explained: bool) -> Told:
    """Tells that a read gave zeros and no error, though a later call failed.

    A mistake that explains the bytes counts more, unless no call took the bytes of the read.
    """
    at, history = failure.position, verdict.execution.history
    failed = [call for call in calls(verdict.execution.trace) if call.failed and call.is_own]
    if failure.kind is not FailureKind.VALUE or not failed or failed[0].position <= at:
        return NOTHING
    got, meant = history.outcomes[at].data, verdict.expected.outcomes[at].data
    if got is None or meant is None or len(got) != len(meant):
        return NOTHING
    wrong = [byte for byte, own in zip(got, meant, strict=True) if byte != own]
    if any(wrong) or history.outcomes[at].late_error is not None:
        return NOTHING
    untaken = _untaken(verdict, at, traced)
    if is_explained and not untaken:
        return NOTHING
    sentence = (
        f"op {at} ({failure.op}) gave zeros in the place of some bytes, and no error, though "
        f"{failed[0].event['verb']} (call {failed[0].number}) failed with {failed[0].failed} in "
        f"{failed[0].place}"
    )
    facts = (*untaken, _met(failed[0], verdict))
    return Told(sentence=sentence, culprit=at, rule=rules.OWN_ERROR, facts=facts)


def _untaken(verdict: Verdict, at: int, traced: Traced) -> tuple[str, ...]:
    """Says so if no call took the bytes of the read at ``at`` from its staging buffer."""
    submit, copy = traced.fetched.get(at, (0, {}))
    staging = copy.get("target")
    for call in calls(verdict.execution.trace):
        is_of = call.event.kind == "take" and call.event["buffer"] == staging
        if is_of and call.number > submit and call.event["data"]:
            return ()
    if staging is None:
        return ()
    return (
        f"no call took the bytes of op {at} from staging buffer {staging}, to which they were "
        "copied: so the zeros are not the device's, and the read must end with an error",
    )


def _used(
    verdict: Verdict, at: int, name: str, writer: int, call: Call, again: Judge | None
) -> Told:
    program = verdict.execution.case.program
    op = program[at]
    facts = (
        f"{_met(call, verdict)}; the batch of that call held op {writer} "
        f"({write_op(program[writer])}), so {name} is lost until it is written whole",
    )
    plainly = ""
    if isinstance(op, Replay) and again is not None:
        plainly = _plainly(verdict, at, op, again)
    sentence = (
        f"op {at} ({write_op(op)}) used {name}, which was lost with the batch of op {writer}, and "
        f"was accepted: it must be refused with {_DATA_LOST}{plainly}"
    )
    return Told(sentence=sentence, culprit=at, rule=rules.LOST, facts=facts)


def _plainly(verdict: Verdict, at: int, op: Replay, again: Judge) -> str:
    """Names the first command of a replay that is refused, with DataLost, outside the graph."""
    case = verdict.execution.case
    commands: list[Op] = list(replayed(captures_of(case.program)[op.graph], op))
    plain = instead(case.program, at, *commands)
    outcomes = again(replace(case, program=plain)).execution.history.outcomes
    for command, outcome in zip(commands, outcomes[at : at + len(commands)], strict=True):
        if outcome.error == _DATA_LOST:
            return f"; called outside the graph, its {write_op(command)} is refused"
    return ""
