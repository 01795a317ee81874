"""The interface between the judge and whatever executes programs.

A target carries out ops by the names that a program gives its buffers; the judge calls its
``perform``.  Users write an adapter: a target with one method an op.  Nothing here knows a
particular target.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gpusim.kernels import Kernel
from gpusim.limits import Limits
from gpusim.ops import Command, Grid, Op, Scalars, arguments_of
from properties.model.capabilities import Capabilities


class TargetRaised(Exception):
    """An error class outside the contract, raised by a target in another process.

    ``name``: its class there.  ``traceback``: empty where the target does not send it.
    """

    def __init__(self, name: str, message: str, traceback: str = "") -> None:
        super().__init__(message)
        self.name, self.traceback = name, traceback


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

    data: bytes | bytearray | memoryview

    def result(self) -> bytes:
        """The bytes."""
        data: Any = self.data
        return data  # type: ignore[no-any-return]

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
        """Finish all ops, and release everything."""
        ...


class Adapter(ABC):
    """A runtime of yours as a target: one method an op, with the names of a program's buffers.

    A new one is made for each program.  Ops take effect in program order.  What each means, and
    the error that refuses it, is in docs/CONTRACT.md; an exception that the contract does not
    name is a crash of the target.

    Args:
        device: a wgpu-py device, shared by all programs; a runtime may open its own instead.
        kernels: the kernels that ``dispatch`` may have to run, by name.
    """

    capabilities: Capabilities = Capabilities(orders_deliveries=False)
    """Its promises; by default, valid ops have the right values under WebGPU's own rules."""
    limits: Limits = Limits()
    """Its limits.  Programs stay within them, except where a refusal is tested."""

    def __init__(self, device: Any, kernels: Mapping[str, Kernel]) -> None:
        self.device, self.kernels = device, kernels

    def perform(self, op: Op) -> Delivery | None:
        """Carry out ``op`` by the method of its name; see ``Target``."""
        returned = getattr(self, op.verb)(*arguments_of(op))
        return as_delivery(returned) if op.verb == "read" else None

    @abstractmethod
    def alloc(self, buffer: str, size_bytes: int) -> None:
        """Make a buffer of zeros; ``size_bytes`` may be 0."""

    @abstractmethod
    def write(self, buffer: str, data: bytes, offset: int) -> None:
        """Write ``data`` into the buffer from byte ``offset`` on."""

    @abstractmethod
    def dispatch(
        self, kernel: str, buffers: Sequence[str], scalars: Sequence[int | float], grid: Grid
    ) -> None:
        """Run the kernel of that name over ``grid`` workgroups (x, y, z)."""

    @abstractmethod
    def copy(
        self, source: str, source_offset: int, target: str, target_offset: int, size_bytes: int
    ) -> None:
        """Copy bytes between buffers, or within one as memmove does."""

    @abstractmethod
    def read(self, buffer: str, offset: int, size_bytes: int) -> bytes | Delivery:
        """The bytes at this point of the program, or a delivery of them."""

    @abstractmethod
    def free(self, buffer: str) -> None:
        """Free the buffer."""

    def flush(self) -> None:  # noqa: B027 - the default
        """Submit what is recorded; does nothing by default."""

    def sync(self) -> None:  # noqa: B027 - the default
        """Return when every op is done and every read has arrived; does nothing by default."""

    def close(self) -> None:  # noqa: B027 - the default
        """Release everything at the end of a program; does nothing by default."""


class IndirectAdapter(Adapter):
    """An adapter that dispatches over grids on the GPU."""

    capabilities = Capabilities(orders_deliveries=False, indirect=True)

    @abstractmethod
    def dispatch_indirect(
        self,
        kernel: str,
        buffers: Sequence[str],
        scalars: Sequence[int | float],
        counts: str,
        offset: int,
    ) -> None:
        """Run the kernel over the grid of three u32 at byte ``offset`` of ``counts``."""


class ReplayingAdapter(Adapter):
    """An adapter that keeps commands under a graph's name, and runs them again."""

    capabilities = Capabilities(orders_deliveries=False, replays=True)

    @abstractmethod
    def capture(self, graph: str, commands: Sequence[Command]) -> None:
        """Keep dispatches and copies under the name ``graph``, without running them."""

    @abstractmethod
    def replay(
        self,
        graph: str,
        scalars: Sequence[Scalars | None] | None,
        bindings: Sequence[tuple[str, str]],
    ) -> None:
        """Run the graph's commands.

        Args:
            scalars: an entry for each dispatch, or None to keep those of the capture; None
                instead of the entries keeps all.
            bindings: pairs of a captured buffer and the one that replaces it.
        """


def as_delivery(returned: object) -> Delivery:
    """The returned value of a read, as a delivery.

    Raises:
        TypeError: it is neither bytes nor a delivery.
    """
    if isinstance(returned, bytes | bytearray | memoryview):
        # Not copied: a value that changes after its delivery is a finding.
        return Arrived(returned)
    if hasattr(returned, "result") and hasattr(returned, "add_done_callback"):
        delivery: Any = returned
        return delivery  # type: ignore[no-any-return]
    raise TypeError(
        f"cannot take what read returned because {type(returned).__name__} is neither bytes nor a "
        "delivery with result() and add_done_callback() (probably a missing return)"
    )
