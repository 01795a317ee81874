"""Checks of an op's arguments: functions that raise, and change nothing.

Pure: they see arguments and limits only.  The runtime decides their order.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import compress
from math import inf
from numbers import Real
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
from gpusim.ops import GRID_BYTES, Grid, Scalars
from gpusim.runtime.buffers import Bound, Buffer, BufferPart, buffer_of
from gpusim.runtime.commands import (
    DeviceBuffer,
    Range,
)

_THREE_INTS = [int, int, int]
_NO_GRIDS = (Mapping, Set, bytes, bytearray, memoryview)
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
    if value is None:
        return None
    # NumPy's numbers are real numbers too, and its bools are not.
    if isinstance(value, Real) and not isinstance(value, bool) and value >= 0:
        try:
            in_floats = float(value)
        except OverflowError:
            return inf
        return value if isinstance(value, int | float) else in_floats
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
        return "a shape: its product times the bytes of an element is meant"
    return "a division that gave a float" if isinstance(value, float) else "another argument"


def short(value: object) -> str:
    """``value`` for a message, in one short line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + "..."


def check_alloc(size_bytes: int, live_bytes: int, limits: Limits) -> None:
    """Raise OutOfRange, LimitExceeded or OutOfMemory if no such buffer can be made."""
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
    """Raise DataLost if the buffer's bytes were lost."""
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
    if type(buffers) is list or type(buffers) is tuple:
        # Lists and tuples are the usual case; the abstract classes below are slow to check.
        return tuple(buffers)
    if isinstance(buffers, Buffer | str | Mapping | Set) or not isinstance(buffers, Iterable):
        probably = "a list of one" if isinstance(buffers, Buffer) else "a list"
        raise InvalidBinding(
            f"cannot dispatch {kernel.name} because buffers={short(buffers)} is no sequence of "
            f"buffers (probably {probably} was meant)"
        )
    return tuple(buffers)


def check_kernel(kernel: Kernel, buffer_count: int, limits: Limits) -> None:
    """Raise InvalidBinding or LimitExceeded if the kernel cannot bind ``buffer_count`` buffers."""
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


def check_bindings(
    kernel: Kernel, bound: Sequence[Bound], ranges: Sequence[Range], limits: Limits
) -> None:
    """Raise OutOfRange, InvalidBinding or LimitExceeded if a bound buffer does not suit the kernel.

    All bound buffers are live.  ``ranges`` are the whole words of each ``bound``.  The WebGPU
    specification has two rules.  "Buffer Binding": a binding has a size above zero and within the
    limit, and an aligned offset.  "Resource Usages" with "Encoder bind groups alias a writable
    resource": one dispatch either reads a buffer or writes it, and a byte that it writes is bound
    only once.
    """
    for each in bound:
        if isinstance(each, BufferPart):
            check_range(
                f"bind to {kernel.name}", each.offset, each.size_bytes, each.buffer.size_bytes
            )
    alignment_bytes = limits.storage_offset_alignment_bytes
    for at, (_, offset, _) in enumerate(ranges):
        if offset % alignment_bytes:
            raise InvalidBinding(
                f"cannot bind {_told(kernel, bound, at)} because this device binds at multiples "
                f"of {alignment_bytes} bytes (probably the data needs padding)"
            )
    for at, (_, _, size_bytes) in enumerate(ranges):
        if not size_bytes:
            raise InvalidBinding(
                f"cannot bind {_told(kernel, bound, at)} because it has no whole word "
                "(probably its size counts elements)"
            )
        least_bytes = kernel.buffers[at].least_bytes
        if size_bytes < least_bytes:
            raise InvalidBinding(
                f"cannot bind {_told(kernel, bound, at)} because it has {size_bytes} bytes in "
                f"whole words and needs {least_bytes} (probably another buffer is meant)"
            )
    for at, (_, _, size_bytes) in enumerate(ranges):
        if size_bytes > limits.max_binding_bytes:
            raise LimitExceeded(
                f"cannot bind {_told(kernel, bound, at)} because a binding of this device holds "
                f"at most {limits.max_binding_bytes} bytes (probably the buffer should be split)"
            )
    _check_aliases(kernel, bound, ranges)


