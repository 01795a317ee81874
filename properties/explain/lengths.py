"""Tries which bytes of a whole buffer are wrong, and which lengths of writes and copies fail.

A program that was made small reads only a few bytes.  So an op that lost a part of what it wrote
looks as if it had no effect.  The edges of a write are the bytes in the words that it does not
write whole; a runtime writes them in another way than whole words.  A copy of whole words is one
command, other copies go through a kernel, and a copy within one buffer goes through a scratch
buffer.  So a mistake may show at a few lengths and places only.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from gpusim.kernels import COPY_BYTES
from gpusim.limits import WORD_BYTES
from gpusim.ops import Copy, Read, Write
from gpusim.program import Program
from gpusim.runtime.byte_plans import words_down, words_up
from gpusim.text import write_op
from properties.explain.calls import calls, calls_of
from properties.explain.kinds import UNEXPLAINED
from properties.explain.neighbours import instead
from properties.explain.told import NOTHING, Told, either, listed, told
from properties.explain.trials import Evidence, Trials, by_trial, sides
from properties.explain.vivid import vivid
from properties.model.failure import FailureKind
from properties.oracles.laws.catalogue import A5, A9
from properties.oracles.laws.expected import STORAGE
from properties.oracles.metamorphic.rewrites import sizes_of

_MOST_BYTES = 1 << 16
_ROUND_BYTES = 64
"""The edge of a run of wrong bytes is named if it is a multiple of this number."""
_MOST_RUNS = 3
_MOST_TOLD = 6
_LENGTHS, _STARTS = range(1, 9), range(WORD_BYTES)
_WRITTEN = "alloc x{size} 16\nwrite x{size} 0 {fill}\nwrite x{size} {start} {data}\n"
_FILL = "ee" * 16
_DATA = bytes(1 + n % 251 for n in range(1024)).hex()
_COPIED = f"alloc x 1024\nalloc y 1024\nwrite x 0 {_DATA}\n"
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
_PAYLOAD = struct.Struct("<3I")
"""The scalars of ``COPY_BYTES``: offset in the source, offset in the target, number of bytes."""


def _edges(write: tuple[int, int]) -> list[int]:
    """For each word that a write covers in part only, how many of its bytes the write covers."""
    start, size = write
    if start + size <= WORD_BYTES:
        return [size] * (size < WORD_BYTES)
    return [each for each in (-start % WORD_BYTES, (start + size) % WORD_BYTES) if each]


def _has_edge(size: int, write: tuple[int, int]) -> bool:
    return size in _edges(write)


def _ends(write: tuple[int, int]) -> int:
    return sum(write) % WORD_BYTES


_SORTS: Mapping[str, Callable[[tuple[int, int]], object]] = {
    "that cover two words only in part": lambda write: len(_edges(write)) > 1,
    "that cover a word only in part": _edges,
    **{
        f"that cover just {size} bytes of a word": partial(_has_edge, size)
        for size in range(1, WORD_BYTES)
    },
    "that begin within a word": lambda write: write[0],
    "that end within a word": _ends,
    "that begin at a word and end within one": lambda write: not write[0] and _ends(write),
    "that begin within a word and end at one": lambda write: write[0] and not _ends(write),
    "that begin and end within a word": lambda write: write[0] and _ends(write),
    "within one word": lambda write: sum(write) <= WORD_BYTES and _edges(write),
    "that end past the word in which they begin": lambda write: sum(write) > WORD_BYTES,
}
"""Sorts of writes, with a test for each; a write is given as its start and its length."""


@by_trial(FailureKind.VALUE)
def tell_extent(evidence: Evidence, trials: Trials) -> Told:
    """Tells which bytes of the whole buffer are wrong.

    If only one write or copy seems to have had no effect, and a part of its bytes arrived, the part
    that it lost is told as well.
    """
    op, at = evidence.op, evidence.at
    size = sizes_of(evidence.program).get(op.buffer, 0) if isinstance(op, Read) else 0
    if not isinstance(op, Read) or not op.size_bytes < size <= _MOST_BYTES:
        return NOTHING
    whole = instead(evidence.program, at, replace(op, offset=0, size_bytes=size))
    wrong, meant = _wrong_in(trials, whole, at)
    if not {*range(op.offset, op.offset + op.size_bytes)} & {*wrong}:
        return NOTHING
    other = vivid(whole, evidence.verdict.execution.kernels, fills=True, looks=False, seed=0)
    more, as_meant = _wrong_in(trials, other.program, other.numbers.index(at))
    how = ""
    if {*more} > {*wrong}:
        wrong, meant, how = more, as_meant, "with other data in filled buffers, "
    fact = (
        f"{how}a read of all {size} bytes of {op.buffer} is wrong in {_said(wrong)}, and in no "
        "others"
    )
    part = _lost_part(evidence, op.buffer, wrong, meant)
    return replace(part, facts=(fact,)) if part.sentence else Told(later=(fact,))


def _wrong_in(trials: Trials, program: Program, at: int) -> tuple[list[int], bytes]:
    """Which bytes of the read at ``at`` are wrong in a program, and what they should be."""
    meant, got = sides(trials.run(program))[at]
    if got is None or meant is None or len(got) != len(meant):
        return [], b""
    return [n for n, pair in enumerate(zip(meant, got, strict=True)) if pair[0] != pair[1]], meant


def _lost_part(evidence: Evidence, buffer: str, wrong: list[int], meant: bytes) -> Told:
    """If one op alone seems to have had no effect: tells which of its bytes were lost.

    NOTHING if all its bytes were lost, or if it is not a write or a copy to ``buffer``.
    """
    lost = evidence.argument.lost
    op = evidence.program[lost[0]] if len(lost) == 1 else None
    if isinstance(op, Write) and op.buffer == buffer:
        start, size, rule = op.offset, len(op.data), A9
    elif isinstance(op, Copy) and op.target == buffer:
        start, size, rule = op.target_offset, op.size_bytes, A5
    else:
        return NOTHING
    if not any(n not in wrong and meant[n] for n in range(start, start + size)):
        return NOTHING
    said = f"op {lost[0]} ({write_op(op)}) lost {_said(wrong)} of {buffer}"
    sentence = f"{said}; the rest of its {size} bytes arrived"
    return Told(sentence=sentence, culprit=lost[0], rule=rule)


def _said(wrong: list[int]) -> str:
    """Names the wrong bytes as runs of numbers."""
    starts = [n for n in wrong if n - 1 not in wrong]
    ends = [n for n in wrong if n + 1 not in wrong]
    runs = [_run(start, last) for start, last in zip(starts, ends, strict=True)]
    more = f" and {len(runs) - _MOST_RUNS} runs more" if len(runs) > _MOST_RUNS else ""
    noun = "byte" if len(wrong) == 1 else "bytes"
    return f"{noun} {', '.join(runs[:_MOST_RUNS])}{more}"


def _run(start: int, last: int) -> str:
    """A run of bytes, and where it begins or ends if that is a round number."""
    said = f"{start} to {last}" if last > start else f"{start}"
    for edge, word in ((start, "from"), (last + 1, "up to")):
        if edge and edge % _ROUND_BYTES == 0:
            kibi = f" = {edge // 1024} KiB" if edge % 1024 == 0 else ""
            return f"{said} ({word} byte {edge}{kibi})"
    return said


@by_trial(FailureKind.VALUE)
def tell_lengths(evidence: Evidence, trials: Trials) -> Told:
    """Tells which short writes go wrong, if the culprit is a write with an edge."""
    op, fits = evidence.culprit, evidence.fits
    if not isinstance(op, Write) or evidence.kind not in ("write", "omitted"):
        return NOTHING
    is_whole = not (op.offset % WORD_BYTES or len(op.data) % WORD_BYTES)
    if is_whole or fits.write_offset_bytes > 1 or fits.write_size_bytes > 1:
        return NOTHING
    wrong = {(start, size) for start in _STARTS for size in _wrong_at(trials, start)}
    tried = {(start, size) for start in _STARTS for size in _LENGTHS}
    if not wrong:
        return _of_whole_buffers(trials)
    if wrong == tried:
        return NOTHING
    sorts = (what for what, holds in _SORTS.items() if wrong == {*filter(holds, tried)})
    places = [f"{size} at byte {start}" for start, size in sorted(wrong)]
    said = next(sorts, f"with these lengths: {listed(places, _MOST_TOLD)}")
    right = f"the other {len(tried) - len(wrong)} of {len(tried)} are right"
    return told(f"tried writes of 1 to 8 bytes at bytes 0 to 3: wrong are those {said}; {right}")


def _wrong_at(trials: Trials, start: int) -> list[int]:
    """The lengths in bytes of the writes from byte ``start`` that go wrong."""
    made = "".join(
        _WRITTEN.format(size=size, start=start, fill=_FILL, data=bytes(range(1, size + 1)).hex())
        for size in _LENGTHS
    )
    looks = "".join(f"read x{size} 0 16 -> r{size}\n" for size in _LENGTHS)
    last = sides(trials.run(made + looks))[-len(_LENGTHS) :]
    return [size for size, (meant, got) in zip(_LENGTHS, last, strict=True) if meant != got]


def _of_whole_buffers(trials: Trials) -> Told:
    """Fills buffers of 1 to 8 bytes by a write each; tells which come back wrong."""
    made = "".join(f"alloc x{n} {n}\nwrite x{n} 0 {'0b' * n}\n" for n in _LENGTHS)
    looks = "".join(f"read x{n} 0 {n} -> r{n}\n" for n in _LENGTHS)
    ends = sides(trials.run(made + looks))[-len(_LENGTHS) :]
    wrong = {n: got for n, (meant, got) in zip(_LENGTHS, ends, strict=True) if meant != got}
    right = [str(n) for n in _LENGTHS if n not in wrong]
    if not wrong or not right:
        return NOTHING
    zeros = (
        "" if any(any(got or b"1") for got in wrong.values()) else ", and all their bytes are zero"
    )
    return told(
        f"tried writes that fill a buffer: those of {', '.join(map(str, wrong))} bytes are "
        f"wrong{zeros}; those of {', '.join(right)} bytes are right"
    )


@by_trial(FailureKind.VALUE, FailureKind.LAW)
def tell_copies(evidence: Evidence, trials: Trials) -> Told:
    """Tells which sorts of copies go wrong if one is the culprit.

    Also tells that the culprit's scratch buffer is too small, or in which pieces it was copied.
    """
    op, fits, at = evidence.culprit, evidence.fits, evidence.argument.culprit
    is_shown = evidence.failure.kind is FailureKind.VALUE or evidence.failure.trait == A5.name
    if not isinstance(op, Copy) or not is_shown:
        return NOTHING
    if fits.copy_offset_bytes > 1 or fits.copy_size_bytes > 1:
        return NOTHING
    wrong, right = trials.apart({w: f"{_COPIED}{text}\n{_ENDS}" for w, text in _COPIES.items()})
    if not wrong or not right:
        return NOTHING
    fact = (
        f"copies, each tried alone: wrong are {listed(wrong, _MOST_TOLD)}; right are "
        f"{listed(right, _MOST_TOLD)}"
    )
    short = _short_scratch(evidence, op)
    if short:
        said = f"{evidence.argument.sentence.removesuffix(UNEXPLAINED)}, since {short}"
        return Told(sentence=said, culprit=at, rule=A5, facts=(*_of_short(trials), fact))
    pieces = list(_pieces(evidence))
    if not 2 <= len(pieces) <= _MOST_TOLD:
        return told(fact)
    places = "; ".join(pieces)
    return told(f"op {at} was done in {len(pieces)} pieces, in bytes: {places}", fact)


def _short_scratch(evidence: Evidence, op: Copy) -> str:
    """Says so if the copy ``op`` went over a scratch buffer that is too small for its words."""
    start, end = op.source_offset, op.source_offset + op.size_bytes
    span = words_up(end) - words_down(start)
    made = calls_of(evidence.trace, "create_buffer", role=STORAGE)
    own = [call for call in made if call.position == evidence.argument.culprit]
    if op.source != op.target or len(own) != 1 or own[0].event["size_bytes"] >= span:
        return ""
    return (
        "it went over a scratch buffer that is too small: that has "
        f"{own[0].event['size_bytes']} bytes (call {own[0].number}), but the whole words around "
        f"bytes {start} to {end - 1} of {op.source} have {span} bytes"
    )


def _of_short(trials: Trials) -> Iterator[str]:
    """Tells which short copies within one buffer go wrong, if they begin at byte 1, 2 or 3."""
    tried = {
        (size, start): f"copy x {start} x 512 {size}" for size in range(1, 6) for start in (1, 2, 3)
    }
    wrong, right = trials.apart({w: f"{_COPIED}{text}\n{_ENDS}" for w, text in tried.items()})
    if wrong and right:
        reach = [start + size > words_up(size) for size, start in wrong]
        is_by_words = all(reach) and not any(start + size > words_up(size) for size, start in right)
        so = ": those that reach into one word more than their length fills" if is_by_words else ""
        starts: dict[int, list[int]] = {}
        for size, start in wrong:
            starts.setdefault(size, []).append(start)
        said = ", ".join(f"{size} from byte {either(each)}" for size, each in starts.items())
        yield (
            "tried copies within a buffer, of 1 to 5 bytes from byte 1, 2 and 3: wrong are only "
            f"{said}{so}"
        )


def _pieces(evidence: Evidence) -> Iterator[str]:
    """Says which bytes each dispatch of the byte-copying kernel copied, and to where.

    Only dispatches that the culprit made are told.
    """
    written: dict[int, bytearray] = {}
    for call in calls(evidence.trace):
        event = call.event
        if event.kind == "write_buffer":
            held = written.setdefault(event["buffer"], bytearray())
            start, data = event["offset"], event["data"]
            held.extend(bytes(max(0, start + len(data) - len(held))))
            held[start : start + len(data)] = data
        elif event.kind == "dispatch" and event["kernel"] == COPY_BYTES.name:
            (_, source, _), (_, target, _), (number, offset, size) = event["ranges"]
            payload = written.get(number, bytearray())[offset : offset + size]
            if call.position == evidence.argument.culprit and len(payload) == _PAYLOAD.size:
                from_, to, count = _PAYLOAD.unpack(payload)
                yield f"{count} from byte {source + from_}, to byte {target + to}"
