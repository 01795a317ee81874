"""What the judge drives: any runtime, ours or another's.

A Target takes ops by the names that a program gives its buffers.  It raises the
classes of ``gpusim.errors`` where it refuses.  Nothing here knows a particular
runtime; those live in ``properties.targets``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from gpusim.limits import Limits
from gpusim.program import (
    Alloc,
    Capture,
    Command,
    Copy,
    Dispatch,
    Flush,
    Free,
    Grid,
    Op,
    Read,
    Replay,
    Scalars,
    Sync,
    Write,
)


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Capabilities:
    """What a target promises; the judge asks for nothing more."""

    refuses: bool = True
    """Invalid ops raise the contract's error class and change nothing."""
    orders_deliveries: bool = True
    """Done callbacks are called, in the order in which the reads were issued."""
    replays: bool = False
    """It captures and replays: it is a ``ReplayingTarget``."""
    byte_exact: bool = True
    """Writes, reads and copies of any bytes, also within one buffer; otherwise it is asked for
    whole words only, at least one, and for copies between two buffers."""


class Target(Protocol):
    """One method an op; names are those of the program."""

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


class ReplayingTarget(Target, Protocol):
    """A target that keeps commands under a graph's name, and runs them again."""

    def capture(self, graph: str, commands: Sequence[Command]) -> None: ...
    def replay(
        self,
        graph: str,
        scalars: Sequence[Scalars | None] | None,
        bindings: Sequence[tuple[str, str]],
    ) -> None: ...


def issue(target: Target, op: Op) -> Delivery | None:
    """Ask ``target`` for one op; the delivery of a read."""
    match op:
        case Alloc():
            target.alloc(op.buffer, op.size_bytes)
        case Write():
            target.write(op.buffer, op.offset, op.data)
        case Dispatch():
            target.dispatch(op.kernel, op.buffers, op.scalars, op.grid)
        case Copy():
            target.copy(op.source, op.source_offset, op.target, op.target_offset, op.size_bytes)
        case Read():
            return target.read(op.buffer, op.offset, op.size_bytes)
        case Free():
            target.free(op.buffer)
        case Flush():
            target.flush()
        case Sync():
            target.sync()
        case Capture():
            cast(ReplayingTarget, target).capture(op.graph, op.commands)
        case Replay():
            cast(ReplayingTarget, target).replay(op.graph, op.scalars, op.bindings)
    return None
