"""Follows the bytes of a read on their way through staging memory.

A copy takes them to a page, which is a staging buffer; a map of the page gives them to the host.
The copy, the map and the value each may go wrong, and a page may hold the bytes of several reads.
What the page held when it was mapped shows whether the bytes went wrong before the map or after.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from gpusim.limits import WORD_BYTES
from gpusim.ops import Alloc, Read, Write
from gpusim.program import Program
from properties.explain.calls import Call, calls_of
from properties.explain.clocks import is_call
from properties.explain.experiments import looked_at
from properties.explain.lives import lives
from properties.explain.neighbours import instead
from properties.explain.told import NOTHING, Told, told
from properties.explain.trials import Evidence, Trials, by_trial
from properties.model.failure import FailureKind
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import STAGING
from properties.oracles.laws.state import About

_MOST_SHOWN, _FURTHER, _FILL = 8, 8, b"\x11"
_MOST_READS = 8
"""The largest number of pooled staging buffers for which the pool is filled in a trial."""
_OF_READS = (FailureKind.VALUE, FailureKind.LATE_ERROR, FailureKind.ERROR, FailureKind.CRASH)


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Where a read was copied to.

    ``submit``: the number of the submit that carried out the copy.  ``copy``: what the trace says
    of the copy.
    """

    op: Read
    submit: int
    copy: About

    @property
    def staging(self) -> int:
        """The number of the staging buffer."""
        return int(self.copy["target"])

    @property
    def span(self) -> tuple[int, int]:
        """The first byte of the copy in the staging buffer, and the one after the last."""
        start = self.copy["target_offset"]
        return start, start + self.copy["size_bytes"]

    @property
    def own(self) -> int:
        """The byte of the staging buffer at which the bytes of the read begin."""
        return int(self.copy["target_offset"] + self.op.offset - self.copy["source_offset"])

    def taken(self, evidence: Evidence) -> list[Call]:
        """The calls that took the bytes of the staging buffer after the copy."""
        takes = calls_of(evidence.trace, "take", buffer=self.staging)
        return [call for call in takes if call.number > self.submit]

    def __str__(self) -> str:
        return f"bytes {self.span[0]} to {self.span[1] - 1}"


def page_of(evidence: Evidence, at: int) -> Page | None:
    """The page of the read at ``at``, if the trace shows it."""
    op = evidence.program[at] if 0 <= at < len(evidence.program) else None
    if at not in evidence.traced.fetched or not isinstance(op, Read):
        return None
    submit, copy = evidence.traced.fetched[at]
    return Page(op=op, submit=submit, copy=copy)


def tell_bytes(evidence: Evidence) -> Told:
    """Tells, if no law is broken, whether a wrong read went wrong on the device or on the host."""
    at, page = evidence.at, page_of(evidence, evidence.at)
    if evidence.failure.kind is not FailureKind.VALUE or page is None or evidence.broken:
        return NOTHING
    meant, got, taken = evidence.meant, evidence.got, page.taken(evidence)[:1]
    op, copy = page.op, page.copy
    is_within = op.offset >= copy["source_offset"] and op.size_bytes <= copy["size_bytes"]
    if meant is None or got is None or not taken or not is_within:
        return NOTHING
    held = taken[0].event["data"][page.own :][: op.size_bytes]
    if held == meant:
        return _on_host(evidence, op, f"staging buffer {page.staging}", taken[0].number, meant, got)
    if held != got or len(held) != op.size_bytes:
        return NOTHING
    ran = ", or a shader is wrong" if evidence.calls("dispatch") else ""
    law = (
        f"the calls on the device break none, and staging buffer {page.staging} held "
        f"{_shown(got, meant, got)} when it was mapped (call {taken[0].number}): the device did "
        f"not do what a call asked for{ran}"
    )
    elsewhere = _from_elsewhere(evidence) if evidence.argument.culprit != at else ""
    if not elsewhere:
        return Told(law=law)
    start, size = copy["source_offset"], copy["size_bytes"]
    return Told(
        sentence=f"{evidence.place(at)} was given bytes of another place by the device: "
        f"{elsewhere}",
        culprit=at,
        rule=laws.A11,
        facts=(
            f"the copy to staging buffer {page.staging} asks for bytes {start} to "
            f"{start + size - 1}, {size} in one piece, as it should",
        ),
        law=law,
    )


