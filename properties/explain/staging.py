"""Which staging buffers reads get, of what size, and which of them are used again.

Each length of a read is tried in a program of its own.
"""

from collections.abc import Iterator

from gpusim.limits import WORD_BYTES
from gpusim.ops import Read
from gpusim.runtime.byte_plans import words_down, words_up
from properties.explain.calls import Call, calls_of
from properties.explain.clocks import read_clocks
from properties.explain.told import NOTHING, Told, alike, either, every, told
from properties.explain.trials import LIFTED, Evidence, Trials, by_trial, sides
from properties.model.case import PLAIN
from properties.model.failure import FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws.catalogue import D4, D6
from properties.oracles.laws.expected import STAGING

_READS = (3, 4, 6)
"""The positions of the reads in the program of ``_copied_to``."""
_ORDINALS = ("first", "second", "third")
_LENGTHS = (4, 12, 252, 256, 260, 508, 512, 516, 768, 1024, 1028)
_LEAST_STAGED = 256
"""The size of the smallest staging buffer."""
_TWICE = (4, 252, 256, 260, 512)
_ALONE = (4, 256, 260)
_FREE, _SIZE = "staging", "staging size"
"""The traits of the two failures of cost that are told here."""


def _made(verdict: Verdict) -> list[Call]:
    """The calls by which ops made staging buffers."""
    made = calls_of(verdict.execution.trace, "create_buffer", role=STAGING)
    return [call for call in made if call.position >= 0]


def _sizes(verdict: Verdict) -> list[int]:
    return [call.event["size_bytes"] for call in _made(verdict)]


@by_trial()
def tell_staging(evidence: Evidence, trials: Trials) -> Told:
    """Tells which reads get staging buffers that are too small, not free, or another read's."""
    failure, trait = evidence.failure, evidence.failure.trait
    match failure.kind:
        case FailureKind.ERROR:
            return _of_lengths(evidence, trials)
        case FailureKind.LATE_ERROR if not evidence.broken:
            return _of_short(evidence, trials)
        case FailureKind.COST if evidence.verdict.execution.is_lawful and trait == _FREE:
            return _of_free(trials.plainly())
        case FailureKind.COST if evidence.verdict.execution.is_lawful and trait == _SIZE:
            return _of_sizes(trials.plainly())
    said = " ".join((failure.reason, trait, *failure.notes))
    is_counted = failure.kind is FailureKind.STATISTICS and "exhausted" not in said
    is_law = failure.kind is FailureKind.LAW and trait == D6.name
    is_shared = evidence.broken == D4.name
    if not is_shared and not ((is_counted or is_law) and STAGING in said):
        return NOTHING
    return _of_places(trials, is_shared=is_shared)


def _of_places(trials: Trials, *, is_shared: bool) -> Told:
    """Tells which staging buffers reads get: the case's longest read, and shorter ones."""
    reads = [op for op in trials.case.program if isinstance(op, Read)]
    if not reads or trials.case.client != PLAIN:
        return NOTHING
    longest = max(op.size_bytes for op in reads)
    # A pool may keep apart buffers for reads above and below a power of two: both are tried.
    shorter = 1 << (longest - 1).bit_length() - 1 if longest > _LEAST_STAGED else longest
    sizes = dict.fromkeys((longest, shorter, WORD_BYTES))
    places = alike({size: _copied_to(trials, size) for size in sizes})
    if not all(places) or (is_shared and len(places) == 1):
        return NOTHING
    said = [f"those of {either(sizes)} bytes go to {which}" for which, sizes in places.items()]
    return told(f"tried: of two reads before a sync and one after it, {'; '.join(said)}")


def _copied_to(trials: Trials, size: int) -> str:
    """The staging buffers of two equal reads before a sync, and of one after it; "" if unknown."""
    judged = trials.run(
        f"alloc x {size}\nalloc y {size}\nwrite x 0 01010101\nread x 0 {size} -> rx\n"
        f"read y 0 {size} -> ry\nsync\nread x 0 {size} -> rz\n"
    )
    fetched = read_clocks(judged.execution).fetched
    places = [str(fetched[at][1]["target"]) for at in _READS if at in fetched]
    if len(places) < len(_READS):
        return ""
    pairs = sides(judged)
    wrong = [_ORDINALS[n] for n, at in enumerate(_READS) if pairs[at][0] != pairs[at][1]]
    said = f" (the {' and the '.join(wrong)} with wrong bytes)" if wrong else ""
    if len(wrong) == len(_READS):
        said = " (all with wrong bytes)"
    return f"staging buffers {', '.join(places)}{said}"


