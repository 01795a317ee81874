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
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.catalogue import Law

_LENGTHS = (1, 2, 3, 4, 8, 16, 256, 1024, 4096, 8192)
_MOST_PIECES = 1 << 14
"""The most pieces into which a copy is split here; a refused copy may be of any size."""
_EXPONENT, _FRACTION, _QUIET = np.uint32(0x7F800000), np.uint32(0x7FFFFF), np.uint32(0x400000)
"""Bits of a float of one word; a NaN whose bit ``_QUIET`` is set is a quiet NaN."""
_KIBIBYTE = 1 << 10
_SPOILT = 0xEE
"""The byte with which a client overwrites an array that it has passed."""


def writes(scene: Scene) -> Iterator[Hypothesis]:
    """Host writes that misread their bytes or reach another range.

    Then those that put back old bytes beside theirs, have another write's bytes, or go to another
    buffer.
    """
    for at, op, size in _writes(scene):
        for data, how in misread(scene.client, op):
            if data != op.data:
                said = f"took its bytes {how}"
                instead = replace(op, data=data)
                yield with_ops(scene, at, (instead,), "write", laws.A9, said, detail=how[:9])
        for instead, rule, said in _other_ranges(op, size):
            yield with_ops(scene, at, (instead,), "write", rule, said)
    for at, op, _ in _writes(scene):
        yield from _stale_edges(scene, at, op)
        yield from _other_writes(scene, at, op)


def _writes(scene: Scene) -> Iterator[tuple[int, Write, int]]:
    """The host writes, each with its place among the steps and the size of its buffer."""
    for at, step in enumerate(scene.steps):
        if isinstance(step.op, Write) and step.op.buffer in scene.states[at]:
            yield at, step.op, len(scene.states[at][step.op.buffer])


def _other_writes(scene: Scene, at: int, op: Write) -> Iterator[Hypothesis]:
    data = op.data
    for other in scene.steps:
        if isinstance(other.op, Write) and other.op is not op and other.op.data != data:
            lent = other.op.data[: len(data)].ljust(len(data), b"\0")
            said = f"wrote the bytes of {named(other)}, and not its own"
            instead = replace(op, data=lent)
            yield with_ops(scene, at, (instead,), "write", laws.A9, said, other.number)
    for name in scene.states[at]:
        if name != op.buffer:
            said = f"reached {name}, and not {op.buffer}"
            yield with_ops(scene, at, (replace(op, buffer=name),), "write", rules.HANDLE, said)


