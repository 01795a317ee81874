"""How much a program can show: the earlier writers that each of its reads depends on.

A read of bytes that one op wrote sees only whether that op happened; it takes
two to see an order.  Counted by the program alone, for statistics and tests;
nothing here decides what is generated.
"""

import math
from collections.abc import Mapping, Sequence

from gpusim.kernels import BUILTIN, Kernel
from gpusim.limits import WORD_BYTES
from gpusim.program import Alloc, Copy, Dispatch, Op, Program, Read, Write

_Writers = list[int]
"""For each byte of a buffer, the positions of the ops it depends on, as the bits of an int."""


def writers_of_reads(
    program: Program,
    accepted: Sequence[bool],
    kernels: Mapping[str, Kernel] = BUILTIN,
) -> tuple[int, ...]:
    """The number of earlier writers of each accepted read, in the order of the reads.

    A write, copy or dispatch counts for the bytes it wrote until they are
    overwritten, and through every copy and dispatch that takes them further.  A
    dispatch is taken to join, word by word, whatever it binds, as far as its
    grid reaches.

    ``accepted`` says of each op whether it was accepted.
    """
    buffers: dict[str, _Writers] = {}
    counts = []
    for position, op in enumerate(program):
        if not accepted[position]:
            continue
        if isinstance(op, Read):
            seen = 0
            for writers in buffers[op.buffer][op.offset : op.offset + op.size_bytes]:
                seen |= writers
            counts.append(seen.bit_count())
        else:
            _note(op, 1 << position, buffers, kernels)
    return tuple(counts)


def _note(op: Op, bit: int, buffers: dict[str, _Writers], kernels: Mapping[str, Kernel]) -> None:
    match op:
        case Alloc():
            buffers[op.buffer] = [0] * op.size_bytes
        case Write():
            end = op.offset + len(op.data)
            buffers[op.buffer][op.offset : end] = [bit] * len(op.data)
        case Copy():
            taken = buffers[op.source][op.source_offset : op.source_offset + op.size_bytes]
            end = op.target_offset + op.size_bytes
            buffers[op.target][op.target_offset : end] = [writers | bit for writers in taken]
        case Dispatch():
            bound = [buffers[name] for name in op.buffers]
            _join(kernels[op.kernel], bound, math.prod(op.grid), bit)


def _join(kernel: Kernel, bound: Sequence[_Writers], groups: int, bit: int) -> None:
    lanes = groups * kernel.group_size
    words = min(lanes, *(len(writers) // WORD_BYTES for writers in bound))
    for start in range(0, words * WORD_BYTES, WORD_BYTES):
        joined = bit
        for writers in bound:
            for one in writers[start : start + WORD_BYTES]:
                joined |= one
        for binding, writers in zip(kernel.buffers, bound, strict=True):
            if binding.access == "read_write":
                writers[start : start + WORD_BYTES] = [joined] * WORD_BYTES
