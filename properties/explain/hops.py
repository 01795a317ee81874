"""Follows one value or one object from call to call, to the first place where it is wrong.

- The bytes of a read go from the buffer to a staging buffer.  The staging buffer is mapped, and the
  value is taken from it.
- A command goes from its op through a command encoder into a submit.
- A pooled or cached buffer goes from its first use to its end.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from gpusim.limits import WORD_BYTES
from gpusim.ops import Alloc, AnyDispatch, Copy, Flush, Read, Write
from gpusim.program import Program
from gpusim.text import write_op
from properties.explain.argument import Crossing
from properties.explain.calls import Call, calls
from properties.explain.clocks import Place, Traced
from properties.explain.experiments import Judge, looked_at, played_on
from properties.explain.neighbours import instead
from properties.explain.told import NOTHING, Told
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import STORAGE

_BUFFER = re.compile(r"(\w+) buffer (\d+)")
_TWICE = 2
_LIFE = {"create_buffer": "made", "destroy_buffer": "destroyed"}
_CAPACITY = ("B5", "F6")
_MOST_SHOWN = 8
_FURTHER = 8
_FILL = b"\x11"


def tell_bytes(
    verdict: Verdict, failure: Failure, blamed: int, traced: Traced, again: Judge | None
) -> Told:
    """Whether the bytes of a read went wrong on the device or on the host.

    ``blamed``: the op to blame by the bytes alone.
    """
    program, at = verdict.execution.case.program, failure.position
    if failure.kind is not FailureKind.VALUE or at not in traced.fetched:
        return NOTHING
    op, got = program[at], verdict.execution.history.outcomes[at].data
    meant = verdict.expected.outcomes[at].data
    assert isinstance(op, Read)
    held = _held(verdict, at, op, traced)
    if held is None or meant is None or got is None:
        return NOTHING
    taken, held_bytes, name = held
    _, copy = traced.fetched[at]
    if held_bytes == meant and traced.broken is None:
        held_right = f"{name} held {_shown(meant, meant, got)}"
        told = _on_host(op, at, held_right, taken, meant, got)
        told = replace(told, facts=(*_lost_where(verdict, failure, op, again), *told.facts))
        return told if blamed != at else Told(law=told.law)
    if held_bytes != got or traced.broken is not None:
        return NOTHING
    ran = any(event.kind == "dispatch" for event in verdict.execution.trace)
    law = (
        f"the calls on the device break none, and {name} held {_shown(got, meant, got)} when it "
        f"was mapped (call {taken}): the device did not do what a call asked for"
        f"{', or a shader is wrong' if ran else ''}"
    )
    elsewhere = _from_elsewhere(verdict, failure, again) if blamed != at else ""
    if not elsewhere:
        return Told(law=law)
    return Told(
        sentence=(
            f"op {at} ({write_op(op)}) was given bytes of another place by the device: {elsewhere}"
        ),
        culprit=at,
        rule=laws.A11,
        facts=(
            f"the copy to {name} asks for bytes {copy['source_offset']} to "
            f"{copy['source_offset'] + copy['size_bytes'] - 1}, {copy['size_bytes']} in one piece, "
            "as it should",
        ),
        law=law,
    )


def _on_host(op: Read, at: int, held: str, taken: int, meant: bytes, got: bytes) -> Told:
    return Told(
        sentence=(
            f"op {at} ({write_op(op)}) was given {_shown(got, meant, got)} though {held} when it "
            f"was mapped: the bytes were lost on the host, after the device had delivered them"
        ),
        culprit=at,
        rule=laws.D1,
        facts=(
            f"{held} at call {taken}, as it should; the value of {op.result} at those bytes is "
            f"{_shown(got, meant, got)}",
        ),
        law="the calls on the device break none, and what the device delivered is right",
    )


def _lost_where(
    verdict: Verdict, failure: Failure, op: Read, again: Judge | None
) -> tuple[str, ...]:
    """Says which bytes of a read are lost if its buffer is filled first, so that none is zero."""
    program = verdict.execution.case.program
    made = [n for n, each in enumerate(program) if getattr(each, "buffer", "") == op.buffer]
    first = program[made[0]] if made else None
    if again is None or not isinstance(first, Alloc) or not first.size_bytes:
        return ()
    fill = Write(buffer=op.buffer, offset=0, data=_FILL * first.size_bytes)
    filled = Program((*program.ops[: made[0] + 1], fill, *program.ops[made[0] + 1 :]))
    wrong = _wrong_of(verdict, failure, filled, again)
    if not wrong:
        return ()
    fact = (
        f"where {op.buffer} was filled with {_FILL.hex()} first, bytes {wrong[0]} to {wrong[1]} of "
        f"the {op.size_bytes} that were read are wrong, and came back as {wrong[2]}"
    )
    for n, moved in _moved_on(filled, op, first.size_bytes):
        further = _wrong_of(verdict, failure, moved, again)
        if further:
            fact += f"; with op {n - 1} moved on by {_FURTHER} bytes, bytes {further[0]} to "
            fact += f"{further[1]} are wrong"
        if further and further[3]:
            moved_on = f"with op {n - 1} moved on by {_FURTHER} bytes, {further[3]} are zero"
            return (f"{moved_on}, and all before it are right", fact)
    return (fact,)


def _moved_on(program: Program, read: Read, size: int) -> Iterator[tuple[int, Program]]:
    """Moves the last write to a read's buffer by ``_FURTHER`` bytes, if the buffer has room.

    Gives the write's position and the program.
    """
    writes = [
        (n, op)
        for n, op in enumerate(program)
        if isinstance(op, Write) and op.buffer == read.buffer
    ]
    n, op = writes[-1]
    if len(writes) > 1 and op.offset + len(op.data) + _FURTHER <= size:
        yield n, instead(program, n, replace(op, offset=op.offset + _FURTHER))


def _wrong_of(
    verdict: Verdict, failure: Failure, program: Program, again: Judge
) -> tuple[int, int, str, str] | None:
    """The first and last wrong byte of the failing read, what came back, and where zeros begin.

    In ``program`` that read is one op later than in the case.
    """
    tried = again(replace(verdict.execution.case, program=program, transformations=()))
    at = failure.position + 1
    got, meant = tried.execution.history.outcomes[at].data, tried.expected.outcomes[at].data
    if got is None or meant is None or len(got) != len(meant):
        return None
    wrong = [n for n, pair in enumerate(zip(meant, got, strict=True)) if pair[0] != pair[1]]
    if not wrong:
        return None
    first, word = wrong[0], meant[wrong[0] : wrong[0] + WORD_BYTES].hex()
    whole = f"from the word {word} on (byte {first}) all {len(got) - first} bytes of the read"
    return (first, wrong[-1], _shown(got, meant, got), "" if any(got[first:]) else whole)


def _held(verdict: Verdict, at: int, op: Read, traced: Traced) -> tuple[int, bytes, str] | None:
    """The call that took a read's bytes, these bytes, and the name of their staging buffer."""
    submitted, copy = traced.fetched[at]
    start = copy["target_offset"] + op.offset - copy["source_offset"]
    if op.offset < copy["source_offset"] or op.size_bytes > copy["size_bytes"]:
        return None
    call = first_take(verdict, submitted, copy["target"])
    if call is None:
        return None
    data = call.event["data"][start : start + op.size_bytes]
    whole = len(data) == op.size_bytes
    return (call.number, data, f"staging buffer {copy['target']}") if whole else None


