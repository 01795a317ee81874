"""Tries whether reads go wrong by how many there are, or by their length.

Each number and each length is tried in a program of its own.  Of staging memory, only what calls
show is said.
"""

from collections.abc import Sequence
from dataclasses import replace

from gpusim.limits import WORD_BYTES
from gpusim.ops import Flush, Op, Read
from gpusim.program import Program
from gpusim.runtime.policy import PRESETS
from properties.explain.calls import Call, calls
from properties.explain.clocks import Traced, read_clocks
from properties.explain.experiments import Judge, fails, instead_of
from properties.explain.told import NOTHING, Told
from properties.model.case import PLAIN
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws.catalogue import D4, D6, LawContext
from properties.oracles.laws.expected import STAGING

_COUNTS = (2, 3, 4, 5)
_SIZES = (1, 2, 3, 4, 6, 8)
_OF_STAGING = (FailureKind.STATISTICS, FailureKind.LAW)
_READS = (3, 4, 6)
"""The positions of the reads in the program of ``_copied_to``."""
_WORD_BY_WORD = "own_arrays"
_STAGED_SIZES = (4, 12, 252, 256, 260, 508, 512, 516, 768, 1024, 1028)
_MANY = (32, 512)
_LEAST_STAGED = 256
"""The size of the smallest staging buffer."""
_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_MADE = f"alloc x 64\nwrite x 0 {bytes(range(1, 65)).hex()}\n"


def tell_reads(verdict: Verdict, failure: Failure, traced: Traced, again: Judge | None) -> Told:
    """Tells which of several equal reads go wrong, or at which lengths a read does."""
    program, at = verdict.execution.case.program, failure.position
    is_shared = traced.broken is not None and traced.broken.trait == D4.name
    if again is not None and (failure.kind in _OF_STAGING or is_shared):
        return _of_staging(verdict, failure, again, is_shared=is_shared)
    if again is not None and failure.kind is FailureKind.CRASH:
        told = _of_many(verdict, again)
        return told if told is not NOTHING else _of_three(verdict, failure, again)
    if again is not None and failure.kind is FailureKind.ERROR:
        return _of_staged_sizes(verdict, failure, again)
    if again is None or failure.kind is not FailureKind.VALUE or not 0 <= at < len(program):
        return NOTHING
    op = program[at]
    meant, got = verdict.expected.outcomes[at].data, verdict.execution.history.outcomes[at].data
    if not isinstance(op, Read) or meant is None or got is None:
        return NOTHING
    if len(meant) != len(got):
        return _of_lengths(verdict, again)
    before = [each for each in program.ops[:at] if isinstance(each, Read)]
    return _of_counts(verdict, op, again) if before else NOTHING


def _of_three(verdict: Verdict, failure: Failure, again: Judge) -> Told:
    """Tells which of two and of three reads before one sync go wrong, if a read crashed."""
    case, at = verdict.execution.case, failure.position
    if not 0 <= at < len(case.program) or not isinstance(case.program[at], Read):
        return NOTHING
    told = []
    for count in _COUNTS[:2]:
        text = "".join(f"read x 0 4 -> r{n}\n" for n in range(count))
        judged = instead_of(verdict, f"alloc x 4\nwrite x 0 01020304\n{text}", again)
        ends = judged.execution.history.outcomes[2:]
        wrong = [n for n, end in enumerate(ends) if end.data is None or end.late_error]
        if not wrong:
            return NOTHING
        told.append(f"of {count} {_said(wrong) if len(wrong) < count else 'all are wrong'}")
    return Told(facts=(f"tried with reads of 4 bytes before one sync: {'; '.join(told)}",))


