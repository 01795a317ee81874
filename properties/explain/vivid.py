"""The same ops with other data, so that every byte shows where it comes from.

A finding is shrunk to simple data, in which many mistakes look alike: a write that is lost and a
write that comes early may show the same zeros.  Here writes have random bytes, and dispatches whose
scalars are all u32 have random primes, so two mistakes seldom look alike.  A write to a buffer that
holds a grid has small random numbers.  Each buffer may be filled right after its alloc, and read
after a sync at the end.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from gpusim.kernels import Kernel
from gpusim.limits import WORD_BYTES
from gpusim.ops import (
    Alloc,
    AnyDispatch,
    Capture,
    Command,
    DispatchIndirect,
    Op,
    Read,
    Replay,
    Scalars,
    Sync,
    Write,
)
from gpusim.program import Program, inlined, never_freed
from properties.explain.scene import NOBODY
from properties.generate.choices import Choices, SeededChoices

_PRIMES = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89)
_MOST_GROUPS = 4
_PIECE_BYTES = 256
_MOST_FILLED_BYTES = 1 << 16
"""A larger buffer is not filled: its alloc may be refused, and its pieces would take minutes."""
_WHOLE = {"u32"}
"""The types of scalars that get other values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Vivid:
    """A program with other data, and the number of each op in the original program.

    The number is NOBODY for an op that was added.
    """

    program: Program
    numbers: tuple[int, ...]


def vivid(
    program: Program, kernels: Mapping[str, Kernel], *, fills: bool, looks: bool, seed: int
) -> Vivid:
    """``program`` with other data and scalars.

    With ``fills`` each buffer of at most 64 KiB that holds no grid is written whole right after its
    alloc.  With ``looks`` each buffer that is never freed is read at the end.
    """
    choices = SeededChoices(f"vivid {seed}")
    counts = {op.counts for op in inlined(program) if isinstance(op, DispatchIndirect)}
    ops: list[Op] = []
    numbers: list[int] = []
    for position, op in enumerate(program):
        ops.append(_changed(op, counts, kernels, choices))
        numbers.append(position)
        if fills and isinstance(op, Alloc) and op.buffer not in counts:
            filling = list(_filling(op, choices))
            ops += filling
            numbers += [NOBODY] * len(filling)
    added = tuple(_looks(program)) if looks else ()
    return Vivid(program=Program((*ops, *added)), numbers=(*numbers, *(NOBODY for _ in added)))


def _filling(op: Alloc, choices: Choices) -> Iterator[Op]:
    """Writes of a whole buffer, in short pieces, since one long write may itself go wrong."""
    if op.size_bytes > _MOST_FILLED_BYTES:
        return
    for start in range(0, op.size_bytes, _PIECE_BYTES):
        data = _bytes(min(_PIECE_BYTES, op.size_bytes - start), choices)
        yield Write(buffer=op.buffer, offset=start, data=data)


def _bytes(size: int, choices: Choices) -> bytes:
    return bytes(choices.integer(1, 255) for _ in range(size))


def _changed(op: Op, counts: set[str], kernels: Mapping[str, Kernel], choices: Choices) -> Op:
    if isinstance(op, Write):
        if op.buffer not in counts:
            return replace(op, data=_bytes(len(op.data), choices))
        if op.offset % WORD_BYTES:
            return op
        words = range(0, len(op.data), WORD_BYTES)
        grid = b"".join(choices.integer(1, _MOST_GROUPS).to_bytes(4, "little") for _ in words)
        return replace(op, data=grid[: len(op.data)])
    if isinstance(op, AnyDispatch):
        dtypes = {scalar.dtype for scalar in kernels[op.kernel].scalars}
        own = op.scalars
        return replace(op, scalars=_entry(own, choices) or () if dtypes <= _WHOLE else own)
    if isinstance(op, Capture):
        commands = tuple(_changed(each, counts, kernels, choices) for each in op.commands)
        return replace(op, commands=tuple(each for each in commands if isinstance(each, Command)))
    if isinstance(op, Replay) and op.scalars is not None:
        return replace(op, scalars=tuple(_entry(entry, choices) for entry in op.scalars))
    return op


def _entry(own: Scalars | None, choices: Choices) -> Scalars | None:
    if own is None or any(type(value) is not int or value < 0 for value in own):
        return own
    return tuple(choices.pick(_PRIMES) for _ in own)


def _looks(program: Program) -> Iterator[Op]:
    yield Sync()
    for op in never_freed(program):
        yield Read(buffer=op.buffer, offset=0, size_bytes=op.size_bytes, result=f"look_{op.buffer}")
