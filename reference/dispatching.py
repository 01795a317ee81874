"""What a dispatch does to the bytes it binds, and to their error bounds.

The kernel's NumPy meaning does the work; this file gives that function its arrays and
works out the error bound of the result.  ``reference.checks`` says whether the dispatch
is allowed; nothing here refuses a dispatch.
"""

import math
import traceback
from collections.abc import Sequence
from typing import Any

import numpy as np

from gpusim.errors import InvalidKernel
from gpusim.kernels import Binding, Kernel
from gpusim.kernels.kernel import NUMPY_DTYPES, Array
from gpusim.limits import WORD_BYTES
from gpusim.ops import GRID_BYTES, Grid
from reference.memory import Block, ErrorBounds, error_bound_of

_SMALLEST, _LARGEST = 2.0**-60, 2.0**60
"""Sums and products of magnitudes between these stay normal float32 numbers."""
_SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)


def apply_kernel(
    kernel: Kernel, blocks: Sequence[Block], scalars: Sequence[int | float], grid: Grid
) -> None:
    """Run a checked dispatch over a grid of workgroups, on the whole words of ``blocks``."""
    arrays = tuple(
        [_view(block, binding) for block, binding in zip(blocks, kernel.buffers, strict=True)]
    )
    values = tuple(
        [
            NUMPY_DTYPES[parameter.dtype].type(value)
            for parameter, value in zip(kernel.scalars, scalars, strict=True)
        ]
    )
    error_bound = _error_bound_of_result(kernel, blocks, arrays, values)
    groups = math.prod(grid)
    run_over = grid if kernel.takes_grid else groups
    other = [array.copy() for array in arrays] if kernel.varied else []
    try:
        with np.errstate(all="ignore"):
            kernel.meaning(arrays, values, run_over)
            if kernel.varied:
                kernel.varied(tuple(other), values, run_over)
    except Exception as error:
        raise _meaningless(kernel, arrays, values, groups, error) from error
    if error_bound:
        _mark_written(kernel, blocks, arrays, error_bound)
    for block, array, varied in zip(blocks, arrays, other, strict=False):
        unspecified = array.view(np.uint32) != varied.view(np.uint32)
        if unspecified.any():
            _bounds_by_word(block)[unspecified] = np.inf


def _bounds_by_word(block: Block) -> Array:
    """The error bounds of a block's whole words, of shape (words, 4), to be changed in place."""
    return error_bound_of(block)[: block.words * WORD_BYTES].reshape(-1, WORD_BYTES)


def _meaningless(
    kernel: Kernel,
    arrays: tuple[Array, ...],
    values: tuple[Any, ...],
    groups: int,
    error: Exception,
) -> InvalidKernel:
    words = ", ".join(f"{len(array)} words" for array in arrays)
    scalars = ", ".join(map(str, values)) or "none"
    raised = error.__traceback__ and error.__traceback__.tb_next
    lines = "".join(traceback.format_exception(type(error), error, raised)).rstrip()
    return InvalidKernel(
        f"cannot tell what kernel {kernel.name} does because its NumPy meaning raised "
        f"{type(error).__name__}, over {words}, scalars {scalars}, {groups} groups "
        f"(probably a mistake in that function):\n{lines}"
    )


def grid_at(block: Block, offset: int) -> Grid | None:
    """The three u32 at ``offset``; None if one of their bytes is not exact."""
    end = offset + GRID_BYTES
    if block.error_bound is not None and block.error_bound[offset:end].any():
        return None
    x, y, z = block.data[offset:end].view("<u4").tolist()
    return x, y, z


def spoil_written(kernel: Kernel, blocks: Sequence[Block]) -> None:
    """Give everything that the kernel writes an infinite error bound."""
    for block, written in zip(blocks, kernel.writes, strict=True):
        if written:
            _bounds_by_word(block)[:] = np.inf


def _view(block: Block, binding: Binding) -> Array:
    array = np.ndarray(block.words, NUMPY_DTYPES[binding.dtype], block.data)
    if binding.access != "read_write":
        array.flags.writeable = False
    return array


def _error_bound_of_result(
    kernel: Kernel, blocks: Sequence[Block], arrays: tuple[Array, ...], values: tuple[Any, ...]
) -> float:
    """The error bound of the kernel's results, from its inputs: 0 means exact.

    The bound is infinite if integer arithmetic, or a kernel that ``cancels``, gets an input that is
    not exact.  A subnormal float as input makes the bound infinite too, since WGSL lets that float
    become zero.  Without ``special_floats``, the bound is also infinite if an input is NaN,
    infinite, or so small or large that a result may become subnormal or infinite (WGSL
    specification, "Floating Point Evaluation").
    """
    inherited = [
        0.0 if block.error_bound is None else _error_bound_within_reach(block, block.error_bound)
        for block in blocks
    ]
    if kernel.tolerance is None:
        return np.inf if any(inherited) else 0.0
    if any(s for s, array in zip(inherited, arrays, strict=True) if array.dtype.kind != "f"):
        return np.inf
    floats = [array for array in arrays if array.dtype.kind == "f"]
    floats += [np.asarray(value) for value in values if value.dtype.kind == "f"]
    is_known = _is_ordinary_or_special if kernel.special_floats else _stays_normal
    if not all(map(is_known, floats)):
        return np.inf
    if kernel.cancels and any(inherited):
        return np.inf
    return max(inherited) + kernel.tolerance


def _error_bound_within_reach(block: Block, error_bound: ErrorBounds) -> float:
    return float(error_bound[: block.words * WORD_BYTES].max())


def _stays_normal(array: Array) -> bool:
    size = np.abs(array)
    return bool(((size == 0) | ((size >= _SMALLEST) & (size <= _LARGEST))).all())


def _is_ordinary_or_special(array: Array) -> bool:
    """Whether no float is subnormal: a device may make such a float zero."""
    return not _subnormal(array).any()


def _subnormal(array: Array) -> Array:
    size = np.abs(array)
    return (size > 0) & (size < _SMALLEST_NORMAL)


def _mark_written(
    kernel: Kernel, blocks: Sequence[Block], arrays: tuple[Array, ...], error_bound: float
) -> None:
    """Give the error bound to every word of the written buffers.

    Every word gets the bound, because only the kernel knows which words this grid reaches.  A word
    that is no float gets an infinite bound instead.  So does a float that is subnormal or, without
    ``special_floats``, not finite.
    """
    for binding, block, array in zip(kernel.buffers, blocks, arrays, strict=True):
        if binding.access != "read_write":
            continue
        words = _bounds_by_word(block)
        words[:] = error_bound if array.dtype.kind == "f" else np.inf
        if array.dtype.kind == "f":
            unknown = _subnormal(array)
            if not kernel.special_floats:
                unknown |= ~np.isfinite(array)
            words[unknown] = np.inf
