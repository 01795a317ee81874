"""The argument for each kind of failure, from the failure and its execution alone."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from os import sep
from pathlib import Path
from sysconfig import get_path

from gpusim.history import CRASH, Outcome
from gpusim.ops import Read
from gpusim.program import buffers_of
from properties.clients.client import BrokenPromise
from properties.execute import CHANGED
from properties.explain import rules
from properties.explain.argument import said_shortly
from properties.explain.reported import tellers
from properties.explain.told import Told
from properties.explain.trials import Evidence, Teller
from properties.model.failure import Failure, FailureKind
from properties.oracles.compare import shown_as
from properties.oracles.judge import is_beside
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.catalogue import LAWS, Law

_BY_NAME = {law.name: law for law in LAWS}
_SAVED = Law(
    name="policy",
    sentence="a policy says what is gathered, pooled and cached; a runtime makes no more than that",
    source="the docstrings of gpusim.runtime.Policy",
)
UNEXPLAINED = ", and no single known mistake explains these bytes"
KEPT = "the result of its checks may have been kept"
_PATH = re.compile(r'File "(?:.*[\\/])?([^"\\/]+)"')
_LATER = re.compile("During handling of the above exception|The above exception was the direct")
_JUDGES = re.compile(r"properties[/\\\\](clients|model|targets)[/\\\\]")
_CLIENTS = re.compile(r"properties[/\\]clients[/\\]")
_OWN = (Path(__file__).parents[2] / name for name in ("gpusim", "properties", "reference"))
_INSTALLED = tuple(
    f"{folder}{sep}"
    for folder in (*_OWN, *map(get_path, ("stdlib", "platstdlib", "purelib", "platlib")))
)
"""The folders of gpusim's own code, of Python's library and of installed packages."""
_Frame = tuple[str, str]
"""A line of a traceback that names a file, and the line of code after it."""
_JUDGED = BrokenPromise.__name__
_REFUSALS = "docs/CONTRACT.md, Refusals"
_NO_OTHERS = Law(
    name="contract",
    sentence="an op raises the errors of the contract and no others",
    source=_REFUSALS,
)
_REPORTED_LATE = Law(
    name="promise, Refusal.NEXT_SYNC",
    sentence="if a refused op raises nothing, the next sync raises some error",
    source="docs/JUDGING.md, Write the adapter",
)
_ADD_UP = Law(
    name="F3",
    sentence="bytes in use add up",
    source="docs/LAWS.md, laws that no single trace can show",
)


def tell_kind(evidence: Evidence) -> Told:
    """What the failure and its execution say by themselves."""
    said = _KINDS.get(evidence.failure.kind, _plain)(evidence)
    met = [call for call in evidence.calls() if call.failed and call.op is not None]
    faults = [
        f"the call {call.event['verb']} failed with {call.failed} during {call.place}"
        for call in met[:1]
    ]
    refused = laws.G4 if met and "refused" in _shown(evidence.failure) else None
    rule = _BY_NAME.get(evidence.broken) if evidence.broken else refused
    if len(evidence.case.device.faults) or evidence.failure.kind is FailureKind.VALUE:
        faults = []
    return replace(said, rule=said.rule or rule, facts=(*said.facts, *faults))


def _place(failure: Failure) -> str:
    return f"op {failure.position} ({failure.op})" if failure.position >= 0 else failure.op


def _plain(evidence: Evidence) -> Told:
    failure = evidence.failure
    return Told(sentence=f"{_place(failure)}: {failure.reason}", facts=failure.notes)


def _value(evidence: Evidence) -> Told:
    failure = evidence.failure
    if is_beside(failure):
        said = "shows other bytes: two runtimes on one device share what each should own"
        return Told(sentence=f"{_place(failure)} {said}", rule=rules.DATA_ALONE)
    meant, got = evidence.meant, evidence.got
    said = f"returned other bytes than it should{UNEXPLAINED}"
    if meant is not None and got is not None and len(got) != len(meant):
        more = len(got) - len(meant)
        said = f"gave {len(got)} bytes, {f'{more} too many' if more > 0 else f'{-more} too few'}"
    return Told(sentence=f"{_place(failure)} {said}", rule=rules.READ)


def _error(evidence: Evidence) -> Told:
    at, failure = evidence.at, evidence.failure
    meant = evidence.verdict.expected.outcomes[at] if evidence.op is not None else Outcome()
    if meant.error is None:
        if evidence.ends[at].error is None:
            return Told(
                sentence=f"{_place(failure)} raised nothing: {failure.reason}", rule=_REPORTED_LATE
            )
        failed = f"failed, and nothing in the contract refuses it: {_got(failure)}"
        return Told(sentence=f"{_place(failure)} {failed}")
    shown = evidence.ends[at]
    did, facts = f"raised {shown.error}", [f"its message: {_message(shown)}"]
    if shown.error is None:
        did, facts = "was accepted", [*_looked_alike(evidence, at)]
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
    """What the device or the runtime said after its last "because"; without one, all of it."""
    got = _got(failure)
    return got.rpartition(" because ")[2] or got


def _message(outcome: Outcome) -> str:
    """The first line of an error's message."""
    lines = outcome.raised.message.splitlines() if outcome.raised else []
    return lines[0] if lines else ""


