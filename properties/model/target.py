"""The interface between the judge and whatever executes programs.

A target carries out ops by the names a program gives its buffers.  Inside the judge it has one
method, ``perform``.  Who brings a runtime writes an adapter, with one method an op, which
``properties.targets`` makes a target of.  Nothing here knows a particular target.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gpusim.limits import Limits
from gpusim.ops import Command, Grid, Op, Scalars
from properties.model.capabilities import Capabilities


class Delivery(Protocol):
    """A read on its way: its value, and a call when it has arrived."""

    def result(self) -> bytes:
        """The bytes, waiting for them where they have not come; or the read's error."""
        ...

    def add_done_callback(self, callback: Callable[["Delivery"], None]) -> None:
        """Call ``callback`` with this delivery once it has a value or an error."""
        ...


@dataclass(frozen=True, slots=True)
class Arrived:
    """A delivery that is there already, for targets that read at once."""

    data: bytes

    def result(self) -> bytes:
        """The bytes."""
        return self.data

    def add_done_callback(self, callback: Callable[[Delivery], None]) -> None:
        """Call at once."""
        callback(self)


class Target(Protocol):
    """Carries out the ops of one program."""

    capabilities: Capabilities
    limits: Limits

    def perform(self, op: Op) -> Delivery | None:
        """Carry out one op, or raise; the delivery of a read."""
        ...

    def close(self) -> None:
        """Finish what was asked for, and give everything back."""
        ...


class Adapter(Protocol):
    """A runtime as a person makes it a target: one method an op, with a program's names."""

    capabilities: Capabilities
    limits: Limits

    def alloc(self, buffer: str, size_bytes: int) -> None: ...
    def write(self, buffer: str, offset: int, data: bytes) -> None: ...
    def dispatch(
        self, kernel: str, buffers: Sequence[str], scalars: Sequence[int | float], grid: Grid
    ) -> None: ...
    def copy(
        self, source: str, source_offset: int, target: str, target_offset: int, size_bytes: int
    ) -> None: ...
    def read(self, buffer: str, offset: int, size_bytes: int) -> Delivery: ...
    def free(self, buffer: str) -> None: ...
    def flush(self) -> None: ...
    def sync(self) -> None: ...
    def close(self) -> None: ...


class ReplayingAdapter(Adapter, Protocol):
    """An adapter that keeps commands under a graph's name, and runs them again."""

    def capture(self, graph: str, commands: Sequence[Command]) -> None: ...
    def replay(
        self,
        graph: str,
        scalars: Sequence[Scalars | None] | None,
        bindings: Sequence[tuple[str, str]],
    ) -> None: ...
