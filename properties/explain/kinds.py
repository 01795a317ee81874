"""The argument for each kind of failure, from the failure and its execution alone."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from itertools import pairwise

from gpusim.history import CRASH, History, Outcome
from gpusim.ops import Alloc, Read
from gpusim.program import Program, buffers_of
from gpusim.text import write_op
from gpusim.trace import Trace
from properties.clients.client import BrokenPromise
from properties.execute import CHANGED
from properties.explain import rules
from properties.explain.argument import Argument, said_shortly
from properties.explain.calls import calls
from properties.explain.reported import tellers
from properties.model.failure import Failure, FailureKind
from properties.oracles.compare import shown_as
from properties.oracles.judge import Verdict, is_beside
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.catalogue import LAWS, Law

_BY_NAME = {law.name: law for law in LAWS}
_SAVED = Law(
    name="policy",
    sentence="a policy says what is gathered, pooled and cached, and nothing more is made",
    source="the docstrings of gpusim.runtime.Policy",
)
UNEXPLAINED = ", and no single known mistake explains these bytes"
KEPT = "the result of its checks may have been kept"
_PATH = re.compile(r'File "(?:.*[\\/])?([^"\\/]+)"')
_LATER = re.compile("During handling of the above exception|The above exception was the direct")
_JUDGES = re.compile(r"properties[/\\\\](clients|targets)[/\\\\]")
_JUDGED = BrokenPromise.__name__
_REFUSALS = "docs/CONTRACT.md, Refusals"
_ELSEWHERE = "docs/LAWS.md, laws that no single trace can show"


def argue_kind(verdict: Verdict, failure: Failure, broken: Failure | None) -> Argument:
    """Makes the argument that the failure gives by itself; ``broken`` is the first broken law."""
    make = _KINDS.get(failure.kind, _plain)
    argument = make(verdict, failure)
    fault = _fault_in(verdict.execution.trace)
    is_planned = len(verdict.execution.case.device.faults) > 0
    if fault and not is_planned and failure.kind is not FailureKind.VALUE:
        argument = replace(argument, facts=(*argument.facts, fault))
    if argument.rule is None:
        refused = fault and "refused" in _shown(failure)
        rule = laws.G4 if refused else None
        argument = replace(argument, rule=_BY_NAME.get(broken.trait) if broken else rule)
    return argument


def _argument(
    verdict: Verdict,
    failure: Failure,
    sentence: str,
    *,
    rule: Law | None = None,
    facts: tuple[str, ...] = (),
) -> Argument:
    case = verdict.execution.case
    is_op = 0 <= failure.position < len(case.program)
    return Argument(
        failure=failure,
        case=case,
        sentence=sentence,
        rule=rule,
        facts=facts,
        culprit=failure.position if is_op else -1,
    )


def _place(failure: Failure) -> str:
    return f"op {failure.position} ({failure.op})" if failure.position >= 0 else failure.op


def _plain(verdict: Verdict, failure: Failure) -> Argument:
    return _argument(verdict, failure, f"{_place(failure)}: {failure.reason}", facts=failure.notes)


def _value(verdict: Verdict, failure: Failure) -> Argument:
    if is_beside(failure):
        said = "shows other bytes: two runtimes on one device share what each should own"
        return _argument(verdict, failure, f"{_place(failure)} {said}", rule=rules.DATA_ALONE)
    sides, at = (verdict.expected, verdict.execution.history), failure.position
    meant, got = (each.outcomes[at].data for each in sides)
    said = f"returned other bytes than it should{UNEXPLAINED}"
    if meant is not None and got is not None and len(got) != len(meant):
        more = len(got) - len(meant)
        said = f"gave {len(got)} bytes, {f'{more} too many' if more > 0 else f'{-more} too few'}"
    return _argument(verdict, failure, f"{_place(failure)} {said}", rule=rules.READ)


def _error(verdict: Verdict, failure: Failure) -> Argument:
    program, at = verdict.execution.case.program, failure.position
    if not 0 <= at < len(program):
        return _failed_late(verdict, failure)
    meant, shown = verdict.expected.outcomes[at], verdict.execution.history.outcomes[at]
    if meant.error is None:
        return _failed_late(verdict, failure)
    if shown.error is None:
        did, facts = "was accepted", _looked_alike(program, verdict.expected, at)
    else:
        did, facts = f"raised {shown.error}", (f"its message: {_message(shown)}",)
    rule = Law(name=f"contract, {meant.error}", sentence=_because(meant), source=_REFUSALS)
    sentence = f"{_place(failure)} {did}, but must be refused with {meant.error}"
    return _argument(verdict, failure, sentence, rule=rule, facts=facts)


def _failed_late(verdict: Verdict, failure: Failure) -> Argument:
    """An op that the contract accepts, and that failed."""
    got = _got(failure)
    sentence = f"{_place(failure)} failed, and nothing in the contract refuses it: {got}"
    return _argument(verdict, failure, sentence)


def _shown(failure: Failure) -> str:
    """What the target showed, in full; empty if the failure has no sides."""
    return failure.sides[-1][1] if failure.sides else ""


def _got(failure: Failure) -> str:
    """What the target showed, without the "(probably ...)" at the end of a message."""
    return said_shortly(_shown(failure))


def refusal_of(failure: Failure) -> str:
    """What the device or the runtime said after its last "because", or all of it without one."""
    got = _got(failure)
    return got.rpartition(" because ")[2] or got


def _because(outcome: Outcome) -> str:
    """The reason in the reference's own words."""
    return _unguessed(_message(outcome))


