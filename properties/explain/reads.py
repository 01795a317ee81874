"""Tries reads: how many of them, of which lengths and after which ops go wrong.

Each number and each length is tried in a program of its own.  A read may give the bytes of an
earlier read: of one into the same array of the client, or of one that was mapped before.  A sync
that returns too early may look only at what was not submitted yet, or only at what came after the
sync before it.
"""

from dataclasses import replace

from gpusim.limits import WORD_BYTES
from gpusim.ops import Flush, Op, Read
from gpusim.program import Program
from gpusim.runtime.policy import PRESETS
from gpusim.text import write_op
from properties.clients.passed import is_second_into_one
from properties.explain.calls import calls_of
from properties.explain.experiments import looked_at
from properties.explain.rules import READ
from properties.explain.settling import MAPS
from properties.explain.told import NOTHING, Told, alike, either, told
from properties.explain.trials import LIFTED, Evidence, Trials, by_trial, edge, sides
from properties.model.failure import FailureKind
from properties.oracles.laws.catalogue import D3, D4
from properties.oracles.metamorphic.rewrites import sizes_of

_COUNTS = (2, 3, 4, 5)
_SIZES = (1, 2, 3, 4, 6, 8)
_WORD_BY_WORD = "own_arrays"
_MANY = (32, 512)
_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_WHOLE = bytes(range(1, 65))
_MADE = f"alloc x 64\nwrite x 0 {_WHOLE.hex()}\n"
_LONE = "alloc x 4\nwrite x 0 01020304\n"
_ROW = 20
_VALUE = "another value"
"""Words of a client whose own read went wrong."""
_LATE = "not delivered when it returned"
_FIRST = {
    "as the first sync": "alloc x 4\n",
    "if a write and a sync come before": "alloc x 4\nwrite x 0 01010101\nsync\n",
    "if a read and a sync come before": "alloc x 4\nread x 0 4 -> first\nsync\n",
}
_DISPATCH, _READ, _FLUSH = "dispatch affine x 1,1 1x1x1\n", "read x 0 4 -> r\n", "flush\n"
_BEFORE = {
    "a read that was submitted": f"{_READ}{_FLUSH}",
    "a dispatch that was submitted": f"{_DISPATCH}{_FLUSH}",
    "a write that acted at once": "write x 0 02020202\n",
    "a read not submitted yet": _READ,
    "a submitted read and a dispatch not submitted yet": f"{_READ}{_FLUSH}{_DISPATCH}",
}


@by_trial(FailureKind.VALUE)
def tell_reads(evidence: Evidence, trials: Trials) -> Told:
    """Tells which of several equal reads go wrong, or which lengths of a read."""
    op, meant, got = evidence.op, evidence.meant, evidence.got
    if evidence.broken == D4.name or not isinstance(op, Read) or meant is None or got is None:
        return NOTHING
    if len(meant) != len(got):
        return _of_lengths(trials)
    return NOTHING if _is_first(evidence) else _of_counts(trials, op)


def _is_first(evidence: Evidence) -> bool:
    return not any(isinstance(op, Read) for op in evidence.program.ops[: evidence.at])


@by_trial(FailureKind.CRASH)
def tell_crowd(evidence: Evidence, trials: Trials) -> Told:
    """Tells how many reads may wait for one sync.

    Tried if a read crashed, or if the client reads word by word and so makes many reads of one.
    """

    def text_of(count: int) -> str:
        return _LONE + "".join(f"read x 0 4 -> r{n}\n" for n in range(count))

    if trials.case.client == _WORD_BY_WORD:
        plain = trials.plainly()
        high = next((count for count in _MANY if plain.fails(text_of(count))), 0)
        if high and not plain.fails(text_of(1)):
            low, high = edge(1, high, lambda count: not plain.fails(text_of(count)))
            return told(
                f"tried plainly, with reads of 4 bytes before one sync: {low} pass, {high} fail"
            )
    if not isinstance(evidence.op, Read):
        return NOTHING
    said = []
    for count in _COUNTS[:2]:
        ends = trials.run(text_of(count)).execution.history.outcomes[2:]
        wrong = [n for n, end in enumerate(ends) if end.data is None or end.late_error]
        if not wrong:
            return NOTHING
        said.append(f"of {count} {_which(wrong) if len(wrong) < count else 'all are wrong'}")
    return told(f"tried with reads of 4 bytes before one sync: {'; '.join(said)}")


