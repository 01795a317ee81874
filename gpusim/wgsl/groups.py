"""The places of lanes within workgroups, and how lanes reach the memory of workgroups together.

A block has the memories of its workgroups one after another, each of ``units`` elements.  The lanes
of a workgroup step through its memory along its axes.  An array of indices is made only if an
element may be missing.  The numbers of lanes are cached, since all blocks have the same.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from gpusim.wgsl.machine import Values, u32

Axes = tuple[tuple[int, int], ...]
"""For each axis of a workgroup, z first: the number of lanes, and the step in elements.

The step leads from the element of one lane to that of the next lane on the axis.
"""
_WRAP = 2**32


@lru_cache(maxsize=32)
def local_numbers(first: int, count: int, size: int) -> Values:
    """The number of each lane within its workgroup; ``first`` is that of the first lane."""
    return (np.arange(first, first + count) % size).astype(u32)


@lru_cache(maxsize=32)
def lane_numbers(count: int) -> Values:
    """The number of each lane within its block."""
    return np.arange(count)


@lru_cache(maxsize=32)
def group_numbers(first: int, count: int, size: int) -> Values:
    """The number of each lane's workgroup within the block."""
    return np.arange(first, first + count) // size


def workgroup_numbers(start: int, count: int, size: int) -> Values:
    """The number of each lane's workgroup within the grid."""
    return (group_numbers(start % size, count, size) + start // size).astype(u32)


@lru_cache(maxsize=64)
def boxed(groups: int, sizes: tuple[int, int, int], axis: int, first: int, count: int) -> Values:
    """The numbers, within the block, of the lanes that are in the box of their workgroup.

    The box has the lanes at ``count`` places on ``axis``, beginning with ``first``.
    """
    numbers = np.arange(groups * sizes[0] * sizes[1] * sizes[2]).reshape(groups, *sizes[::-1])
    return numbers.take(range(first, first + count), 3 - axis).ravel()


def spread(memory: Values, groups: int, units: int, first: int, axes: Axes) -> Values:
    """Read an element for each lane.

    The lanes of a workgroup step through its ``units`` elements from element ``first`` on.
    """
    room, shape, steps, run, again = _stepped(units, axes, memory.dtype)
    if first > room:
        return memory.take(_places(groups, units, first, axes))
    seen = np.ndarray((groups, *shape), run, memory, first * memory.itemsize, steps)
    if again > 1:
        return seen.repeat(again)
    return seen.copy().reshape(-1).view(memory.dtype)


def store_spread(
    memory: Values, groups: int, units: int, first: int, axes: Axes, values: Values
) -> None:
    """Write an element for each lane; the lanes step as in ``spread``."""
    shape = (groups, *(size for size, _ in axes))
    many = values.reshape(shape) if isinstance(values, np.ndarray) else values
    if first > _stepped(units, axes, memory.dtype)[0]:
        memory[_places(groups, units, first, axes).reshape(shape)] = many
        return
    steps = [step * memory.itemsize for step in (units, *(step for _, step in axes))]
    np.ndarray(shape, memory.dtype, memory, first * memory.itemsize, steps)[...] = many


@lru_cache(maxsize=256)
def _stepped(
    units: int, axes: Axes, dtype: Any
) -> tuple[int, tuple[int, ...], tuple[int, ...], Any, int]:
    """The largest ``first`` with which all elements exist, and how to view the elements.

    Elements that lie side by side are viewed as one item.  Returned are the view's shape within a
    workgroup, its steps in bytes, the type of an item, and how many lanes in a row read each item.
    """
    room = units - 1 - sum((size - 1) * step for size, step in axes)
    left = [(size, step * dtype.itemsize) for size, step in axes if size > 1]
    row, again = dtype.itemsize, 1
    while left and left[-1][1] == row:
        row *= left.pop()[0]
    while left and left[-1][1] == 0 and row == dtype.itemsize:
        again *= left.pop()[0]
    steps = (units * dtype.itemsize, *(step for _, step in left))
    run = dtype if row == dtype.itemsize else np.dtype(f"V{row}")
    return room, tuple(size for size, _ in left), steps, run, again


@lru_cache(maxsize=32)
def _places(groups: int, units: int, first: int, axes: Axes) -> Values:
    """Where each lane's element is; past the end, the last element of its workgroup."""
    places = np.array([first])
    for size, step in axes:
        places = (places[:, None] + np.arange(size) * step).ravel()
    inside = np.minimum(places % _WRAP, units - 1)
    return (np.arange(groups)[:, None] * units + inside).ravel()
