"""Matches commands with the expected ops: what a command does, and which part of its op is left.

A command that moves bytes, of whatever kind, becomes a piece: a write, a copy or a read.  Expected
ops are matched with pieces, so that a runtime may carry out an op in several commands.
"""

import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from gpusim.kernels import COPY_BYTES, PATCH_WORDS
from gpusim.limits import WORD_BYTES
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.catalogue import Law
from properties.oracles.laws.expected import (
    GRID_DIMENSIONS,
    STAGING,
    ExpectedCopy,
    ExpectedDispatch,
    ExpectedOp,
    ExpectedRead,
    ExpectedWrite,
)
from properties.oracles.laws.state import TraceState

_PATCH = struct.Struct("<6I")
_COPY = struct.Struct("<3I")
_MASKS = {
    ((1 << 8 * count) - 1) << 8 * first: (first, count)
    for first in range(WORD_BYTES)
    for count in range(1, WORD_BYTES + 1 - first)
}
"""For each mask: the first byte that it selects in a word, and how many bytes it selects."""


class CopyPiece(NamedTuple):
    """Bytes copied from one buffer to another; ``exact``: whether no padding follows them."""

    source: int
    source_offset: int
    target: int
    target_offset: int
    size_bytes: int
    exact: bool


class WritePiece(NamedTuple):
    """Bytes written by the host, in runs, each with its offset in the target."""

    target: int
    runs: tuple[tuple[int, bytes], ...]


class ReadPiece(NamedTuple):
    """Bytes copied to a staging buffer."""

    source: int
    source_offset: int
    staging: int
    size_bytes: int


Piece = CopyPiece | WritePiece | ReadPiece


def piece_of(kind: str, about: Mapping[str, Any], state: TraceState) -> Piece | None:
    """The piece of a copy, or of a dispatch of a bytewise kernel; None for other commands."""
    if kind == "copy":
        return _of_copy(about, state)
    uniforms = content_of(about["ranges"][-1], state)
    if uniforms is None:
        return None
    if about["kernel"] == COPY_BYTES.name and len(uniforms) == _COPY.size:
        source_at, target_at, size_bytes = _COPY.unpack(uniforms)
        source, target = about["ranges"][:2]
        return CopyPiece(
            source[0], source[1] + source_at, target[0], target[1] + target_at, size_bytes, True
        )
    if about["kernel"] == PATCH_WORDS.name and len(uniforms) == _PATCH.size:
        return _of_patch(about["ranges"][0], _PATCH.unpack(uniforms))
    return None


def content_of(bound: tuple[int, int, int], state: TraceState) -> bytes | None:
    """The bytes in the range ``bound`` of a buffer; None unless only the host writes the buffer."""
    number, offset, size_bytes = bound
    known = state.buffers.get(number)
    if known is None or known.content is None:
        return None
    return bytes(known.content[offset : offset + size_bytes])


def _of_copy(about: Mapping[str, Any], state: TraceState) -> Piece | None:
    source, size_bytes = about["source"], about["size_bytes"]
    if about["target_role"] == STAGING:
        return ReadPiece(source, about["source_offset"], about["target"], size_bytes)
    known = state.buffers.get(source)
    if known is not None and known.content is not None:
        start = about["source_offset"]
        data = bytes(known.content[start : start + size_bytes])
        return WritePiece(about["target"], ((about["target_offset"], data),))
    return CopyPiece(
        source,
        about["source_offset"],
        about["target"],
        about["target_offset"],
        size_bytes,
        False,
    )


def _of_patch(bound: tuple[int, int, int], words: tuple[int, ...]) -> WritePiece | None:
    runs = []
    for at, mask, value in (words[:3], words[3:]):
        if mask == 0:
            continue
        if mask not in _MASKS:
            return None
        first, count = _MASKS[mask]
        data = value.to_bytes(WORD_BYTES, "little")[first : first + count]
        runs.append((bound[1] + at * WORD_BYTES + first, data))
    return WritePiece(bound[0], tuple(runs))


class Command(NamedTuple):
    """A submitted command: its details in the trace, and the piece that it is."""

    kind: str
    about: Mapping[str, Any]
    piece: Piece | None

    def __str__(self) -> str:
        said = " ".join(f"{key}={value}" for key, value in self.about.items())
        return f"{self.kind} {said}"


def command_of(kind: str, about: Mapping[str, Any], state: TraceState) -> Command:
    """A command of the batch that is being submitted."""
    return Command(kind, about, piece_of(kind, about, state))


def meets(expected: ExpectedOp, command: Command, state: TraceState) -> bool:
    """Whether ``command`` does ``expected``, or its next part."""
    piece = command.piece
    if isinstance(expected, ExpectedDispatch):
        return command.kind == "dispatch" and is_dispatch(expected, command.about)
    if type(expected) is ExpectedWrite:
        return type(piece) is WritePiece and _is_write(expected, piece)
    if type(expected) is ExpectedRead:
        return type(piece) is ReadPiece and _is_read(expected, piece)
    if type(expected) is ExpectedCopy:
        return type(piece) is CopyPiece and (
            _fills_scratch(expected, piece, state) or _goes_on(expected, piece)
        )
    return False