def _of_staged_sizes(verdict: Verdict, failure: Failure, again: Judge) -> Told:
    """Tells at which lengths a read fails, tried around the sizes of staging buffers."""
    case, at = verdict.execution.case, failure.position
    op = case.program[at] if 0 <= at < len(case.program) else None
    if not isinstance(op, Read) or len(case.device.faults) or op.size_bytes > _STAGED_SIZES[-1]:
        return NOTHING
    judged = {
        size: instead_of(verdict, f"alloc x {size}\nread x 0 {size} -> r\n", again)
        for size in _STAGED_SIZES
    }
    wrong = [size for size, each in judged.items() if each.failure is not None]
    right = [size for size in _STAGED_SIZES if size not in wrong]
    if not wrong:
        return _given_again(verdict, at)
    if not right:
        return NOTHING
    short = {size - _staged(judged[size]) for size in wrong}
    fail, ok = f"{_counted(wrong)} bytes fail", f"{_counted(right)} pass"
    if len(short) == 1 and short < {*range(1, wrong[0])}:
        one = _staged(judged[wrong[0]])
        fail += f", each in a staging buffer {short.pop()} bytes shorter than the read"
        fail += f" ({one} for {wrong[0]})"
        ok += f", in one of {_staged(judged[right[-1]])}"
    return Told(facts=(f"tried reads alone: of {fail}, of {ok}",))


def _staged(verdict: Verdict) -> int:
    """The size of the last staging buffer that was made; 0 if none was."""
    sizes = [call.event["size_bytes"] for call in _made(verdict)]
    return sizes[-1] if sizes else 0


def _made(verdict: Verdict) -> list[Call]:
    """The calls that made staging buffers."""
    made = [call for call in calls(verdict.execution.trace) if call.event.kind == "create_buffer"]
    return [call for call in made if call.event["role"] == STAGING]


def _given_again(verdict: Verdict, at: int) -> Told:
    """Tells of a read whose staging buffer an earlier op made, and is too small for the read."""
    copies = [call for call in calls(verdict.execution.trace) if call.event.kind == "copy"]
    own = [call.event for call in copies if call.position == at][-1:]
    for call in _made(verdict):
        number, size = call.event["buffer"], call.event["size_bytes"]
        is_used = own and own[0]["target"] == number and call.position < at
        if is_used and own[0]["target_offset"] + own[0]["size_bytes"] > size:
            fact = (
                f"the copy of op {at}, of {own[0]['size_bytes']} bytes, goes to staging buffer "
                f"{number}, which has {size} bytes, was made in {call.place} (call {call.number}) "
                f"and is used again; alone, reads of up to {_STAGED_SIZES[-1]} bytes pass"
            )
            return Told(facts=(fact,))
    return NOTHING


def _of_many(verdict: Verdict, again: Judge) -> Told:
    """Tells how many reads may wait for one sync, if the client reads word by word."""
    case = verdict.execution.case
    if case.client != _WORD_BY_WORD:
        return NOTHING
    plain = replace(verdict, execution=replace(verdict.execution, case=replace(case, client=PLAIN)))

    def fails_with(count: int) -> bool:
        reads = "".join(f"read x 0 4 -> r{n}\n" for n in range(count))
        return fails(plain, f"alloc x 4\nwrite x 0 01020304\n{reads}", again)

    low, high = 1, next(filter(fails_with, _MANY), 0)
    if not high or fails_with(low):
        return NOTHING
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fails_with(middle) else (middle, high)
    return Told(
        facts=(f"tried plainly, with reads of 4 bytes before one sync: {low} pass, {high} fail",)
    )


def _of_staging(
    verdict: Verdict, failure: Failure, again: Judge, *, is_shared: bool = False
) -> Told:
    """Tells to which staging buffers reads go: as long as the longest here, and a word long."""
    reads = [op for op in verdict.execution.case.program if isinstance(op, Read)]
    said = " ".join((failure.reason, failure.trait, *failure.notes))
    is_other_law = failure.kind is FailureKind.LAW and failure.trait != D6.name
    is_fit = is_shared or (STAGING in said and "exhausted" not in said and not is_other_law)
    if not is_fit or not reads or verdict.execution.case.client != PLAIN:
        return NOTHING
    longest = max(op.size_bytes for op in reads)
    # A pool may have a class of its own for reads that are longer than a power of two.
    shorter = 1 << (longest - 1).bit_length() - 1 if longest > _LEAST_STAGED else longest
    sizes = dict.fromkeys((longest, shorter, WORD_BYTES))
    alike: dict[str, list[int]] = {}
    for size in sizes:
        alike.setdefault(_copied_to(verdict, size, again), []).append(size)
    if is_shared and len(alike) == 1:
        return NOTHING
    told = [f"those of {_counted(sizes)} bytes go to {which}" for which, sizes in alike.items()]
    fact = f"tried: of two reads before a sync and one after it, {'; '.join(told)}"
    return Told(facts=(fact,)) if all(alike) else NOTHING


