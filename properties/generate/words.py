"""What can be said of a whole program: whether it asks for whole words only, and what it shows.

Programs of whole words between two buffers ask for no more than WebGPU itself takes: they are
for targets that are not byte-exact.  What a program would ask for beyond that is rounded to
it, or left out.  Programs are drawn within what a target promises; what is made of them, smaller
or changed, may ask for more, so that it is asked again.

How much a program can show is counted by the earlier writers that each of its reads depends
on.  A read of bytes that one op wrote sees only whether that op happened; it takes two to see
an order.  Nothing here is drawn, and nothing here decides what is generated.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gpusim.kernels import BUILTIN, Kernel, Kernels
from gpusim.limits import WORD_BYTES, Limits
from gpusim.ops import (
    VERBS,
    Alloc,
    AnyDispatch,
    Bound,
    Capture,
    Command,
    Copy,
    Dispatch,
    DispatchIndirect,
    Grid,
    Op,
    Part,
    Read,
    Replay,
    Write,
)
from gpusim.program import Program, buffers_of, replayed
from properties.model.target import Capabilities
from reference import Reference
from reference import run as run_reference
from reference.memory import Block


def in_words(program: Program) -> Program:
    """``program`` in whole words; one that has nothing else is left as it is.

    What was within its buffers stays so.  A copy within one buffer goes, and so
    does a replay that would have one.
    """
    words = _Words()
    return Program(tuple(op for each in program for op in words.of(each)))


class _Words:
    """The sizes of the buffers so far, and what was captured."""

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
            case Dispatch() | DispatchIndirect():
                yield _in_words(op)
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
                yield _in_words(command)
            elif command.source != command.target and command.size_bytes >= WORD_BYTES:
                # Less than a word cannot grow here: it may run over other buffers.
                yield self._copy(command)

    def _replay(self, op: Replay) -> Iterator[Op]:
        capture = self._captures[op.graph]
        if any(map(_is_within, replayed(capture, op))):
            return
        # A binding in the place of what is captured no more would be refused.
        names = buffers_of(capture)
        yield replace(op, bindings=tuple(pair for pair in op.bindings if pair[0] in names))

    def _copy(self, op: Copy) -> Copy:
        source_offset, size_bytes = self._span(op.source, op.source_offset, op.size_bytes)
        target_offset, _ = self._span(op.target, op.target_offset, op.size_bytes)
        return replace(
            op, source_offset=source_offset, target_offset=target_offset, size_bytes=size_bytes
        )

    def _span(self, buffer: str, offset: int, size_bytes: int) -> tuple[int, int]:
        """Where so many bytes at ``offset`` begin in whole words, and how many those are."""
        words_bytes = max(_down(size_bytes), WORD_BYTES)
        offset = _down(offset)
        if size_bytes < WORD_BYTES:
            # It has grown, and must not reach past the end for that.
            offset = min(offset, self._sizes.get(buffer, offset + words_bytes) - words_bytes)
        return offset, words_bytes


def _in_words(op: AnyDispatch) -> AnyDispatch:
    """The same over parts of whole words, which is all that a kernel sees of them."""
    if all(isinstance(bound, str) for bound in op.buffers):
        return op
    bound = [one if isinstance(one, str) else _words_of(one) for one in op.buffers]
    return replace(op, buffers=tuple(bound))


def _words_of(part: Part) -> Part:
    return part._replace(size_bytes=_down(part.size_bytes))


def _down(size_bytes: int) -> int:
    return size_bytes // WORD_BYTES * WORD_BYTES


def _is_within(command: Command) -> bool:
    return isinstance(command, Copy) and command.source == command.target


def is_within_capabilities(
    program: Program, capabilities: Capabilities, kernels: Kernels, limits: Limits
) -> bool:
    """Whether ``program`` holds whole words only, and nothing that is refused, where it has to.

    No target has to read a grid that is unknown or large: those are what programs
    that were changed may come to, and would run for ever.
    """
    if not capabilities.byte_exact and in_words(program) != program:
        return False
    has_grids = any(isinstance(op, DispatchIndirect) for op in _flat(program))
    if capabilities.refuses and not has_grids:
        return True
    grids = _Grids(kernels, limits)
    meant = run_reference(program, kernels, limits, make=lambda *_: grids)
    is_valid = all(outcome.error is None for outcome in meant.outcomes)
    return grids.are_small and (capabilities.refuses or is_valid)


class _Grids(Reference):
    """A reference that looks at each grid that a dispatch reads."""

    are_small = True

    def grid_in(self, block: Block, offset: int) -> Grid | None:
        """See ``Reference``."""
        grid = super().grid_in(block, offset)
        self.are_small = self.are_small and grid is not None and self._is_small(grid)
        return grid

    def _is_small(self, grid: Grid) -> bool:
        most = self.limits.max_groups_per_dimension
        if 0 in grid or max(grid) >= _NO_DEVICE_RUNS:
            return True
        return max(grid) <= most and math.prod(grid) <= _MOST_SMALL_GROUPS


def _flat(program: Program) -> Iterator[Op]:
    for op in program:
        yield from op.commands if isinstance(op, Capture) else (op,)


_Writers = npt.NDArray[np.uint64]
"""For each byte of a buffer, the positions of the ops it depends on, as bits of a row of words."""
_WORD_BITS = 64
_MOST_GROUPS = 2**32 - 1
_NO_DEVICE_RUNS = 2**24
_MOST_SMALL_GROUPS = 1 << 16


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
        # What a grid on the GPU comes from decides over every word.
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
    """Whole words of a buffer, each with its bytes."""
    return writers.reshape(-1, WORD_BYTES, writers.shape[1])
