"""Compares what the submits carried out with what the ops asked for.

A law names a command or a buffer by its number in the trace.  Here the trace is searched for more
about it: the submit that has the command once more, the reads whose bytes share a page, that is,
one staging buffer.  Only a batch whose submit fails is tried in a small program.
"""

from collections.abc import Iterator
from dataclasses import replace

from gpusim.history import CRASH
from gpusim.ops import Op, Read
from gpusim.text import write_op
from properties.explain.accused import step_of
from properties.explain.calls import Call, calls
from properties.explain.clocks import Traced, is_call
from properties.explain.experiments import Judge, shown_by
from properties.explain.hops import first_take, order_within
from properties.explain.hypothesis import named, quoted
from properties.explain.losses import run_again
from properties.explain.scene import Scene, Step, place_of
from properties.explain.told import NOTHING, Told
from properties.explain.when import REPEATED, cut_before, tell_waited
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import ExpectedOp, ExpectedWrite
from properties.oracles.laws.matching import Command
from properties.oracles.laws.order import UNASKED
from properties.oracles.laws.state import About

_OF_ORDER = (laws.A1.name, laws.A3.name, laws.C1.name)


def tell_carried(verdict: Verdict, failure: Failure, traced: Traced, again: Judge | None) -> Told:
    """Tells what the trace shows of the page of a wrong read, or of the first broken law."""
    broken = traced.broken
    told = _of_page(verdict, failure, traced)
    if broken is None or told is not NOTHING:
        return told
    said = broken.notes[0] if broken.notes else ""
    if broken.trait == laws.D2.name:
        return _undelivered(verdict)
    if broken.trait not in _OF_ORDER:
        return NOTHING
    if UNASKED in said:
        told = NOTHING if traced.accused is not None else _twice(verdict, traced, again)
        told = told if told is not NOTHING else _same_call(verdict, said)
        if told is not NOTHING:
            return told
    if traced.accused is not None:
        return NOTHING
    return _left_out(verdict, failure, traced)


def _undelivered(verdict: Verdict) -> Told:
    """Which reads were delivered, in order, and which never were."""
    program, history = verdict.execution.case.program, verdict.execution.history
    accepted = [
        op.result
        for op, outcome in zip(program, history.outcomes, strict=True)
        if isinstance(op, Read) and (outcome.error is None or outcome.error.startswith(CRASH))
    ]
    came = [event["result"] for event in verdict.execution.trace if event.kind == "delivered"]
    never = [name for name in accepted if name not in came]
    if not never:
        return Told(facts=tuple(_delivered_early(verdict)))
    fact = (
        f"delivered in this order: {', '.join(came) or 'none'}; never delivered: {', '.join(never)}"
    )
    return Told(facts=(fact,))


def _delivered_early(verdict: Verdict) -> Iterator[str]:
    """Names a read that was delivered by its own call, while an earlier read still waited."""
    waiting: list[str] = []
    op: Op | None = None
    for event in verdict.execution.trace:
        if event.kind == "op":
            op = event["op"]
            waiting += [op.result] if isinstance(op, Read) else []
        elif event.kind == "delivered" and event["result"] in waiting:
            name, first = event["result"], waiting[0]
            if isinstance(op, Read) and op.result == name != first:
                yield (
                    f"{name} was delivered by its own call ({write_op(op)}), and not by a sync, "
                    f"while {first} still waited"
                )
                return
            waiting.remove(name)


