"""Tells how a fault was reported: by which ops, in which words, and what came of the failed call.

A fault is raised once.  A second error of its class is either the same fault once more, or a new
failure.  The messages of both tell which, and so do more ops at the end of the program.  If nobody
raised a planned fault, the call after the failed one is made to fail as well.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from gpusim import errors
from gpusim.history import CRASH, History, Outcome
from gpusim.ops import AnyDispatch, Read, Replay, Sync
from gpusim.program import Program
from gpusim.runtime.policy import PRESETS
from gpusim.simulated import FaultPlan
from gpusim.text import write_op
from properties.clients.passed import AWAITING, own_calls
from properties.explain import rules
from properties.explain.argument import said_shortly
from properties.explain.calls import Call, calls
from properties.explain.experiments import Judge
from properties.explain.told import NOTHING, Told
from properties.model.case import PLAIN, Case
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws.expected import UNIFORM
from properties.oracles.planned import FAILING

_UNDELIVERED = "a read is not delivered, though a sync after it has raised"

_MORE = Program.parse("sync\nalloc more 4\ndispatch affine more 1,1 1x1x1\nsync\n").ops

_READ_AND_SYNC = Program.parse("alloc x 4\nread x 0 4 -> r\nsync\nsync\n")
_MAPS = ("failed_maps", "refused_maps")
_MET = {
    "a dispatch": ("eager", "dispatch affine x 3,1 1x1x1\n"),
    "a read": ("eager", "read x 0 4 -> r\n"),
    "a flush": ("lazy", "dispatch affine x 3,1 1x1x1\nflush\n"),
    "a sync": ("lazy", "dispatch affine x 3,1 1x1x1\nsync\n"),
}
"""By the op that submits, a policy under which it does so, and a program."""

_EARLIER = Program.parse(
    "alloc x 4\nread x 0 4 -> r\nflush\ndispatch affine x 3,1 1x1x1\n",
)


def tell_last_call(verdict: Verdict, failure: Failure) -> Told:
    """The last call of the first op that ended with an error of no contract, if that is a write."""
    program, outcomes = verdict.execution.case.program, _outcomes(verdict.execution.history)
    ends = [n for n, each in enumerate(outcomes) if (each.error or "").startswith(CRASH)]
    if failure.kind is not FailureKind.CRASH or not ends:
        return NOTHING
    made = [*calls(verdict.execution.trace)]
    last = next((call for call in made[::-1] if call.is_own and call.position == ends[0]), None)
    if last is None or last.event.kind != "write_buffer":
        return NOTHING
    event = last.event
    submitted = max((call.position for call in made if call.event.kind == "submit"), default=-1)
    waiting = program.ops[submitted + 1 : ends[0]]
    is_idle = (
        event["role"] == UNIFORM
        and bool(waiting)
        and not any(isinstance(op, AnyDispatch | Replay) for op in waiting)
    )
    rest = "; since the last submit no dispatch was called" if is_idle else ""
    return Told(
        facts=(
            f"the last call before that error, call {last.number}, wrote {len(event['data'])} "
            f"bytes to {event['role']} buffer {event['buffer']}{rest}",
        )
    )


def tell_earlier(verdict: Verdict, failure: Failure, again: Judge | None) -> Told:
    """Tries a read that was submitted before the submit that fails, in a page and alone."""
    case = verdict.execution.case
    is_fit = failure.kind is FailureKind.CRASH and bool(case.device.faults.failed_submits)
    has_read = any(isinstance(op, Read) for op in case.program)
    if again is None or not is_fit or not has_read:
        return NOTHING
    if case.client == PLAIN or case.follows_no_policy:
        return NOTHING
    device = replace(case.device, faults=FaultPlan(failed_submits=(1,)))
    later = replace(case, program=_EARLIER, device=device, transformations=())
    wrong = [
        str(is_joined)
        for is_joined in (True, False)
        if _crashes(replace(later, policy=replace(case.policy, join_reads=is_joined)), again)
    ]
    if not wrong or again(replace(later, client=PLAIN)).failure is not None:
        return NOTHING
    return Told(
        facts=(
            "tried a read that one submit carries out, and then a submit that fails: the same "
            f"goes wrong with join_reads={' and with join_reads='.join(wrong)}, and not if called "
            "plainly",
        )
    )


def _crashes(case: Case, again: Judge) -> bool:
    failure = again(case).failure
    return failure is not None and failure.kind is FailureKind.CRASH


def of_client(verdict: Verdict, failed: Call) -> tuple[str, ...]:
    """Says which calls of its own the client makes around the op in which a call failed."""
    case, at = verdict.execution.case, failed.position
    ops = [*case.program, Sync()]
    own = own_calls(case.client, ops[at]) if 0 <= at < len(ops) else ""
    if not own:
        return ()
    verb = failed.event["verb"]
    made = [
        call.number
        for call in calls(verdict.execution.trace)
        if call.position == at and call.event.kind == verb
    ]
    which = ""
    earlier = sum(number <= failed.number for number in made)
    if case.client == AWAITING and isinstance(ops[at], Sync) and earlier == 1:
        which = f"; {_of_first_sync(verdict, failed)}"
    elif failed.number in made:
        which = (
            f"; of {len(made)} calls {verb} there, number {made.index(failed.number) + 1} failed"
        )
    return (f"in {failed.place} client {case.client} {own}{which}",)


def _of_first_sync(verdict: Verdict, failed: Call) -> str:
    """Whether the first of several syncs waited after its failed call, and so was cancelled."""
    later = (
        call
        for call in calls(verdict.execution.trace)
        if call.number > failed.number and call.event.kind != "destroy_buffer"
    )
    following = next(later, None)
    verb = failed.event["verb"]
    if following is not None and following.event.kind == "wait":
        return (
            f"the first waited after its failed {verb} (call {following.number}), and was "
            "cancelled there, so the next call must raise its fault"
        )
    return (
        f"the first did not wait after its failed {verb}, so it was not cancelled, and must raise "
        "its fault itself"
    )


def tellers(verdict: Verdict) -> Iterator[tuple[int, str, str]]:
    """The ops that raised a fault, and the reads that ended with one.

    Gives for each its position, a sentence, and the reason in the error's message.
    """
    for position, outcome in enumerate(_outcomes(verdict.execution.history)):
        place, said = _place(verdict, position), _because(outcome)
        if is_fault(outcome.error):
            yield position, f"{place} raised {outcome.error}", said
        elif is_fault(outcome.late_error):
            yield position, f"the value of {place} ended with {outcome.late_error}", said


def is_fault(name: str | None) -> bool:
    """Whether an error of a history is a fault of the device."""
    kind = getattr(errors, name or "", None)
    return isinstance(kind, type) and issubclass(kind, errors.DeviceFault)


def _outcomes(history: History) -> list[Outcome]:
    return [*history.outcomes, history.closing or Outcome()]


def _place(verdict: Verdict, position: int) -> str:
    program = verdict.execution.case.program
    is_op = position < len(program)
    return f"op {position} ({write_op(program[position])})" if is_op else "the last sync"


def _because(outcome: Outcome) -> str:
    """What the error says, from its last "because" on."""
    message = outcome.raised.message if outcome.raised is not None else ""
    first = (message.splitlines() or [""])[0].partition(" (probably")[0]
    return said_shortly(first.rpartition(" because ")[2])


def tell_reported(verdict: Verdict, failure: Failure, again: Judge | None) -> Told:
    """Tells that one fault was raised twice, or that a second failure came without a fault.

    Or that the failed call was made again, and nobody raised its fault.
    """
    if failure.kind is not FailureKind.FAULTS:
        return NOTHING
    told = [*tellers(verdict)]
    if not told:
        first = NOTHING if again is None else _tried_again(verdict, failure, again)
        return first if first is not NOTHING or again is None else _of_a_read(verdict, again)
    if len(told) < 2:
        return NOTHING
    (_, one, reason), (second, other, later) = told[:2]
    if not one.endswith(other.rpartition(" ")[2]):
        return NOTHING
    failed = [call for call in calls(verdict.execution.trace) if call.failed]
    during = [call for call in failed if call.position == second]
    where = _place(verdict, second)
    submits = [each for each in calls(verdict.execution.trace) if each.event.kind == "submit"]
    none = "" if any(call.position == second for call in submits) else ", which called no submit"
    met = "" if during else f"no call on the device failed in {where}{none}"
    is_other = reason != later and reason and later and not during
    if is_other:
        sentence = f"{other} in other words, after {one}: a second failure, without a second fault"
        words = f'the first says "{reason}", the second "{later}"'
    else:
        sentence = f"{other}, after {one}: both for one fault, which must be raised once"
        words = "both say the same" if reason == later and reason else ""
    facts = ["; ".join(filter(None, (words, met)))]
    facts += [] if again is None else [_with_more(verdict, again)]
    facts = ([] if is_other else [f"{one}; {other}"]) + list(filter(None, facts))
    return Told(sentence=sentence, culprit=second, rule=rules.REPORTED, facts=tuple(facts))


def _with_more(verdict: Verdict, again: Judge) -> str:
    """Which of four more ops at the end, over a buffer of their own, raise an error."""
    program = verdict.execution.case.program
    longer = Program((*program.ops, *_MORE))
    judged = again(replace(verdict.execution.case, program=longer))
    raised = _outcomes(judged.execution.history)[len(program) :]
    said = [
        f"{op.verb} {f'raises {outcome.error}' if outcome.error else 'passes'}"
        for op, outcome in zip(_MORE, raised, strict=False)
    ]
    return f"with more ops at the end, over a new buffer, in this order: {', '.join(said)}"


def _of_a_read(verdict: Verdict, again: Judge) -> Told:
    """Tells who hears of a failed map if a read waits for that map."""
    case = verdict.execution.case
    name = next((name for name in _MAPS if getattr(case.device.faults, name)), "")
    if not name or any(isinstance(op, Read) for op in case.program):
        return NOTHING
    device = replace(case.device, faults=_changed(FaultPlan(), {name: (0,)}))
    tried = replace(case, program=_READ_AND_SYNC, device=device)
    told = [*tellers(again(tried))]
    ends = "; ".join(words for _, words, _ in told) or "no read ended with a fault"
    unheard = ""
    if not _is_raised(told):
        unheard = "; no sync raised a fault, though no call had raised it yet"
        if case.client != PLAIN and _is_raised([*tellers(again(replace(tried, client=PLAIN)))]):
            unheard += "; called plainly, a sync raises it"
    return Told(
        facts=(f"tried with a read whose map fails, and two syncs after it: {ends}{unheard}",)
    )


def _is_raised(told: list[tuple[int, str, str]]) -> bool:
    return any(_READ_AND_SYNC[position].verb != Read.verb for position, _, _ in told)


def _tried_again(verdict: Verdict, failure: Failure, again: Judge) -> Told:
    """Tells that the call which met a planned fault was made again, so that nobody raised it."""
    case = verdict.execution.case
    expected = dict(failure.sides).get("expected", "").split()
    name = next((name for name, verb in FAILING.items() if expected[:1] == [verb]), "")
    if not name or not expected[1].isdecimal():
        return _unheard(verdict, again)
    verb, number = expected[0], int(expected[1])
    made = [call for call in calls(verdict.execution.trace) if call.event.kind == verb]
    if len(made) != number + 1:
        return NOTHING
    changes: dict[str, Any] = {name: (*getattr(case.device.faults, name), number + 1)}
    device = replace(case.device, faults=_changed(case.device.faults, changes))
    told = [*tellers(again(replace(case, device=device)))]
    if not told:
        return Told(
            later=(f"with {verb} {number + 1} failing as well, still nobody raises a fault",)
        )
    place = made[-1].place
    return Told(
        sentence=f"{verb} {number}, in {place}, failed as planned and was called a second time, "
        "which went well; nobody raised the fault",
        culprit=made[-1].position,
        rule=rules.REPORTED,
        facts=(
            f"tried: with {verb} {number + 1} failing as well, {told[0][1]}; without a fault the "
            f"program makes that call {_times(number + 1)}, so a call that failed is made again",
            f"the list of calls has only the second of the two, call {made[-1].number}",
        ),
    )


def _unheard(verdict: Verdict, again: Judge) -> Told:
    """Tells in which ops nobody hears of a submit that fails, each tried by itself."""
    case = verdict.execution.case
    if not case.device.faults.failed_submits or case.follows_no_policy:
        return NOTHING
    heard: dict[bool, list[str]] = {True: [], False: []}
    device = replace(case.device, faults=FaultPlan(failed_submits=(0,)))
    for what, (policy, ops) in _MET.items():
        program = Program.parse(f"alloc x 4\n{ops}")
        tried = replace(case, program=program, policy=PRESETS[policy], device=device, client=PLAIN)
        judged = again(replace(tried, transformations=()))
        if judged.execution.trace.count("failed"):
            heard[any(tellers(judged))].append(what)
    if not heard[False]:
        return NOTHING
    rest = f"; it is raised after {' or '.join(heard[True])}" if heard[True] else ""
    return Told(
        facts=(f"tried: of a submit that fails in {' or '.join(heard[False])} nobody hears{rest}",)
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _changed(faults: FaultPlan, changes: dict[str, Any]) -> FaultPlan:
    return replace(faults, **changes)


def tell_left(verdict: Verdict, failure: Failure) -> Told:
    """Tells of a read whose bytes were taken only after a later sync had raised an error."""
    if failure.kind is FailureKind.CRASH:
        return _unsettled(verdict, failure)
    history, at = verdict.execution.history, failure.position
    if failure.kind is FailureKind.DELIVERY_ORDER and "not delivered" in failure.reason:
        names = failure.reason.replace(",", " ").split()
        reads = enumerate(verdict.execution.case.program)
        at = next((n for n, op in reads if isinstance(op, Read) and op.result in names), -1)
    elif failure.kind is not FailureKind.LATE_ERROR:
        return NOTHING
    if at < 0:
        return NOTHING
    ends = [*verdict.execution.case.program, Sync()]
    outcomes = _outcomes(history)
    raised = [
        n for n in range(at + 1, len(ends)) if isinstance(ends[n], Sync) and outcomes[n].error
    ]
    if not raised or not isinstance(ends[at], Read):
        return NOTHING
    sync = raised[0]
    mapped: dict[int, Call] = {}
    last = 0
    for call in calls(verdict.execution.trace):
        if call.position == sync and call.is_own:
            last = call.number
        if call.event.kind == "map" and not call.failed and at <= call.position <= sync:
            mapped[call.event["buffer"]] = call
        elif call.event.kind == "take" and last and call.number > last:
            asked = mapped.get(call.event["buffer"])
            if asked is not None and asked.position == at:
                return _left(verdict, at, sync, asked, call)
    return NOTHING


def _unsettled(verdict: Verdict, failure: Failure) -> Told:
    """Tells that an awaited sync raised before it waited: its reads were delivered later."""
    at, program = failure.position, verdict.execution.case.program
    if _UNDELIVERED not in str(failure.sides):
        return NOTHING
    result, is_within, waited = "", False, False
    for event in verdict.execution.trace:
        if event.kind in ("op", "outcome"):
            is_within = event.kind == "op" and event["position"] == at
        elif is_within and event.kind in ("wait", "drain", "take"):
            waited = True
        elif is_within and event.kind == "delivered" and not waited:
            result = event["result"]
        elif is_within and event.kind == "delivered":
            return NOTHING
    if not result:
        return NOTHING
    read = next(n for n, op in enumerate(program) if isinstance(op, Read) and op.result == result)
    failed = [call.position for call in calls(verdict.execution.trace) if call.failed]
    whose = "the error of an earlier op" if {*failed} <= {*range(at)} else "its error"
    return Told(
        facts=(
            f"the await raised before the value of op {read} was delivered, and that was before "
            f"the first wait: so it raised {whose} at once, before it settled anything",
        )
    )


def _left(verdict: Verdict, at: int, sync: int, asked: Call, taken: Call) -> Told:
    error = _outcomes(verdict.execution.history)[sync].error
    read = f"op {at} ({write_op(verdict.execution.case.program[at])})"
    return Told(
        sentence=f"{_place(verdict, sync)} raised {error} and left {read} on its way: the bytes "
        "came only after the sync had ended",
        culprit=sync,
        rule=rules.OWN_ERROR,
        facts=(
            f"the map of {read} was asked for at call {asked.number}; when the sync raised, its "
            f"bytes were not taken yet, and they were taken at call {taken.number}, after the sync",
        ),
    )
