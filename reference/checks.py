"""The reference's checks: when an op is refused, and with which error.

Each function looks for refusals in the order of ``docs/CONTRACT.md`` and changes
nothing.  Nothing here knows what an accepted op does.
"""

import math
from collections.abc import Mapping, Sequence
from operator import is_not

from gpusim.errors import (
    InvalidBinding,
    InvalidHandle,
    InvalidScalar,
    LimitExceeded,
    OutOfMemory,
    OutOfRange,
)
from gpusim.kernels import Kernel
from gpusim.limits import WORD_BYTES, Limits
from gpusim.ops import GRID_BYTES, AnyDispatch, Bound, Capture, Grid, Part, Replay, name_of
from gpusim.program import buffers_of
from reference.memory import Block, part_of


def check_alloc(size_bytes: int, live_bytes: int, limits: Limits) -> None:
    """Refuse a negative size, and a size past the device's limit or past the memory budget."""
    if size_bytes < 0:
        raise OutOfRange(
            f"cannot allocate {size_bytes} bytes because a size is at least 0 "
            "(probably two numbers were subtracted the wrong way round)"
        )
    if size_bytes > limits.max_buffer_bytes:
        raise LimitExceeded(
            f"cannot allocate {size_bytes} bytes because a buffer holds at most "
            f"{limits.max_buffer_bytes} (probably the data needs splitting)"
        )
    budget = limits.memory_budget_bytes
    if budget is not None and live_bytes + size_bytes > budget:
        raise OutOfMemory(
            f"cannot allocate {size_bytes} bytes because {live_bytes} of the budget of {budget} "
            "are taken (probably a buffer was not freed)"
        )


def check_handle(buffer: str, blocks: Mapping[str, Block]) -> Block:
    """The block of the live buffer of that name; InvalidHandle if there is none."""
    if buffer not in blocks:
        raise InvalidHandle(
            f"cannot use <{buffer}> because no live buffer has that name "
            "(probably it was freed, or its alloc was refused)"
        )
    return blocks[buffer]


def check_range(buffer: str, block: Block, offset: int, size_bytes: int) -> None:
    """Refuse bytes outside the buffer; a range of no bytes at the buffer's end is inside."""
    if offset < 0 or size_bytes < 0 or offset + size_bytes > block.size_bytes:
        raise OutOfRange(
            f"cannot reach {size_bytes} bytes at {offset} of <{buffer}> because it holds "
            f"{block.size_bytes} (probably an offset counted in words)"
        )


def check_copy(
    source: str,
    source_offset: int,
    target: str,
    target_offset: int,
    size_bytes: int,
    blocks: Mapping[str, Block],
) -> tuple[Block, Block]:
    """Check the buffers and ranges of a copy; returns the blocks of its source and target."""
    found = check_handle(source, blocks), check_handle(target, blocks)
    check_range(source, found[0], source_offset, size_bytes)
    check_range(target, found[1], target_offset, size_bytes)
    return found


def check_replay(replay: Replay, graphs: Mapping[str, Capture]) -> Capture:
    """Check a replay's graph, bindings and number of scalars; returns the capture.

    The commands of the capture are not checked here.
    """
    if replay.graph not in graphs:
        raise InvalidHandle(
            f"cannot replay {replay.graph} because no graph has that name "
            "(probably its capture was refused)"
        )
    capture = graphs[replay.graph]
    for old, new in replay.bindings:
        if old not in buffers_of(capture):
            raise InvalidBinding(
                f"cannot bind <{new}> in place of <{old}> because {replay.graph} does not use "
                f"<{old}> (probably the two are the wrong way round)"
            )
    dispatches = sum(isinstance(command, AnyDispatch) for command in capture.commands)
    if replay.scalars is not None and len(replay.scalars) != dispatches:
        raise InvalidScalar(
            f"cannot replay {replay.graph} because it has {dispatches} dispatches and scalars for "
            f"{len(replay.scalars)} were given (probably one was captured twice)"
        )
    return capture


def check_bound(
    kernel: Kernel,
    buffers: Sequence[Bound],
    scalars: Sequence[int | float],
    blocks: Mapping[str, Block],
    limits: Limits,
) -> tuple[Block, ...]:
    """Check the bindings and scalars of a dispatch, not its grid; returns the bound blocks."""
    if len(buffers) != len(kernel.buffers):
        raise InvalidBinding(
            f"cannot dispatch {kernel.name} because it binds {len(kernel.buffers)} buffers and "
            f"{len(buffers)} were given (probably the kernel's signature changed)"
        )
    if len(buffers) > limits.max_storage_buffers:
        raise LimitExceeded(
            f"cannot dispatch {kernel.name} because it binds {len(buffers)} buffers and the device "
            f"allows {limits.max_storage_buffers} at most (probably the kernel needs splitting)"
        )
    names = [name_of(buffer) for buffer in buffers]
    bound = tuple([check_handle(name, blocks) for name in names])
    if any(map(is_not, names, buffers)):
        bound = _check_parts(kernel, buffers, bound, limits)
    for buffer, block, binding in zip(buffers, bound, kernel.buffers, strict=True):
        if block.words == 0:
            raise InvalidBinding(
                f"cannot bind {_told(buffer)} to {kernel.name} because it holds {block.size_bytes} "
                "bytes, which is no whole word (probably a size counted in words)"
            )
        if block.words * WORD_BYTES < binding.least_bytes:
            raise InvalidBinding(
                f"cannot bind {_told(buffer)} to {kernel.name} because its words have "
                f"{block.words * WORD_BYTES} bytes and {binding.least_bytes} are needed (probably "
                "a buffer of another kernel)"
            )
    for buffer, block in zip(buffers, bound, strict=True):
        if block.words * WORD_BYTES > limits.max_binding_bytes:
            raise LimitExceeded(
                f"cannot bind {_told(buffer)} to {kernel.name} because a binding holds at most "
                f"{limits.max_binding_bytes} bytes (probably the buffer needs splitting)"
            )
    if len(set(names)) < len(names):
        _check_aliases(kernel, buffers, bound)
    kernel.check_scalars(scalars)
    return bound


