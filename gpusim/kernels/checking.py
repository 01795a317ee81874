"""One kernel checked alone: its buffers and scalars become the bytes of a dispatch.

What is found, and how, is in ``gpusim.wgsl.checks``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpusim.errors import ProgramError
from gpusim.wgsl import ShaderError, compile_module
from gpusim.wgsl.checks import ShaderReport, check_dispatch

_MAIN = "main"


def check(
    kernel: Any,
    buffers: Sequence[Any],
    scalars: Any,
    grid: int | tuple[int, int, int],
    *,
    arithmetic: bool,
    orders: int,
) -> tuple[ShaderReport, ...]:
    """See ``Kernel.check``."""
    groups = (grid, 1, 1) if isinstance(grid, int) else grid
    if len(buffers) != len(kernel.buffers):
        raise ProgramError(
            f"cannot check {kernel.name} because it takes {len(kernel.buffers)} buffers and "
            f"{len(buffers)} were given (probably one was left out)"
        )
    pairs = zip(kernel.buffers, buffers, strict=True)
    bound = [_bytes(kernel, binding, given) for binding, given in pairs]
    payload = kernel.pack(kernel.in_order(scalars), groups[0] * groups[1] * groups[2])
    text = kernel.wgsl()
    try:
        points = compile_module(text).entry(_MAIN).point.bindings
        slots = {number: each for number, each in enumerate(bound)}
        slots[len(bound)] = np.frombuffer(payload, np.uint8)
        used = [slots[each.binding] for each in points]
        return check_dispatch(text, _MAIN, used, groups, arithmetic=arithmetic, orders=orders)
    except ShaderError as error:
        raise ProgramError(f"cannot check {kernel.name} because {error}") from error


def _bytes(kernel: Any, binding: Any, given: Any) -> Any:
    """A copy of the bytes of ``given``; if it is a number of bytes, zeros of whole words."""
    if isinstance(given, int):
        made = np.zeros(-(-given // 4) * 4, np.uint8)
    else:
        made = np.frombuffer(np.ascontiguousarray(given).tobytes(), np.uint8).copy()
    if len(made) < binding.least_bytes:
        raise ProgramError(
            f"cannot check {kernel.name} because {binding.name} has {len(made)} bytes and needs "
            f"{binding.least_bytes} (probably an empty array)"
        )
    return made