def _looked_alike(evidence: Evidence, at: int) -> Iterator[str]:
    """Finds an earlier op of the same kind and buffer, rightly accepted; and a free in between."""
    program, has_free = evidence.program, False
    for other in reversed(range(at)):
        before = program[other]
        if not {*buffers_of(program[at])} & {*buffers_of(before)}:
            continue
        if before.verb == "free" and not has_free:
            has_free = True
            yield f"{evidence.place(other)} came before op {at}"
        is_accepted = evidence.verdict.expected.outcomes[other].error is None
        if type(before) is type(program[at]) and is_accepted:
            yield f"{evidence.place(other)} is like op {at} and was rightly accepted: {KEPT}"
            return


def _late(evidence: Evidence) -> Told:
    place, program = _place(evidence.failure), evidence.program
    if CHANGED not in _shown(evidence.failure):
        never = f"was accepted, and its value never came: {_got(evidence.failure)}"
        return Told(sentence=f"{place} {never}")
    later = [n for n, op in enumerate(program) if n > evidence.at and isinstance(op, Read)]
    by = f", when {evidence.place(later[0])} used the value's memory again" if later else ""
    return Told(
        sentence=f"the value of {place} changed after it was delivered{by}", rule=rules.KEPT
    )


def _deliveries(evidence: Evidence) -> Told:
    failure = evidence.failure
    named = failure.reason.replace(",", " ").split()
    reads = [
        f"{op.result} is the read of op {n}"
        for n, op in enumerate(evidence.program)
        if isinstance(op, Read) and op.result in named
    ]
    return Told(
        sentence=f"{failure.reason}, at {_place(failure)}",
        rule=laws.D3 if "not delivered" in failure.reason else laws.D2,
        facts=(*_calls_in(evidence), *reads),
    )


def _law(evidence: Evidence) -> Told:
    failure = evidence.failure
    rule = _BY_NAME.get(failure.trait)
    facts = tuple(_calls_in(evidence)) if rule is laws.D3 else ()
    return Told(sentence=f"{failure.said}, in {_place(failure)}", rule=rule, facts=facts)


def _calls_in(evidence: Evidence) -> Iterator[str]:
    """The calls on the device that the failing op made, if there is a trace."""
    if evidence.verdict.execution.is_lawful:
        own = [call for call in evidence.calls() if call.position == evidence.at]
        made = ", ".join(call.event.kind for call in own if not call.failed)
        said = f"made the calls {made}" if made else "made no call on the device"
        yield f"op {evidence.at} {said}"


def _faults(evidence: Evidence) -> Told:
    failure, failed = evidence.failure, evidence.failed
    raised = "; ".join(words for _, words, _ in tellers(evidence.verdict))
    said = raised or "no op raised a fault, and no read ended with one"
    if not raised and len(failed) == 1:
        met = f"{failed[0].event['verb']} (call {failed[0].number}) failed with {failed[0].failed}"
        sentence = f"{met} in {failed[0].place}, and nobody heard of it: {said}"
        return Told(sentence=sentence, rule=rules.REPORTED)
    sentence = f"a fault of the device was not reported as it should be: {_sides(failure)}"
    return Told(sentence=sentence, rule=rules.REPORTED, facts=(f"{failure.reason}: {said}",))


def _words(evidence: Evidence) -> Told:
    failure = evidence.failure
    sentence = f"the message of {_place(failure)} is about another thing: {failure.reason}"
    return Told(sentence=sentence, rule=rules.MESSAGES, facts=tuple(_known_as(evidence)))


def _known_as(evidence: Evidence) -> Iterator[str]:
    """Says so if a message names the size of a workgroup of the op's kernel."""
    number = re.match(r"it names (\d+);", evidence.failure.reason)
    kernel = evidence.verdict.execution.kernels.get(getattr(evidence.op, "kernel", ""))
    if number and kernel is not None and kernel.group_size == int(number[1]):
        yield f"{number[1]} is here the size of a workgroup of {kernel.name}"


def _sides(failure: Failure) -> str:
    return ", ".join(f"{name} {shown}" for name, shown in failure.sides)


