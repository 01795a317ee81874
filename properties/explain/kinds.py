"""The argument for each kind of failure, from the failure and its execution alone."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from itertools import pairwise

from gpusim.history import CRASH, Outcome
from gpusim.ops import Alloc, Read
from gpusim.program import buffers_of
from gpusim.text import write_op
from properties.clients.client import BrokenPromise
from properties.execute import CHANGED
from properties.explain import rules
from properties.explain.argument import Argument, said_shortly
from properties.explain.calls import Call, calls
from properties.explain.reported import tellers
from properties.explain.told import Told
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
_CLIENTS = re.compile(r"properties[/\\]clients[/\\]")
_JUDGED = BrokenPromise.__name__
_REFUSALS = "docs/CONTRACT.md, Refusals"
_NO_OTHERS = Law(
    name="contract",
    sentence="an op raises the errors of the contract and no others",
    source=_REFUSALS,
)
_ADD_UP = Law(
    name="F3",
    sentence="bytes in use add up",
    source="docs/LAWS.md, laws that no single trace can show",
)


def argue_kind(verdict: Verdict, failure: Failure, broken: Failure | None) -> Argument:
    """Makes the argument that the failure gives by itself; ``broken`` is the first broken law."""
    case = verdict.execution.case
    told = _KINDS.get(failure.kind, _plain)(verdict, failure)
    fault = _fault_in(verdict)
    is_told = not len(case.device.faults) and failure.kind is not FailureKind.VALUE
    refused = laws.G4 if fault and "refused" in _shown(failure) else None
    return Argument(
        failure=failure,
        case=case,
        sentence=told.sentence,
        rule=told.rule or (_BY_NAME.get(broken.trait) if broken else refused),
        facts=(*told.facts, *([fault] if fault and is_told else ())),
        culprit=failure.position if 0 <= failure.position < len(case.program) else -1,
    )


def _fault_in(verdict: Verdict) -> str:
    """The call on the device that failed first in an op, and that op."""
    failed = (call for call in calls(verdict.execution.trace) if call.failed and call.op)
    call = next(failed, None)
    if call is None:
        return ""
    return f"the call {call.event['verb']} failed with {call.failed} during {call.place}"


def _place(failure: Failure) -> str:
    return f"op {failure.position} ({failure.op})" if failure.position >= 0 else failure.op


def _plain(verdict: Verdict, failure: Failure) -> Told:
    return Told(sentence=f"{_place(failure)}: {failure.reason}", facts=failure.notes)


def _value(verdict: Verdict, failure: Failure) -> Told:
    if is_beside(failure):
        said = "shows other bytes: two runtimes on one device share what each should own"
        return Told(sentence=f"{_place(failure)} {said}", rule=rules.DATA_ALONE)
    sides, at = (verdict.expected, verdict.execution.history), failure.position
    meant, got = (each.outcomes[at].data for each in sides)
    said = f"returned other bytes than it should{UNEXPLAINED}"
    if meant is not None and got is not None and len(got) != len(meant):
        more = len(got) - len(meant)
        said = f"gave {len(got)} bytes, {f'{more} too many' if more > 0 else f'{-more} too few'}"
    return Told(sentence=f"{_place(failure)} {said}", rule=rules.READ)


def _error(verdict: Verdict, failure: Failure) -> Told:
    at, sides = failure.position, (verdict.expected, verdict.execution.history)
    is_op = 0 <= at < len(verdict.execution.case.program)
    meant, shown = (each.outcomes[at] if is_op else Outcome() for each in sides)
    if meant.error is None:
        failed = f"failed, and nothing in the contract refuses it: {_got(failure)}"
        return Told(sentence=f"{_place(failure)} {failed}")
    did, facts = f"raised {shown.error}", [f"its message: {_message(shown)}"]
    if shown.error is None:
        did, facts = "was accepted", [*_looked_alike(verdict, at)]
    reason = _message(meant).partition(" (probably")[0]
    return Told(
        sentence=f"{_place(failure)} {did}, but must be refused with {meant.error}",
        rule=Law(name=f"contract, {meant.error}", sentence=reason, source=_REFUSALS),
        facts=tuple(facts),
    )


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


def _message(outcome: Outcome) -> str:
    """The first line of an error's message."""
    lines = outcome.raised.message.splitlines() if outcome.raised else []
    return lines[0] if lines else ""