def _left_out(verdict: Verdict, failure: Failure, traced: Traced) -> Told:
    """Tells which command no submit carried out, though later commands were submitted.

    Or that the submit that broke the law has its commands in another order.
    """
    first, program = traced.overtaken, verdict.execution.case.program
    places = traced.submits.get(traced.broken_at, ())
    if failure.kind is FailureKind.LAW and list(places) != sorted(places):
        return Told(facts=(order_within(traced.broken_at, places),))
    if first is None or traced.was_submitted(first.position, first.command):
        return NOTHING
    if isinstance(first, ExpectedWrite) and first.started:
        return NOTHING
    if _has_unknown(verdict, first.position, traced):
        return NOTHING
    waited = tell_waited(verdict, failure, first, traced)
    if waited is not NOTHING:
        return waited
    facts = [*_submitting(verdict, first, traced)]
    if first.command > 0:
        facts += cut_before(first.position, first.command, traced)
    # If an earlier op was cut at that command, that tells more than that it is the same call.
    facts = facts or [*_alike(first.position, first.command, shown_by(verdict).scene)]
    own = quoted(step_of(first, program))
    sentence = f"{own} was left out: no submit carried it out, and commands after it were submitted"
    if failure.kind is FailureKind.LAW:
        return Told(sentence=sentence, culprit=first.position, rule=laws.C1, facts=tuple(facts))
    return Told(facts=(*facts, sentence)[:1])


def _has_unknown(verdict: Verdict, at: int, traced: Traced) -> bool:
    """Whether a batch that the op at ``at`` submitted itself has commands of no known op.

    They may be the op's own, carried out wrongly.
    """
    encoded = 0
    for call in calls(verdict.execution.trace):
        if call.event.kind == "encode":
            encoded = call.event["commands"]
        is_own = call.event.kind == "submit" and call.position == at
        if is_own and len(traced.submits.get(call.number, ())) < encoded:
            return True
    return False


def _submitting(verdict: Verdict, first: ExpectedOp, traced: Traced) -> Iterator[str]:
    """Says so if the op itself submitted earlier commands before it was recorded in any batch."""
    for call in calls(verdict.execution.trace):
        event = call.event
        if first.command < 0 and event.kind == "encode" and call.position == first.position:
            submit = min((n for n in traced.submits if n > call.number), default=0)
            held = {position for position, _ in traced.submits.get(submit, ())}
            if not held or first.position in held:
                return
            yield (
                f"op {first.position} itself submitted the commands before it (call "
                f"{call.number}, reason: {event['reason']}), and was recorded in no batch"
            )
            return


def _alike(at: int, command: int, scene: Scene) -> Iterator[str]:
    """Says so if an earlier step asks for the same call as that command of op ``at``."""
    before: list[Step] = []
    for step in scene.steps:
        if place_of(step) != (at, command):
            before.append(step)
            continue
        alike = next((each for each in reversed(before) if _is_alike(each.op, step.op)), None)
        if alike is not None:
            yield (
                f"{named(alike)}, earlier, {REPEATED}: likeliest {named(step)} was taken for "
                "a repetition of it"
            )
        return


def _is_alike(one: Op, other: Op) -> bool:
    """Whether two ops are the same call; the name of a read's result is not compared."""
    if isinstance(one, Read) and isinstance(other, Read):
        return one == replace(other, result=one.result)
    return one == other


def _twice(verdict: Verdict, traced: Traced, again: Judge | None) -> Told:
    """Tells of a command with which one batch ends, and which the next batch has again."""
    last: tuple[Call, Call, int] | None = None
    has_failed = False
    encoded: Call | None = None
    commands: list[Call] = []
    for call in calls(verdict.execution.trace):
        kind = call.event.kind
        if kind == "encode":
            encoded, commands = call, []
        elif kind in ("dispatch", "copy"):
            commands.append(call)
            if last is not None and call.number <= traced.broken_at and _is_same(last[0], call):
                told = _said_twice(verdict, traced, last, call, has_failed=has_failed)
                if (
                    has_failed
                    and again is not None
                    and not verdict.execution.case.follows_no_policy
                ):
                    return replace(told, facts=(*run_again(verdict, again), *told.facts))
                return told
        elif kind == "submit" and commands and encoded is not None:
            last, has_failed = (commands[-1], encoded, call.number), False
        elif call.failed and call.event["verb"] == "submit":
            has_failed = True
    return NOTHING


