"""Hypotheses about ranges: a write or copy that moved other bytes, or too many or too few.

These are the mistakes of rounding, padding and moving in pieces.  Runtimes round to words, of four
bytes, and to slots, which are larger.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from gpusim.limits import WORD_BYTES
from gpusim.ops import Copy, Write
from properties.clients.passed import misread
from properties.explain import rules
from properties.explain.hypothesis import ALIGNMENTS, Hypothesis, named, with_ops
from properties.explain.scene import Scene, Step
from properties.oracles.laws.catalogue import A5, A8, A9

_LENGTHS = (1, 2, 3, 4, 8, 16, 256, 1024, 4096, 8192)
_MOST_PIECES = 1 << 14
"""No copy is split into more pieces: a copy that must be refused may be of any size."""
_EXPONENT, _FRACTION, _QUIET = np.uint32(0x7F800000), np.uint32(0x7FFFFF), np.uint32(0x400000)
"""Bits of a float of one word; a NaN whose bit ``_QUIET`` is set is a quiet NaN."""
_KIBIBYTE = 1 << 10
_SPOILT = b"\xee"
"""The byte with which a client overwrites an array that it has passed."""


def _rounded(number: int, align: int) -> tuple[int, int]:
    """The multiples of ``align`` below and above ``number``."""
    return number // align * align, -(-number // align) * align


def writes(scene: Scene) -> Iterator[Hypothesis]:
    """Gives host writes that misread the caller's data, or reach another range.

    Then host writes that put back old bytes next to their own, write the bytes of another write, or
    go to another buffer.
    """
    for at, op, size in _writes(scene):
        for ops, said in _in_slots(op):
            yield with_ops(scene, at, ops, "write", A8, said)
        for data, how in misread(scene.client, op):
            if data != op.data:
                instead, said = replace(op, data=data), f"took its bytes {how}"
                yield with_ops(scene, at, instead, "write", A9, said, detail=how[:9])
        for instead, said in _other_ranges(op, size):
            is_inside = op.offset <= instead.offset and _end(instead) <= _end(op)
            yield with_ops(scene, at, instead, "write", A9 if is_inside else A8, said)
        spoilt = replace(op, data=_SPOILT * len(op.data))
        said = "took its bytes after the call, when the caller had overwritten the array"
        yield with_ops(scene, at, spoilt, "write", rules.TAKEN, said)
    for at, op, _ in _writes(scene):
        yield from _stale_edges(scene, at, op)
        yield from _other_writes(scene, at, op)


def _writes(scene: Scene) -> Iterator[tuple[int, Write, int]]:
    """The host writes, each with its place among the steps and the size of its buffer."""
    for at, step in enumerate(scene.steps):
        if isinstance(step.op, Write) and step.op.buffer in scene.states[at]:
            yield at, step.op, len(scene.states[at][step.op.buffer])


def _end(op: Write) -> int:
    return op.offset + len(op.data)


def _other_writes(scene: Scene, at: int, op: Write) -> Iterator[Hypothesis]:
    data = op.data
    for other in scene.steps:
        if isinstance(other.op, Write) and other.op is not op and other.op.data != data:
            lent = replace(op, data=other.op.data[: len(data)].ljust(len(data), b"\0"))
            said = f"wrote the bytes of {named(other)}, and not its own"
            yield with_ops(scene, at, lent, "write", A9, said, other.number)
    for name in scene.states[at]:
        if name != op.buffer:
            said = f"reached {name}, and not {op.buffer}"
            yield with_ops(scene, at, replace(op, buffer=name), "write", rules.HANDLE, said)


def _other_ranges(op: Write, size: int) -> Iterator[tuple[Write, str]]:
    data, end = op.data, _end(op)
    for align in ALIGNMENTS:
        cut, longer = _rounded(len(data), align)
        longer = min(longer, size - op.offset)
        if longer > len(data):
            said = f"was padded with zeros to a multiple of {align} bytes, over its neighbours"
            yield replace(op, data=data.ljust(longer, b"\0")), said
        low = _rounded(op.offset, align)[0]
        # A refused write may end past its buffer.
        high = max(end, min(_rounded(end, align)[1], size))
        if low < op.offset or high > end:
            said = f"was widened with zeros to multiples of {align} bytes, over its neighbours"
            padded = bytes(op.offset - low) + data + bytes(high - end)
            yield replace(op, offset=low, data=padded), said
        if 0 < cut < len(data):
            yield replace(op, data=data[:cut]), f"lost what is past {_cut(cut, align)}"
    for length in _LENGTHS:
        if length < len(data):
            last = replace(op, data=data[-length:], offset=end - length)
            rest = replace(op, data=data[length:], offset=op.offset + length)
            yield replace(op, data=data[:length]), f"wrote only its first {length} bytes"
            yield last, f"wrote only its last {length} bytes"
            yield replace(op, data=data[:-length]), f"lost its last {length} bytes"
            yield rest, f"lost its first {length} bytes"
    for shift in (1, 2, 3, 4, -1, -2, -3, -4):
        if op.offset + shift >= 0 and end + shift <= size:
            yield replace(op, offset=op.offset + shift), f"landed {shift:+} bytes from its place"
    if op.offset:
        yield replace(op, offset=0), "landed at the start of its buffer"
    for floats, what in _as_floats(data):
        if floats != data:
            yield replace(op, data=floats), f"went through floats on its way: {what}"


def _in_slots(op: Write) -> Iterator[tuple[tuple[Write, Write], str]]:
    """The write in two pieces, if it crosses into the next slot: both go to the first slot."""
    for align in ALIGNMENTS:
        low, middle = op.offset // align * align, op.offset // align * align + align
        if op.offset < middle < _end(op):
            cut = middle - op.offset
            first = replace(op, data=op.data[:cut])
            rest = replace(op, offset=low, data=op.data[cut:])
            yield (first, rest), f"put its bytes from byte {middle} on at byte {low}"


def _as_floats(data: bytes) -> Iterator[tuple[bytes, str]]:
    """What becomes of the data if its whole words are handled as floats.

    That changes bits in two ways: the data is given for each, with words for the way.
    """
    whole = len(data) // WORD_BYTES * WORD_BYTES
    words = np.frombuffer(data[:whole], "<u4")
    exponent, fraction = words & _EXPONENT, words & _FRACTION
    quiet = np.where((exponent == _EXPONENT) & (fraction != 0), words | _QUIET, words)
    yield quiet.astype("<u4").tobytes() + data[whole:], "a signalling NaN became a quiet one"
    flushed = np.where((exponent == 0) & (fraction != 0), words & ~(_EXPONENT | _FRACTION), words)
    yield flushed.astype("<u4").tobytes() + data[whole:], "a subnormal number became zero"


def _cut(cut: int, align: int) -> str:
    """Says where a write was cut: after a power of two of KiB, or at a multiple of ``align``."""
    if cut % _KIBIBYTE == 0 and cut & (cut - 1) == 0:
        return f"its first {cut // _KIBIBYTE} KiB ({cut} bytes)"
    return f"the last multiple of {align} bytes"


def _stale_edges(scene: Scene, at: int, op: Write) -> Iterator[Hypothesis]:
    """The write also puts back the bytes beside it, as they were at an earlier time."""
    end = _end(op)
    for align in (4, 16, 256):
        low, high = _rounded(op.offset, align)[0], _rounded(end, align)[1]
        for step, state in zip(scene.steps[:at], scene.states, strict=False):
            old = state.get(op.buffer)
            data = op.data if old is None else old[low : op.offset] + op.data + old[end:high]
            if len(data) > len(op.data):
                said = (
                    f"put back the bytes beside it, up to multiples of {align} bytes, as they were "
                    f"before {named(step)}"
                )
                instead = replace(op, offset=low, data=data)
                yield with_ops(scene, at, instead, "write", A8, said, step.number)


def zeroed(scene: Scene) -> Iterator[Hypothesis]:
    """Host writes of zeros instead of their bytes."""
    for at, step in enumerate(scene.steps):
        if isinstance(step.op, Write):
            op = replace(step.op, data=bytes(len(step.op.data)))
            said = "wrote zeros instead of its bytes"
            yield with_ops(scene, at, op, "write", A9, said)


def copies(scene: Scene) -> Iterator[Hypothesis]:
    """Copies from or to other bytes, and copies in pieces that overlap their own source."""
    for at, step in enumerate(scene.steps):
        op, sizes = step.op, {name: len(data) for name, data in scene.states[at].items()}
        if isinstance(op, Copy) and {op.source, op.target} <= sizes.keys():
            room = min(sizes[op.source] - op.source_offset, sizes[op.target] - op.target_offset)
            for instead, said in _other_copies(op, room):
                yield with_ops(scene, at, instead, "copy", A5, said)
            for instead, said in _like_others(scene, op, step):
                yield with_ops(scene, at, instead, "copy", A5, said)
            yield from _in_pieces(scene, at, op)


def _piece(op: Copy, start: int, size: int) -> Copy:
    """The part of copy ``op`` that moves ``size`` bytes, from its byte ``start`` on."""
    source, target = op.source_offset + start, op.target_offset + start
    return replace(op, source_offset=source, target_offset=target, size_bytes=size)


def _other_copies(op: Copy, room: int) -> Iterator[tuple[Copy, str]]:
    size = op.size_bytes
    for align in ALIGNMENTS:
        shorter, longer = _rounded(size, align)
        if min(longer, room) > size:
            longer = min(longer, room)
            yield replace(op, size_bytes=longer), f"was rounded up to a multiple of {align} bytes"
        if shorter < size:
            said = f"was rounded down to a multiple of {align} bytes"
            yield replace(op, size_bytes=shorter), said
        low, there = _rounded(op.source_offset, align)[0], _rounded(op.target_offset, align)[0]
        if low < op.source_offset:
            said = f"took its bytes from an offset rounded down to a multiple of {align}"
            yield replace(op, source_offset=low), said
        if there < op.target_offset:
            said = f"landed at an offset rounded down to a multiple of {align}"
            yield replace(op, target_offset=there), said
    for length in _LENGTHS:
        if length < size:
            yield _piece(op, 0, length), f"moved only its first {length} bytes"
            yield _piece(op, 0, size - length), f"lost its last {length} bytes"
            yield _piece(op, length, size - length), f"lost its first {length} bytes"
    if op.source_offset:
        yield replace(op, source_offset=0), "took its bytes from the start of its source"
    if op.target_offset:
        yield replace(op, target_offset=0), "landed at the start of its target"


def _like_others(scene: Scene, op: Copy, step: Step) -> Iterator[tuple[Copy, str]]:
    turned = Copy(
        source=op.target,
        source_offset=op.target_offset,
        target=op.source,
        target_offset=op.source_offset,
        size_bytes=op.size_bytes,
    )
    yield turned, "went from its target to its source"
    for other in scene.steps:
        if isinstance(other.op, Copy) and other is not step:
            source, offset, by = other.op.source, other.op.source_offset, named(other)
            yield replace(op, source=source), f"took its bytes from the source of {by}"
            yield replace(op, target=other.op.target), f"landed in the target of {by}"
            yield replace(op, source_offset=offset), f"took the source offset of {by}"
            yield (
                replace(op, target_offset=other.op.target_offset),
                f"took the target offset of {by}",
            )
            size = other.op.size_bytes
            yield replace(op, size_bytes=size), f"moved {size} bytes, the size of {by}"


def _in_pieces(scene: Scene, at: int, op: Copy) -> Iterator[Hypothesis]:
    """The copy in pieces: forwards, backwards, or each piece from the place of the one before."""
    size = op.size_bytes
    for length in (1, 2, 4, 8, -(-size // 2)):
        if not 0 < length < size <= length * _MOST_PIECES:
            continue
        starts = range(0, size, length)
        pieces = [_piece(op, start, min(length, size - start)) for start in starts]
        for ops, side in ((pieces, "front"), (pieces[::-1], "back")):
            said = f"went in pieces of {length} bytes from the {side}, over its own source"
            yield with_ops(scene, at, ops, "copy", rules.MEMMOVE, said)
        again = [
            replace(piece, source_offset=pieces[max(0, n - 1)].source_offset)
            for n, piece in enumerate(pieces)
        ]
        said = f"took each piece of {length} bytes from the place of the piece before"
        yield with_ops(scene, at, again, "copy", A5, said)