def _looked_alike(verdict: Verdict, at: int) -> Iterator[str]:
    """Finds an earlier op like op ``at`` that was rightly accepted, and a free between the two."""
    program, has_free = verdict.execution.case.program, False
    for other in reversed(range(at)):
        before = program[other]
        if not {*buffers_of(program[at])} & {*buffers_of(before)}:
            continue
        if before.verb == "free" and not has_free:
            has_free = True
            yield f"op {other} ({write_op(before)}) came before op {at}"
        is_accepted = verdict.expected.outcomes[other].error is None
        if type(before) is type(program[at]) and is_accepted:
            yield (
                f"op {other} ({write_op(before)}) is like op {at} and was rightly accepted: {KEPT}"
            )
            return


def _late(verdict: Verdict, failure: Failure) -> Told:
    if CHANGED not in _shown(failure):
        never = f"was accepted, and its value never came: {_got(failure)}"
        return Told(sentence=f"{_place(failure)} {never}")
    program, start = verdict.execution.case.program, failure.position + 1
    later = [n for n, op in enumerate(program) if n >= start and isinstance(op, Read)]
    by = (
        f", when op {later[0]} ({write_op(program[later[0]])}) used its memory again"
        if later
        else ""
    )
    changed = f"the value of {_place(failure)} changed after it was delivered{by}"
    return Told(sentence=changed, rule=rules.KEPT)


def _deliveries(verdict: Verdict, failure: Failure) -> Told:
    named = failure.reason.replace(",", " ").split()
    return Told(
        sentence=f"{failure.reason}, at {_place(failure)}",
        rule=laws.D3 if "not delivered" in failure.reason else laws.D2,
        facts=(
            *_calls_in(verdict, failure.position),
            *(
                f"{op.result} is the read of op {n}"
                for n, op in enumerate(verdict.execution.case.program)
                if isinstance(op, Read) and op.result in named
            ),
        ),
    )


def _law(verdict: Verdict, failure: Failure) -> Told:
    rule = _BY_NAME.get(failure.trait)
    facts = tuple(_calls_in(verdict, failure.position)) if rule is laws.D3 else ()
    return Told(sentence=f"{failure.said}, in {_place(failure)}", rule=rule, facts=facts)


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


def _faults(verdict: Verdict, failure: Failure) -> Told:
    raised = "; ".join(words for _, words, _ in tellers(verdict))
    said = raised or "no op raised a fault, and no read ended with one"
    failed = [call for call in calls(verdict.execution.trace) if call.failed and call.is_own]
    if not raised and len(failed) == 1:
        met = f"{failed[0].event['verb']} (call {failed[0].number}) failed with {failed[0].failed}"
        sentence = f"{met} in {failed[0].place}, and nobody heard of it: {said}"
        return Told(sentence=sentence, rule=rules.REPORTED)
    sentence = f"a fault of the device was not reported as it should be: {_sides(failure)}"
    return Told(sentence=sentence, rule=rules.REPORTED, facts=(f"{failure.reason}: {said}",))


def _words(verdict: Verdict, failure: Failure) -> Told:
    number = re.match(r"it names (\d+);", failure.reason)
    known = " and ".join(_known_as(verdict, failure, int(number[1]))) if number else ""
    return Told(
        sentence=f"the message of {_place(failure)} is about another thing: {failure.reason}",
        rule=rules.MESSAGES,
        facts=(f"{number[1]} is here {known}",) if number and known else (),
    )


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


