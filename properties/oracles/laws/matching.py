"""Whether a command is what an op waits for, and what of the op is left after it.

Nothing is reported here.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from gpusim.limits import WORD_BYTES
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import (
    ExpectedCopy,
    ExpectedDispatch,
    ExpectedRead,
    ExpectedWrite,
    Item,
)
from properties.oracles.laws.law import Law
from properties.oracles.laws.pieces import CopyPiece, Piece, ReadPiece, WritePiece, piece_of
from properties.oracles.laws.scene import Scene


class Command(NamedTuple):
    """A submitted command: what the trace says of it, and what it does to bytes."""

    kind: str
    about: Mapping[str, Any]
    piece: Piece | None

    def __str__(self) -> str:
        said = " ".join(f"{key}={value}" for key, value in self.about.items())
        return f"{self.kind} {said}"


def command_of(kind: str, about: Mapping[str, Any], scene: Scene) -> Command:
    """A command of the batch that is being submitted."""
    return Command(kind, about, piece_of(kind, about, scene))


def meets(item: Item, command: Command, scene: Scene) -> bool:
    """Whether ``command`` carries out ``item``, or the next part of it."""
    piece = command.piece
    if type(item) is ExpectedDispatch:
        return command.kind == "dispatch" and is_dispatch(item, command.about)
    if type(item) is ExpectedWrite:
        return type(piece) is WritePiece and _is_write(item, piece)
    if type(item) is ExpectedRead:
        return type(piece) is ReadPiece and _is_read(item, piece)
    if type(item) is ExpectedCopy:
        return type(piece) is CopyPiece and (
            _fills_scratch(item, piece, scene) or _goes_on(item, piece)
        )
    return False


def meet(item: Item, command: Command, scene: Scene) -> None:
    """Take off ``item`` what ``command``, which meets it, does."""
    piece = command.piece
    if type(item) is ExpectedDispatch:
        scene.runs.append((item, command.about))
        item.left = 0
    elif type(item) is ExpectedWrite and type(piece) is WritePiece:
        for start, data in piece.runs:
            item.left -= inside_bytes(item, start, data)
            item.wrote(start, start + len(data))
    elif type(item) is ExpectedRead and type(piece) is ReadPiece:
        scene.fetches[item.op.result] = piece.staging
        item.left = 0
    elif type(item) is ExpectedCopy and type(piece) is CopyPiece:
        if _fills_scratch(item, piece, scene):
            item.scratch = piece.target, piece.source_offset - piece.target_offset
        else:
            item.left -= piece.size_bytes
            item.pieces += 1


def is_dispatch(item: ExpectedDispatch, about: Mapping[str, Any]) -> bool:
    """Whether a dispatch is that of ``item``: kernel, buffers and grid."""
    if item.kernel.name != about["kernel"]:
        return False
    bound: tuple[tuple[int, int, int], ...] = about["ranges"][: len(item.ranges)]
    return bound == item.ranges and covers(item, about["groups"])


def covers(item: ExpectedDispatch, groups: tuple[int, int, int]) -> bool:
    """Whether the dispatched grid is the op's, or one that holds a guarded kernel's groups."""
    if groups == item.grid:
        return True
    return item.kernel.guarded and groups[0] * groups[1] * groups[2] >= item.groups


def write_fault(item: ExpectedWrite, start: int, data: bytes) -> Law | None:
    """The law that ``data`` at ``start`` breaks as a part of a write, if any."""
    op = item.op
    end = op.offset + len(op.data)
    past = start + len(data) - end
    if start < op.offset or past >= WORD_BYTES or (past > 0 and end != item.target.user_bytes):
        return laws.A8
    inside = op.data[start - op.offset :][: len(data)]
    return None if data[: len(inside)] == inside else laws.A9


def inside_bytes(item: ExpectedWrite, start: int, data: bytes) -> int:
    """How many bytes of ``data`` at ``start`` are the write's, and not padding."""
    return min(start + len(data), item.op.offset + len(item.op.data)) - start


def resembles(item: Item, command: Command) -> bool:
    """Whether ``command`` looks like a part of ``item`` gone wrong."""
    piece = command.piece
    match item, piece:
        case ExpectedCopy(), CopyPiece():
            return piece.target == item.target.number
        case ExpectedWrite(), WritePiece():
            return piece.target == item.target.number
        case ExpectedRead(), ReadPiece():
            return piece.source == item.source.number
        case ExpectedDispatch(), _:
            return command.kind == "dispatch" and command.about["kernel"] == item.kernel.name
    return False


def blame(item: Item, command: Command) -> Law:
    """The law that a command breaks which resembles ``item``."""
    piece = command.piece
    match item, piece:
        case ExpectedCopy(), CopyPiece():
            start, past = piece.target_offset, piece.target_offset + piece.size_bytes
            first = item.op.target_offset
            outside = start < first or past > first + item.op.size_bytes + WORD_BYTES - 1
            return laws.A8 if outside else laws.A5
        case ExpectedWrite(), WritePiece():
            faults = [write_fault(item, start, data) for start, data in piece.runs]
            return next((law for law in faults if law is not None), laws.A9)
        case ExpectedRead(), _:
            return laws.A11
        case ExpectedDispatch(), _:
            same = command.about["ranges"][: len(item.ranges)] == item.ranges
            return laws.C1 if same else laws.E5
    return laws.C1


def _is_write(item: ExpectedWrite, piece: WritePiece) -> bool:
    """Whether all its bytes are the write's, and still to come."""
    if piece.target != item.target.number:
        return False
    for start, data in piece.runs:
        if not item.awaits(start, start + len(data)) or write_fault(item, start, data) is not None:
            return False
    return True


def _fills_scratch(item: ExpectedCopy, piece: CopyPiece, scene: Scene) -> bool:
    """Whether it copies all of the source to a buffer that was made during the op."""
    target, op = scene.buffers.get(piece.target), item.op
    return (
        target is not None
        and target.user_bytes < 0
        and target.made_by == item.position
        and item.scratch is None
        and piece.source == item.source.number
        and piece.source_offset <= op.source_offset
        and piece.source_offset + piece.size_bytes >= op.source_offset + op.size_bytes
    )


def _goes_on(item: ExpectedCopy, piece: CopyPiece) -> bool:
    """Whether it goes on where the item stands, from the source or from a copy of it."""
    op, done = item.op, item.op.size_bytes - item.left
    source_offset = piece.source_offset
    if item.scratch is not None and piece.source == item.scratch[0]:
        source_offset += item.scratch[1]
    elif piece.source != item.source.number or piece.source == piece.target:
        return False
    past = piece.size_bytes - item.left
    ends_buffer = op.target_offset + op.size_bytes == item.target.user_bytes
    return (
        piece.target == item.target.number
        and source_offset == op.source_offset + done
        and piece.target_offset == op.target_offset + done
        and (past <= 0 or (past < WORD_BYTES and ends_buffer and not piece.exact))
    )


def _is_read(item: ExpectedRead, piece: ReadPiece) -> bool:
    op = item.op
    return (
        piece.source == item.source.number
        and piece.source_offset <= op.offset
        and piece.source_offset + piece.size_bytes >= op.offset + op.size_bytes
    )
