"""A caller that goes on using what it passed: the data of a write, the scalars of anything."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from gpusim.program import Command, Dispatch, Grid, Scalars
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
        with _lent([scalars]) as (passed,):
            self.target.dispatch(kernel, buffers, passed, grid)

    def capture(self, graph: str, commands: Sequence[Command]) -> None:
        """The same for every dispatch of a capture, whose scalars a replay may ask for."""
        dispatches = [op for op in commands if isinstance(op, Dispatch)]
        with _lent([op.scalars for op in dispatches]) as passed:
            lists = iter(passed)
            lent = [
                replace(op, scalars=next(lists)) if isinstance(op, Dispatch) else op
                for op in commands
            ]
            self.target.capture(graph, lent)

    def replay(
        self,
        graph: str,
        scalars: Sequence[Scalars | None] | None,
        bindings: Sequence[tuple[str, str]],
    ) -> None:
        """The same for the scalars of a replay."""
        with _lent([] if scalars is None else scalars) as passed:
            self.target.replay(graph, None if scalars is None else passed, bindings)


@contextmanager
def _lent(scalars: Sequence[Sequence[int | float] | None]) -> Iterator[list[Any]]:
    """The same scalars in lists, which change right after the block; so does what holds them."""
    lists = [None if each is None else list(each) for each in scalars]
    passed: list[Any] = list(lists)
    try:
        yield passed
    finally:
        for each in lists:
            if each is not None:
                each[:] = [0] * len(each)
        passed.clear()


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