def first_take(verdict: Verdict, submit: int, staging: int) -> Call | None:
    """The first call after a submit that took the bytes of a staging buffer."""
    for call in calls(verdict.execution.trace):
        is_take = call.event.kind == "take" and call.event["buffer"] == staging
        if is_take and call.number > submit:
            return call
    return None


def _shown(data: bytes, meant: bytes, got: bytes) -> str:
    """The part of ``data`` in which ``got`` first differs from what is meant."""
    start = next(
        (at for at, pair in enumerate(zip(meant, got, strict=False)) if pair[0] != pair[1]), 0
    )
    part = data[start : start + _MOST_SHOWN].hex()
    return f"{part}{'...' if len(data) > start + _MOST_SHOWN else ''}"


def _from_elsewhere(verdict: Verdict, failure: Failure, again: Judge | None) -> str:
    """Where in its buffer the wrong bytes of a read belong; empty if that is not found.

    To find it, the program runs once more with other data.
    """
    other = None if again is None else looked_at(verdict, failure, again)
    if other is None:
        return ""
    op, meant, got, whole = other
    wrong = [n for n, pair in enumerate(zip(meant, got, strict=True)) if pair[0] != pair[1]]
    low = wrong[0]
    high = low + next(n for n, at in enumerate([*wrong, -1]) if at != low + n)
    run = got[low:high]
    if len(run) < 2 or whole.count(run) != 1:
        return ""
    found = whole.index(run)
    return (
        f"with data in which all bytes of {op.buffer} differ, bytes {op.offset + low} to "
        f"{op.offset + high - 1} came back as those of bytes {found} to {found + len(run) - 1}"
    )


