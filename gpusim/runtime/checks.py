"""Checks of an op's arguments: functions that raise, and change nothing.

Pure: they see arguments and limits only.  The runtime decides their order.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import compress
from operator import index
from typing import Any

from gpusim.errors import (
    DataLost,
    DeviceLost,
    InvalidBinding,
    LimitExceeded,
    OutOfMemory,
    OutOfRange,
    RuntimeClosed,
    WaitTimedOut,
)
from gpusim.kernels import Kernel
from gpusim.limits import WORD_BYTES, Limits
from gpusim.ops import Grid, Scalars
from gpusim.runtime.buffers import Buffer

_THREE_INTS = [int, int, int]
_MOST_CHARACTERS = 80


def runtime_closed() -> RuntimeClosed:
    """The error of every op after ``close``."""
    return RuntimeClosed(
        "cannot call a runtime because it was closed (probably its with block has ended)"
    )


def whole(what: str, value: object, name: str = "offset") -> int:
    """An offset or a size as an int; OutOfRange for a bool and for anything but a whole number."""
    if type(value) is int:
        return value
    try:
        if isinstance(value, bool):
            raise TypeError
        return index(value)  # type: ignore[arg-type]
    except TypeError:
        raise OutOfRange(
            f"cannot {what} with {name}={short(value)} because that is no whole number of bytes "
            f"(probably {_instead_of(value)})"
        ) from None


def seconds(what: str, value: float | None) -> float | None:
    """A timeout in seconds, or None for no timeout; OutOfRange unless it is at least 0."""
    if value is None or (isinstance(value, int | float) and value >= 0):
        return value
    raise OutOfRange(
        f"cannot {what} with timeout={short(value)} because that is no number of seconds from 0 "
        "on (probably None was meant, which waits as long as it takes)"
    )


def _instead_of(value: object) -> str:
    """The probable meaning of an argument that should be a number of bytes."""
    if isinstance(value, bytes | bytearray | memoryview):
        return "the data belongs before the offset"
    if isinstance(value, type):
        return "dtype= was meant"
    if isinstance(value, tuple | list):
        return "a shape, whose bytes are its product times those of an element"
    return "a division that gave a float" if isinstance(value, float) else "another argument"


def short(value: object) -> str:
    """``value`` for a message, in one short line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + "..."


def check_alloc(size_bytes: int, live_bytes: int, limits: Limits) -> None:
    """Raise OutOfRange, LimitExceeded or OutOfMemory where no such buffer can be made."""
    if size_bytes < 0:
        raise OutOfRange(
            f"cannot alloc {size_bytes} bytes because a size is not negative "
            "(probably a difference the wrong way round)"
        )
    if size_bytes > limits.max_buffer_bytes:
        raise LimitExceeded(
            f"cannot alloc {size_bytes} bytes because a buffer of this device holds at most "
            f"{limits.max_buffer_bytes} (probably several buffers are needed)"
        )
    budget = limits.memory_budget_bytes
    if budget is not None and live_bytes + size_bytes > budget:
        raise OutOfMemory(
            f"cannot alloc {size_bytes} bytes because {live_bytes} of the budget of {budget} are "
            "in use (probably something should be freed first)"
        )


def check_range(what: str, offset: int, size_bytes: int, buffer_bytes: int) -> None:
    """Raise OutOfRange unless ``size_bytes`` bytes from ``offset`` lie inside the buffer."""
    if offset < 0 or size_bytes < 0 or offset + size_bytes > buffer_bytes:
        raise OutOfRange(
            f"cannot {what} {size_bytes} bytes at offset {offset} because the buffer holds "
            f"{buffer_bytes} (probably an offset counts elements instead of bytes)"
        )


def check_not_lost(what: str, buffer: Buffer) -> None:
    """Raise DataLost where the buffer's bytes were lost."""
    if buffer.lost:
        raise DataLost(
            f"cannot {what} {buffer!r} because a batch that would have written it failed "
            "(probably it should be written whole again, or freed)"
        )


def check_is_kernel(kernel: object) -> None:
    """Raise InvalidBinding for anything but a kernel."""
    if not isinstance(kernel, Kernel):
        raise InvalidBinding(
            f"cannot dispatch {short(kernel)} because it is no Kernel (probably the name of one)"
        )


