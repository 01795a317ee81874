"""Tells how a fault was reported: by which ops, in which words, and what came of the failed call.

A fault is raised once.  A second error of its class is either the same fault once more, or a new
failure.  The messages of the two errors tell which, and so do ops that are added at the end of the
program.  If nobody raised a planned fault, the call after the failed one is made to fail as well.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from gpusim import errors
from gpusim.history import CRASH, Outcome
from gpusim.ops import AnyDispatch, Read, Replay, Sync
from gpusim.program import Program
from gpusim.runtime.policy import PRESETS
from gpusim.simulated import FaultPlan
from gpusim.text import write_op
from properties.clients.passed import AWAITING, own_calls
from properties.explain import rules
from properties.explain.argument import said_shortly
from properties.explain.calls import Call
from properties.explain.told import NOTHING, Told, either, told
from properties.explain.trials import Evidence, Trials, by_trial
from properties.model.case import PLAIN
from properties.model.failure import FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws.expected import UNIFORM
from properties.oracles.planned import FAILING

_UNDELIVERED = "a read is not delivered, though a sync after it has raised"
_MORE = Program.parse("sync\nalloc more 4\ndispatch affine more 1,1 1x1x1\nsync\n").ops
_READ_AND_SYNC = Program.parse("alloc x 4\nread x 0 4 -> r\nsync\nsync\n")
_EARLIER = "alloc x 4\nread x 0 4 -> r\nflush\ndispatch affine x 3,1 1x1x1\n"
_MAPS = ("failed_maps", "refused_maps")
_MET = {
    "a dispatch": ("eager", "dispatch affine x 3,1 1x1x1\n"),
    "a read": ("eager", "read x 0 4 -> r\n"),
    "a flush": ("lazy", "dispatch affine x 3,1 1x1x1\nflush\n"),
    "a sync": ("lazy", "dispatch affine x 3,1 1x1x1\nsync\n"),
}
"""By the op that submits, a policy under which it does so, and a program."""


def tellers(verdict: Verdict) -> Iterator[tuple[int, str, str]]:
    """The ops that raised a fault, and the reads that ended with one.

    Gives for each its position, a sentence, and the reason in the error's message.
    """
    history, program = verdict.execution.history, verdict.execution.case.program
    for at, outcome in enumerate((*history.outcomes, history.closing or Outcome())):
        place = f"op {at} ({write_op(program[at])})" if at < len(program) else "the last sync"
        if is_fault(outcome.error):
            yield at, f"{place} raised {outcome.error}", _because(outcome)
        elif is_fault(outcome.late_error):
            yield at, f"the value of {place} ended with {outcome.late_error}", _because(outcome)


def is_fault(name: str | None) -> bool:
    """Whether an error of a history is a fault of the device."""
    kind = getattr(errors, name or "", None)
    return isinstance(kind, type) and issubclass(kind, errors.DeviceFault)


def _because(outcome: Outcome) -> str:
    """What the error says, from its last "because" on."""
    message = outcome.raised.message if outcome.raised is not None else ""
    first = (message.splitlines() or [""])[0].partition(" (probably")[0]
    return said_shortly(first.rpartition(" because ")[2])


def tell_last_call(evidence: Evidence) -> Told:
    """Tells of the last call of the op that crashed, if that call is a write to a buffer.

    An op crashes if it ends with an error that is not one of the contract.
    """
    ends = [n for n, each in enumerate(evidence.ends) if (each.error or "").startswith(CRASH)]
    if evidence.failure.kind is not FailureKind.CRASH or not ends:
        return NOTHING
    last = [call for call in evidence.calls() if call.is_own and call.position == ends[0]][-1:]
    if not last or last[0].event.kind != "write_buffer":
        return NOTHING
    event = last[0].event
    submitted = max((call.position for call in evidence.calls("submit")), default=-1)
    waiting = evidence.program.ops[submitted + 1 : ends[0]]
    is_idle = waiting and not any(isinstance(op, AnyDispatch | Replay) for op in waiting)
    is_idle = is_idle and event["role"] == UNIFORM
    return told(
        f"the last call before that error, call {last[0].number}, wrote {len(event['data'])} bytes "
        f"to {event['role']} buffer {event['buffer']}"
        f"{'; since the last submit no dispatch was called' if is_idle else ''}"
    )


@by_trial(FailureKind.CRASH, follows_policy=True)
def tell_earlier(evidence: Evidence, trials: Trials) -> Told:
    """Tries a read that one submit carries out, and then a submit that fails.

    It is tried with and without ``join_reads``, which lets small reads share a map.
    """
    case = evidence.case
    has_read = any(isinstance(op, Read) for op in case.program)
    if not case.device.faults.failed_submits or not has_read or case.client == PLAIN:
        return NOTHING
    later = _failing(trials, failed_submits=(1,))
    wrong = [
        str(is_joined)
        for is_joined in (True, False)
        if (ended := later.under(join_reads=is_joined).run(_EARLIER).failure) is not None
        and ended.kind is FailureKind.CRASH
    ]
    if not wrong or later.plainly().fails(_EARLIER):
        return NOTHING
    return told(
        "tried a read that one submit carries out, and then a submit that fails: this goes wrong "
        f"in the same way with join_reads={' and with join_reads='.join(wrong)}, but not if "
        "called plainly"
    )


def _failing(trials: Trials, **faults: Any) -> Trials:
    """The same trials, on a device with these faults and no others."""
    return trials.having(device=replace(trials.case.device, faults=FaultPlan(**faults)))


def of_client(evidence: Evidence, failed: Call) -> tuple[str, ...]:
    """Says which calls of its own the client makes around the op in which a call failed."""
    case, at, verb = evidence.case, failed.position, failed.event["verb"]
    ops = [*case.program, Sync()]
    own = own_calls(case.client, ops[at]) if 0 <= at < len(ops) else ""
    if not own:
        return ()
    made = [call.number for call in evidence.calls(verb) if call.position == at]
    earlier, which = sum(number <= failed.number for number in made), ""
    if case.client == AWAITING and isinstance(ops[at], Sync) and earlier == 1:
        which = f"; {_of_first_sync(evidence, failed)}"
    elif failed.number in made:
        which = (
            f"; of {len(made)} calls {verb} there, number {made.index(failed.number) + 1} failed"
        )
    return (f"in {failed.place} client {case.client} {own}{which}",)


def _of_first_sync(evidence: Evidence, failed: Call) -> str:
    """Whether the first of several syncs waited after its failed call, and so was cancelled."""
    later = [call for call in evidence.calls() if call.number > failed.number]
    following = [call for call in later if call.event.kind != "destroy_buffer"][:1]
    verb = failed.event["verb"]
    if following and following[0].event.kind == "wait":
        return (
            f"the first waited after its failed {verb} (call {following[0].number}), and was "
            "cancelled there, so the next call must raise its fault"
        )
    return (
        f"the first did not wait after its failed {verb}, so it was not cancelled, and must raise "
        "its fault itself"
    )


def tell_reported(evidence: Evidence) -> Told:
    """Tells that one fault was raised twice, or that a second failure came without a fault.

    Or that the failed call was made again, and nobody raised its fault.
    """
    if evidence.failure.kind is not FailureKind.FAULTS:
        return NOTHING
    raised, trials = [*tellers(evidence.verdict)], evidence.trials
    if not raised and trials is not None:
        return _tried_again(evidence, trials) or _of_a_read(trials)
    if len(raised) < 2:
        return NOTHING
    (_, one, reason), (second, other, later) = raised[:2]
    if not one.endswith(other.rpartition(" ")[2]):
        return NOTHING
    during = any(call.position == second for call in evidence.calls() if call.failed)
    submits = any(call.position == second for call in evidence.calls("submit"))
    none = "" if submits else ", which called no submit"
    met = "" if during else f"no call on the device failed in {evidence.place(second)}{none}"
    more = [] if trials is None else [_with_more(trials)]
    if reason != later and reason and later and not during:
        sentence = f"{other} in other words, after {one}: a second failure, without a second fault"
        facts = [f'the first says "{reason}", the second "{later}"; {met}']
    else:
        sentence = f"{other}, after {one}: both for one fault, which must be raised once"
        same = "both say the same" if reason == later and reason else ""
        facts = [f"{one}; {other}", "; ".join(filter(None, (same, met)))]
    facts = [*filter(None, facts), *more]
    return Told(sentence=sentence, culprit=second, rule=rules.REPORTED, facts=tuple(facts))


def _with_more(trials: Trials) -> str:
    """Which of four more ops at the end, over a buffer of their own, raise an error."""
    program = trials.case.program
    judged = trials.again(replace(trials.case, program=Program((*program.ops, *_MORE))))
    history = judged.execution.history
    ends = [*history.outcomes, history.closing or Outcome()][len(program) :]
    said = [
        f"{op.verb} {f'raises {outcome.error}' if outcome.error else 'passes'}"
        for op, outcome in zip(_MORE, ends, strict=False)
    ]
    return f"with more ops at the end, over a new buffer, in this order: {', '.join(said)}"


def _of_a_read(trials: Trials) -> Told:
    """Tries a read whose map fails, and tells which ops raise the fault."""
    case = trials.case
    name = next((name for name in _MAPS if getattr(case.device.faults, name)), "")
    if not name or any(isinstance(op, Read) for op in case.program):
        return NOTHING
    tried = _failing(trials, **{name: (0,)})
    raised = [*tellers(tried.run(_READ_AND_SYNC))]
    ends = "; ".join(words for _, words, _ in raised) or "no read ended with a fault"
    unheard = ""
    if not _is_raised(raised):
        unheard = "; no sync raised a fault, though no call had raised it yet"
        if case.client != PLAIN and _is_raised([*tellers(tried.plainly().run(_READ_AND_SYNC))]):
            unheard += "; called plainly, a sync raises it"
    return told(f"tried with a read whose map fails, and two syncs after it: {ends}{unheard}")


def _is_raised(raised: list[tuple[int, str, str]]) -> bool:
    return any(_READ_AND_SYNC[position].verb != Read.verb for position, _, _ in raised)


def _tried_again(evidence: Evidence, trials: Trials) -> Told:
    """Tells that the call which met a planned fault was made again, so that nobody raised it."""
    case = evidence.case
    verb, number, *_ = [*dict(evidence.failure.sides).get("expected", "").split(), "", ""]
    name = next((name for name, each in FAILING.items() if each == verb), "")
    if not name or not number.isdecimal():
        return _unheard(trials)
    nth = int(number)
    made = evidence.calls(verb)
    if len(made) != nth + 1:
        return NOTHING
    changes: dict[str, Any] = {name: (*getattr(case.device.faults, name), nth + 1)}
    device = replace(case.device, faults=replace(case.device.faults, **changes))
    raised = [*tellers(trials.again(replace(case, device=device)))]
    if not raised:
        return Told(later=(f"with {verb} {nth + 1} failing as well, still nobody raises a fault",))
    place, times = made[-1].place, "once" if not nth else f"{nth + 1} times"
    return Told(
        sentence=f"{verb} {number}, in {place}, failed as planned and was called a second time, "
        "which went well; nobody raised the fault",
        culprit=made[-1].position,
        rule=rules.REPORTED,
        facts=(
            f"tried: with {verb} {nth + 1} failing as well, {raised[0][1]}; without a fault the "
            f"program makes that call {times}, so a call that failed is made again",
            f"the list of calls has only the second of the two, call {made[-1].number}",
        ),
    )


def _unheard(trials: Trials) -> Told:
    """Makes the submit of one op after another fail, and tells for which nobody raises a fault."""
    case = trials.case
    if not case.device.faults.failed_submits or case.follows_no_policy:
        return NOTHING
    heard: dict[bool, list[str]] = {True: [], False: []}
    failing = _failing(trials, failed_submits=(0,)).plainly()
    for what, (policy, ops) in _MET.items():
        judged = failing.having(policy=PRESETS[policy]).run(f"alloc x 4\n{ops}")
        if judged.execution.trace.count("failed"):
            heard[any(tellers(judged))].append(what)
    if not heard[False]:
        return NOTHING
    rest = f"; if it fails in {either(heard[True])}, a fault is raised" if heard[True] else ""
    return told(f"tried: if a submit fails in {either(heard[False])}, nobody raises a fault{rest}")


def tell_left(evidence: Evidence) -> Told:
    """Tells of a read whose bytes were taken only after a later sync had raised an error."""
    failure, at = evidence.failure, evidence.at
    if failure.kind is FailureKind.CRASH:
        return _unsettled(evidence)
    if failure.kind is FailureKind.DELIVERY_ORDER and "not delivered" in failure.reason:
        names = failure.reason.replace(",", " ").split()
        at = _read_of(evidence, names)
    elif failure.kind is not FailureKind.LATE_ERROR:
        return NOTHING
    ends = [*evidence.program, Sync()]
    later = range(at + 1, len(ends)) if at >= 0 and isinstance(ends[at], Read) else ()
    sync = next((n for n in later if isinstance(ends[n], Sync) and evidence.ends[n].error), -1)
    mapped: dict[int, Call] = {}
    last = 0
    for call in evidence.calls() if sync >= 0 else ():
        if call.position == sync and call.is_own:
            last = call.number
        if call.event.kind == "map" and at <= call.position <= sync:
            mapped[call.event["buffer"]] = call
        elif call.event.kind == "take" and last and call.number > last:
            asked = mapped.get(call.event["buffer"])
            if asked is not None and asked.position == at:
                return _left(evidence, at, sync, asked, call)
    return NOTHING


def _read_of(evidence: Evidence, names: list[str]) -> int:
    """The position of the first read with one of these results; -1 without one."""
    reads = enumerate(evidence.program)
    return next((n for n, op in reads if isinstance(op, Read) and op.result in names), -1)


def _unsettled(evidence: Evidence) -> Told:
    """Tells that an awaited sync raised before it waited, and delivered a read only later."""
    result, is_within, waited = "", False, False
    for event in evidence.trace:
        if event.kind in ("op", "outcome"):
            is_within = event.kind == "op" and event["position"] == evidence.at
        elif is_within and event.kind in ("wait", "drain", "take"):
            waited = True
        elif is_within and event.kind == "delivered":
            if waited:
                return NOTHING
            result = event["result"]
    if not result or _UNDELIVERED not in str(evidence.failure.sides):
        return NOTHING
    failed = {call.position for call in evidence.calls() if call.failed}
    is_earlier = failed <= {*range(evidence.at)}
    whose = "the error of an earlier op" if is_earlier else "its own error"
    return told(
        f"the await raised before the value of op {_read_of(evidence, [result])} was delivered, "
        f"and the value was delivered before the first wait: so the await raised {whose} at once, "
        "before it settled anything"
    )


def _left(evidence: Evidence, at: int, sync: int, asked: Call, taken: Call) -> Told:
    read = evidence.place(at)
    return Told(
        sentence=f"{evidence.place(sync)} raised {evidence.ends[sync].error} and left {read} on "
        "its way: the bytes came only after the sync had ended",
        culprit=sync,
        rule=rules.OWN_ERROR,
        facts=(
            f"the map of {read} was asked for at call {asked.number}; when the sync raised, the "
            f"bytes of the read were not taken yet; they were taken at call {taken.number}, after "
            "the sync",
        ),
    )