def tell_order(crossing: Crossing | None, traced: Traced) -> Told:
    """The order within one submit, if two ops changed places inside it."""
    if crossing is None:
        return NOTHING
    pair = {crossing.earlier, crossing.later}
    for number, places in traced.submits.items():
        if pair <= {position for position, _ in places} and list(places) != sorted(places):
            return Told(facts=(order_within(number, places),), law=_law(traced, number))
    return NOTHING


def order_within(number: int, places: tuple[Place, ...]) -> str:
    """In which order ops were issued, and in which order one submit has them."""
    issued, came = _in_words(sorted(places)), _in_words(places)
    return (
        f"the submit of call {number} has its commands in another order: issued as {issued}; "
        f"submitted as {came}"
    )


def _law(traced: Traced, number: int) -> str:
    name = "" if traced.broken is None else traced.broken.trait
    return f"{name} is broken first, within the submit of call {number}" if name else ""


def _in_words(places: tuple[Place, ...] | list[Place]) -> str:
    told = [f"op {n}" if command < 0 else f"op {n} command {command}" for n, command in places]
    return ", ".join(told[:_MOST_SHOWN]) + (", ..." if len(told) > _MOST_SHOWN else "")


def tell_leak(verdict: Verdict, failure: Failure, traced: Traced) -> Told:
    """Names a uniform buffer that is never destroyed, and its last use, if the cache evicted one.

    Asked if law B5 or F6 is broken.
    """
    broken = traced.broken if failure.kind is FailureKind.CRASH else failure
    if broken is None or broken.trait not in _CAPACITY:
        return NOTHING
    made: dict[int, Call] = {}
    used: dict[int, Call] = {}
    evicted = ""
    place = ""
    for call in calls(verdict.execution.trace):
        event = call.event
        if event.kind == "create_buffer":
            made[event["buffer"]] = used[event["buffer"]] = call
        elif event.kind == "destroy_buffer":
            made.pop(event["buffer"], None)
        elif event.kind == "dispatch":
            used.update(dict.fromkeys([number for number, _, _ in event["ranges"]], call))
    for event in verdict.execution.trace:
        if event.kind == "op":
            place = f"op {event['position']} ({write_op(event['op'])})"
        elif event.kind == "uniforms.evicted" and not evicted:
            evicted = place
    left = [call for call in made.values() if call.event["role"] == "uniform"]
    if not left or not evicted:
        return NOTHING
    first = left[0]
    number = first.event["buffer"]
    told = broken.notes[0] if broken.notes else broken.reason
    sentence = (
        f"uniform buffer {number}, made in {first.place}, was never destroyed, not even by the "
        f"close; the cache evicted a buffer in {evicted}, and this one was last used at call "
        f"{used[number].number}; so {told}"
    )
    return Told(sentence=sentence, culprit=first.position)