def _statistics(evidence: Evidence) -> Told:
    at, failure = len(evidence.program) - 1, evidence.failure
    last = f", after {evidence.place(at)}" if at >= 0 else ""
    refused = evidence.ends[at].error if at >= 0 else None
    fact = f"op {at} was refused with {refused}, and no count may include a refused op"
    return Told(
        sentence=f"{failure.reason}: {_sides(failure)}{last}",
        rule=_ADD_UP,
        facts=(*([fact] if refused else ()), *_created(evidence, failure.reason.split())),
    )


def _created(evidence: Evidence, words: list[str]) -> Iterator[str]:
    """What the trace shows about a wrong count: submits of its reason, or buffers of its role."""
    if "flushes" in words:
        encoded = [
            f"call {call.number}, in {call.place}, of {call.event['commands']} commands"
            for call in evidence.calls("encode")
            if call.event["reason"] == words[-1]
        ]
        yield f"submits of that reason that the device saw: {'; '.join(encoded[:3]) or 'none'}"
    elif words[-1] == "created":
        made = [call for call in evidence.calls("create_buffer", role=words[-2]) if call.is_own]
        own = "; ".join(f"call {call.number}, in {call.place}" for call in made[:3])
        if own:
            yield f"{words[-2]} buffers that the device made: {own}"


def _crash(evidence: Evidence) -> Told:
    failure = evidence.failure
    got = _shown(failure) or failure.reason
    more: list[str] = []
    if got.startswith(_JUDGED):
        # After "; " a BrokenPromise tells of similar calls: that is too long for a headline.
        got, *more = got.split("; ")
    return Told(
        sentence=f"{_ended_first(evidence)}{_place(failure)} ended with {got}",
        rule=_NO_OTHERS,
        facts=(*more, *_raised_in(failure.details)),
    )


def _ended_first(evidence: Evidence) -> str:
    """Tells of a later op that crashed, if the failing op is a read that ended with an error.

    The read's error may only be a consequence of that crash.
    """
    at, ends = evidence.at, evidence.ends
    if evidence.op is None or ends[at].late_error is None:
        return ""
    for position, outcome in enumerate(ends):
        if position > at and outcome.error is not None and outcome.error.startswith(CRASH):
            end = said_shortly(shown_as(outcome, ""))
            return f"{evidence.place(position)} ended with {end}; so "
    return ""


def _raised_in(details: str) -> tuple[str, ...]:
    """Where an exception was raised first, and the call of a client that led there."""
    # Python prints chained exceptions in order: the first part is the one raised first.
    raised = _LATER.split(details)
    # A client that gets a wrong error raises BrokenPromise while it handles that error: then the
    # last part tells of the client, and the part before it of the error.
    told = len(raised) > 1 and _JUDGED in raised[-1]
    first = raised[-2 if told else 0].splitlines()
    frames = [
        (line.strip(), code.strip())
        for line, code in pairwise(first)
        if line.lstrip().startswith("File ")
    ]
    if not frames:
        return ()
    where, _ = frames[-1]
    # A place in the judge's own code says nothing about the target, so it is left out.
    facts = [] if _JUDGES.search(where) else [_place_of(frames)]
    called = [code for at, code in frames if _CLIENTS.search(at)]
    if called and not _CLIENTS.search(where):
        call = re.sub(r"^lambda \w+: ", "", called[-1]).rstrip(",")
        facts.insert(0, f"the client made this call: {call}")
    return tuple(facts)


def _place_of(frames: Sequence[_Frame]) -> str:
    """The innermost frame in a file of the target's author; without such a frame, the innermost."""
    where, code = next(filter(_is_written, reversed(frames)), frames[-1])
    by = "" if (where, code) == frames[-1] else "a call from "
    # The name of the file is enough, and the same on every machine.
    named = _PATH.sub(r"\1", where)
    return f"raised in {by}{named}: {code}"


def _is_written(frame: _Frame) -> bool:
    """Whether the frame's file belongs neither to gpusim, nor to Python or an installed package."""
    path = frame[0].removeprefix('File "').partition('"')[0]
    return not path.startswith(("<", *_INSTALLED))


def _cost(evidence: Evidence) -> Told:
    failure = evidence.failure
    head, colon, counts = failure.reason.partition(": ")
    if not failure.notes:
        return Told(sentence=failure.reason, rule=_SAVED)
    first, *notes = failure.notes
    if failure.trait == "memory":
        sentence, notes = f"{first}; so {head}", [f"in use: {counts}", *notes]
    else:
        sentence = f"{head}, {first}{colon and '; in all '}{counts}"
    return Told(sentence=sentence, rule=_SAVED, facts=tuple(notes))


_KINDS: Mapping[FailureKind, Teller] = {
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
