"""The host memory that a write or a read takes at its peak, counted without the program.

Whoever moves large data has no room for spare copies of it.  The memory includes what a simulated
device allocates; a real device's memory is not seen.  What stays in use is counted in ``rounds``.
"""

import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gpusim.ops import Alloc
from gpusim.runtime import Buffer, Runtime
from properties.model.case import Case
from properties.model.failure import Failure
from properties.oracles.rounds import cost_failure, perform, untraced_target
from properties.targets.factory import TargetFactory
from properties.targets.runtime_target import RuntimeTarget

_SIZE_BYTES = 1 << 16
_ODD = 1
_DATA = bytes(_SIZE_BYTES)
_WORDS = np.zeros(_SIZE_BYTES // 4, np.uint32)
_OUT = np.zeros(_SIZE_BYTES, np.uint8)
_READ_COPIES = 5.5
"""A simulated device makes three or four copies, and the runtime the value."""
_CALLS: Mapping[str, tuple[Callable[[Runtime, Buffer], Any], float]] = {
    "a write of bytes": (lambda runtime, x: runtime.write(x, _DATA), 1.5),
    "a write of an array": (lambda runtime, x: runtime.write(x, _WORDS), 1.5),
    "a write of a matrix": (lambda runtime, x: runtime.write(x, _WORDS.reshape(2, -1)), 1.5),
    "a write of a view": (lambda runtime, x: runtime.write(x, memoryview(_DATA)), 1.5),
    "a write at an odd offset": (lambda runtime, x: runtime.write(x, _OUT[_ODD:], _ODD), 1.5),
    "a read of bytes": (lambda runtime, x: runtime.read(x).result(), _READ_COPIES),
    "a read of an array": (lambda runtime, x: runtime.read(x, dtype="u32").result(), _READ_COPIES),
    "a read into an array": (lambda runtime, x: runtime.read(x, out=_OUT).result(), 4.5),
}
"""Calls that move all bytes of a buffer, and how many copies of these bytes each may make."""


def judge_peaks(case: Case, factory: TargetFactory) -> Failure | None:
    """The failure if a call takes more host memory than it needs for the bytes that it moves."""
    with untraced_target(case, factory) as target:
        if not isinstance(target, RuntimeTarget) or tracemalloc.is_tracing():
            return None
        perform(target, Alloc(buffer="large", size_bytes=_SIZE_BYTES))
        for what, (call, most) in _CALLS.items():
            copies = _copies(target.runtime, target.find("large"), call)
            if copies > most:
                return cost_failure(
                    case,
                    f"memory of {what}",
                    f"{what} of {_SIZE_BYTES} bytes takes {copies:.1f} times as many bytes of host "
                    f"memory at its peak, where {most} times are enough",
                )
    return None


def _copies(runtime: Runtime, buffer: Buffer, call: Callable[[Runtime, Buffer], Any]) -> float:
    """The host memory that a call takes at its peak, in sizes of ``buffer``.

    The call is made once before, so that what the runtime keeps is there already.
    """
    for is_counted in (False, True):
        if is_counted:
            tracemalloc.start()
        try:
            call(runtime, buffer)
            peak_bytes = tracemalloc.get_traced_memory()[1] if is_counted else 0
        finally:
            tracemalloc.stop()
        runtime.sync()
    return peak_bytes / _SIZE_BYTES
