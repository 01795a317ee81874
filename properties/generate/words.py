"""Whole programs: reduced to whole words, and measured by what their reads depend on.

WebGPU itself takes only whole words, and copies only between two buffers.  For targets that are
not byte-exact, a program is rounded to that, and what cannot be rounded is left out.  Programs are
drawn within a target's promises.  A smaller or changed program may ask for more, so it is checked
again.

What a program can show is measured by the number of earlier writers that each read depends on.
A read that depends on one writer only shows whether that op happened; two are needed to show an
order.  Nothing here draws or decides what is generated.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gpusim.kernels import BUILTIN, Kernel, Kernels
from gpusim.limits import WORD_BYTES, Limits
from gpusim.ops import VERBS, Alloc, Capture, Command, Copy, Dispatch, Op, Read, Replay, Write
from gpusim.program import Program, buffers_of, replayed
from properties.model.target import Capabilities
from reference import run as run_reference


def in_words(program: Program) -> Program:
    """``program`` rounded to whole words; unchanged where it has nothing else.

    Ops stay inside their buffers.  A copy within one buffer is left out, and so is a
    replay that would have one.
    """
    words = _Words()
    return Program(tuple(op for each in program for op in words.of(each)))


class _Words:
    """Rounds op after op; knows the buffers' sizes and the captures so far."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}
        self._captures: dict[str, Capture] = {}

    def of(self, op: Op) -> Iterator[Op]:
        """The op in whole words, or nothing."""
        match op:
            case Alloc():
                size_bytes = max(_down(op.size_bytes), WORD_BYTES) if op.size_bytes >= 0 else -4
                self._sizes[op.buffer] = size_bytes
                yield replace(op, size_bytes=size_bytes)
            case Write():
                offset, size_bytes = self._span(op.buffer, op.offset, len(op.data))
                yield replace(op, offset=offset, data=op.data.ljust(WORD_BYTES)[:size_bytes])
            case Read():
                offset, size_bytes = self._span(op.buffer, op.offset, op.size_bytes)
                yield replace(op, offset=offset, size_bytes=size_bytes)
            case Copy() if op.source != op.target:
                yield self._copy(op)
            case Copy():
                pass
            case Capture():
                captured = replace(op, commands=tuple(self._commands(op)))
                self._captures[op.graph] = captured
                yield captured
            case Replay():
                yield from self._replay(op)
            case _:
                yield op

    def _commands(self, capture: Capture) -> Iterator[Command]:
        for command in capture.commands:
            if not isinstance(command, Copy):
                yield command
            elif command.source != command.target and command.size_bytes >= WORD_BYTES:
                # Less than a word cannot be rounded up here: a replay may use smaller buffers.
                yield self._copy(command)

    def _replay(self, op: Replay) -> Iterator[Op]:
        capture = self._captures[op.graph]
        if any(map(_is_within, replayed(capture, op))):
            return
        # Replacing a buffer that the capture no longer names would be refused.
        names = buffers_of(capture)
        yield replace(op, bindings=tuple(pair for pair in op.bindings if pair[0] in names))

    def _copy(self, op: Copy) -> Copy:
        source_offset, size_bytes = self._span(op.source, op.source_offset, op.size_bytes)
        target_offset, _ = self._span(op.target, op.target_offset, op.size_bytes)
        return replace(
            op, source_offset=source_offset, target_offset=target_offset, size_bytes=size_bytes
        )

    def _span(self, buffer: str, offset: int, size_bytes: int) -> tuple[int, int]:
        """Offset and size of the whole words around these bytes."""
        words_bytes = max(_down(size_bytes), WORD_BYTES)
        offset = _down(offset)
        if size_bytes < WORD_BYTES:
            # Rounding up must not reach past the buffer's end.
            offset = min(offset, self._sizes.get(buffer, offset + words_bytes) - words_bytes)
        return offset, words_bytes


def _down(size_bytes: int) -> int:
    return size_bytes // WORD_BYTES * WORD_BYTES


def _is_within(command: Command) -> bool:
    return isinstance(command, Copy) and command.source == command.target


def is_within_capabilities(
    program: Program, capabilities: Capabilities, kernels: Kernels, limits: Limits
) -> bool:
    """Whether ``program`` asks for no more than a target with these capabilities promises."""
    if not capabilities.byte_exact and in_words(program) != program:
        return False
    if capabilities.refuses:
        return True
    meant = run_reference(program, kernels, limits)
    return all(outcome.error is None for outcome in meant.outcomes)


_Writers = npt.NDArray[np.uint64]
"""A row of words a byte; its bits are the positions of the ops that the byte depends on."""
_WORD_BITS = 64


def writers_of_reads(
    program: Program,
    accepted: Sequence[bool],
    kernels: Mapping[str, Kernel] = BUILTIN,
) -> tuple[int, ...]:
    """The number of earlier writers of each accepted read, in the order of the reads.

    A write, copy or dispatch counts as a writer of its bytes until they are
    overwritten, and of all bytes that copies and dispatches make of them.  A
    dispatch is assumed to combine, word by word, all its buffers as far as its grid
    reaches.

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
    if isinstance(op, Dispatch):
        bound = [buffers[name] for name in op.buffers]
        _join(kernels[op.kernel], bound, math.prod(op.grid), bit)
        return
    verb, taken = VERBS[type(op)], bit
    for span in verb.reads:
        source, start, size_bytes = span.of(op)
        taken = buffers[source][start : start + size_bytes] | bit
    for span in verb.writes:
        target, start, size_bytes = span.of(op)
        buffers[target][start : start + size_bytes] = taken


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
    """Whole words of a buffer, each with its bytes."""
    return writers.reshape(-1, WORD_BYTES, writers.shape[1])