def meet(expected: ExpectedOp, command: Command, state: TraceState) -> None:
    """Remove from ``expected`` the part that ``command`` does; ``meets`` must hold of the two."""
    piece = command.piece
    if isinstance(expected, ExpectedDispatch):
        state.runs.append((expected, command.about))
        expected.left = 0
    elif type(expected) is ExpectedWrite and type(piece) is WritePiece:
        for start, data in piece.runs:
            expected.left -= inside_bytes(expected, start, data)
            expected.wrote(start, start + len(data))
    elif type(expected) is ExpectedRead and type(piece) is ReadPiece:
        state.fetches[expected.op.result] = piece.staging
        expected.left = 0
    elif type(expected) is ExpectedCopy and type(piece) is CopyPiece:
        if _fills_scratch(expected, piece, state):
            expected.scratch = piece.target, piece.source_offset - piece.target_offset
        else:
            expected.left -= piece.size_bytes
            expected.pieces += 1


def is_dispatch(expected: ExpectedDispatch, about: Mapping[str, Any]) -> bool:
    """Whether a dispatch has the kernel, buffers and grid of ``expected``."""
    if expected.kernel.name != about["kernel"]:
        return False
    bound: tuple[tuple[int, int, int], ...] = about["ranges"][: len(expected.ranges)]
    return bound == expected.ranges and covers(expected, about["groups"])


def covers(expected: ExpectedDispatch, groups: tuple[int, ...]) -> bool:
    """Whether ``groups`` is the grid of ``expected``, or may stand for it.

    A guarded kernel is told the number of workgroups and ignores any beyond it, so a grid with more
    of them may stand for the op's grid.
    """
    if groups == expected.grid:
        return True
    if len(groups) != GRID_DIMENSIONS or len(expected.grid) != GRID_DIMENSIONS:
        return False
    return expected.kernel.guarded and groups[0] * groups[1] * groups[2] >= expected.groups


def write_fault(expected: ExpectedWrite, start: int, data: bytes) -> Law | None:
    """The law that the driver breaks if it writes ``data`` at ``start`` as part of ``expected``.

    None if it breaks none.
    """
    op = expected.op
    end = op.offset + len(op.data)
    past = start + len(data) - end
    if start < op.offset or past >= WORD_BYTES or (past > 0 and end != expected.target.user_bytes):
        return laws.A8
    inside = op.data[start - op.offset :][: len(data)]
    return None if data[: len(inside)] == inside else laws.A9


def inside_bytes(expected: ExpectedWrite, start: int, data: bytes) -> int:
    """How many bytes of ``data`` at ``start`` belong to the write; the rest is padding."""
    return min(start + len(data), expected.op.offset + len(expected.op.data)) - start


def resembles(expected: ExpectedOp, command: Command) -> bool:
    """Whether ``command`` looks like a wrong part of ``expected``."""
    piece = command.piece
    match expected, piece:
        case ExpectedCopy(), CopyPiece():
            return piece.target == expected.target.number
        case ExpectedWrite(), WritePiece():
            return piece.target == expected.target.number
        case ExpectedRead(), ReadPiece():
            return piece.source == expected.source.number
        case ExpectedDispatch(), _:
            return command.kind == "dispatch" and command.about["kernel"] == expected.kernel.name
    return False


def blame(expected: ExpectedOp, command: Command) -> Law:
    """The law that ``command``, a wrong part of ``expected``, breaks."""
    piece = command.piece
    match expected, piece:
        case ExpectedCopy(), CopyPiece():
            start, past = piece.target_offset, piece.target_offset + piece.size_bytes
            first = expected.op.target_offset
            outside = start < first or past > first + expected.op.size_bytes + WORD_BYTES - 1
            return laws.A8 if outside else laws.A5
        case ExpectedWrite(), WritePiece():
            faults = [write_fault(expected, start, data) for start, data in piece.runs]
            return next((law for law in faults if law is not None), laws.A9)
        case ExpectedRead(), _:
            return laws.A11
        case ExpectedDispatch(), _:
            same = command.about["ranges"][: len(expected.ranges)] == expected.ranges
            return laws.C1 if same else laws.E5
    return laws.C1


def _is_write(expected: ExpectedWrite, piece: WritePiece) -> bool:
    """Whether all bytes of the piece belong to the write and are still missing."""
    if piece.target != expected.target.number:
        return False
    for start, data in piece.runs:
        if (
            not expected.awaits(start, start + len(data))
            or write_fault(expected, start, data) is not None
        ):
            return False
    return True


def _fills_scratch(expected: ExpectedCopy, piece: CopyPiece, state: TraceState) -> bool:
    """Whether the piece copies the whole source to a buffer that was made during the op."""
    target, op = state.buffers.get(piece.target), expected.op
    return (
        target is not None
        and target.user_bytes < 0
        and target.made_by == expected.position
        and expected.scratch is None
        and piece.source == expected.source.number
        and piece.source_offset <= op.source_offset
        and piece.source_offset + piece.size_bytes >= op.source_offset + op.size_bytes
    )


def _goes_on(expected: ExpectedCopy, piece: CopyPiece) -> bool:
    """Whether the piece continues the expected copy, from its source or from the scratch buffer."""
    op, done = expected.op, expected.op.size_bytes - expected.left
    source_offset = piece.source_offset
    if expected.scratch is not None and piece.source == expected.scratch[0]:
        source_offset += expected.scratch[1]
    elif piece.source != expected.source.number or piece.source == piece.target:
        return False
    past = piece.size_bytes - expected.left
    ends_buffer = op.target_offset + op.size_bytes == expected.target.user_bytes
    return (
        piece.target == expected.target.number
        and source_offset == op.source_offset + done
        and piece.target_offset == op.target_offset + done
        and (past <= 0 or (past < WORD_BYTES and ends_buffer and not piece.exact))
    )


def _is_read(expected: ExpectedRead, piece: ReadPiece) -> bool:
    op = expected.op
    return (
        piece.source == expected.source.number
        and piece.source_offset <= op.offset
        and piece.source_offset + piece.size_bytes >= op.offset + op.size_bytes
    )
