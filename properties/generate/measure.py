"""Measures how much a program can show: on how many earlier writers each of its reads depends.

A read that depends on one writer shows only whether that op happened; only a read that depends on
two writers shows their order.  This is for statistics and tests, and uses the program alone.
Nothing here decides what is generated.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from gpusim.kernels import BUILTIN, Kernel
from gpusim.limits import WORD_BYTES
from gpusim.ops import VERBS, Alloc, AnyDispatch, Bound, Capture, Dispatch, Op, Read, Replay
from gpusim.program import Program, replayed

_Writers = npt.NDArray[np.uint64]
"""For each byte the positions of the ops that it depends on, as the bits of 64-bit words."""
_WORD_BITS = 64
_MOST_GROUPS = 2**32 - 1


def writers_of_reads(
    program: Program,
    accepted: Sequence[bool],
    kernels: Mapping[str, Kernel] = BUILTIN,
) -> tuple[int, ...]:
    """The number of earlier writers of each accepted read, in the order of the reads.

    A write, copy or dispatch is a writer of the bytes that it writes, until they are overwritten.
    It is also a writer of all bytes that later copies and dispatches compute from these.  A
    dispatch is assumed to combine all its buffers word by word, as far as its grid reaches.

    ``accepted`` says of each op whether it was accepted.
    """
    buffers: dict[str, _Writers] = {}
    words = len(program) // _WORD_BITS + 1
    captures: dict[str, Capture] = {}
    counts = []
    for position, op in enumerate(program):
        if not accepted[position]:
            continue
        if isinstance(op, Read):
            seen = buffers[op.buffer][op.offset : op.offset + op.size_bytes]
            joined = np.bitwise_or.reduce(seen, axis=0)
            counts.append(int.from_bytes(joined.tobytes(), "little").bit_count())
            continue
        if isinstance(op, Alloc):
            buffers[op.buffer] = np.zeros((op.size_bytes, words), np.uint64)
            continue
        if isinstance(op, Capture):
            captures[op.graph] = op
            continue
        bit = np.zeros(words, np.uint64)
        bit[position // _WORD_BITS] = 1 << position % _WORD_BITS
        for command in replayed(captures[op.graph], op) if isinstance(op, Replay) else (op,):
            _note(command, bit, buffers, kernels)
    return tuple(counts)


def _note(
    op: Op, bit: _Writers, buffers: dict[str, _Writers], kernels: Mapping[str, Kernel]
) -> None:
    verb, taken = VERBS[type(op)], bit
    for span in verb.reads:
        source, start, size_bytes = span.of(op)
        taken = buffers[source][start : start + size_bytes] | bit
    if isinstance(op, AnyDispatch):
        # Every word depends on the writers of the grid.
        groups = math.prod(op.grid) if isinstance(op, Dispatch) else _MOST_GROUPS
        joined = np.bitwise_or.reduce(np.atleast_2d(taken), axis=0)
        _join(kernels[op.kernel], [_of(bound, buffers) for bound in op.buffers], groups, joined)
        return
    for span in verb.writes:
        target, start, size_bytes = span.of(op)
        buffers[target][start : start + size_bytes] = taken


def _of(bound: Bound, buffers: dict[str, _Writers]) -> _Writers:
    if isinstance(bound, str):
        return buffers[bound]
    return buffers[bound.buffer][bound.offset : bound.offset + bound.size_bytes]


def _join(kernel: Kernel, bound: Sequence[_Writers], groups: int, bit: _Writers) -> None:
    lanes = groups * kernel.group_size
    end = WORD_BYTES * min(lanes, *(len(writers) // WORD_BYTES for writers in bound))
    joined = bit
    for writers in bound:
        joined = joined | np.bitwise_or.reduce(_by_word(writers[:end]), axis=1, keepdims=True)
    for written, writers in zip(kernel.writes, bound, strict=True):
        if written:
            _by_word(writers[:end])[:] = joined


def _by_word(writers: _Writers) -> _Writers:
    """Splits the first axis, the bytes of a buffer, into two: words, and bytes of a word."""
    return writers.reshape(-1, WORD_BYTES, writers.shape[1])