def _copied_to(verdict: Verdict, size: int, again: Judge) -> str:
    """The staging buffers of two equal reads before a sync, and of one after it; "" if unknown."""
    judged = instead_of(
        verdict,
        f"alloc x {size}\nalloc y {size}\nwrite x 0 01010101\nread x 0 {size} -> rx\n"
        f"read y 0 {size} -> ry\nsync\nread x 0 {size} -> rz\n",
        again,
    )
    execution = judged.execution
    if not execution.is_lawful:
        return ""
    fetched = read_clocks(execution.trace, LawContext.of(execution)).fetched
    places = [str(fetched[at][1]["target"]) for at in _READS if at in fetched]
    if len(places) < len(_READS):
        return ""
    meant, got = judged.expected.outcomes, execution.history.outcomes
    wrong = [_ORDINALS[n] for n, at in enumerate(_READS) if meant[at].data != got[at].data]
    said = f" (the {' and the '.join(wrong)} with wrong bytes)" if wrong else ""
    if len(wrong) == len(_READS):
        said = " (all with wrong bytes)"
    return f"staging buffers {', '.join(places)}{said}"


def _of_counts(verdict: Verdict, op: Read, again: Judge) -> Told:
    """Tells which reads are wrong of two, three, four and five equal ones before one sync."""
    ops = [each for each in verdict.execution.case.program if not isinstance(each, Read)]
    wrong = [_wrong_of(verdict, ops, op, count, again) for count in _COUNTS]
    if not any(0 < len(found) < count for count, found in zip(_COUNTS, wrong, strict=True)):
        return NOTHING
    parted = [_wrong_of(verdict, ops, op, count, again, Flush()) for count in _COUNTS]
    same = "the same are wrong" if parted == wrong else "others are wrong"
    alike: dict[str, list[int]] = {}
    for count, found in zip(_COUNTS, wrong, strict=True):
        alike.setdefault(_said(found), []).append(count)
    said = [f"of {_counted(counts)} {which}" for which, counts in alike.items()]
    return Told(
        facts=(
            f"tried with equal reads before one sync: {'; '.join(said)}; with a flush after each "
            f"read, {same}",
        )
    )


def tell_whose(verdict: Verdict, failure: Failure, again: Judge | None) -> Told:
    """Whose bytes each of a few reads of different words gets, if that is not its own."""
    case = verdict.execution.case
    reads = sum(isinstance(op, Read) for op in case.program)
    is_fit = failure.kind is FailureKind.VALUE and not len(case.device.faults)
    if again is None or not is_fit or reads < _COUNTS[0]:
        return NOTHING
    given = {count: _whose(verdict, [WORD_BYTES] * count, again) for count in _COUNTS[:3]}
    told = [
        f"of {count}, {', '.join(whose)}"
        for count, whose in given.items()
        if whose != [*_ORDINALS[:count]]
    ]
    if not told:
        return NOTHING
    count = next(n for n, whose in given.items() if whose != [*_ORDINALS[:n]])
    return Told(
        facts=(
            "tried reads of a word before one sync, whose bytes each got in turn: "
            f"{'; '.join(told)}; {_otherwise(verdict, given[count], again)}",
        )
    )


def _otherwise(verdict: Verdict, whose: list[str], again: Judge) -> str:
    """Whose bytes as many reads get if they differ in length or buffer, or come after a sync."""
    count = len(whose)
    longer = [WORD_BYTES * (n + 1) for n in range(count)]
    equal = [WORD_BYTES] * count
    ways = {
        "of growing lengths": _whose(verdict, longer, again),
        f"of {count} buffers": _whose(verdict, equal, again, is_apart=True),
        "after a sync": _whose(verdict, equal, again, again_from=count),
    }
    alike: dict[str, list[str]] = {}
    for way, found in ways.items():
        is_right = found == [*_ORDINALS[:count]]
        said = "the same" if found == whose else "each its own" if is_right else ", ".join(found)
        alike.setdefault(said, []).append(way)
    if alike.keys() == {"the same"}:
        return (
            f"the same for {count} of growing lengths, of {count} buffers, or after a sync: "
            "the place in the sync counts"
        )
    return "; ".join(
        f"{said} for {', or '.join(f'{count} {way}' for way in each)}"
        for said, each in alike.items()
    )


