"""The interface between the judge and whatever executes programs.

A target carries out ops by the names that a program gives its buffers; the judge calls its
``perform``.  Users write an adapter: a target with one method an op.  Nothing here knows a
particular target.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from gpusim.kernels import Kernel
from gpusim.limits import Limits
from gpusim.ops import (
    Alloc,
    Bound,
    Command,
    Grid,
    Op,
    Operand,
    Read,
    Scalars,
    arguments_of,
    each_command,
    with_operands,
)
from properties.model.capabilities import Arrival, Capabilities

AnyOp = TypeVar("AnyOp", bound=Op)


class TargetRaised(Exception):
    """A target in another process raised an error whose class is not in the contract.

    ``name``: its class there.  ``traceback``: empty if the target does not send it.
    """

    def __init__(self, name: str, message: str, traceback: str = "") -> None:
        super().__init__(message)
        self.name, self.traceback = name, traceback


class Delivery(Protocol):
    """A pending read: gives its value, and calls back when the value has arrived."""

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
        """Call ``callback`` at once."""
        callback(self)


class Target(Protocol):
    """Carries out the ops of one program."""

    capabilities: Capabilities
    limits: Limits

    def perform(self, op: Op) -> Delivery | None:
        """Carry out one op, or raise.  Returns the delivery of a read."""
        ...

    def close(self) -> None:
        """Finish all ops, and release everything."""
        ...


class Adapter(ABC):
    """A runtime of yours as a target: one method an op, with the names of a program's buffers.

    A new adapter is made for each program.  Ops take effect in program order.  docs/CONTRACT.md
    says what each op means, and which error refuses it.  An exception that the contract does not
    name is a crash of the target.

    Args:
        device: a wgpu-py device, shared by all programs; a runtime may open its own instead.
        kernels: the kernels that ``dispatch`` may have to run, by name.
    """

    capabilities: Capabilities = Capabilities(orders_deliveries=False)
    """Its promises; by default only that ops within WebGPU's own rules have the right values."""
    limits: Limits = Limits()
    """Its limits.  Programs stay within them, except to test a refusal."""

    def __init__(self, device: Any, kernels: Mapping[str, Kernel]) -> None:
        self.device, self.kernels = device, kernels

    def perform(self, op: Op) -> Delivery | None:
        """Carry out ``op`` by the method of its name; see ``Target``."""
        returned = getattr(self, op.verb)(*arguments_of(op))
        return as_delivery(returned) if op.verb == "read" else None

    def addressed(self, op: AnyOp) -> AnyOp:
        """``op`` with its buffers in the form that the methods take: by default, their names."""
        return op

    @abstractmethod
    def alloc(self, buffer: str, size_bytes: int) -> object:
        """Make a buffer of zeros; only a ``HandleAdapter`` returns anything."""

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
        """Copy bytes between buffers, or within one buffer like memmove."""

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
            scalars: an entry for each dispatch: its scalars, or None to keep those of the
                capture.  None in the place of all entries keeps all.
            bindings: pairs of a captured buffer and the buffer that replaces it.
        """


class HandleAdapter(Adapter):
    """An adapter whose ``alloc`` returns the runtime's own handle of the buffer.

    Every later op gets that handle in place of the name, also in parts, captures and bindings.
    The handle of a freed buffer is kept, so the runtime itself is given stale handles.  By then
    such a handle may belong to another buffer.
    """

    capabilities = Capabilities(orders_deliveries=False, handles=True)

    def __init__(self, device: Any, kernels: Mapping[str, Kernel]) -> None:
        super().__init__(device, kernels)
        self._handles: dict[str, Any] = {}
        self._addressing = {
            Operand.BUFFER: self._handle_of,
            Operand.BUFFERS: lambda bound: tuple(map(self._bound, bound)),
            Operand.COMMANDS: each_command(self.addressed),
            Operand.BINDINGS: lambda pairs: tuple(
                (self._handle_of(old), self._handle_of(new)) for old, new in pairs
            ),
        }

    @abstractmethod
    def alloc(self, buffer: str, size_bytes: int) -> Any:
        """Make a buffer of zeros, and return its handle."""

    def perform(self, op: Op) -> Delivery | None:
        """See ``Target``."""
        if isinstance(op, Alloc):
            self._handles[op.buffer] = self.alloc(op.buffer, op.size_bytes)
            return None
        return super().perform(self.addressed(op))

    def carry_out(self, command: Command) -> None:
        """Carry out a command of a capture, which has handles already."""
        super().perform(command)

    def addressed(self, op: AnyOp) -> AnyOp:
        """``op`` with handles in the place of names."""
        return with_operands(op, self._addressing)

    def _handle_of(self, name: str) -> Any:
        return self._handles[name]

    def _bound(self, bound: Bound) -> Any:
        if isinstance(bound, str):
            return self._handles[bound]
        return bound._replace(buffer=self._handles[bound.buffer])


class ArrayAdapter(Adapter):
    """An adapter of a runtime that reads into host arrays which the caller names."""

    capabilities = Capabilities(orders_deliveries=False, delivery=Arrival.ARRAY)

    @abstractmethod
    def read_into(self, buffer: str, offset: int, size_bytes: int, array: memoryview) -> None:
        """Read into the start of ``array``, which has the bytes once the next sync has returned.

        Other reads may go into the same array, even before that sync; the last read's bytes stay.
        """

    def read(self, buffer: str, offset: int, size_bytes: int) -> Delivery:
        """A read into an array of its own."""
        array = bytearray(max(size_bytes, 0))
        self.read_into(buffer, offset, size_bytes, memoryview(array))
        return InArray(array, size_bytes)

    def perform_into(self, op: Read, array: bytearray) -> Delivery:
        """Carry out a read into an array of the caller's."""
        buffer, offset, size_bytes = arguments_of(self.addressed(op))
        self.read_into(buffer, offset, size_bytes, memoryview(array))
        return InArray(array, op.size_bytes)


@dataclass(frozen=True, slots=True)
class InArray:
    """A read into the start of an array, to be asked for once a sync has returned."""

    array: bytearray
    size_bytes: int

    def result(self) -> bytes:
        """The bytes that are in the array now."""
        return bytes(self.array[: self.size_bytes])

    def add_done_callback(self, callback: Callable[[Delivery], None]) -> None:
        """Do nothing: only a sync shows that the read has arrived."""


class PendingSync(Protocol):
    """A sync that is under way."""

    def result(self) -> Any:
        """Return when everything before the sync is done; raises the sync's error."""
        ...


class ConcurrentAdapter(Adapter):
    """An adapter whose syncs may overlap."""

    capabilities = Capabilities(orders_deliveries=False, concurrent_syncs=True)

    @abstractmethod
    def begin_sync(self) -> PendingSync:
        """Begin a sync and return at once, even if another is under way.

        Returns a task, a future or anything else whose ``result()`` waits for the sync.  Syncs
        may be waited for in any order.
        """

    def sync(self) -> None:
        """Begin a sync, and wait for it."""
        self.begin_sync().result()


def as_delivery(returned: object) -> Delivery:
    """The returned value of a read, as a delivery.

    Raises:
        TypeError: ``returned`` is neither bytes nor a delivery.
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