def _unguessed(message: str) -> str:
    return message.partition(" (probably")[0]


def _message(outcome: Outcome) -> str:
    return (
        outcome.raised.message.splitlines()[0] if outcome.raised and outcome.raised.message else ""
    )


def _looked_alike(program: Program, expected: History, at: int) -> tuple[str, ...]:
    """Finds an earlier op like op ``at`` that was rightly accepted, and a free between the two."""
    op = program[at]
    names = set(buffers_of(op))
    facts: list[str] = []
    for other in range(at - 1, -1, -1):
        before = program[other]
        if before.verb == "free" and names & set(buffers_of(before)) and len(facts) < 1:
            facts.append(f"op {other} ({write_op(before)}) came before op {at}")
        if (
            type(before) is type(op)
            and expected.outcomes[other].error is None
            and names & set(buffers_of(before))
        ):
            facts.append(
                f"op {other} ({write_op(before)}) is like op {at} and was rightly accepted: {KEPT}"
            )
            break
    return tuple(facts)


def _late(verdict: Verdict, failure: Failure) -> Argument:
    program = verdict.execution.case.program
    if CHANGED in _shown(failure):
        later = [
            n for n in range(failure.position + 1, len(program)) if isinstance(program[n], Read)
        ]
        by = (
            f", when op {later[0]} ({write_op(program[later[0]])}) used its memory again"
            if later
            else ""
        )
        sentence = f"the value of {_place(failure)} changed after it was delivered{by}"
        return _argument(verdict, failure, sentence, rule=rules.KEPT)
    sentence = f"{_place(failure)} was accepted, and its value never came: {_got(failure)}"
    return _argument(verdict, failure, sentence)


def _deliveries(verdict: Verdict, failure: Failure) -> Argument:
    is_missing = "not delivered" in failure.reason
    rule = laws.D3 if is_missing else laws.D2
    reads = {
        op.result: n for n, op in enumerate(verdict.execution.case.program) if isinstance(op, Read)
    }
    facts = tuple(
        f"{name} is the read of op {n}"
        for name, n in reads.items()
        if name in failure.reason.split() or f"{name}," in failure.reason
    )
    facts = (*_calls_in(verdict, failure.position), *facts)
    sentence = f"{failure.reason}, at {_place(failure)}"
    return _argument(verdict, failure, sentence, rule=rule, facts=facts)


def _law(verdict: Verdict, failure: Failure) -> Argument:
    rule = _BY_NAME.get(failure.trait)
    told = failure.notes[0] if failure.notes else failure.reason
    facts = tuple(_calls_in(verdict, failure.position)) if rule is laws.D3 else ()
    return _argument(verdict, failure, f"{told}, in {_place(failure)}", rule=rule, facts=facts)