def _whose(
    verdict: Verdict,
    sizes: list[int],
    again: Judge,
    *,
    is_apart: bool = False,
    again_from: int = 0,
) -> list[str]:
    """For each of some reads, the read whose bytes it got.

    ``is_apart``: each is of a buffer of its own.  ``again_from``: so many reads of the first word
    and a sync come before.
    """
    starts = [WORD_BYTES * n for n in range(len(sizes))]
    names = [f"x{n}" if is_apart else "x" for n in range(len(sizes))]
    made = "".join(_MADE.replace("x ", f"{name} ") for name in dict.fromkeys(names))
    earlier = "".join(f"read x 0 {WORD_BYTES} -> s{n}\n" for n in range(again_from))
    reads = "".join(
        f"read {name} {start} {size} -> r{n}\n"
        for n, (name, start, size) in enumerate(zip(names, starts, sizes, strict=True))
    )
    text = f"{made}{earlier}{'sync' if earlier else ''}\n{reads}"
    got = instead_of(verdict, text, again).execution.history.outcomes
    first = made.count("\n") + again_from + bool(earlier)
    by_word = {bytes(range(s + 1, s + 1 + WORD_BYTES)): n for n, s in enumerate(starts)}
    places = [by_word.get((each.data or b"")[:WORD_BYTES]) for each in got[first:][: len(sizes)]]
    return ["none" if place is None else _ORDINALS[place] for place in places]


def _counted(counts: list[int]) -> str:
    return " or ".join(map(str, counts))


def _wrong_of(
    verdict: Verdict, ops: Sequence[Op], op: Read, count: int, again: Judge, *after: Op
) -> list[int]:
    reads = [(replace(op, result=f"equal{n}"), *after) for n in range(count)]
    program = Program((*ops, *(each for pair in reads for each in pair)))
    judged = again(replace(verdict.execution.case, program=program))
    pairs = zip(judged.expected.outcomes, judged.execution.history.outcomes, strict=True)
    places = [n for n, each in enumerate(program) if isinstance(each, Read)]
    differ = [meant.data != got.data or got.late_error is not None for meant, got in pairs]
    return [n for n, place in enumerate(places) if differ[place]]


def _said(wrong: list[int]) -> str:
    if not wrong:
        return "none is wrong"
    which = " and ".join(f"the {_ORDINALS[n]}" for n in wrong)
    return f"{which} alone {'is' if len(wrong) == 1 else 'are'} wrong"


def _of_lengths(verdict: Verdict, again: Judge) -> Told:
    """Tells how many bytes reads of some lengths give, alone or before another in their page."""
    given = {size: _given(verdict, size, "", again) for size in _SIZES}
    wrong = {size: got for size, got in given.items() if got != size}
    if not wrong:
        return NOTHING
    right = [size for size in _SIZES if size not in wrong]
    told = ", ".join(f"of {size} gives {got}" for size, got in wrong.items())
    facts = [f"tried, in bytes: a read {told}; right are reads of {_counted(right) or 'none'}"]
    if not verdict.execution.case.follows_no_policy:
        policy = replace(PRESETS["lazy"], join_reads=True)
        execution = verdict.execution
        joined = replace(
            verdict, execution=replace(execution, case=replace(execution.case, policy=policy))
        )
        size = next(iter(wrong))
        alone = _given(joined, size, "", again)
        behind = _given(joined, size, "read x 32 20 -> s\n", again)
        facts.append(
            f"with join_reads=True, where reads share a page of staging memory: a read of {size} "
            f"gives {alone} alone, and {behind} with a read of 20 bytes behind it in the page"
        )
    return Told(facts=tuple(facts[::-1]))


def _given(verdict: Verdict, size: int, behind: str, again: Judge) -> int:
    """How many bytes a read of ``size`` gives."""
    judged = instead_of(verdict, f"{_MADE}read x 0 {size} -> r\n{behind}", again)
    return len(judged.execution.history.outcomes[2].data or b"")
