"""When an op is refused, and with which error: the second half of the contract.

Each function looks for refusals in the order of ``docs/CONTRACT.md`` and changes
nothing.  Nothing here knows what an accepted op does.
"""

import math
from collections.abc import Mapping, Sequence

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
from gpusim.ops import Capture, Dispatch, Grid, Replay
from gpusim.program import buffers_of
from reference.memory import Block


def check_alloc(size_bytes: int, live_bytes: int, limits: Limits) -> None:
    """Refuse a negative size, and one past the device's limit or past the budget."""
    if size_bytes < 0:
        raise OutOfRange(
            f"cannot allocate {size_bytes} bytes because a size is at least 0 "
            "(probably two numbers were subtracted the wrong way round)"
        )
    if size_bytes > limits.max_buffer_bytes:
        raise LimitExceeded(
            f"cannot allocate {size_bytes} bytes because a buffer holds at most "
            f"{limits.max_buffer_bytes} (probably the data wants splitting)"
        )
    budget = limits.memory_budget_bytes
    if budget is not None and live_bytes + size_bytes > budget:
        raise OutOfMemory(
            f"cannot allocate {size_bytes} bytes because {live_bytes} of the budget of {budget} "
            "are taken (probably a buffer was not freed)"
        )


def check_handle(buffer: str, blocks: Mapping[str, Block]) -> Block:
    """The live buffer of that name."""
    if buffer not in blocks:
        raise InvalidHandle(
            f"cannot use {buffer} because no live buffer has that name "
            "(probably it was freed, or its alloc was refused)"
        )
    return blocks[buffer]


def check_range(buffer: str, block: Block, offset: int, size_bytes: int) -> None:
    """Refuse bytes outside the buffer; no bytes at its very end are inside."""
    if offset < 0 or size_bytes < 0 or offset + size_bytes > block.size_bytes:
        raise OutOfRange(
            f"cannot reach {size_bytes} bytes at {offset} of {buffer} because it holds "
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
    """The source and the target of a copy."""
    found = check_handle(source, blocks), check_handle(target, blocks)
    check_range(source, found[0], source_offset, size_bytes)
    check_range(target, found[1], target_offset, size_bytes)
    return found


def check_replay(replay: Replay, graphs: Mapping[str, Capture]) -> Capture:
    """The capture that is replayed; its commands are not checked here."""
    if replay.graph not in graphs:
        raise InvalidHandle(
            f"cannot replay {replay.graph} because no graph has that name "
            "(probably its capture was refused)"
        )
    capture = graphs[replay.graph]
    for old, new in replay.bindings:
        if old not in buffers_of(capture):
            raise InvalidBinding(
                f"cannot bind {new} in place of {old} because {replay.graph} does not use {old} "
                "(probably the two are the wrong way round)"
            )
    dispatches = sum(isinstance(command, Dispatch) for command in capture.commands)
    if replay.scalars is not None and len(replay.scalars) != dispatches:
        raise InvalidScalar(
            f"cannot replay {replay.graph} because it has {dispatches} dispatches and scalars for "
            f"{len(replay.scalars)} were given (probably one was captured twice)"
        )
    return capture


def check_dispatch(
    kernel: Kernel,
    buffers: Sequence[str],
    scalars: Sequence[int | float],
    grid: Grid,
    blocks: Mapping[str, Block],
    limits: Limits,
) -> tuple[Block, ...]:
    """The buffers that the dispatch binds, in order."""
    if len(buffers) != len(kernel.buffers):
        raise InvalidBinding(
            f"cannot dispatch {kernel.name} because it binds {len(kernel.buffers)} buffers and "
            f"{len(buffers)} were given (probably the kernel's signature changed)"
        )
    if len(buffers) > limits.max_storage_buffers:
        raise LimitExceeded(
            f"cannot dispatch {kernel.name} because it binds {len(buffers)} buffers and the device "
            f"at most {limits.max_storage_buffers} (probably the kernel wants splitting)"
        )
    bound = tuple([check_handle(buffer, blocks) for buffer in buffers])
    for buffer, block in zip(buffers, bound, strict=True):
        if block.words == 0:
            raise InvalidBinding(
                f"cannot bind {buffer} to {kernel.name} because it holds {block.size_bytes} "
                "bytes, which is no whole word (probably a size counted in words)"
            )
    for buffer, block in zip(buffers, bound, strict=True):
        if block.words * WORD_BYTES > limits.max_binding_bytes:
            raise LimitExceeded(
                f"cannot bind {buffer} to {kernel.name} because a binding holds at most "
                f"{limits.max_binding_bytes} bytes (probably the buffer wants splitting)"
            )
    _check_aliases(kernel, buffers)
    kernel.check_scalars(scalars)
    _check_grid(kernel, grid, limits)
    return bound


def _check_aliases(kernel: Kernel, buffers: Sequence[str]) -> None:
    if len(set(buffers)) == len(buffers):
        return
    for binding, buffer in zip(kernel.buffers, buffers, strict=True):
        if binding.access == "read_write" and buffers.count(buffer) > 1:
            raise InvalidBinding(
                f"cannot dispatch {kernel.name} because {buffer} is bound twice and written as "
                f"{binding.name} (probably the result wants a buffer of its own)"
            )


def _check_grid(kernel: Kernel, grid: Grid, limits: Limits) -> None:
    most = math.inf if kernel.guarded else limits.max_groups_per_dimension
    if min(grid) < 0 or max(grid) > most:
        raise LimitExceeded(
            f"cannot dispatch {kernel.name} over {grid} because a dimension lies in 0..{most} "
            "(probably the grid counts threads instead of workgroups)"
        )
    groups = math.prod(grid)
    room = limits.max_groups_per_dimension**3
    if groups > room:
        raise LimitExceeded(
            f"cannot dispatch {kernel.name} over {grid} because this device runs at most {room} "
            "workgroups (probably the grid counts threads)"
        )
    if groups > kernel.max_groups:
        raise LimitExceeded(
            f"cannot dispatch {kernel.name} over {grid} because it runs at most "
            f"{kernel.max_groups} workgroups (probably the grid counts threads)"
        )