def tell_life(verdict: Verdict, traced: Traced, again: Judge | None) -> Told:
    """Tells when the buffer was made and destroyed that is named by law F1, broken first."""
    broken = traced.broken
    if broken is None or broken.trait != laws.F1.name or not broken.notes:
        return NOTHING
    about = _BUFFER.search(broken.notes[0])
    if about is None:
        return NOTHING
    number = int(about[2])
    made = []
    own = []
    for call in calls(verdict.execution.trace):
        if call.event.kind == "create_buffer" and call.event["role"] == about[1]:
            made.append(call.event["buffer"])
        if call.event.kind in _LIFE and call.event["buffer"] == number:
            own.append(call)
    if len(own) < 2:
        return NOTHING
    told = [f"{_LIFE[call.event.kind]} at call {call.number}, in {call.place}" for call in own]
    which = f", number {made.index(number) + 1} of {len(made)}," if len(made) > 1 else ""
    facts = [f"{about[0]}{which} was {'; '.join(told)}"]
    if again is not None and len(own) > _TWICE:
        facts = [*_found_again(verdict, own[0], again), *facts]
    return Told(facts=tuple(facts))


def _found_again(verdict: Verdict, made: Call, again: Judge) -> Iterator[str]:
    """Says so if the op that made a buffer, called once more, binds it after it was destroyed."""
    case, number = verdict.execution.case, made.event["buffer"]
    if not isinstance(made.op, Write | AnyDispatch | Copy):
        return
    program = Program((*case.program.ops, Flush(), made.op))
    gone = 0
    for call in calls(again(replace(case, program=program)).execution.trace):
        event = call.event
        if event.kind == "destroy_buffer" and event["buffer"] == number:
            gone = gone or call.number
            continue
        bound = [each for each, _, _ in event["ranges"]] if event.kind == "dispatch" else []
        if gone and number in bound:
            yield (
                f"tried with a flush and op {made.position} once more at the end: it binds "
                f"{made.event['role']} buffer {number} again (call {call.number}), which was "
                f"destroyed at call {gone}: likeliest a cache still finds it"
            )
            return


def tell_waiting(verdict: Verdict, failure: Failure) -> Told:
    """Lists the host writes that wait for one submit, and says if no later sync submits either."""
    if failure.kind is not FailureKind.LAW or failure.trait != laws.C4.name:
        return NOTHING
    written = most_waiting(verdict)
    if len(written) < 2:
        return NOTHING
    told = ", ".join(f"{len(call.event['data'])} at call {call.number}" for call in written[:4])
    last = written[-1].position
    later = [call for call in calls(verdict.execution.trace) if call.position > last]
    syncs = [call for call in later if call.event.kind == "submit"]
    counted = (
        ""
        if syncs
        else "; the sync at the end makes no submit either, so the runtime does not know that "
        "these writes wait"
    )
    return Told(facts=(f"bytes written with no submit in between: {told}{counted}",))


def most_waiting(verdict: Verdict) -> list[Call]:
    """The longest series of host writes without a submit between them."""
    waiting: list[Call] = []
    written: list[Call] = []
    for call in calls(verdict.execution.trace):
        if call.event.kind == "submit":
            waiting = []
        elif call.event.kind == "write_buffer" and call.event["role"] == STORAGE:
            waiting.append(call)
            written = list(waiting) if len(waiting) > len(written) else written
    return written


def tell_again(verdict: Verdict, failure: Failure, again: Judge | None) -> Told:
    """Tells what goes wrong later if the device gives a new buffer an old number."""
    if failure.kind is not FailureKind.LAW or failure.trait != laws.E1.name or again is None:
        return NOTHING
    ops, broken = played_on(verdict.execution.case, again)
    if not broken or broken.startswith(laws.E1.name):
        return NOTHING
    fact = (
        "the device reuses numbers of buffers; if the program continues under policy cached "
        f"with {ops}, {broken}"
    )
    return Told(facts=(fact,))
