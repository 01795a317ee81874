"""The host memory that calls take at their peak; the calls are made here, not by a program.

Whoever moves large data has no room for spare copies of it.  So the peak of each call is counted,
with what a simulated device allocates; a real device's memory is not seen.  And the runtime must
not keep the caller's array.

A command must take no more memory in a long batch than in a short one.  So a runtime that copies
the whole batch is found, which a count of executed lines does not show.  What the runtime itself
keeps in use is counted in ``rounds``.
"""

import tracemalloc
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from weakref import ref

import numpy as np

from gpusim.ops import Alloc, Capture, Command, Copy, Dispatch, Op, Replay, Sync
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
        peak_bytes = _peak_bytes(partial(call, runtime, buffer, array))
        runtime.sync()
    return peak_bytes / _SIZE_BYTES


_SHORT, _LONG = 16, 528
"""The commands in the open batches in which one more command is recorded."""
_TRIES = 3
"""How often each peak is measured.  The least counts, since now and then a list grows."""
_BYTES_A_COMMAND = 4
"""A failure needs at least this many bytes for each command by which the long batch is longer."""
_DISPATCH = Dispatch(kernel="affine", buffers=("here",), scalars=(3, 5), grid=(1, 1, 1))
_COPY = Copy(source="here", source_offset=1, target="there", target_offset=2, size_bytes=5)
_RECORDED: Mapping[str, Op] = {
    "a dispatch": _DISPATCH,
    "a copy of bytes": _COPY,
    "a copy within a buffer": Copy(
        source="here", source_offset=0, target="here", target_offset=4, size_bytes=8
    ),
    "a replay of a dispatch": Replay(graph="one", scalars=None, bindings=()),
    "a replay of a copy of bytes": Replay(graph="other", scalars=None, bindings=()),
}
"""Ops that only record, under a policy whose batches have no limits."""


def judge_batches(case: Case, factory: TargetFactory) -> Failure | None:
    """The failure if recording takes more host memory the more the open batch holds."""
    if tracemalloc.is_tracing():
        return None
    short, long = (_peaks_after(case, factory, length) for length in (_SHORT, _LONG))
    for what, few_bytes in short.items():
        if long[what] - few_bytes >= _BYTES_A_COMMAND * (_LONG - _SHORT):
            reason = (
                f"{what} takes {few_bytes} bytes of host memory at its peak if {_SHORT} dispatches "
                f"are in the batch, and {long[what]} if {_LONG} are"
            )
            return cost_failure(case, f"memory of {what}", reason)
    return None


def _peaks_after(case: Case, factory: TargetFactory, length: int) -> dict[str, int]:
    """The bytes that each op takes at its peak in a batch with ``length`` dispatches or more."""
    with untraced_target(case, factory) as target:
        if not isinstance(target, RuntimeTarget):
            return dict.fromkeys(_RECORDED, 0)
        commands: Mapping[str, Command] = {"one": _DISPATCH, "other": _COPY}
        for name in ("here", "there"):
            perform(target, Alloc(buffer=name, size_bytes=16))
        for name, command in commands.items():
            perform(target, Capture(graph=name, commands=(command,)))
        for op in (*_RECORDED.values(), Sync(), *[_DISPATCH] * length):
            perform(target, op)
        return {
            what: min(_peak_bytes(partial(perform, target, op)) for _ in range(_TRIES))
            for what, op in _RECORDED.items()
        }


def _peak_bytes(act: Callable[[], object]) -> int:
    """The host memory that is in use at most while ``act`` runs, besides what was before."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
