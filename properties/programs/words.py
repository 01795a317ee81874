"""Programs that ask for no more than WebGPU itself takes: whole words, between two buffers.

For targets that are not byte-exact.  Nothing here is drawn: what a program
would ask for beyond that is rounded to it, or left out.
"""

from collections.abc import Iterator
from dataclasses import replace

from gpusim.limits import WORD_BYTES
from gpusim.ops import Alloc, Capture, Command, Copy, Op, Read, Replay, Write
from gpusim.program import Program, buffers_of, replayed


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


def _down(size_bytes: int) -> int:
    return size_bytes // WORD_BYTES * WORD_BYTES


def _is_within(command: Command) -> bool:
    return isinstance(command, Copy) and command.source == command.target
