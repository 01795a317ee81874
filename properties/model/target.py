"""The interface between the judge and whatever executes programs.

A target carries out ops by the names that a program gives its buffers.  For the judge it has one
method, ``perform``.  Users write an adapter, with one method an op, and ``properties.targets``
makes a target of it.  Nothing here knows a particular target.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

from gpusim.errors import ProgramError
from gpusim.limits import Limits
from gpusim.ops import Command, Grid, Op, Scalars


class Delivery(Protocol):
    """A pending read: gives its value, and calls back when it has arrived."""

    def result(self) -> bytes:
        """Wait for the bytes; raises the read's error."""
        ...

    def add_done_callback(self, callback: Callable[["Delivery"], None]) -> None:
        """Call ``callback`` with this delivery once it has a value or an error."""
        ...


@dataclass(frozen=True, slots=True)
class Arrived:
    """A delivery that has arrived already, for targets that read at once."""

    data: bytes

    def result(self) -> bytes:
        """The bytes."""
        return self.data

    def add_done_callback(self, callback: Callable[[Delivery], None]) -> None:
        """Call at once."""
        callback(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Capabilities:
    """What a target promises; the judge demands no more."""

    refuses: bool = True
    """Invalid ops raise the contract's error class and change nothing."""
    orders_deliveries: bool = True
    """Done callbacks are called, in the order in which the reads were issued."""
    replays: bool = False
    """It captures and replays: it is a ``ReplayingAdapter``."""
    byte_exact: bool = True
    """It writes, reads and copies any bytes, also within one buffer.  Otherwise it is given only
    whole words, at least one, and copies between two buffers."""

    def __str__(self) -> str:
        words = {True: "yes", False: "no"}
        return " ".join(
            f"{field.name}={words[getattr(self, field.name)]}" for field in fields(self)
        )


def parse_capabilities(text: str) -> Capabilities:
    """Read what ``str(Capabilities)`` wrote; ProgramError where a word is unknown."""
    known = {field.name for field in fields(Capabilities)}
    values: dict[str, bool] = {}
    for word in text.split():
        name, _, value = word.partition("=")
        if name not in known or value not in ("yes", "no"):
            raise ProgramError(
                f"cannot read promise {word!r} because it is none of "
                f"{', '.join(sorted(known))} with yes or no (probably a misspelling)"
            )
        values[name] = value == "yes"
    return Capabilities(**values)


class Target(Protocol):
    """Carries out the ops of one program."""

    capabilities: Capabilities
    limits: Limits

    def perform(self, op: Op) -> Delivery | None:
        """Carry out one op, or raise; the delivery of a read."""
        ...

    def close(self) -> None:
        """Finish all ops, and release everything."""
        ...


class Adapter(Protocol):
    """What users write to judge their runtime: one method an op, with a program's names."""

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
