"""Finds all wrong bytes of a buffer: the failing read is run as a read of the whole buffer.

A program that was made small reads only a few bytes.  So an op that lost a part of what it wrote
looks as if it had no effect.
"""

from collections.abc import Sequence
from dataclasses import replace

from gpusim.ops import Copy, Read, Write
from gpusim.program import Program
from gpusim.text import write_op
from properties.explain.experiments import Judge
from properties.explain.neighbours import instead
from properties.explain.told import NOTHING, Told
from properties.explain.vivid import vivid
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws import catalogue as laws
from properties.oracles.metamorphic.rewrites import sizes_of

_MOST_BYTES = 1 << 16
_ROUND_BYTES = 64
"""The edge of a run of wrong bytes is named if it is a multiple of this number."""
_MOST_RUNS = 3


def tell_extent(
    verdict: Verdict, failure: Failure, lost: Sequence[int], again: Judge | None
) -> Told:
    """Tells which bytes of the whole buffer are wrong.

    ``lost``: the ops that seem to have had no effect.  If that is one write or copy, and a part of
    its bytes arrived, the part that it lost is told as well.
    """
    program, at = verdict.execution.case.program, failure.position
    op = program[at] if 0 <= at < len(program) else None
    if failure.kind is not FailureKind.VALUE or again is None or not isinstance(op, Read):
        return NOTHING
    size = sizes_of(program).get(op.buffer, 0)
    if not op.size_bytes < size <= _MOST_BYTES:
        return NOTHING
    whole = instead(program, at, replace(op, offset=0, size_bytes=size))
    wrong, meant = _wrong_in(verdict, whole, at, again)
    if not set(range(op.offset, op.offset + op.size_bytes)) & set(wrong):
        return NOTHING
    other = vivid(whole, verdict.execution.kernels, fills=True, looks=False, seed=0)
    more, as_meant = _wrong_in(verdict, other.program, other.numbers.index(at), again)
    how = ""
    if set(more) > set(wrong):
        wrong, meant, how = more, as_meant, "with other data in filled buffers, "
    fact = (
        f"{how}a read of all {size} bytes of {op.buffer} is wrong in {_said(wrong)}, and in no "
        "others"
    )
    part = _lost_part(verdict, op.buffer, lost, wrong, meant)
    return Told(later=(fact,)) if part is None else replace(part, facts=(fact,))


def _wrong_in(verdict: Verdict, program: Program, at: int, again: Judge) -> tuple[list[int], bytes]:
    """Which bytes of the read at ``at`` are wrong in a program, and what they should be."""
    tried = again(replace(verdict.execution.case, program=program))
    got, meant = tried.execution.history.outcomes[at].data, tried.expected.outcomes[at].data
    if got is None or meant is None or len(got) != len(meant):
        return [], b""
    return [n for n, pair in enumerate(zip(meant, got, strict=True)) if pair[0] != pair[1]], meant


def _lost_part(
    verdict: Verdict, buffer: str, lost: Sequence[int], wrong: list[int], meant: bytes
) -> Told | None:
    """Tells which of its bytes the only op in ``lost`` lost.

    None if it lost them all, or if it is not a write or a copy to ``buffer``.
    """
    op = verdict.execution.case.program[lost[0]] if len(lost) == 1 else None
    if isinstance(op, Write) and op.buffer == buffer:
        start, size = op.offset, len(op.data)
    elif isinstance(op, Copy) and op.target == buffer:
        start, size = op.target_offset, op.size_bytes
    else:
        return None
    right = [n for n in range(start, start + size) if n not in wrong and meant[n]]
    if not right:
        return None
    said = f"op {lost[0]} ({write_op(op)}) lost {_said(wrong)} of {buffer}"
    return Told(
        sentence=f"{said}; the rest of its {size} bytes arrived",
        culprit=lost[0],
        rule=laws.A9 if isinstance(op, Write) else laws.A5,
    )


def _said(wrong: list[int]) -> str:
    """The bytes in words, as runs."""
    starts = [n for n in wrong if n - 1 not in wrong]
    ends = [n for n in wrong if n + 1 not in wrong]
    runs = [_run(start, last) for start, last in zip(starts, ends, strict=True)]
    more = f" and {len(runs) - _MOST_RUNS} runs more" if len(runs) > _MOST_RUNS else ""
    noun = "byte" if len(wrong) == 1 else "bytes"
    return f"{noun} {', '.join(runs[:_MOST_RUNS])}{more}"


def _run(start: int, last: int) -> str:
    return f"{start}{f' to {last}' if last > start else ''}{_edge(start, last)}"


def _edge(start: int, last: int) -> str:
    """Where a run begins or ends, if that is a round number."""
    for edge, word in ((start, "from"), (last + 1, "up to")):
        if edge and edge % _ROUND_BYTES == 0:
            kibi = f" = {edge // 1024} KiB" if edge % 1024 == 0 else ""
            return f" ({word} byte {edge}{kibi})"
    return ""