def _told(kernel: Kernel, bound: Sequence[Bound], at: int) -> str:
    """A binding in words: the buffer, which part of it, and as what."""
    each = bound[at]
    told = f"{_bytes(each)} of {each.buffer!r}" if isinstance(each, BufferPart) else repr(each)
    return f"{told} as {kernel.buffers[at].name} of {kernel.name}"


def _bytes(bound: Bound) -> str:
    if not isinstance(bound, BufferPart):
        return "all bytes"
    last = bound.offset + bound.size_bytes - 1
    return f"bytes {bound.offset} to {last}" if bound.size_bytes else f"0 bytes at {bound.offset}"


def _check_aliases(kernel: Kernel, bound: Sequence[Bound], ranges: Sequence[Range]) -> None:
    if len({device_buffer for device_buffer, _, _ in ranges}) == len(ranges):
        return
    writes = kernel.writes
    for at, (device_buffer, offset, size_bytes) in enumerate(ranges):
        for before, (other, start, length) in enumerate(ranges[:at]):
            if other is not device_buffer or not (writes[at] or writes[before]):
                continue
            is_shared = offset < start + length and start < offset + size_bytes
            if is_shared or writes[at] != writes[before]:
                both = (
                    "writes bytes that are in both bindings"
                    if is_shared
                    else "reads one binding and writes the other"
                )
                raise InvalidBinding(
                    f"cannot bind {_told(kernel, bound, at)} because {_bytes(bound[before])} of "
                    f"that buffer are bound as {kernel.buffers[before].name}, and the kernel "
                    f"{both} (probably a copy of it is needed)"
                )


def written(kernel: Kernel, bound: Sequence[Bound]) -> list[Buffer]:
    """The buffers that the kernel may write, each once."""
    return list(dict.fromkeys(map(buffer_of, compress(bound, kernel.writes))))


def check_grid_in(kernel: Kernel, buffers: Sequence[Bound], counts: Buffer, offset: int) -> None:
    """Raise InvalidBinding or OutOfRange if no grid can be read at ``offset`` of ``counts``.

    WebGPU specification, "dispatchWorkgroupsIndirect": the offset is a multiple of
    four, and the buffer is bound writable nowhere in the dispatch.
    """
    if offset % WORD_BYTES:
        raise InvalidBinding(
            f"cannot dispatch {kernel.name} over a grid at byte {offset} of {counts!r} because "
            "that is no multiple of 4 (probably an offset counts elements of another size)"
        )
    check_range("read a grid of", offset, GRID_BYTES, counts.size_bytes)
    if counts in written(kernel, buffers):
        raise InvalidBinding(
            f"cannot dispatch {kernel.name} over a grid in {counts!r} because the kernel writes "
            "that buffer (probably the grid needs a buffer of its own)"
        )


def check_holds_grids(kernel: Kernel, counts: Buffer, device_buffer: DeviceBuffer) -> None:
    """Raise InvalidBinding if ``counts`` was adopted without the usage for holding grids."""
    if not device_buffer.holds_grids:
        raise InvalidBinding(
            f"cannot dispatch {kernel.name} over a grid in {counts!r} because that buffer was "
            "adopted without INDIRECT usage (probably this usage was left out)"
        )


def grid_of(kernel: Kernel, grid: int | Sequence[int]) -> Grid:
    """A grid as three whole numbers; LimitExceeded for anything else."""
    if type(grid) is tuple and [*map(type, grid)] == _THREE_INTS:
        return grid
    try:
        # An array without dimensions is one number.
        is_alone = not isinstance(grid, Iterable) or getattr(grid, "shape", None) == ()
        given: tuple[Any, ...] = (grid,) if is_alone else (*grid,)  # type: ignore[misc]
        if isinstance(grid, _NO_GRIDS) or not given or bool in map(type, given):
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