def _on_host(evidence: Evidence, op: Read, name: str, taken: int, meant: bytes, got: bytes) -> Told:
    at, held = evidence.at, f"{name} held {_shown(meant, meant, got)}"
    law = "the calls on the device break none, and what the device delivered is right"
    if evidence.argument.culprit == at:
        return Told(law=law)
    shown = _shown(got, meant, got)
    return Told(
        sentence=(
            f"{evidence.place(at)} was given {shown} though {held} when it was mapped: the bytes "
            "were lost on the host, after the device had delivered them"
        ),
        culprit=at,
        rule=laws.D1,
        facts=(
            *_lost_where(evidence, op),
            f"{held} at call {taken}, as it should; the value of {op.result} at those bytes is "
            f"{shown}",
        ),
        law=law,
    )


def _lost_where(evidence: Evidence, op: Read) -> Iterator[str]:
    """Fills the buffer of a read first, so that no byte is zero; then says which are wrong."""
    program, trials = evidence.program, evidence.trials
    made = next(n for n, each in enumerate(program) if getattr(each, "buffer", "") == op.buffer)
    first = program[made]
    if trials is None or not isinstance(first, Alloc) or not first.size_bytes:
        return
    fill = Write(buffer=op.buffer, offset=0, data=_FILL * first.size_bytes)
    filled = instead(program, made, first, fill)
    wrong = _wrong_of(evidence, filled, trials)
    if wrong is None:
        return
    fact = (
        f"if {op.buffer} is filled with {_FILL.hex()} first, bytes {wrong[0]} to {wrong[1]} of "
        f"the {op.size_bytes} that were read are wrong, and came back as {wrong[2]}"
    )
    for n, moved in _moved_on(filled, op, first.size_bytes):
        further, by = _wrong_of(evidence, moved, trials), f"moved on by {_FURTHER} bytes"
        if further is not None:
            fact += f"; with op {n - 1} {by}, bytes {further[0]} to {further[1]} are wrong"
        if further is not None and further[3]:
            yield f"with op {n - 1} {by}, {further[3]} are zero, and all before it are right"
    yield fact


