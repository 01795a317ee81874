"""Which sorts of copies go wrong, each tried alone: their places, their lengths and their buffers.

A copy of whole words is one command.  Other copies go through a kernel, and a copy within one
buffer goes through a scratch buffer.  So a mistake may show in one sort of copy only.
"""

import struct
from collections.abc import Iterator

from gpusim.kernels import COPY_BYTES
from gpusim.ops import Copy
from gpusim.runtime.byte_plans import words_down, words_up
from properties.explain.argument import Argument
from properties.explain.calls import calls
from properties.explain.experiments import Judge, fails
from properties.explain.kinds import UNEXPLAINED
from properties.explain.told import NOTHING, Told
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws.catalogue import A5

_DATA = bytes(1 + n % 251 for n in range(1024)).hex()
_MADE = f"alloc x 1024\nalloc y 1024\nwrite x 0 {_DATA}\n"
_ENDS = "read x 0 1024 -> rx\nread y 0 1024 -> ry\n"
_COPIES = {
    "a copy of whole words": "copy x 0 y 0 16",
    "one from an odd byte": "copy x 1 y 0 4",
    "one to an odd byte": "copy x 0 y 1 4",
    "one of 7 bytes": "copy x 0 y 0 7",
    "one of 515 bytes": "copy x 0 y 0 515",
    "one of 516 bytes from an odd byte": "copy x 1 y 0 516",
    "one of 516 bytes": "copy x 0 y 0 516",
    "one within a buffer": "copy x 0 x 512 16",
    "one within a buffer from an odd byte": "copy x 1 x 512 4",
    "one within a buffer to an odd byte": "copy x 0 x 513 4",
    "one over itself, forwards": "copy x 0 x 4 16",
    "one over itself, backwards": "copy x 4 x 0 16",
}
_MOST_TOLD = 6
_PAYLOAD = struct.Struct("<3I")
"""Of the kernel that copies bytes: the place in the source, that in the target, and how many."""


def tell_copies(
    verdict: Verdict, failure: Failure, argument: Argument, again: Judge | None
) -> Told:
    """If a copy is the culprit: which sorts of copies go wrong, and if its scratch is too small."""
    at = argument.culprit
    program, fits = verdict.execution.case.program, verdict.execution.capabilities
    op = program[at] if 0 <= at < len(program) else None
    is_by_law = failure.kind is FailureKind.LAW and failure.trait == A5.name
    if again is None or not isinstance(op, Copy):
        return NOTHING
    if failure.kind is not FailureKind.VALUE and not is_by_law:
        return NOTHING
    if fits.copy_offset_bytes > 1 or fits.copy_size_bytes > 1:
        return NOTHING
    tried = {
        what: fails(verdict, f"{_MADE}{text}\n{_ENDS}", again) for what, text in _COPIES.items()
    }
    wrong = [what for what, is_wrong in tried.items() if is_wrong]
    right = [what for what, is_wrong in tried.items() if not is_wrong]
    if not wrong or not right:
        return NOTHING
    fact = f"copies, each tried alone: wrong are {_listed(wrong)}; right are {_listed(right)}"
    short = _short_scratch(verdict, op, at)
    if short:
        facts = (*_lengths(verdict, again), fact)
        said = f"{argument.sentence.removesuffix(UNEXPLAINED)}, since {short}"
        return Told(sentence=said, culprit=at, rule=A5, facts=facts)
    pieces = list(_pieces(verdict, at))
    if len(pieces) < 2 or len(pieces) > _MOST_TOLD:
        return Told(facts=(fact,))
    places = "; ".join(pieces)
    return Told(facts=(f"op {at} was copied in {len(pieces)} pieces, in bytes: {places}", fact))


def _short_scratch(verdict: Verdict, op: Copy, at: int) -> str:
    """Says so if the copy ``op`` went over a scratch buffer that is too small for its words."""
    start, end = op.source_offset, op.source_offset + op.size_bytes
    span = words_up(end) - words_down(start)
    own = [call for call in calls(verdict.execution.trace) if call.position == at]
    made = [each for each in own if each.event.kind == "create_buffer"]
    made = [each for each in made if each.event["role"] == "storage"]
    if op.source != op.target or len(made) != 1 or made[0].event["size_bytes"] >= span:
        return ""
    scratch = made[0].event
    return (
        "it went over a scratch buffer that is too small: that has "
        f"{scratch['size_bytes']} bytes (call {made[0].number}), and bytes {start} to {end - 1} of "
        f"{op.source} lie in words of {span} bytes"
    )


def _lengths(verdict: Verdict, again: Judge) -> Iterator[str]:
    """Which short copies within one buffer are wrong, from the bytes 1, 2 and 3 of a word."""
    text = f"{_MADE}copy x {{}} x 512 {{}}\n{_ENDS}"
    tried = {
        (size, start): fails(verdict, text.format(start, size), again)
        for size in range(1, 6)
        for start in (1, 2, 3)
    }
    wrong = [
        f"{size} from {' or '.join(str(start) for start in (1, 2, 3) if tried[size, start])}"
        for size in range(1, 6)
        if any(tried[size, start] for start in (1, 2, 3))
    ]
    if wrong and not all(tried.values()):
        is_by_words = all(
            (start + size > words_up(size)) == is_wrong for (size, start), is_wrong in tried.items()
        )
        so = ": those that reach into one word more than their length fills" if is_by_words else ""
        yield (
            "tried copies within a buffer, of 1 to 5 bytes from byte 1, 2 and 3: wrong are only "
            f"{', '.join(wrong)}{so}"
        )


def _pieces(verdict: Verdict, at: int) -> Iterator[str]:
    """Where each dispatch of the kernel that copies bytes copied from and to, for the op ``at``."""
    written: dict[int, bytearray] = {}
    for call in calls(verdict.execution.trace):
        event = call.event
        if event.kind == "write_buffer":
            held = written.setdefault(event["buffer"], bytearray())
            start, data = event["offset"], event["data"]
            held.extend(bytes(max(0, start + len(data) - len(held))))
            held[start : start + len(data)] = data
        elif (
            event.kind == "dispatch" and event["kernel"] == COPY_BYTES.name and call.position == at
        ):
            (_, source, _), (_, target, _), (number, offset, size) = event["ranges"]
            payload = written.get(number, bytearray())[offset : offset + size]
            if len(payload) == _PAYLOAD.size:
                from_, to, count = _PAYLOAD.unpack(payload)
                yield f"{count} from byte {source + from_} on to byte {target + to} on"


def _listed(what: list[str]) -> str:
    more = f" and {len(what) - _MOST_TOLD} others" if len(what) > _MOST_TOLD else ""
    return ", ".join(what[:_MOST_TOLD]) + more