def _of_counts(trials: Trials, op: Read) -> Told:
    """Makes two, three, four and five equal reads before one sync; tells which are wrong."""
    wrong = {count: _wrong_of(trials, op, count) for count in _COUNTS}
    if not any(0 < len(found) < count for count, found in wrong.items()):
        return NOTHING
    parted = {count: _wrong_of(trials, op, count, Flush()) for count in _COUNTS}
    same = "the same are wrong" if parted == wrong else "others are wrong"
    said = [
        f"of {either(counts)} {which}"
        for which, counts in alike({count: _which(found) for count, found in wrong.items()}).items()
    ]
    return told(
        f"tried with equal reads before one sync: {'; '.join(said)}; with a flush after each "
        f"read, {same}"
    )


def _wrong_of(trials: Trials, op: Read, count: int, *after: Op) -> list[int]:
    """The numbers, from 0, of the wrong ones among ``count`` reads like ``op``.

    The reads come after the ops of the program that are no reads; ``after`` follows each of them.
    """
    ops: list[Op] = [each for each in trials.case.program if not isinstance(each, Read)]
    for n in range(count):
        ops += [replace(op, result=f"equal{n}"), *after]
    judged = trials.run(Program(tuple(ops)))
    late = [each.late_error is not None for each in judged.execution.history.outcomes]
    places = [n for n, each in enumerate(ops) if isinstance(each, Read)]
    pairs = sides(judged)
    return [n for n, at in enumerate(places) if pairs[at][0] != pairs[at][1] or late[at]]


def _which(wrong: list[int]) -> str:
    if not wrong:
        return "none is wrong"
    which = " and ".join(f"the {_ORDINALS[n]}" for n in wrong)
    return f"{which} alone {'is' if len(wrong) == 1 else 'are'} wrong"


@by_trial(FailureKind.VALUE, without_faults=True)
def tell_whose(evidence: Evidence, trials: Trials) -> Told:
    """Makes a few reads of different words; tells whose bytes each got, if not its own."""
    few = sum(isinstance(op, Read) for op in evidence.program) < _COUNTS[0]
    if few or evidence.argument.rule is MAPS:
        return NOTHING
    given = {count: _whose(trials, [WORD_BYTES] * count) for count in _COUNTS[:3]}
    wrong = {count: whose for count, whose in given.items() if whose != [*_ORDINALS[:count]]}
    if not wrong:
        return NOTHING
    said = [f"of {count}, {', '.join(whose)}" for count, whose in wrong.items()]
    return told(
        "tried different reads before one sync, by whose bytes each got: "
        f"{'; '.join(said)}; "
        f"{_otherwise(trials, next(iter(wrong.values())))}"
    )


def _otherwise(trials: Trials, whose: list[str]) -> str:
    """Says whose bytes the reads get with other lengths, with a buffer each, or after a sync."""
    count, equal = len(whose), [WORD_BYTES] * len(whose)
    names = {", ".join(_ORDINALS[:count]): "each its own", ", ".join(whose): "the same"}
    ways = {
        "of growing lengths": _whose(trials, [WORD_BYTES * (n + 1) for n in range(count)]),
        f"of {count} buffers": _whose(trials, equal, is_apart=True),
        "after a sync": _whose(trials, equal, earlier=count),
    }
    said = {way: names.get(", ".join(found), ", ".join(found)) for way, found in ways.items()}
    if {*said.values()} == {"the same"}:
        return (
            f"the same for {count} of growing lengths, of {count} buffers, or after a sync: "
            "the place of a read in its sync decides"
        )
    return "; ".join(
        f"{end} for {', or '.join(f'{count} {way}' for way in each)}"
        for end, each in alike(said).items()
    )


