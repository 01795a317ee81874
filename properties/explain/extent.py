"""Finds all wrong bytes of a buffer: the failing read is run as a read of the whole buffer.

A program that was made small reads only a few bytes.  So an op that lost a part of what it wrote
looks as if it had no effect.
"""

from dataclasses import replace

from gpusim.ops import Copy, Read, Write
from gpusim.program import Program
from gpusim.text import write_op
from properties.explain.neighbours import instead
from properties.explain.told import NOTHING, Told
from properties.explain.trials import Evidence, Trials, by_trial, sides
from properties.explain.vivid import vivid
from properties.model.failure import FailureKind
from properties.oracles.laws import catalogue as laws
from properties.oracles.metamorphic.rewrites import sizes_of

_MOST_BYTES = 1 << 16
_ROUND_BYTES = 64
"""The edge of a run of wrong bytes is named if it is a multiple of this number."""
_MOST_RUNS = 3


@by_trial(FailureKind.VALUE)
def tell_extent(evidence: Evidence, trials: Trials) -> Told:
    """Tells which bytes of the whole buffer are wrong.

    If only one write or copy seems to have had no effect, and a part of its bytes arrived, the part
    that it lost is told as well.
    """
    op, at = evidence.op, evidence.failure.position
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
    """Tells which of its bytes the only op without effect lost.

    NOTHING if it lost them all, or if it is not a write or a copy to ``buffer``.
    """
    lost = evidence.argument.lost
    op = evidence.program[lost[0]] if len(lost) == 1 else None
    if isinstance(op, Write) and op.buffer == buffer:
        start, size, rule = op.offset, len(op.data), laws.A9
    elif isinstance(op, Copy) and op.target == buffer:
        start, size, rule = op.target_offset, op.size_bytes, laws.A5
    else:
        return NOTHING
    if not any(n not in wrong and meant[n] for n in range(start, start + size)):
        return NOTHING
    said = f"op {lost[0]} ({write_op(op)}) lost {_said(wrong)} of {buffer}"
    sentence = f"{said}; the rest of its {size} bytes arrived"
    return Told(sentence=sentence, culprit=lost[0], rule=rule)


def _said(wrong: list[int]) -> str:
    """The bytes in words, as runs."""
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