def _same_call(verdict: Verdict, said: str) -> Told:
    """Tells of two equal commands, if ``said``, the words of a law, is about one like them."""
    same = [
        call
        for call in calls(verdict.execution.trace)
        if call.event.kind in ("dispatch", "copy")
        and said.startswith(str(Command(call.event.kind, call.event.about, None)))
    ]
    if len(same) < 2:
        return NOTHING
    first, again = same[:2]
    fact = (
        f"call {again.number}, encoded in {again.place}, is the same {again.event.kind} as call "
        f"{first.number}, encoded in {first.place}: one call was submitted twice"
    )
    return Told(facts=(fact,))


def _is_same(one: Call, other: Call) -> bool:
    """Whether two calls are the same command.

    Of dispatches only the group and the grid are compared, since with a uniform ring each batch
    binds other bytes.
    """
    if one.event.kind != "dispatch" or other.event.kind != "dispatch":
        return one.event == other.event
    return all(one.event[name] == other.event[name] for name in ("group", "groups"))


def _said_twice(
    verdict: Verdict, traced: Traced, last: tuple[Call, Call, int], again: Call, *, has_failed: bool
) -> Told:
    ended, batch, submit = last
    places = traced.submits.get(submit, ())
    own = [step for step in shown_by(verdict).scene.steps if place_of(step) in places[-1:]]
    whose = quoted(own[0]) if own else f"the last command of {ended.place}"
    count = batch.event["commands"]
    held = f"; the last of {count} commands" if count > 1 else "; its only command"
    held = held if has_failed else ""
    first = f"in the batch of call {batch.number} (reason: {batch.event['reason']}{held})"
    first = f"{first}, whose submit failed" if has_failed else f"at the end of{first[2:]}"
    same = f"calls {ended.number} and {again.number} are the same command"
    gone = "; what a batch holds whose submit fails is lost, and must not run later"
    return Told(
        sentence=f"{whose} was submitted twice: {first}, and again in the next batch, in "
        f"{again.place}",
        culprit=own[0].position if own else -1,
        rule=laws.C1,
        facts=(f"{same}{gone if has_failed else ''}",),
    )


def _of_page(verdict: Verdict, failure: Failure, traced: Traced) -> Told:
    """Tells what went wrong with the page of a wrong read, or with the reads that share it."""
    at, program = failure.position, verdict.execution.case.program
    fetched = traced.fetched.get(at)
    if fetched is None or failure.kind not in _OF_READS:
        return NOTHING
    order = [
        position
        for position, (submit, copy) in sorted(traced.fetched.items())
        if submit == fetched[0] and copy["target"] == fetched[1]["target"]
    ]
    told = _mapped_short(verdict, at, traced)
    if told is not NOTHING:
        return told
    if len(order) == 1:
        told = _untaken(verdict, at, traced)
        return told if told is not NOTHING else _mapped_before(verdict, at, traced)
    nth = order.index(at) + 1
    ranges = {n: _range(traced.fetched[n][1]) for n in order}
    name = f"staging buffer {fetched[1]['target']}"
    same = [n for n in order if n != at and _meet(ranges[n], ranges[at])]
    if same:
        fact = (
            f"op {same[0]} and op {at} share a page, {name}, and their copies overlap there: "
            f"{_said(ranges[same[0]])} and {_said(ranges[at])}"
        )
        return Told(facts=(fact,))
    where = _found_at(verdict, at, traced, ranges)
    if where < 0:
        return NOTHING
    inside = [f"op {n}" for n in order if ranges[n][0] <= where < ranges[n][1]]
    place = f", the place of {inside[0]}" if inside else ""
    op = program[at]
    assert isinstance(op, Read)
    fact = (
        f"op {at} is read {nth} of the {len(order)} in one page, {name}: its copy went to "
        f"{_said(ranges[at])}, but op {at} was given what the page has from byte {where} on{place}"
    )
    return Told(facts=(fact,))


