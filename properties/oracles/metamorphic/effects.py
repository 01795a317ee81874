"""What can be said of a program's ops without running it: sizes, lives, who conflicts.

It follows from the allocs alone which ranges are inside their buffers, so that
no transformation needs to know what was refused.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import compress

from gpusim.kernels import Kernel
from gpusim.program import (
    Alloc,
    Copy,
    Dispatch,
    Free,
    Op,
    Program,
    Read,
    Replay,
    Sync,
    Write,
    buffers_of,
    flattened,
)
from properties.model.case import Case

Sizes = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Touch:
    """Bytes ``start`` to ``end`` of a buffer that an op reads, or writes as well."""

    buffer: str
    start: int
    end: int
    writes: bool


def sizes_of(program: Program) -> dict[str, int]:
    """The size in bytes that each buffer was asked for."""
    return {op.buffer: op.size_bytes for op in program if isinstance(op, Alloc)}


def live_before(program: Program, at: int) -> list[str]:
    """Buffers allocated and not freed by the ops before ``at``, in the order of their making."""
    live: dict[str, None] = {}
    for op in program.ops[:at]:
        if isinstance(op, Alloc):
            live[op.buffer] = None
        elif isinstance(op, Free):
            live.pop(op.buffer, None)
    return list(live)


def nth(names: list[str], which: int) -> str | None:
    """One of ``names``, counted round; None where there are none."""
    return names[which % len(names)] if names else None


def fresh_names(program: Program, count: int) -> list[str]:
    """Names that the program gives to no buffer and no result."""
    taken = {op.buffer for op in program if isinstance(op, Alloc)}
    taken |= {op.result for op in program if isinstance(op, Read)}
    names = (f"t_{number}" for number in range(len(taken) + count))
    return [name for name in names if name not in taken][:count]


def may_alloc(case: Case) -> bool:
    """Whether another buffer changes nothing: no budget counts it."""
    return case.policy.memory_budget_bytes is None


def is_inside(op: Op, sizes: Sizes) -> bool:
    """Whether every range of the op lies in its buffer."""
    return all(
        start >= 0 and end >= start and end <= sizes[buffer]
        for buffer, start, end in _ranges(op, sizes)
    )


def independent(first: Op, second: Op, sizes: Sizes, kernels: Mapping[str, Kernel]) -> bool:
    """Whether two ops that follow each other may change places and nothing shows it."""
    if isinstance(first, Sync | Replay) or isinstance(second, Sync | Replay):
        return False
    if isinstance(first, Read) and isinstance(second, Read):
        # Reads are delivered in the order in which they were issued.
        return False
    if _begins_or_ends(first, second) or _begins_or_ends(second, first):
        return False
    return not any(
        one.buffer == other.buffer
        and (one.writes or other.writes)
        and (one.start < other.end and other.start < one.end)
        for one in _touches(first, sizes, kernels)
        for other in _touches(second, sizes, kernels)
    )


def _begins_or_ends(op: Op, other: Op) -> bool:
    """Whether ``op`` begins or ends the life of a buffer that ``other`` names."""
    return isinstance(op, Alloc | Free) and op.buffer in buffers_of(other)


def rounded_buffers(program: Program, kernels: Mapping[str, Kernel]) -> frozenset[str]:
    """Buffers that may hold the result of a kernel with a tolerance, directly or through others."""
    rounded: set[str] = set()
    while True:
        before = len(rounded)
        for op in flattened(program):
            rounded.update(_rounded_by(op, rounded, kernels))
        if len(rounded) == before:
            return frozenset(rounded)


def _rounded_by(op: Op, rounded: set[str], kernels: Mapping[str, Kernel]) -> Iterator[str]:
    if isinstance(op, Copy) and op.source in rounded:
        yield op.target
    if isinstance(op, Dispatch):
        kernel = kernels[op.kernel]
        if kernel.tolerance is not None or not rounded.isdisjoint(op.buffers):
            yield from written_by(op, kernel)


def written_by(op: Dispatch, kernel: Kernel) -> list[str]:
    """The buffers that a dispatch binds writable."""
    return list(compress(op.buffers, kernel.writes))


def _touches(op: Op, sizes: Sizes, kernels: Mapping[str, Kernel]) -> list[Touch]:
    """Every byte an op depends on or changes; a buffer's life counts as all its bytes."""
    match op:
        case Write():
            return [Touch(op.buffer, op.offset, op.offset + len(op.data), True)]
        case Read():
            return [Touch(op.buffer, op.offset, op.offset + op.size_bytes, False)]
        case Copy():
            end = op.target_offset + op.size_bytes
            return [
                Touch(op.source, op.source_offset, op.source_offset + op.size_bytes, False),
                Touch(op.target, op.target_offset, end, True),
            ]
        case Dispatch():
            written = written_by(op, kernels[op.kernel])
            return [_all_of(buffer, buffer in written) for buffer in op.buffers]
        case _:
            return [_all_of(buffer, True) for buffer in buffers_of(op)]


def _all_of(buffer: str, writes: bool) -> Touch:
    return Touch(buffer, -1, 2**62, writes)


def _ranges(op: Op, sizes: Sizes) -> Iterator[tuple[str, int, int]]:
    match op:
        case Write():
            yield op.buffer, op.offset, op.offset + len(op.data)
        case Read():
            yield op.buffer, op.offset, op.offset + op.size_bytes
        case Copy():
            yield op.source, op.source_offset, op.source_offset + op.size_bytes
            yield op.target, op.target_offset, op.target_offset + op.size_bytes
