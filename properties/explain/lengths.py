"""Tries host writes of several lengths and starts: which of them lose or change bytes?

A word is four bytes.  The edges of a write are the bytes in the words that it does not write whole;
a runtime writes them in another way.  So a mistake in one sort of edge shows at a few lengths and
places only.
"""

from collections.abc import Callable, Mapping
from functools import partial

from gpusim.limits import WORD_BYTES
from gpusim.ops import Write
from properties.explain.experiments import Judge, instead_of
from properties.explain.told import NOTHING, Told
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict

_LENGTHS = range(1, 9)
_STARTS = range(WORD_BYTES)
_MOST_TOLD = 6


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
    "with an edge in two words": lambda write: len(_edges(write)) > 1,
    "with an edge": _edges,
    **{
        f"with {size} bytes in the word of an edge": partial(_has_edge, size)
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
_MADE = "alloc x{size} 16\nwrite x{size} 0 {fill}\nwrite x{size} {start} {data}\n"
_FILL = "ee" * 16


def tell_lengths(
    verdict: Verdict, failure: Failure, kind: str, at: int, again: Judge | None
) -> Told:
    """Tells which short writes go wrong, if the write at ``at`` has an edge and went wrong.

    ``kind``: the kind of the mistake that explains the bytes.
    """
    program, fits = verdict.execution.case.program, verdict.execution.capabilities
    op = program[at] if 0 <= at < len(program) else None
    if again is None or failure.kind is not FailureKind.VALUE or kind not in ("write", "omitted"):
        return NOTHING
    if not isinstance(op, Write) or fits.write_offset_bytes > 1 or fits.write_size_bytes > 1:
        return NOTHING
    if not (op.offset % WORD_BYTES or len(op.data) % WORD_BYTES):
        return NOTHING
    wrong = {(start, size) for start in _STARTS for size in _wrong_at(verdict, start, again)}
    tried = {(start, size) for start in _STARTS for size in _LENGTHS}
    if not wrong:
        return _of_whole_buffers(verdict, again)
    if wrong == tried:
        return NOTHING
    sorts = (what for what, holds in _SORTS.items() if wrong == {*filter(holds, tried)})
    places = [f"{size} at byte {start}" for start, size in sorted(wrong)]
    more = f" and {len(places) - _MOST_TOLD} more" if len(places) > _MOST_TOLD else ""
    told = next(sorts, f"of so many bytes: {', '.join(places[:_MOST_TOLD])}{more}")
    right = f"the other {len(tried) - len(wrong)} of {len(tried)} are right"
    fact = f"tried writes of 1 to 8 bytes at bytes 0 to 3: wrong are those {told}; {right}"
    return Told(facts=(fact,))


def _of_whole_buffers(verdict: Verdict, again: Judge) -> Told:
    """Which writes go wrong that fill a buffer of so many bytes, and what comes back."""
    made = "".join(f"alloc x{n} {n}\nwrite x{n} 0 {'0b' * n}\n" for n in _LENGTHS)
    looks = "".join(f"read x{n} 0 {n} -> r{n}\n" for n in _LENGTHS)
    outcomes = instead_of(verdict, made + looks, again).execution.history.outcomes
    came = {n: each.data for n, each in zip(_LENGTHS, outcomes[-len(_LENGTHS) :], strict=True)}
    wrong = [n for n, data in came.items() if data != b"\x0b" * n]
    right = [str(n) for n in _LENGTHS if n not in wrong]
    if not wrong or not right:
        return NOTHING
    zeros = ", and all their bytes are zero" if not any(any(came[n] or b"1") for n in wrong) else ""
    return Told(
        facts=(
            f"tried writes that fill a buffer: those of {', '.join(map(str, wrong))} bytes are "
            f"wrong{zeros}; those of {', '.join(right)} bytes are right",
        )
    )


def _wrong_at(verdict: Verdict, start: int, again: Judge) -> list[int]:
    """The lengths of writes that go wrong if they begin at that byte."""
    made = "".join(
        _MADE.format(size=size, start=start, fill=_FILL, data=bytes(range(1, size + 1)).hex())
        for size in _LENGTHS
    )
    looks = "".join(f"read x{size} 0 16 -> r{size}\n" for size in _LENGTHS)
    judged = instead_of(verdict, made + looks, again)
    pairs = zip(judged.expected.outcomes, judged.execution.history.outcomes, strict=True)
    last = [meant.data != got.data for meant, got in pairs][-len(_LENGTHS) :]
    return [size for size, is_wrong in zip(_LENGTHS, last, strict=True) if is_wrong]
