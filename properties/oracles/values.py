"""The bytes of one read held against those it should have given.

Exact bytes must be equal, whole float words agree within their slack, and
where the slack is infinite nothing is compared; ``count_checked`` says how much
that was, since a judge that compares nothing finds nothing.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gpusim.history import History
from gpusim.limits import WORD_BYTES
from gpusim.ops import Read
from gpusim.program import Program

_AROUND_BYTES = 8
"""How much is shown on either side of the first wrong byte."""

Slack = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """Where two values part: both sides around it, and the argument in words."""

    expected: str
    got: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """Bytes of reads that a comparison looks at: to the bit, by tolerance, not at all."""

    exact_bytes: int = 0
    tolerant_bytes: int = 0
    skipped_bytes: int = 0
    reads: int = 0
    """Reads of two bytes or more."""
    constant_reads: int = 0
    """Of these, those that should give one byte over and over, and so show little."""

    def __add__(self, other: "Checked") -> "Checked":
        return Checked(
            exact_bytes=self.exact_bytes + other.exact_bytes,
            tolerant_bytes=self.tolerant_bytes + other.tolerant_bytes,
            skipped_bytes=self.skipped_bytes + other.skipped_bytes,
            reads=self.reads + other.reads,
            constant_reads=self.constant_reads + other.constant_reads,
        )


def count_checked(program: Program, expected: History) -> Checked:
    """How much of what ``program`` reads an oracle's history can hold others to."""
    exact = tolerant = skipped = reads = constant = 0
    for op, outcome in zip(program, expected.outcomes, strict=True):
        if type(op) is not Read or outcome.data is None:
            continue
        data, slack = outcome.data, outcome.slack
        size = len(data)
        reads += size > 1
        constant += size > 1 and data.count(data[:1]) == size
        if slack is None:
            exact += size
        else:
            exact_here, skipped_here = int((slack == 0).sum()), int(np.isinf(slack).sum())
            exact += exact_here
            skipped += skipped_here
            tolerant += size - exact_here - skipped_here
    return Checked(
        exact_bytes=exact,
        tolerant_bytes=tolerant,
        skipped_bytes=skipped,
        reads=reads,
        constant_reads=constant,
    )


def first_difference(
    op: Read, expected: bytes, got: bytes, slack: Slack | None
) -> Difference | None:
    """The first byte of ``got`` that is not what ``op`` should have read."""
    if got == expected:
        return None
    if len(got) != len(expected):
        return Difference(
            expected=f"{len(expected)} bytes",
            got=f"{len(got)} bytes",
            reason="a read gives exactly the bytes that were asked for",
        )
    meant, shown = (np.frombuffer(data, dtype=np.uint8) for data in (expected, got))
    wrong = _wrong_bytes(meant, shown, slack, -op.offset % WORD_BYTES)
    (at,) = np.nonzero(wrong)
    if not len(at):
        return None
    first, last = int(at[0]), int(at[-1])
    return Difference(
        expected=_show(expected, op.offset, first),
        got=_show(got, op.offset, first),
        reason=_argue(op, first, last, len(at), slack),
    )


def _wrong_bytes(
    meant: npt.NDArray[np.uint8], shown: npt.NDArray[np.uint8], slack: Slack | None, phase: int
) -> Flags:
    """Which bytes differ; ``phase`` is the index at which the first whole word starts."""
    wrong: Flags = meant != shown
    if slack is None:
        return wrong
    wrong &= slack == 0
    end = phase + (len(meant) - phase) // WORD_BYTES * WORD_BYTES
    if end <= phase:
        return wrong
    tolerance = slack[phase:end:WORD_BYTES].astype(np.float64)
    tolerant = (tolerance > 0) & np.isfinite(tolerance)
    # What is no float at all may look like one that signals.
    with np.errstate(invalid="ignore", over="ignore"):
        floats_meant, floats_shown = (
            side[phase:end].copy().view("<f4").astype(np.float64) for side in (meant, shown)
        )
        near = np.abs(floats_shown - floats_meant) <= tolerance * np.abs(floats_meant)
    wrong[phase:end].reshape(-1, WORD_BYTES)[tolerant & ~near] = True
    return wrong


def _argue(op: Read, first: int, last: int, count: int, slack: Slack | None) -> str:
    kind = "byte"
    if slack is not None and slack[first] > 0:
        kind = f"float (within {slack[first]:.3g} of it) at byte"
    return (
        f"{count} of {op.size_bytes} bytes of {op.result} are wrong, the first is {kind} "
        f"{op.offset + first} of {op.buffer} and the last byte {op.offset + last}"
    )


def _show(data: bytes, offset: int, first: int) -> str:
    """The words around byte ``first`` of a read at ``offset``, by byte and as u32."""
    start_word = (offset + first - _AROUND_BYTES) // WORD_BYTES * WORD_BYTES
    start = max(0, start_word - offset)
    stop = min(len(data), first + _AROUND_BYTES + 1)
    phase = -(offset + start) % WORD_BYTES
    pieces = [data[start : start + phase]] if phase else []
    pieces += [data[at : min(at + WORD_BYTES, stop)] for at in range(start + phase, stop, 4)]
    whole = [piece for piece in pieces if len(piece) == WORD_BYTES]
    words = " ".join(f"{int.from_bytes(piece, 'little'):#010x}" for piece in whole)
    shown = " ".join(piece.hex() for piece in pieces)
    return f"from byte {offset + start}: {shown}" + (f" (u32 {words})" if words else "")