def _other_ranges(op: Write, size: int) -> Iterator[tuple[Write, Law, str]]:
    data, end = op.data, op.offset + len(op.data)
    for align in ALIGNMENTS:
        longer = min(-(-len(data) // align) * align, size - op.offset)
        if longer > len(data):
            yield (
                replace(op, data=data.ljust(longer, b"\0")),
                laws.A8,
                f"was padded with zeros to a multiple of {align} bytes, over its neighbours",
            )
        low = op.offset // align * align
        # A refused write may end past its buffer.
        high = max(end, min(-(-end // align) * align, size))
        if low < op.offset or high > end:
            padded = bytes(op.offset - low) + data + bytes(high - end)
            said = f"was widened with zeros to multiples of {align} bytes, over its neighbours"
            yield replace(op, offset=low, data=padded), laws.A8, said
        cut = len(data) // align * align
        if 0 < cut < len(data):
            yield (
                replace(op, data=data[:cut]),
                laws.A9,
                f"lost what is past {_cut(cut, align)}",
            )
    for length in _LENGTHS:
        if length < len(data):
            yield replace(op, data=data[:length]), laws.A9, f"wrote only its first {length} bytes"
            yield (
                replace(op, data=data[-length:], offset=end - length),
                laws.A9,
                f"wrote only its last {length} bytes",
            )
            yield replace(op, data=data[:-length]), laws.A9, f"lost its last {length} bytes"
            yield (
                replace(op, data=data[length:], offset=op.offset + length),
                laws.A9,
                f"lost its first {length} bytes",
            )
    for shift in (1, 2, 3, 4, -1, -2, -3, -4):
        if op.offset + shift >= 0 and end + shift <= size:
            yield (
                replace(op, offset=op.offset + shift),
                laws.A8,
                f"landed {shift:+} bytes from its place",
            )
    if op.offset:
        yield replace(op, offset=0), laws.A8, "landed at the start of its buffer"
    for floats, what in _as_floats(data):
        if floats != data:
            yield replace(op, data=floats), laws.A9, f"went through floats on its way: {what}"
    spoilt = bytes([_SPOILT]) * len(data)
    yield (
        replace(op, data=spoilt),
        rules.TAKEN,
        "took its bytes after the call, when the caller had overwritten the array",
    )


def _as_floats(data: bytes) -> Iterator[tuple[bytes, str]]:
    """What becomes of the data if its whole words are handled as floats.

    Once for each of the two ways in which that changes bits, which is told in words.
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
    end = op.offset + len(op.data)
    for align in (4, 16, 256):
        low = op.offset // align * align
        for time in range(at):
            old = scene.states[time].get(op.buffer)
            if old is None:
                continue
            high = min(-(-end // align) * align, len(old))
            data = old[low : op.offset] + op.data + old[end:high]
            if len(data) > len(op.data):
                since = named(scene.steps[time])
                said = (
                    f"put back the bytes beside it, up to multiples of {align} bytes, as they were "
                    f"before {since}"
                )
                instead = replace(op, offset=low, data=data)
                yield with_ops(
                    scene, at, (instead,), "write", laws.A8, said, scene.steps[time].number
                )


def zeroed(scene: Scene) -> Iterator[Hypothesis]:
    """Host writes of zeros in the place of their bytes."""
    for at, step in enumerate(scene.steps):
        if isinstance(step.op, Write):
            op = replace(step.op, data=bytes(len(step.op.data)))
            said = "wrote zeros in the place of its bytes"
            yield with_ops(scene, at, (op,), "write", laws.A9, said)


def copies(scene: Scene) -> Iterator[Hypothesis]:
    """Copies from or to other bytes, and copies in pieces that overlap their own source."""
    for at, step in enumerate(scene.steps):
        op = step.op
        if not isinstance(op, Copy) or not {op.source, op.target} <= scene.states[at].keys():
            continue
        sizes = {name: len(data) for name, data in scene.states[at].items()}
        for instead, said in _other_copies(scene, op, sizes, step):
            yield with_ops(scene, at, (instead,), "copy", laws.A5, said)
        yield from _in_pieces(scene, at, op)


def _other_copies(
    scene: Scene, op: Copy, sizes: dict[str, int], step: Step
) -> Iterator[tuple[Copy, str]]:
    size = op.size_bytes
    room = min(sizes[op.source] - op.source_offset, sizes[op.target] - op.target_offset)
    for align in ALIGNMENTS:
        longer = min(-(-size // align) * align, room)
        if longer > size:
            yield replace(op, size_bytes=longer), f"was rounded up to a multiple of {align} bytes"
        if size // align * align < size:
            yield (
                replace(op, size_bytes=size // align * align),
                f"was rounded down to a multiple of {align} bytes",
            )
        low, there = op.source_offset // align * align, op.target_offset // align * align
        if low < op.source_offset:
            yield (
                replace(op, source_offset=low),
                f"took its bytes from an offset rounded down to a multiple of {align}",
            )
        if there < op.target_offset:
            said = f"landed at an offset rounded down to a multiple of {align}"
            yield replace(op, target_offset=there), said
    for length in _LENGTHS:
        if length < size:
            yield replace(op, size_bytes=length), f"moved only its first {length} bytes"
            yield replace(op, size_bytes=size - length), f"lost its last {length} bytes"
            yield (
                replace(
                    op,
                    source_offset=op.source_offset + length,
                    target_offset=op.target_offset + length,
                    size_bytes=size - length,
                ),
                f"lost its first {length} bytes",
            )
    if op.source_offset:
        yield replace(op, source_offset=0), "took its bytes from the start of its source"
    if op.target_offset:
        yield replace(op, target_offset=0), "landed at the start of its target"
    turned = replace(
        op,
        source=op.target,
        source_offset=op.target_offset,
        target=op.source,
        target_offset=op.source_offset,
    )
    yield turned, "went from its target to its source"
    for other in scene.steps:
        if isinstance(other.op, Copy) and other is not step:
            yield (
                replace(op, source=other.op.source),
                f"took its bytes from the source of {named(other)}",
            )
            yield replace(op, target=other.op.target), f"landed in the target of {named(other)}"
            yield (
                replace(op, source_offset=other.op.source_offset),
                f"took the source offset of {named(other)}",
            )


def _in_pieces(scene: Scene, at: int, op: Copy) -> Iterator[Hypothesis]:
    """The copy in pieces one after the other, forwards and backwards."""
    for length in (1, 2, 4, 8, -(-op.size_bytes // 2)):
        if not 0 < length < op.size_bytes <= length * _MOST_PIECES:
            continue
        pieces = [
            replace(
                op,
                source_offset=op.source_offset + start,
                target_offset=op.target_offset + start,
                size_bytes=min(length, op.size_bytes - start),
            )
            for start in range(0, op.size_bytes, length)
        ]
        forwards = f"went in pieces of {length} bytes from the front, over its own source"
        backwards = f"went in pieces of {length} bytes from the back, over its own source"
        yield with_ops(scene, at, pieces, "copy", rules.MEMMOVE, forwards)
        yield with_ops(scene, at, pieces[::-1], "copy", rules.MEMMOVE, backwards)
        again = [
            replace(piece, source_offset=pieces[max(0, n - 1)].source_offset)
            for n, piece in enumerate(pieces)
        ]
        said = f"took each piece of {length} bytes from the place of the piece before"
        yield with_ops(scene, at, again, "copy", laws.A5, said)