def _calls_in(verdict: Verdict, position: int) -> Iterator[str]:
    """The calls on the device that an op made, if there is a trace."""
    if verdict.execution.is_lawful:
        made = [
            call.event.kind
            for call in calls(verdict.execution.trace)
            if call.position == position and not call.failed
        ]
        said = f"made the calls {', '.join(made)}" if made else "made no call on the device"
        yield f"op {position} {said}"


def _faults(verdict: Verdict, failure: Failure) -> Argument:
    sentence = f"a fault of the device was not reported as it should be: {_sides(failure)}"
    said = "; ".join(words for _, words, _ in tellers(verdict))
    told = said or "no op raised a fault, and no read ended with one"
    facts = [f"{failure.reason}: {told}"]
    failed = [call for call in calls(verdict.execution.trace) if call.failed and call.is_own]
    if not said and len(failed) == 1:
        met = f"{failed[0].event['verb']} (call {failed[0].number}) failed with {failed[0].failed}"
        sentence = f"{met} in {failed[0].place}, and nobody heard of it: {told}"
        facts = []
    return _argument(verdict, failure, sentence, rule=rules.REPORTED, facts=tuple(facts))


def _words(verdict: Verdict, failure: Failure) -> Argument:
    sentence = f"the message of {_place(failure)} is about another thing: {failure.reason}"
    number = re.match(r"it names (\d+);", failure.reason)
    known = [*_known_as(verdict, failure, int(number[1]))] if number else []
    facts = (f"{number[1]} is here {' and '.join(known)}",) if number and known else ()
    return _argument(verdict, failure, sentence, rule=rules.MESSAGES, facts=facts)


def _known_as(verdict: Verdict, failure: Failure, number: int) -> Iterator[str]:
    """What ``number`` is in this case: the size of a workgroup, a limit, or a buffer's size."""
    execution = verdict.execution
    for op in execution.case.program.ops[failure.position : failure.position + 1]:
        kernel = execution.kernels.get(getattr(op, "kernel", ""))
        if kernel is not None and kernel.group_size == number:
            yield f"the size of a workgroup of {kernel.name}"
    for limit in fields(execution.limits):
        if getattr(execution.limits, limit.name) == number:
            yield f"the limit {limit.name}"
    for op in execution.case.program:
        if isinstance(op, Alloc) and op.size_bytes == number:
            yield f"the size of {op.buffer}"


def _sides(failure: Failure) -> str:
    return ", ".join(f"{name} {shown}" for name, shown in failure.sides)


def _statistics(verdict: Verdict, failure: Failure) -> Argument:
    rule = Law(name="F3", sentence="bytes in use add up", source=_ELSEWHERE)
    program, outcomes = verdict.execution.case.program, verdict.execution.history.outcomes
    last = f", after op {len(program) - 1} ({write_op(program[-1])})" if len(program) else ""
    refused = outcomes[-1].error if len(program) else None
    facts = (f"op {len(program) - 1} was refused with {refused}, and a refused op counts nothing",)
    sentence = f"{failure.reason}: {_sides(failure)}{last}"
    told = (*(facts if refused else ()), *_created(verdict, failure.reason))
    return _argument(verdict, failure, sentence, rule=rule, facts=told)


def _created(verdict: Verdict, reason: str) -> tuple[str, ...]:
    """What the trace shows about a wrong count: submits of its reason, or buffers of its role."""
    words = reason.split()
    if "flushes" in words:
        made = [
            f"call {call.number}, in {call.place}, of {call.event['commands']} commands"
            for call in calls(verdict.execution.trace)
            if call.event.kind == "encode" and call.event["reason"] == words[-1]
        ]
        said = f"submits of that reason that the device saw: {'; '.join(made[:3]) or 'none'}"
        return (said,)
    if words[-1] != "created":
        return ()
    made = [
        f"call {call.number}, in {call.place}"
        for call in calls(verdict.execution.trace)
        if call.event.kind == "create_buffer" and call.event["role"] == words[-2] and call.is_own
    ]
    return (f"{words[-2]} buffers that the device made: {'; '.join(made[:3])}",) if made else ()


