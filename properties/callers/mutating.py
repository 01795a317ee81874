"""A caller that goes on using what it passed: the data of a write, the lists of a dispatch."""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np

from gpusim.program import Grid
from properties.callers.forwarding import Forwarding
from properties.targets.runtime_target import RuntimeTarget


class MutatingCaller(Forwarding):
    """Passes arrays of several kinds and overwrites them as soon as the call returns."""

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._turns = count()

    def write(self, buffer: str, offset: int, data: bytes) -> None:
        """The same bytes in an array of the caller's, which changes right after."""
        make = _ARRAYS[next(self._turns) % len(_ARRAYS)]
        array, spoil = make(data)
        try:
            self.target.write(buffer, offset, array)
        finally:
            spoil()

    def dispatch(
        self, kernel: str, buffers: Sequence[str], scalars: Sequence[int | float], grid: Grid
    ) -> None:
        """Scalars in a list that changes right after."""
        passed = list(scalars)
        try:
            self.target.dispatch(kernel, buffers, passed, grid)
        finally:
            passed[:] = [0] * len(passed)


Spoilt = tuple[Any, Callable[[], None]]


def _plain(data: bytes) -> Spoilt:
    array = bytearray(data)

    def spoil() -> None:
        array[:] = b"\xee" * len(array)

    return array, spoil


def _strided(data: bytes) -> Spoilt:
    """Every other byte of an array: nothing contiguous."""
    array = np.zeros(2 * len(data), dtype=np.uint8)
    array[::2] = np.frombuffer(data, dtype=np.uint8)
    return array[::2], lambda: array.fill(0xEE)


def _words(data: bytes) -> Spoilt:
    """Whole words as an array of two dimensions; other lengths as bytes."""
    if len(data) % 8 or not data:
        return _plain(data)
    array = np.frombuffer(bytearray(data), dtype=np.uint32).reshape(2, -1)
    return array, lambda: array.fill(0xEEEEEEEE)


_ARRAYS: Sequence[Callable[[bytes], Spoilt]] = (_plain, _strided, _words)