_OF_READS = (FailureKind.VALUE, FailureKind.LATE_ERROR, FailureKind.ERROR, FailureKind.CRASH)


def _found_at(verdict: Verdict, at: int, traced: Traced, ranges: dict[int, tuple[int, int]]) -> int:
    """The byte at which the page of a wrong read holds what the read was given.

    -1 if that is the read's own place, or if it is the place of no other read.  Of several places,
    the last one before the read's own, or else the first.
    """
    submit, copy = traced.fetched[at]
    op, got = verdict.execution.case.program[at], verdict.execution.history.outcomes[at].data
    assert isinstance(op, Read)
    taken = first_take(verdict, submit, copy["target"])
    data = None if taken is None else taken.event["data"]
    shift = op.offset - copy["source_offset"]
    if not got or data is None or data[ranges[at][0] + shift :][: len(got)] == got:
        return -1
    starts = [start + shift for n, (start, _) in ranges.items() if n != at]
    places = [start for start in starts if data[start : start + len(got)] == got]
    before = [start for start in places if start < ranges[at][0]]
    return max(before, default=min(places, default=-1))


def _untaken(verdict: Verdict, at: int, traced: Traced) -> Told:
    """Tells that a read was delivered before its own page was taken, and which page was."""
    submit, copy = traced.fetched[at]
    op, target = verdict.execution.case.program[at], copy["target"]
    assert isinstance(op, Read)
    pages = {each["target"]: n for n, (_, each) in traced.fetched.items()}
    number, taken = 0, 0
    for event in verdict.execution.trace:
        number += is_call(event)
        if event.kind == "take" and number > submit:
            if event["buffer"] == target:
                return NOTHING
            taken = event["buffer"] if event["buffer"] in pages else taken
        elif event.kind == "delivered" and event["result"] == op.result:
            break
    if not taken:
        return NOTHING
    sentence = (
        f"op {at} ({write_op(op)}) was given what staging buffer {taken} held, the page of op "
        f"{pages[taken]}, though its own page, staging buffer {target}, was not taken yet"
    )
    return Told(sentence=sentence, culprit=at, rule=laws.D5)


def _mapped_short(verdict: Verdict, at: int, traced: Traced) -> Told:
    """Tells that a page was mapped for fewer bytes than were copied to it."""
    submit, copy = traced.fetched[at]
    target, (start, end) = copy["target"], _range(copy)
    for call in calls(verdict.execution.trace):
        event = call.event
        if event.kind == "map" and event["buffer"] == target and call.number > submit:
            if event["size_bytes"] >= end:
                break
            fact = (
                f"the copy of op {at} went to {_said((start, end))} of its page, staging buffer "
                f"{target}, but only the first {event['size_bytes']} bytes of it were mapped (call "
                f"{call.number})"
            )
            return Told(facts=(fact,))
    return NOTHING


def _mapped_before(verdict: Verdict, at: int, traced: Traced) -> Told:
    """Tells that a staging buffer held the same bytes as when it was mapped the time before."""
    submit, copy = traced.fetched[at]
    outcome = verdict.execution.history.outcomes[at]
    before: Call | None = None
    for call in calls(verdict.execution.trace):
        if call.event.kind != "take" or call.event["buffer"] != copy["target"]:
            continue
        if call.number < submit:
            before = call
            continue
        is_same = before is not None and before.event["data"] == call.event["data"]
        if before is None or not is_same or (outcome.data or b"") not in bytes(call.event["data"]):
            break
        fact = (
            f"staging buffer {copy['target']}, which op {at} read, was mapped before, in "
            f"{before.place}, and had the very same bytes then (call {before.number})"
        )
        return Told(facts=(fact,))
    return NOTHING


def _range(copy: About) -> tuple[int, int]:
    return copy["target_offset"], copy["target_offset"] + copy["size_bytes"]


def _meet(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _said(range_: tuple[int, int]) -> str:
    return f"bytes {range_[0]} to {range_[1] - 1}"