def _crash(verdict: Verdict, failure: Failure) -> Argument:
    got = _shown(failure) or failure.reason
    facts = _raised_in(failure.details)
    rule = Law(
        name="contract",
        sentence="an op raises the errors of the contract and no others",
        source=_REFUSALS,
    )
    first = _ended_first(verdict, failure)
    # After "; " a BrokenPromise tells of similar calls: that is too long for a headline.
    got, *more = got.split("; ") if got.startswith(_JUDGED) else [got]
    sentence = f"{_place(failure)} ended with {got}"
    sentence = f"{first}; so {sentence}" if first else sentence
    facts = (*more, *facts)
    return _argument(verdict, failure, sentence, rule=rule, facts=facts)


def _ended_first(verdict: Verdict, failure: Failure) -> str:
    """How the next op that crashed ended, if the failing op is a read whose value never came.

    The read's error may only be a consequence of that crash.  Empty for other failing ops.
    """
    history, program, at = (
        verdict.execution.history,
        verdict.execution.case.program,
        failure.position,
    )
    if not 0 <= at < len(program) or history.outcomes[at].late_error is None:
        return ""
    ends = [*history.outcomes[at + 1 :], history.closing or Outcome()]
    for position, outcome in enumerate(ends, at + 1):
        if outcome.error is not None and outcome.error.startswith(CRASH):
            is_op = position < len(program)
            place = f"op {position} ({write_op(program[position])})" if is_op else "the last sync"
            return f"{place} ended with {said_shortly(shown_as(outcome, ''))}"
    return ""


def _raised_in(details: str) -> tuple[str, ...]:
    """Where an exception was raised first, and the call of a client that led there."""
    # Python prints chained exceptions in order: the first part is the one raised first.
    raised = _LATER.split(details)
    # A client that finds an error wrong raises BrokenPromise, the last part, while handling it.
    told = len(raised) > 1 and _JUDGED in raised[-1]
    first = raised[-2 if told else 0].splitlines()
    frames = [
        (line.strip(), code.strip())
        for line, code in pairwise(first)
        if line.lstrip().startswith("File ")
    ]
    if not frames:
        return ()
    where, code = frames[-1]
    # The name of the file is enough, and the same on every machine.
    named = _PATH.sub(r"\1", where)
    of_client = ["properties/clients/" in where.replace("\\", "/") for where, _ in frames]
    # A place in the judge's own code says nothing about the target, so it is left out.
    facts = [] if _JUDGES.search(where) else [f"raised in {named}: {code}"]
    called = [code for (_, code), is_its in zip(frames, of_client, strict=True) if is_its]
    if called and not of_client[-1]:
        call = re.sub(r"^lambda \w+: ", "", called[-1]).rstrip(",")
        facts.insert(0, f"the client made this call: {call}")
    return tuple(facts)


def _fault_in(trace: Trace) -> str:
    """The call on the device that failed first, and the op during which it failed."""
    position, op = -1, None
    for event in trace:
        if event.kind == "op":
            position, op = event["position"], event["op"]
        elif event.kind == "failed" and op is not None:
            during = f"op {position} ({write_op(op)})"
            return f"the call {event['verb']} failed with {event['error']} during {during}"
    return ""


def _cost(verdict: Verdict, failure: Failure) -> Argument:
    sentence = failure.reason
    if failure.notes and failure.trait == "memory":
        head, _, counts = failure.reason.partition(": ")
        facts = (f"in use: {counts}", *failure.notes[1:])
        sentence = f"{failure.notes[0]}; so {head}"
        return _argument(verdict, failure, sentence, rule=_SAVED, facts=facts)
    if failure.notes:
        head, colon, counts = failure.reason.partition(": ")
        sentence = f"{head}, {failure.notes[0]}{colon and '; in all '}{counts}"
    return _argument(verdict, failure, sentence, rule=_SAVED, facts=failure.notes[1:])


_KINDS: Mapping[FailureKind, Callable[[Verdict, Failure], Argument]] = {
    FailureKind.VALUE: _value,
    FailureKind.ERROR: _error,
    FailureKind.LATE_ERROR: _late,
    FailureKind.DELIVERY_ORDER: _deliveries,
    FailureKind.LAW: _law,
    FailureKind.FAULTS: _faults,
    FailureKind.WORDS: _words,
    FailureKind.STATISTICS: _statistics,
    FailureKind.CRASH: _crash,
    FailureKind.COST: _cost,
}
"""A kind of failure that is not listed needs no more than the failure's own words."""
