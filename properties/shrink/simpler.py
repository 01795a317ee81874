"""Simpler operands for one op, the simplest first.

The simplest size, offset or length is 0.  Of two others, an aligned one is simpler than one that is
not; if both or neither are aligned, the smaller is simpler.  Simple scalars are 1, 2, 3; simple
data is one repeated byte.  A grid of the host is simpler than a grid on the GPU, and 1x1x1 is the
simplest.  All of a buffer is simpler than a part.  Of two kernels, the one with fewer buffers is
simpler; of two with as many, the one that comes first in the registry.  A dispatch over one buffer
is simpler than a copy, which needs two.  Every function is pure, and gives only simpler values.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gpusim.kernels import Kernel
from gpusim.limits import WORD_BYTES
from gpusim.ops import (
    VERBS,
    AnyDispatch,
    Bound,
    Capture,
    Command,
    Copy,
    Dispatch,
    DispatchIndirect,
    Grid,
    Op,
    Operand,
    Part,
    Read,
    Scalars,
    Write,
)

ReplayScalars = tuple[Scalars | None, ...] | None
_FILLS = (1, 2, 3)


def simpler_ops(op: Op, kernels: Mapping[str, Kernel]) -> Iterator[Op]:
    """The same op with one operand simpler, or a simpler op in its place."""
    if isinstance(op, DispatchIndirect):
        yield Dispatch(kernel=op.kernel, buffers=op.buffers, scalars=op.scalars, grid=(1, 1, 1))
    if isinstance(op, AnyDispatch):
        for kernel in simpler_kernels(op.kernel, kernels):
            yield from in_kernel(op, kernel)
    operands = VERBS[type(op)].operands.items()
    for what, simpler in _SIMPLER.items():
        for name, kind in operands:
            if kind is what:
                for value in simpler(getattr(op, name)):
                    yield replace(op, **{name: value})
    if isinstance(op, Capture):
        for at, command in enumerate(op.commands):
            for found in simpler_ops(command, kernels):
                assert isinstance(found, Command)
                yield replace(op, commands=(*op.commands[:at], found, *op.commands[at + 1 :]))
    if isinstance(op, Copy):
        yield from _as_dispatch(op, kernels)
    if isinstance(op, Read | Write):
        yield from _ends_of(op)


def _ends_of(op: Read | Write) -> Iterator[Op]:
    """Gives the op for some of its last bytes only, since those may be the bytes that are wrong."""
    size_bytes = op.size_bytes if isinstance(op, Read) else len(op.data)
    for size in simpler_numbers(size_bytes):
        if 0 < size < size_bytes:
            at = op.offset + size_bytes - size
            if isinstance(op, Read):
                yield replace(op, offset=at, size_bytes=size)
            else:
                yield replace(op, offset=at, data=op.data[-size:])


def _simpler_bound(bound: tuple[Bound, ...]) -> Iterator[tuple[Bound, ...]]:
    """Gives the bound buffers with one part of a buffer simpler.

    In its place comes the whole buffer, or a part with a simpler offset or size.
    """
    for at, one in enumerate(bound):
        if isinstance(one, Part):
            parts: list[Bound] = [one.buffer]
            parts += [one._replace(offset=number) for number in simpler_numbers(one.offset)]
            parts += [one._replace(size_bytes=number) for number in simpler_numbers(one.size_bytes)]
            for simpler in parts:
                yield (*bound[:at], simpler, *bound[at + 1 :])


def _fewer_bindings(pairs: tuple[tuple[str, str], ...]) -> Iterator[tuple[tuple[str, str], ...]]:
    """Gives the pairs without the first of them, then without the second, and so on."""
    for at in range(len(pairs)):
        yield (*pairs[:at], *pairs[at + 1 :])


def _simpler_entries(entries: ReplayScalars) -> Iterator[ReplayScalars]:
    """Gives None, which stands for all scalars of the capture, then ``entries`` with one simpler.

    A simpler entry is None, which stands for the captured scalars of one command, or simpler
    scalars.  If ``entries`` is None, nothing is simpler.
    """
    if entries is None:
        return
    yield None
    for at, entry in enumerate(entries):
        if entry is not None:
            for simpler in (None, *_simpler_scalars(entry)):
                yield (*entries[:at], simpler, *entries[at + 1 :])


def _as_dispatch(op: Copy, kernels: Mapping[str, Kernel]) -> Iterator[Op]:
    """Gives a dispatch that binds the target of the copy.

    Its kernel is the first that binds nothing but one u32 buffer; without one, nothing is given.
    """
    for kernel in kernels.values():
        if [(one.access, one.dtype) for one in kernel.buffers] == [("read_write", "u32")]:
            scalars = (1,) * len(kernel.scalars)
            yield Dispatch(
                kernel=kernel.name, buffers=(op.target,), scalars=scalars, grid=(1, 1, 1)
            )
            return


def simpler_numbers(number: int) -> tuple[int, ...]:
    """Sizes, offsets or lengths in bytes that are simpler than ``number``, the simplest first."""
    near = _halfway(number)
    aligned = [value - value % WORD_BYTES for value in (*near, number)]
    up = number + -number % WORD_BYTES
    pool = {0, 4, 8, 16, -1, up, number - WORD_BYTES, number - 1, *near, *aligned}
    return tuple(sorted((n for n in pool if _size_key(n) < _size_key(number)), key=_size_key))


def _halfway(number: int) -> list[int]:
    """The number less half of itself, less a quarter, less an eighth and so on.

    So few steps lead from it to any threshold below it.
    """
    return [number - (number >> shift) for shift in range(1, number.bit_length())]


def _size_key(number: int) -> tuple[bool, bool, int]:
    return number < 0, number >= 0 and number % WORD_BYTES != 0, abs(number)


def resized(data: bytes, size: int) -> bytes:
    """The first ``size`` bytes of ``data``; if it has fewer, its last byte is repeated."""
    return data[:size] + (data[-1:] or b"\x01") * (size - len(data))


def simpler_data(data: bytes) -> Iterator[bytes]:
    """Gives data of a simpler size, which may be longer, then one byte repeated."""
    for size in simpler_numbers(len(data)):
        if size >= 0:
            yield resized(data, size)
    for fill in _FILLS:
        plain = bytes((fill,)) * len(data)
        if _data_key(plain) < _data_key(data):
            yield plain


def _data_key(data: bytes) -> tuple[bool, int]:
    uniform = data == data[:1] * len(data)
    return not uniform, data[0] if uniform and data else 0


def _simpler_grids(grid: Grid) -> Iterator[Grid]:
    if grid != (1, 1, 1):
        yield 1, 1, 1
    for position, count in enumerate(grid):
        for simpler in sorted(_simpler_counts(count), key=_count_key):
            changed = list(grid)
            changed[position] = simpler
            yield changed[0], changed[1], changed[2]


def _simpler_counts(count: int) -> set[int]:
    pool = {1, 2, -1, count - 1, *_halfway(count)}
    return {value for value in pool if _count_key(value) < _count_key(count)}


def _count_key(count: int) -> tuple[bool, bool, int]:
    return count < 0, count == 0, abs(count)


def _simpler_scalars(scalars: Scalars) -> Iterator[Scalars]:
    for position, value in enumerate(scalars):
        for simpler in (1, 2, 3, 0):
            if _scalar_key(simpler) < _scalar_key(value):
                yield (*scalars[:position], simpler, *scalars[position + 1 :])


def _scalar_key(value: int | float) -> tuple[bool, bool, bool, float]:
    strange = not math.isfinite(value)
    awkward = isinstance(value, float) or value < 0
    # 0 comes late, because multiplying by it hides earlier ops.
    return strange, awkward, value == 0, 0.0 if strange else abs(value)


def simpler_kernels(name: str, kernels: Mapping[str, Kernel]) -> Iterator[Kernel]:
    """Kernels with fewer buffers than the one of that name, or as many and registered earlier.

    A kernel that takes floats is never among them, because the buffers may hold no valid floats.
    """
    order = sorted(kernels.values(), key=lambda kernel: len(kernel.buffers))
    for kernel in order:
        if kernel.name == name:
            return
        if not any(binding.is_float for binding in kernel.buffers):
            yield kernel


def in_kernel(op: AnyDispatch, kernel: Kernel) -> Iterator[Op]:
    """Gives the dispatch with ``kernel`` in the place of its own kernel.

    It binds as many of its buffers as ``kernel`` takes: the last ones, or the first ones.
    """
    count = len(kernel.buffers)
    if count > len(op.buffers):
        return
    ones = (1,) * len(kernel.scalars)
    for buffers in dict.fromkeys((op.buffers[-count:], op.buffers[:count])):
        for scalars in dict.fromkeys((_fitted(op.scalars, len(ones)), ones)):
            yield replace(op, kernel=kernel.name, buffers=buffers, scalars=scalars)


def _fitted(scalars: tuple[int | float, ...], count: int) -> tuple[int | float, ...]:
    kept = [value if isinstance(value, int) and value >= 0 else 1 for value in scalars[:count]]
    return (*kept, *[1] * (count - len(kept)))


_SIMPLER: Mapping[Operand, Callable[[Any], Iterable[Any]]] = {
    Operand.DATA: simpler_data,
    Operand.SIZE: simpler_numbers,
    Operand.OFFSET: simpler_numbers,
    Operand.BUFFERS: _simpler_bound,
    Operand.GRID: _simpler_grids,
    Operand.SCALARS: _simpler_scalars,
    Operand.BINDINGS: _fewer_bindings,
    Operand.REPLAY_SCALARS: _simpler_entries,
}
"""For each kind of operand, what gives simpler values of it.  The kinds are tried in this order."""