def _check_parts(
    kernel: Kernel, buffers: Sequence[Bound], whole: Sequence[Block], limits: Limits
) -> tuple[Block, ...]:
    """Refuse a part that reaches out of its buffer or is not aligned; returns the bound blocks."""
    for buffer, block in zip(buffers, whole, strict=True):
        if isinstance(buffer, Part):
            check_range(buffer.buffer, block, buffer.offset, buffer.size_bytes)
    for buffer in buffers:
        if isinstance(buffer, Part) and buffer.offset % limits.storage_offset_alignment_bytes:
            raise InvalidBinding(
                f"cannot bind {_told(buffer)} to {kernel.name} because a part "
                f"starts at a multiple of {limits.storage_offset_alignment_bytes} "
                "(probably the device of another machine allows smaller steps)"
            )
    return tuple(map(_bound, buffers, whole))


def _told(buffer: Bound) -> str:
    if not isinstance(buffer, Part):
        return f"<{buffer}>"
    if not buffer.size_bytes:
        return f"0 bytes at {buffer.offset} of <{buffer.buffer}>"
    last = buffer.offset + buffer.size_bytes - 1
    return f"bytes {buffer.offset} to {last} of <{buffer.buffer}>"


def _bound(buffer: Bound, block: Block) -> Block:
    return part_of(block, buffer.offset, buffer.size_bytes) if isinstance(buffer, Part) else block


def _check_aliases(kernel: Kernel, buffers: Sequence[Bound], bound: Sequence[Block]) -> None:
    """Refuse two bindings of one buffer if one only reads and the other writes, also far apart.

    Two bindings that both write are refused if they have a word in common.
    """
    bindings = list(zip(kernel.buffers, buffers, bound, strict=True))
    pairs = ((before, each) for at, each in enumerate(bindings) for before in bindings[:at])
    for (one, first, block), (other, second, further) in pairs:
        accesses = {one.access, other.access}
        if name_of(first) != name_of(second) or accesses == {"read"}:
            continue
        start = max(_start(first), _start(second))
        end = min(_start(first) + 4 * block.words, _start(second) + 4 * further.words)
        if len(accesses) == 2 or start < end:
            raise InvalidBinding(
                f"cannot bind {_told(second)} as {other.name} of {kernel.name} because "
                f"{_told(first)} is bound as {one.name}, and at least one is written (probably "
                "the result needs a buffer of its own)"
            )


def _start(buffer: Bound) -> int:
    return buffer.offset if isinstance(buffer, Part) else 0


def check_grid_place(
    kernel: Kernel, buffers: Sequence[Bound], counts: str, offset: int, blocks: Mapping[str, Block]
) -> Block:
    """Check the place in ``counts`` that a grid is read from; returns the block of ``counts``."""
    block = check_handle(counts, blocks)
    if offset % WORD_BYTES != 0:
        raise InvalidBinding(
            f"cannot read a grid at {offset} of <{counts}> because a grid begins at a "
            f"multiple of {WORD_BYTES} bytes (probably an offset counted in words)"
        )
    check_range(counts, block, offset, GRID_BYTES)
    for binding, buffer in zip(kernel.buffers, buffers, strict=True):
        if name_of(buffer) == counts and binding.access == "read_write":
            raise InvalidBinding(
                f"cannot dispatch {kernel.name} over a grid in <{counts}> because the kernel "
                f"writes <{counts}> as {binding.name} (probably the grid needs a buffer of its own)"
            )
    return block


def check_grid(kernel: Kernel, grid: Grid, limits: Limits) -> None:
    """Refuse a grid that the kernel, or the device, cannot run."""
    most = limits.max_groups_per_dimension
    if min(grid) < 0 or (max(grid) > most and not kernel.guarded):
        raise LimitExceeded(
            f"cannot dispatch {kernel.name} over {grid} because a dimension is 0 to {most} "
            "(probably the grid counts threads instead of workgroups)"
        )
    groups = math.prod(grid)
    if groups > kernel.max_groups:
        raise LimitExceeded(
            f"cannot dispatch {kernel.name} over {grid} because {groups} workgroups are more than "
            f"the {kernel.max_groups} that the kernel runs (probably the grid counts threads)"
        )
    if groups > most**3:
        raise LimitExceeded(
            f"cannot dispatch {kernel.name} over {grid} because a device of {most} workgroups "
            f"in each dimension never runs {groups} (probably the grid counts threads)"
        )
