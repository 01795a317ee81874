"""What can be said of a program's ops without running it: sizes, lives, who conflicts.

It follows from the allocs alone which ranges are inside their buffers, so that
no transformation needs to know what was refused.
"""

from collections.abc import Mapping

from gpusim.effects import WHOLE, Access, accesses, written_by
from gpusim.kernels import Kernel
from gpusim.ops import VERBS, Alloc, Capture, Dispatch, Free, Op, Read, Replay, Sync
from gpusim.program import Program, buffers_of, flattened
from properties.model.case import Case

Sizes = Mapping[str, int]


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
    ranges = (span.of(op) for span in VERBS[type(op)].spans)
    return all(
        offset >= 0 and size_bytes >= 0 and offset + size_bytes <= sizes[buffer]
        for buffer, offset, size_bytes in ranges
    )


def independent(first: Op, second: Op, kernels: Mapping[str, Kernel]) -> bool:
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
        for one in _touches(first, kernels)
        for other in _touches(second, kernels)
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


def _rounded_by(op: Op, rounded: set[str], kernels: Mapping[str, Kernel]) -> list[str]:
    """What it writes, where that comes of something rounded, or is rounded as it is written."""
    computes = isinstance(op, Dispatch) and kernels[op.kernel].tolerance is not None
    touched = accesses(op, kernels)
    is_source = any(one.buffer in rounded for one in touched if _computed_from(op, one))
    return written_by(op, kernels) if computes or is_source else []


def _computed_from(op: Op, access: Access) -> bool:
    """Whether what ``op`` writes may depend on the bytes of ``access``."""
    return isinstance(op, Dispatch) or not access.writes


def _touches(op: Op, kernels: Mapping[str, Kernel]) -> list[Access]:
    """Every byte an op depends on or changes; a buffer's life counts as all its bytes."""
    if isinstance(op, Alloc | Free | Capture):
        return [Access(buffer, *WHOLE, True) for buffer in buffers_of(op)]
    return accesses(op, kernels)
