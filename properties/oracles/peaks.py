"""The host memory that large writes and reads take; the calls are made here, not by a program.

Whoever moves large data has no room for spare copies of it.  So the peak of each call is counted,
with what a simulated device allocates; a real device's memory is not seen.  And the runtime must
not keep the caller's array.  What the runtime itself keeps in use is counted in ``rounds``.
"""

import tracemalloc
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from weakref import ref

import numpy as np

from gpusim.ops import Alloc
from gpusim.runtime import Buffer, Runtime
from properties.model.case import Case
from properties.model.failure import Failure
from properties.oracles.rounds import cost_failure, perform, untraced_target
from properties.targets.factory import TargetFactory
from properties.targets.runtime_target import RuntimeTarget

_SIZE_BYTES = 1 << 16
_DATA = bytes(_SIZE_BYTES)
_READ_COPIES = 5.5
"""How many copies of its bytes a read may make.

A simulated device makes three or four, and the runtime makes the value that it returns.
"""
Array = np.ndarray[Any, Any]
Call = Callable[[Runtime, Buffer, Array], Any]
_CALLS: Mapping[str, tuple[Call, float]] = {
    "a write of bytes": (lambda runtime, x, _: runtime.write(x, _DATA), 1.5),
    "a write of a view": (lambda runtime, x, _: runtime.write(x, memoryview(_DATA)), 1.5),
    "a write of an array": (lambda runtime, x, array: runtime.write(x, array), 1.5),
    "a write of a matrix": (lambda runtime, x, array: runtime.write(x, array.reshape(2, -1)), 1.5),
    "a write at an odd offset": (lambda runtime, x, array: runtime.write(x, array[1:], 1), 1.5),
    "a read of bytes": (lambda runtime, x, _: runtime.read(x).result(), _READ_COPIES),
    "a read of an array": (
        lambda runtime, x, _: runtime.read(x, dtype="u1").result(),
        _READ_COPIES,
    ),
    "a read into an array": (lambda runtime, x, out: runtime.read(x, out=out).result(), 4.5),
}
"""Calls that move all bytes of a buffer, and how many copies of these bytes each may make."""


def judge_peaks(case: Case, factory: TargetFactory) -> Failure | None:
    """The failure if a call takes too much host memory, or the runtime keeps a caller's array."""
    with untraced_target(case, factory) as target:
        if not isinstance(target, RuntimeTarget) or tracemalloc.is_tracing():
            return None
        perform(target, Alloc(buffer="large", size_bytes=_SIZE_BYTES))
        for what, (call, most) in _CALLS.items():
            array = np.zeros(_SIZE_BYTES, np.uint8)
            kept, copies = ref(array), _copies(target.runtime, target.find("large"), call, array)
            del array
            wrong = "keeps the array of its caller" if kept() is not None else ""
            if copies > most:
                wrong = (
                    f"takes {copies:.1f} times as many bytes of host memory at its peak, where "
                    f"{most} times are enough"
                )
            if wrong:
                reason = f"{what} of {_SIZE_BYTES} bytes {wrong}"
                return cost_failure(case, f"memory of {what}", reason)
    return None


def _copies(runtime: Runtime, buffer: Buffer, call: Call, array: Array) -> float:
    """The host memory that a call takes at its peak, in sizes of ``buffer``.

    The call is made once before, so that what the runtime keeps is there already.
    """
    peak_bytes = 0
    # What a call raises is judged elsewhere.
    with suppress(Exception):
        call(runtime, buffer, array)
        runtime.sync()
        tracemalloc.start()
        try:
            call(runtime, buffer, array)
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        runtime.sync()
    return peak_bytes / _SIZE_BYTES