def _whose(
    trials: Trials, sizes: list[int], *, is_apart: bool = False, earlier: int = 0
) -> list[str]:
    """For each of some reads, the read whose bytes it got.

    ``is_apart``: each is of a buffer of its own.  ``earlier``: how many reads of the first word
    come before, and then a sync.
    """
    starts = [WORD_BYTES * n for n in range(len(sizes))]
    names = [f"x{n}" if is_apart else "x" for n in range(len(sizes))]
    made = "".join(_MADE.replace("x ", f"{name} ") for name in dict.fromkeys(names))
    made += "".join(f"read x 0 {WORD_BYTES} -> s{n}\n" for n in range(earlier))
    made += "sync\n" if earlier else ""
    reads = "".join(
        f"read {name} {start} {size} -> r{n}\n"
        for n, (name, start, size) in enumerate(zip(names, starts, sizes, strict=True))
    )
    got = trials.run(made + reads).execution.history.outcomes[made.count("\n") :]
    by_word = {_WHOLE[s : s + WORD_BYTES]: _ORDINALS[n] for n, s in enumerate(starts)}
    return [by_word.get((each.data or b"")[:WORD_BYTES], "none") for each in got[: len(sizes)]]


def _of_lengths(trials: Trials) -> Told:
    """Makes reads of several lengths, and tells how many bytes each gives.

    A wrong length is then tried alone in its page, and with another read after it.
    """

    def given(size: int, under: Trials = trials, behind: str = "") -> int:
        judged = under.run(f"{_MADE}read x 0 {size} -> r\n{behind}")
        return len(judged.execution.history.outcomes[2].data or b"")

    wrong = {size: got for size in _SIZES if (got := given(size)) != size}
    if not wrong:
        return NOTHING
    right = [size for size in _SIZES if size not in wrong]
    said = ", ".join(f"of {size} gives {got}" for size, got in wrong.items())
    fact = f"tried, in bytes: a read {said}; right are reads of {either(right) or 'none'}"
    if trials.case.follows_no_policy:
        return told(fact)
    joined = trials.having(policy=PRESETS["lazy"]).under(join_reads=True)
    size = next(iter(wrong))
    alone, behind = given(size, joined), given(size, joined, "read x 32 20 -> s\n")
    return told(
        f"with join_reads=True, where reads share a page of staging memory: a read of {size} "
        f"gives {alone} alone, and {behind} with a read of 20 bytes behind it in the page",
        fact,
    )


@by_trial(FailureKind.VALUE, FailureKind.CRASH)
def tell_stale(evidence: Evidence, trials: Trials) -> Told:
    """Tells which reads give the bytes of an earlier read; NOTHING if none of those tried does."""
    failure, op = evidence.failure, evidence.op
    if failure.kind is FailureKind.CRASH:
        is_of_value = _VALUE in str(failure.sides) + failure.reason
        return _of_row(trials) if is_of_value else NOTHING
    if not isinstance(op, Read):
        return NOTHING
    into_one = _of_one_array(evidence, op, trials)
    return into_one if into_one.facts or _is_first(evidence) else _of_row(trials)


def _of_one_array(evidence: Evidence, op: Read, trials: Trials) -> Told:
    """Tells that the second of two reads into one array of the client left the first's bytes."""
    size, client = sizes_of(evidence.program)[op.buffer], evidence.case.client
    if not is_second_into_one(client, op, size):
        return NOTHING
    looked = looked_at(evidence.verdict, evidence.failure, trials.again)
    if looked is None or not is_second_into_one(client, looked[0], size):
        return NOTHING
    first, at = size - op.size_bytes, evidence.at
    if looked[2] != looked[3][first:]:
        return NOTHING
    return Told(
        sentence=(
            f"op {at} ({write_op(op)}) did not fill the array that it reads into: the array still "
            "has the bytes of an earlier read into it, which was not yet delivered when op "
            f"{at} was issued"
        ),
        culprit=at,
        rule=READ,
        facts=(
            f"client {client} makes op {at} as two reads into one array, issued one after the "
            f"other: the first of bytes {first} to {size - 1} of {op.buffer}, the second of bytes "
            f"{op.offset} to {op.offset + op.size_bytes - 1}; the array should end with the "
            "second's bytes, but with other data it had the first's",
            *_of_parted(trials),
        ),
    )