def _moved_on(program: Program, read: Read, size: int) -> Iterator[tuple[int, Program]]:
    """Moves the last write to a read's buffer on by ``_FURTHER`` bytes, if the buffer has room.

    The first write, which fills the buffer, stays.  Gives the write's position and the program.
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
    evidence: Evidence, program: Program, trials: Trials
) -> tuple[int, int, str, str] | None:
    """The first and last wrong byte of the failing read, what came back, and where zeros begin.

    In ``program`` that read is one op later than in the case.
    """
    tried, at = trials.run(program), evidence.at + 1
    got, meant = tried.execution.history.outcomes[at].data, tried.expected.outcomes[at].data
    wrong = _differing(meant, got)
    if meant is None or got is None or not wrong:
        return None
    first, word = wrong[0], meant[wrong[0] : wrong[0] + WORD_BYTES].hex()
    whole = f"from the word {word} on (byte {first}) all {len(got) - first} bytes of the read"
    return (first, wrong[-1], _shown(got, meant, got), "" if any(got[first:]) else whole)


def _differing(one: bytes | None, other: bytes | None) -> list[int]:
    """The bytes in which two values of one length differ."""
    if one is None or other is None or len(one) != len(other):
        return []
    return [n for n, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1]]


def _shown(data: bytes, meant: bytes, got: bytes) -> str:
    """A few bytes of ``data`` in hex, from the first at which ``got`` differs from ``meant``."""
    start = (_differing(meant, got) or [0])[0]
    part = data[start : start + _MOST_SHOWN].hex()
    return f"{part}{'...' if len(data) > start + _MOST_SHOWN else ''}"


def _from_elsewhere(evidence: Evidence) -> str:
    """Where in its buffer the wrong bytes of a read belong; empty if that is not found.

    To find it, the program runs once more with other data.
    """
    again = evidence.again
    other = None if again is None else looked_at(evidence.verdict, evidence.failure, again)
    if other is None:
        return ""
    op, meant, got, whole = other
    wrong = _differing(meant, got)
    low = wrong[0]
    high = low + next(n for n, at in enumerate([*wrong, -1]) if at != low + n)
    run = got[low:high]
    if len(run) < 2 or whole.count(run) != 1:
        return ""
    found = whole.index(run)
    return (
        f"with random bytes in {op.buffer}, bytes {op.offset + low} to {op.offset + high - 1} came "
        f"back with the values of bytes {found} to {found + len(run) - 1}"
    )


def tell_page(evidence: Evidence) -> Told:
    """Tells what went wrong with the page of a wrong read, or with the reads that share it."""
    page = page_of(evidence, evidence.at)
    if page is None or evidence.failure.kind not in _OF_READS:
        return NOTHING
    pages = ((n, page_of(evidence, n)) for n in sorted(evidence.traced.fetched))
    own = page.submit, page.staging
    sharing = {n: each for n, each in pages if each and (each.submit, each.staging) == own}
    if len(sharing) > 1:
        return _mapped_short(evidence, page) or _of_shared(evidence, page, sharing)
    return (
        _mapped_short(evidence, page) or _untaken(evidence, page) or _mapped_before(evidence, page)
    )


def _of_shared(evidence: Evidence, page: Page, sharing: dict[int, Page]) -> Told:
    at, name = evidence.at, f"staging buffer {page.staging}"
    for n, each in sharing.items():
        if n != at and each.span[0] < page.span[1] and page.span[0] < each.span[1]:
            return told(
                f"op {n} and op {at} share a page, {name}, and their copies overlap there: {each} "
                f"and {page}"
            )
    where = _found_at(evidence, page, [each for n, each in sharing.items() if n != at])
    if where < 0:
        return NOTHING
    inside = [n for n, each in sharing.items() if each.span[0] <= where < each.span[1]]
    place = f", the place of op {inside[0]}" if inside else ""
    return told(
        f"op {at} is read {[*sharing].index(at) + 1} of the {len(sharing)} in one page, {name}: "
        f"its copy went to {page}, but op {at} was given what the page has from byte {where} "
        f"on{place}"
    )


def _found_at(evidence: Evidence, page: Page, others: list[Page]) -> int:
    """The byte at which the page of a wrong read holds what the read was given.

    -1 if that is the read's own place, or if it is the place of no other read.  Of several places,
    the last one before the read's own, or else the first.
    """
    got, taken = evidence.got, page.taken(evidence)
    data = taken[0].event["data"] if taken else b""
    if not got or not data or data[page.own :][: len(got)] == got:
        return -1
    starts = [each.span[0] + page.own - page.span[0] for each in others]
    places = [start for start in starts if data[start : start + len(got)] == got]
    return max((each for each in places if each < page.span[0]), default=min(places, default=-1))


def _untaken(evidence: Evidence, page: Page) -> Told:
    """Tells that a read was delivered before its own page was taken, and which page it got."""
    pages = {each["target"]: n for n, (_, each) in evidence.traced.fetched.items()}
    number, taken = 0, 0
    for event in evidence.trace:
        number += is_call(event)
        if event.kind == "take" and number > page.submit:
            if event["buffer"] == page.staging:
                return NOTHING
            taken = event["buffer"] if event["buffer"] in pages else taken
        elif event.kind == "delivered" and event["result"] == page.op.result:
            break
    if not taken:
        return NOTHING
    sentence = (
        f"{evidence.place(evidence.at)} was given the bytes of staging buffer {taken}, the page of "
        f"op {pages[taken]}, though its own page, staging buffer {page.staging}, was not taken yet"
    )
    return Told(sentence=sentence, culprit=evidence.at, rule=laws.D5)


def _mapped_short(evidence: Evidence, page: Page) -> Told:
    """Tells that a page was mapped for fewer bytes than were copied to it."""
    maps = calls_of(evidence.trace, "map", buffer=page.staging)
    call = next((each for each in maps if each.number > page.submit), None)
    if call is None or call.event["size_bytes"] >= page.span[1]:
        return NOTHING
    return told(
        f"the copy of op {evidence.at} went to {page} of its page, staging buffer {page.staging}, "
        f"but only the first {call.event['size_bytes']} bytes of it were mapped (call "
        f"{call.number})"
    )


def _mapped_before(evidence: Evidence, page: Page) -> Told:
    """Tells that a staging buffer held the same bytes as when it was mapped the time before."""
    takes = calls_of(evidence.trace, "take", buffer=page.staging)
    for before, own in pairwise(takes):
        data = own.event["data"]
        is_own = before.number < page.submit < own.number
        if is_own and data == before.event["data"] and (evidence.got or b"") in bytes(data):
            return told(
                f"staging buffer {page.staging}, which op {evidence.at} read, was mapped before, "
                f"in {before.place}, and had the very same bytes then (call {before.number})"
            )
    return NOTHING


def tell_destroyed(evidence: Evidence) -> Told:
    """Tells which staging buffer was destroyed during its map, and how many buffers there were."""
    if evidence.broken != laws.D4.name:
        return NOTHING
    pool = [life for life in lives(evidence.calls()).values() if life.role == STAGING]
    for life in pool:
        for mapped, gone in pairwise(life.of("map", "take", "destroy_buffer")):
            if (mapped.event.kind, gone.event.kind) == ("map", "destroy_buffer"):
                alive = sum(each.is_alive(gone.number) for each in pool)
                return told(
                    f"{gone.place} destroyed staging buffer {life.number}, which "
                    f"{life.made.place} had made, while its map was under way; there were {alive} "
                    "staging buffers, with "
                    f"staging_buffers={evidence.case.policy.staging_buffers}"
                )
    return NOTHING


@by_trial(follows_policy=True)
def tell_taken(evidence: Evidence, trials: Trials) -> Told:
    """Tells which staging buffers reads get after a sync that delivered the same number.

    Asked if a staging buffer was destroyed or copied to while it was in use.
    """
    most = evidence.case.policy.staging_buffers
    if evidence.broken != laws.D4.name or not 0 < most <= _MOST_READS:
        return NOTHING
    # With more reads than the pool keeps, a sync gives buffers back to a pool that is full already.
    few, many = (_targets(trials.plainly(), count) for count in (most, 2 * most - 1))
    if len({*many}) == len(many):
        return NOTHING
    fact = (
        f"tried with staging_buffers={most}: after a sync of {len(many)} reads, the next "
        f"{len(many)} go to staging buffers {', '.join(map(str, sorted(many)))}"
    )
    if len({*few}) == len(few) == most:
        fact += (
            f"; after a sync of {most}, the next {most} go to one each: likeliest a buffer given "
            "back to a full pool is listed twice"
        )
    return told(fact)


def _targets(trials: Trials, count: int) -> list[int]:
    """The staging buffers of ``count`` reads after a sync that delivered ``count`` reads."""
    reads = "".join(f"read x 0 4 -> {{0}}{n}\n" for n in range(count))
    judged = trials.run(f"alloc x 4\n{reads.format('r')}sync\n{reads.format('s')}")
    return [
        call.event["target"]
        for call in calls_of(judged.execution.trace, "copy")
        if count + 1 < call.position <= 2 * count + 1
    ]