def _statistics(verdict: Verdict, failure: Failure) -> Told:
    program, outcomes = verdict.execution.case.program, verdict.execution.history.outcomes
    at = len(program) - 1
    last = f", after op {at} ({write_op(program[at])})" if at >= 0 else ""
    refused = outcomes[at].error if at >= 0 else None
    fact = f"op {at} was refused with {refused}, and a refused op counts nothing"
    return Told(
        sentence=f"{failure.reason}: {_sides(failure)}{last}",
        rule=_ADD_UP,
        facts=(*([fact] if refused else ()), *_created(verdict, failure.reason.split())),
    )


def _created(verdict: Verdict, words: list[str]) -> Iterator[str]:
    """What the trace shows about a wrong count: submits of its reason, or buffers of its role."""

    def at(call: Call) -> str:
        return f"call {call.number}, in {call.place}"

    made = [*calls(verdict.execution.trace)]
    if "flushes" in words:
        encoded = [
            f"{at(call)}, of {call.event['commands']} commands"
            for call in made
            if call.event.kind == "encode" and call.event["reason"] == words[-1]
        ]
        yield f"submits of that reason that the device saw: {'; '.join(encoded[:3]) or 'none'}"
    elif words[-1] == "created":
        own = [
            at(call)
            for call in made
            if call.event.kind == "create_buffer"
            and call.event["role"] == words[-2]
            and call.is_own
        ]
        if own:
            yield f"{words[-2]} buffers that the device made: {'; '.join(own[:3])}"


def _crash(verdict: Verdict, failure: Failure) -> Told:
    got, more = _shown(failure) or failure.reason, list[str]()
    if got.startswith(_JUDGED):
        # After "; " a BrokenPromise tells of similar calls: that is too long for a headline.
        got, *more = got.split("; ")
    first = _ended_first(verdict, failure.position)
    return Told(
        sentence=f"{first}{_place(failure)} ended with {got}",
        rule=_NO_OTHERS,
        facts=(*more, *_raised_in(failure.details)),
    )


def _ended_first(verdict: Verdict, at: int) -> str:
    """How the next op that crashed ended, if the failing op is a read whose value never came.

    The read's error may only be a consequence of that crash.  Empty for other failing ops.
    """
    history, program = verdict.execution.history, verdict.execution.case.program
    if not 0 <= at < len(program) or history.outcomes[at].late_error is None:
        return ""
    ends = [*history.outcomes, history.closing or Outcome()]
    for position, outcome in enumerate(ends):
        if position > at and outcome.error is not None and outcome.error.startswith(CRASH):
            is_op = position < len(program)
            place = f"op {position} ({write_op(program[position])})" if is_op else "the last sync"
            return f"{place} ended with {said_shortly(shown_as(outcome, ''))}; so "
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
    # A place in the judge's own code says nothing about the target, so it is left out.
    facts = [] if _JUDGES.search(where) else [f"raised in {named}: {code}"]
    called = [code for at, code in frames if _CLIENTS.search(at)]
    if called and not _CLIENTS.search(where):
        call = re.sub(r"^lambda \w+: ", "", called[-1]).rstrip(",")
        facts.insert(0, f"the client made this call: {call}")
    return tuple(facts)


def _cost(verdict: Verdict, failure: Failure) -> Told:
    head, colon, counts = failure.reason.partition(": ")
    if not failure.notes:
        return Told(sentence=failure.reason, rule=_SAVED)
    first, *notes = failure.notes
    if failure.trait == "memory":
        sentence, notes = f"{first}; so {head}", [f"in use: {counts}", *notes]
    else:
        sentence = f"{head}, {first}{colon and '; in all '}{counts}"
    return Told(sentence=sentence, rule=_SAVED, facts=tuple(notes))


_KINDS: Mapping[FailureKind, Callable[[Verdict, Failure], Told]] = {
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
