"""A mistake planted on purpose, to show that a session would have seen one.

It sits between the judge and whatever target is judged, so that the same
programs, device and comparison are tried that the session relies on.
"""

from collections.abc import Sequence
from typing import Any, cast

from gpusim.program import Command, Grid
from properties.case import Case
from properties.session.subject import Around, Opened
from properties.target import Delivery, ReplayingTarget, Target

MOST_PROGRAMS = 100
"""Programs in which the mistake must show; a few are enough where all is well."""


class Control(Around):
    """A subject with the mistake in each of its targets."""

    def open(self, case: Case) -> Opened:
        """A target in which a dispatch overtakes the write before it."""
        opened = self._subject.open(case)
        return Opened(target=_Overtaken(opened.target), trace=opened.trace)


class _Overtaken:
    """A host write is made again after a dispatch that follows it at once."""

    def __init__(self, target: Target) -> None:
        self.capabilities = target.capabilities
        self.limits = target.limits
        self._target = target
        self._write: tuple[str, int, bytes] | None = None

    def alloc(self, buffer: str, size_bytes: int) -> None:
        self._target.alloc(buffer, size_bytes)

    def write(self, buffer: str, offset: int, data: bytes) -> None:
        self._target.write(buffer, offset, data)
        self._write = buffer, offset, data

    def dispatch(
        self, kernel: str, buffers: Sequence[str], scalars: Sequence[int | float], grid: Grid
    ) -> None:
        self._target.dispatch(kernel, buffers, scalars, grid)
        write, self._write = self._write, None
        if write is not None:
            self._target.write(*write)

    def copy(self, *ranges: Any) -> None:
        self._target.copy(*ranges)

    def read(self, buffer: str, offset: int, size_bytes: int) -> Delivery:
        return self._target.read(buffer, offset, size_bytes)

    def free(self, buffer: str) -> None:
        self._target.free(buffer)
        self._write = None

    def flush(self) -> None:
        self._target.flush()

    def sync(self) -> None:
        self._target.sync()

    def capture(self, graph: str, commands: Sequence[Command]) -> None:
        cast(ReplayingTarget, self._target).capture(graph, commands)

    def replay(self, *operands: Any) -> None:
        cast(ReplayingTarget, self._target).replay(*operands)

    def close(self) -> None:
        self._target.close()