def _of_lengths(evidence: Evidence, trials: Trials) -> Told:
    """Tells at which lengths a read fails, tried around the sizes of staging buffers."""
    op = evidence.op
    is_fit = isinstance(op, Read) and op.size_bytes <= _LENGTHS[-1]
    if not is_fit or len(evidence.case.device.faults):
        return NOTHING
    judged = {size: trials.run(f"alloc x {size}\nread x 0 {size} -> r\n") for size in _LENGTHS}
    wrong = [size for size, each in judged.items() if each.failure is not None]
    right = [size for size in _LENGTHS if size not in wrong]
    if not wrong:
        return told(*_given_again(evidence))
    if not right:
        return NOTHING
    last = {size: [0, *_sizes(each)][-1] for size, each in judged.items()}
    short = {size - last[size] for size in wrong}
    fail, ok = f"{either(wrong)} bytes fail", f"{either(right)} pass"
    if len(short) == 1 and short < {*range(1, wrong[0])}:
        fail += f", each in a staging buffer {short.pop()} bytes shorter than the read"
        fail += f" ({last[wrong[0]]} for {wrong[0]})"
        ok += f", {right[-1]} in one of {last[right[-1]]} bytes"
    return told(f"tried reads alone: those of {fail}; those of {ok}")


def _given_again(evidence: Evidence) -> Iterator[str]:
    """Tells of a read that was given an earlier op's staging buffer, too small for the read."""
    at = evidence.at
    copies = calls_of(evidence.trace, "copy")
    own = [call.event for call in copies if call.position == at][-1:]
    for call in _made(evidence.verdict):
        number, size = call.event["buffer"], call.event["size_bytes"]
        is_used = own and own[0]["target"] == number and call.position < at
        if is_used and own[0]["target_offset"] + own[0]["size_bytes"] > size:
            yield (
                f"the copy of op {at}, of {own[0]['size_bytes']} bytes, goes to staging buffer "
                f"{number}, which has {size} bytes, was made in {call.place} (call {call.number}) "
                f"and is used again; alone, reads of up to {_LENGTHS[-1]} bytes pass"
            )
            return


def _of_short(evidence: Evidence, trials: Trials) -> Told:
    """Tells if a read made a staging buffer too small for the whole words that the read touches."""
    op, at, case = evidence.op, evidence.at, evidence.case
    made = [call for call in _made(evidence.verdict) if call.position == at]
    if not isinstance(op, Read) or len(made) != 1:
        return NOTHING
    due = words_up(op.offset + op.size_bytes) - words_down(op.offset)
    size, number = made[0].event["size_bytes"], made[0].event["buffer"]
    if size >= due:
        return NOTHING
    fact = (
        f"op {at} made staging buffer {number} of {size} bytes (call {made[0].number}), and its "
        f"read takes {due} bytes"
    )
    joined = case.policy.join_reads
    if trials.under(join_reads=not joined).fails(case.program):
        fact += f"; it fails with join_reads={not joined} as well, so pages have no part in it"
    return told(fact)


def _of_free(trials: Trials) -> Told:
    """Tells at which lengths the second of two equal reads makes a staging buffer of its own."""
    text = "alloc x {0}\nread x 0 {0} -> r\nsync\nread x 0 {0} -> s\n"
    made = {size: _sizes(trials.run(text.format(size))) for size in _TWICE}
    new = [size for size in _TWICE if len(made[size]) > 1]
    old = [size for size in _TWICE if size not in new]
    if not new:
        return NOTHING
    fact = "tried two equal reads, a sync between: the second "
    if not old:
        fact += f"never takes the free staging buffer of the first, at {every(new)} bytes"
        return told(fact)
    fact += (
        f"of {every(new)} bytes does not take the free staging buffer of the first; of "
        f"{every(old)} bytes it does"
    )
    if old == [size for size in _TWICE if made[size][0] == size]:
        fact += ": likeliest only a buffer of exactly the read's bytes is taken"
    return told(fact)


def _of_sizes(trials: Trials) -> Told:
    """Tells how large the staging buffers of single reads are, and if reads share a page."""
    lifted, page = trials.under(**LIFTED), trials.case.policy.staging_page_bytes
    made = {size: _sizes(lifted.run(f"alloc x {size}\nread x 0 {size} -> r0\n")) for size in _ALONE}
    sizes = {size: each[0] for size, each in made.items() if each}
    fact = ""
    if sizes and {*sizes.values()} == {page}:
        fact = (
            f"with join_reads=False, a read alone makes a staging buffer of {page} bytes, that is "
            "staging_page_bytes, the size of a page for joined reads, and not one for its own bytes"
        )
    elif sizes:
        said = ", ".join(
            f"one of {size} bytes makes a buffer of {each}" for size, each in sizes.items()
        )
        fact = f"tried reads alone, with join_reads=False: {said}"
    reads = "".join(f"read x 0 4 -> r{n}\n" for n in range(3))
    count = len(_made(lifted.under(join_reads=True).run(f"alloc x 4\n{reads}")))
    joined = (
        f"tried three reads of a word in one batch with join_reads=True: {count} staging buffers "
        "are made for them, though one page has room for all"
    )
    return told(joined if count > 1 else "", fact)