def _of_parted(trials: Trials) -> tuple[str, ...]:
    """What two reads into one array give if their ranges share no byte."""
    parted = (
        Read(buffer="x", offset=offset, size_bytes=size, result="r")
        for size in range(8, 17)
        for offset in range(len(_WHOLE) - 2 * size)
    )
    is_second = (each for each in parted if is_second_into_one(trials.case.client, each, 64))
    op = next(is_second, None)
    if op is None:
        return ()
    execution = trials.run(f"{_MADE}{write_op(op)}\n").execution
    end = op.offset + op.size_bytes
    if execution.history.outcomes[2].data != _WHOLE[-op.size_bytes :]:
        return ()
    taken = calls_of(execution.trace, "take")
    after = ""
    if taken and _WHOLE[op.offset : end] in taken[-1].event["data"]:
        after = ", though the device gave the second's last: likeliest the second fill is left out"
    return (
        f"tried two reads that share no byte, of bytes {len(_WHOLE) - op.size_bytes} to "
        f"{len(_WHOLE) - 1} and {op.offset} to {end - 1}: the array had the first's bytes{after}",
    )


def _of_row(trials: Trials) -> Told:
    """Tells which of many reads, with a sync after each, get the bytes of an earlier read."""
    words = [bytes([n] * WORD_BYTES) for n in range(1, _ROW + 1)]
    reads = "".join(f"read x {WORD_BYTES * n} {WORD_BYTES} -> r{n}\nsync\n" for n in range(_ROW))
    text = f"alloc x {WORD_BYTES * _ROW}\nwrite x 0 {b''.join(words).hex()}\n{reads}"
    execution = trials.plainly().run(text).execution
    got = [each.data for each in execution.history.outcomes[2::2]]
    first = next((n for n, data in enumerate(got) if data != words[n]), 0)
    if got[first] not in words[:first]:
        return NOTHING
    stale = words.index(got[first] or b"")
    is_all = all(data == words[stale] for data in got[first:])
    taken = calls_of(execution.trace, "take")
    is_mapped = len(taken) == _ROW and taken[first].event["data"] == words[stale]
    by = f", and map {first + 1} of the device itself gave these" if is_mapped else ""
    return told(
        f"tried plainly {_ROW} reads of different words, with a sync after each: the first {first} "
        f"are right, and number {first + 1}{' and all later ones' * is_all} got the bytes of "
        f"number {stale + 1}{by}"
    )


@by_trial(follows_policy=True, without_faults=True)
def tell_awaited(evidence: Evidence, trials: Trials) -> Told:
    """Tells which syncs return too early; NOTHING if none of those tried does, or if all do."""
    if evidence.failure.trait != D3.name and _LATE not in evidence.failure.reason:
        return NOTHING
    # Every command waits until a flush or a sync.
    lazy = trials.plainly().having(policy=PRESETS["lazy"]).under(**{**LIFTED, "join_reads": True})
    early, _ = lazy.apart(
        {
            (first, before): f"{made}{ops}sync\n"
            for first, made in _FIRST.items()
            for before, ops in _BEFORE.items()
        }
    )
    if not 0 < len(early) < len(_FIRST) * len(_BEFORE):
        return NOTHING
    firsts = [first for first in _FIRST if any(key[0] == first for key in early)]
    befores = [before for before in _BEFORE if any(key[1] == before for key in early)]
    right = [before for before in _BEFORE if before not in befores]
    return told(
        f"tried under policy lazy join_reads=True: {either(firsts)}, a sync returns too early "
        f"after {either(befores)}",
        f"no sync returns too early after {either(right)}" if right else "",
    )
