"""Tries whether a read gives what an earlier read left behind: in an array or a map.

A map may still hold the bytes of the map before it, and an array that two reads fill may keep those
of the first.
"""

from dataclasses import replace

from gpusim.limits import WORD_BYTES
from gpusim.ops import Read
from gpusim.text import write_op
from properties.clients.passed import is_second_into_one
from properties.explain.calls import calls
from properties.explain.experiments import Judge, instead_of, looked_at
from properties.explain.rules import READ
from properties.explain.told import NOTHING, Told
from properties.model.case import PLAIN
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.metamorphic.rewrites import sizes_of

_ROW = 20
_VALUE = "another value"
"""Words of a client whose own read went wrong."""
_MADE = f"alloc x 64\nwrite x 0 {bytes(range(1, 65)).hex()}\n"


def tell_stale(verdict: Verdict, failure: Failure, again: Judge | None) -> Told:
    """Tells which reads give the bytes of an earlier read; NOTHING if none of those tried does."""
    program, at = verdict.execution.case.program, failure.position
    if again is None:
        return NOTHING
    if failure.kind is FailureKind.CRASH:
        is_of_value = _VALUE in str(failure.sides) + failure.reason
        return _of_row(verdict, again) if is_of_value else NOTHING
    op = program[at] if 0 <= at < len(program) else None
    if failure.kind is not FailureKind.VALUE or not isinstance(op, Read):
        return NOTHING
    into_one = _of_one_array(verdict, failure, op, again)
    if into_one is not NOTHING or not any(isinstance(each, Read) for each in program.ops[:at]):
        return into_one
    return _of_row(verdict, again)


def _of_one_array(verdict: Verdict, failure: Failure, op: Read, again: Judge) -> Told:
    """Tells that the second of two reads into one array of the client left the first's bytes."""
    case, size = verdict.execution.case, sizes_of(verdict.execution.case.program)[op.buffer]
    if not is_second_into_one(case.client, op, size):
        return NOTHING
    looked = looked_at(verdict, failure, again)
    if looked is None or not is_second_into_one(case.client, looked[0], size):
        return NOTHING
    first = size - op.size_bytes
    if looked[2] != looked[3][first:]:
        return NOTHING
    own = f"bytes {op.offset} to {op.offset + op.size_bytes - 1}"
    at = failure.position
    return Told(
        sentence=(
            f"op {at} ({write_op(op)}) did not fill the array that it reads into: the array still "
            "has what an earlier read, into the same array and not yet delivered when op "
            f"{at} was issued, put there"
        ),
        culprit=at,
        rule=READ,
        facts=(
            f"client {case.client} makes op {at} as two reads into one array, issued one after the "
            f"other: the first of bytes {first} to {size - 1} of {op.buffer}, the second of {own}; "
            "the array should end with the second's bytes, and tried with other data has the "
            "first's",
            *_of_parted(verdict, again),
        ),
    )


def _of_parted(verdict: Verdict, again: Judge) -> tuple[str, ...]:
    """What two reads into one array give if their ranges share no byte."""
    client, whole = verdict.execution.case.client, bytes(range(1, 65))
    parted = (
        Read(buffer="x", offset=offset, size_bytes=size, result="r")
        for size in range(8, 17)
        for offset in range(len(whole) - 2 * size)
    )
    op = next((each for each in parted if is_second_into_one(client, each, len(whole))), None)
    if op is None:
        return ()
    judged = instead_of(verdict, f"{_MADE}{write_op(op)}\n", again)
    given = judged.execution.history.outcomes[2].data
    if given != whole[-op.size_bytes :]:
        return ()
    taken = [call for call in calls(judged.execution.trace) if call.event.kind == "take"]
    meant = whole[op.offset : op.offset + op.size_bytes]
    after = ""
    if taken and meant in taken[-1].event["data"]:
        after = ", though the device gave the second's last: likeliest the second fill is left out"
    return (
        f"tried: of bytes {len(whole) - op.size_bytes} to {len(whole) - 1} and {op.offset} to "
        f"{op.offset + op.size_bytes - 1}, which share none, it has the first's too{after}",
    )


def _of_row(verdict: Verdict, again: Judge) -> Told:
    """Tells which of many reads, with a sync after each, get the bytes of an earlier read."""
    case = replace(verdict.execution.case, client=PLAIN)
    words = [bytes([n] * WORD_BYTES) for n in range(1, _ROW + 1)]
    reads = "".join(f"read x {WORD_BYTES * n} {WORD_BYTES} -> r{n}\nsync\n" for n in range(_ROW))
    text = f"alloc x {WORD_BYTES * _ROW}\nwrite x 0 {b''.join(words).hex()}\n{reads}"
    plain = replace(verdict, execution=replace(verdict.execution, case=case))
    execution = instead_of(plain, text, again).execution
    got = [each.data for each in execution.history.outcomes[2::2]]
    first = next((n for n, data in enumerate(got) if data != words[n]), 0)
    if got[first] not in words[:first]:
        return NOTHING
    stale = words.index(got[first] or b"")
    is_all = all(data == words[stale] for data in got[first:])
    taken = [call.event for call in calls(execution.trace) if call.event.kind == "take"]
    is_mapped = len(taken) == _ROW and taken[first]["data"] == words[stale]
    by = f", and map {first + 1} of the device itself gave these" if is_mapped else ""
    return Told(
        facts=(
            f"tried plainly {_ROW} reads of other words, with a sync after each: the first {first} "
            f"are right, and number {first + 1}{' and all later ones' * is_all} got the bytes of "
            f"number {stale + 1}{by}",
        )
    )