def in_order(kernel: Kernel, buffers: Any, scalars: Any) -> tuple[tuple[Buffer, ...], Scalars]:
    """The buffers and scalars of a dispatch as tuples, from any sequences.

    Raises:
        InvalidBinding, InvalidScalar: one of them is no sequence.
    """
    check_is_kernel(kernel)
    bound = _listed(kernel, buffers)
    is_plain = isinstance(scalars, tuple | list)
    return bound, tuple(scalars) if is_plain else kernel.in_order(scalars)


def _listed(kernel: Kernel, buffers: object) -> tuple[Buffer, ...]:
    if isinstance(buffers, Buffer | str | Mapping | Set) or not isinstance(buffers, Iterable):
        probably = "a list of one" if isinstance(buffers, Buffer) else "a list"
        raise InvalidBinding(
            f"cannot dispatch {kernel.name} because buffers={short(buffers)} is no sequence of "
            f"buffers (probably {probably} was meant)"
        )
    return tuple(buffers)


def check_kernel(kernel: Kernel, buffer_count: int, limits: Limits) -> None:
    """Raise InvalidBinding or LimitExceeded where the kernel cannot bind so many buffers."""
    check_is_kernel(kernel)
    if buffer_count != len(kernel.buffers):
        raise InvalidBinding(
            f"cannot dispatch {kernel.name} because it binds {len(kernel.buffers)} buffers and "
            f"{buffer_count} were given (probably the kernel's signature changed)"
        )
    if buffer_count > limits.max_storage_buffers:
        raise LimitExceeded(
            f"cannot dispatch {kernel.name} because this device binds at most "
            f"{limits.max_storage_buffers} storage buffers (probably some can be merged)"
        )


def check_bindings(kernel: Kernel, buffers: Sequence[Buffer], limits: Limits) -> None:
    """Raise InvalidBinding or LimitExceeded where live ``buffers`` do not fit the kernel.

    WebGPU specification, "Buffer Binding": a binding has a size above zero and
    within the limit; "Resource Usages": a writable one is bound once.
    """
    for buffer in buffers:
        if buffer.size_bytes < WORD_BYTES:
            raise InvalidBinding(
                f"cannot bind {buffer!r} to {kernel.name} because it has no whole word "
                "(probably its size counts elements)"
            )
    for buffer in buffers:
        if buffer.size_bytes // WORD_BYTES * WORD_BYTES > limits.max_binding_bytes:
            raise LimitExceeded(
                f"cannot bind {buffer!r} to {kernel.name} because a binding of this device holds "
                f"at most {limits.max_binding_bytes} bytes (probably it should be split)"
            )
    _check_aliases(kernel, buffers)


def _check_aliases(kernel: Kernel, buffers: Sequence[Buffer]) -> None:
    if len(set(buffers)) == len(buffers):
        return
    for buffer in written(kernel, buffers):
        if sum(other is buffer for other in buffers) > 1:
            raise InvalidBinding(
                f"cannot dispatch {kernel.name} because {buffer!r} is bound writable and bound "
                "again (probably a copy of it is needed)"
            )


def written(kernel: Kernel, buffers: Sequence[Buffer]) -> list[Buffer]:
    """The buffers that the kernel may write."""
    return list(compress(buffers, kernel.writes))


def grid_of(kernel: Kernel, grid: int | Sequence[int]) -> Grid:
    """A grid as three whole numbers; LimitExceeded for anything else."""
    if type(grid) is tuple and [*map(type, grid)] == _THREE_INTS:
        return grid
    try:
        given = tuple(grid) if isinstance(grid, Iterable) else (grid,)
        if isinstance(grid, Mapping | Set) or not given or bool in map(type, given):
            raise TypeError
        x, y, z = (*map(index, given), *(1,) * (3 - len(given)))
    except (TypeError, ValueError):
        raise LimitExceeded(
            f"cannot dispatch {kernel.name} over grid={short(grid)} because a grid is one to three "
            "whole numbers of workgroups (probably a number of elements, or a float)"
        ) from None
    return x, y, z


def timed_out(what: str, seconds: float | None) -> WaitTimedOut:
    """The error of a wait whose timeout is over."""
    return WaitTimedOut(
        f"cannot {what} because the device has not finished within {seconds} s (probably it "
        "has long work to do, and the wait can be made again)"
    )


def device_lost() -> DeviceLost:
    """The error of every op once the device is lost."""
    return DeviceLost(
        "cannot go on because the device is lost (probably it was destroyed, or its driver was "
        "reset); only free, stats and close still work"
    )
