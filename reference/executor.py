"""The reference executor: it has a method for each op, and does each op at once.

It decides what a program means and which of its ops are refused.  There is no
queue, no batch and nothing pending here: ``flush`` and ``sync`` do nothing, and a
read has its value at the call.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from gpusim.errors import DeviceFault, InvalidHandle, InvalidKernel, Refused
from gpusim.history import ACCEPTED, History, Outcome, Raised
from gpusim.kernels import BUILTIN, Kernel
from gpusim.limits import Limits
from gpusim.ops import (
    AnyDispatch,
    Bound,
    Capture,
    Command,
    Copy,
    Dispatch,
    Grid,
    Op,
    Read,
    Replay,
    Scalars,
    Sync,
    arguments_of,
    name_of,
)
from gpusim.program import Program, buffers_of, replayed
from reference import memory
from reference.checks import (
    check_alloc,
    check_bound,
    check_copy,
    check_grid,
    check_grid_place,
    check_handle,
    check_range,
    check_replay,
)
from reference.dispatching import apply_kernel, grid_at, spoil_written


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ReferenceDelivery:
    """A read's value, which is there from the start, and its error bound."""

    data: bytes
    error_bound: memory.ErrorBounds | None

    def result(self) -> bytes:
        """The bytes."""
        return self.data

    def add_done_callback(self, callback: Callable[["ReferenceDelivery"], None]) -> None:
        """Call ``callback`` with this delivery, now."""
        callback(self)


class Reference:
    """Runs ops one by one, by the names a program gives its buffers.

    Each method does its op whole, or raises a class of ``gpusim.errors`` and changes nothing.  If
    an ``alloc`` was refused, every op on its buffer is refused with InvalidHandle, before any other
    check.  After ``dispatch_limit`` dispatches, all further ones are checked, and not run.  The
    docstring of a method ends with the errors that it raises.
    """

    def __init__(
        self,
        kernels: Mapping[str, Kernel] = BUILTIN,
        limits: Limits | None = None,
        *,
        dispatch_limit: int | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._dispatches_left = dispatch_limit
        self._kernels = kernels
        self._blocks: dict[str, memory.Block] = {}
        self._graphs: dict[str, Capture] = {}
        self._unbound: set[str] = set()

    def perform(self, op: Op) -> ReferenceDelivery | None:
        """Carry out one op by the method of its verb; returns the delivery of a read."""
        delivery: ReferenceDelivery | None = getattr(self, op.verb)(*arguments_of(op))
        return delivery

    def alloc(self, buffer: str, size_bytes: int) -> None:
        """A new buffer, all zero.  OutOfRange, LimitExceeded, OutOfMemory."""
        live_bytes = sum(block.size_bytes for block in self._blocks.values())
        try:
            check_alloc(size_bytes, live_bytes, self.limits)
        except (Refused, DeviceFault):
            self._unbound.add(buffer)
            raise
        self._blocks[buffer] = memory.zeros(size_bytes)

    def write(self, buffer: str, data: bytes, offset: int) -> None:
        """Host to GPU.  InvalidHandle, OutOfRange."""
        block = check_handle(buffer, self._blocks)
        check_range(buffer, block, offset, len(data))
        memory.put(block, offset, data)

    def dispatch(
        self, kernel: str, buffers: Sequence[Bound], scalars: Sequence[int | float], grid: Grid
    ) -> None:
        """Run a kernel.  InvalidHandle, InvalidBinding, OutOfRange, LimitExceeded, InvalidScalar.

        Raises InvalidKernel if no kernel of that name is registered.
        """
        found = _kernel(kernel, self._kernels)
        bound = self._check_bound_to(found, buffers, scalars)
        check_grid(found, grid, self.limits)
        if self._may_run():
            _dispatch(found, bound, scalars, grid)

    def dispatch_indirect(
        self,
        kernel: str,
        buffers: Sequence[Bound],
        scalars: Sequence[int | float],
        counts: str,
        offset: int,
    ) -> None:
        """Run a kernel over a grid in a buffer.  Raises the errors of ``dispatch``."""
        found = _kernel(kernel, self._kernels)
        bound = self._check_bound_to(found, buffers, scalars, counts)
        place = check_grid_place(found, buffers, counts, offset, self._blocks)
        if self._may_run():
            self._dispatch_over(self.grid_in(place, offset), found, bound, scalars)

    def copy(
        self, source: str, source_offset: int, target: str, target_offset: int, size_bytes: int
    ) -> None:
        """GPU to GPU.  InvalidHandle, OutOfRange."""
        blocks = check_copy(source, source_offset, target, target_offset, size_bytes, self._blocks)
        memory.move(blocks[0], source_offset, blocks[1], target_offset, size_bytes)

    def capture(self, graph: str, commands: Sequence[Command]) -> None:
        """Keep commands for later.  Raises the error of the first command that is refused now."""
        capture = Capture(graph=graph, commands=tuple(commands))
        if self._unbound:
            self._check_unbound(buffers_of(capture))
        for command in capture.commands:
            self._check(command)
        self._graphs[graph] = capture

    def replay(
        self,
        graph: str,
        scalars: Sequence[Scalars | None] | None,
        bindings: Sequence[tuple[str, str]],
    ) -> None:
        """Run the commands of a graph.  InvalidHandle, InvalidBinding, InvalidScalar.

        Raises the error of the first command that is refused now, and then runs no command.
        """
        entries = None if scalars is None else tuple(scalars)
        replay = Replay(graph=graph, scalars=entries, bindings=tuple(bindings))
        if self._unbound:
            self._check_unbound(buffers_of(replay))
        capture = check_replay(replay, self._graphs)
        commands = replayed(capture, replay)
        for command in commands:
            self._check(command)
        for command in commands:
            self.perform(command)

    def read(self, buffer: str, offset: int, size_bytes: int) -> ReferenceDelivery:
        """GPU to host.  InvalidHandle, OutOfRange."""
        block = check_handle(buffer, self._blocks)
        check_range(buffer, block, offset, size_bytes)
        data, error_bound = memory.take(block, offset, size_bytes)
        return ReferenceDelivery(data=data, error_bound=error_bound)

    def free(self, buffer: str) -> None:
        """Drop the buffer.  InvalidHandle."""
        check_handle(buffer, self._blocks)
        del self._blocks[buffer]

    def flush(self) -> None:
        """Nothing waits to be submitted."""

    def sync(self) -> None:
        """Everything has happened already."""

    def close(self) -> None:
        """There is nothing to release."""

    def grid_in(self, block: memory.Block, offset: int) -> Grid | None:
        """The grid that stands in a buffer; None if its bytes are not known."""
        return grid_at(block, offset)

    def _may_run(self) -> bool:
        """Count one more dispatch; returns whether it is within the limit."""
        if self._dispatches_left is None:
            return True
        self._dispatches_left -= 1
        return self._dispatches_left >= 0

    def _dispatch_over(
        self,
        grid: Grid | None,
        kernel: Kernel,
        blocks: Sequence[memory.Block],
        scalars: Sequence[int | float],
    ) -> None:
        """Run a kernel over a grid that was read from a buffer, and so was not checked.

        A grid past the limit of a dimension does nothing.  If the grid is unknown (None), or has
        more workgroups than the kernel can count, what the kernel writes is unknown.
        """
        if grid is None:
            spoil_written(kernel, blocks)
        elif max(grid) <= self.limits.max_groups_per_dimension:
            if math.prod(grid) > kernel.max_groups:
                spoil_written(kernel, blocks)
            else:
                _dispatch(kernel, blocks, scalars, grid)

    def _check(self, command: Command) -> None:
        """Refuse a command that cannot be carried out now."""
        if isinstance(command, Copy):
            check_copy(
                command.source,
                command.source_offset,
                command.target,
                command.target_offset,
                command.size_bytes,
                self._blocks,
            )
            return
        kernel = _kernel(command.kernel, self._kernels)
        counts = () if isinstance(command, Dispatch) else (command.counts,)
        self._check_bound_to(kernel, command.buffers, command.scalars, *counts)
        if isinstance(command, Dispatch):
            check_grid(kernel, command.grid, self.limits)
        else:
            check_grid_place(kernel, command.buffers, command.counts, command.offset, self._blocks)

    def _check_bound_to(
        self, kernel: Kernel, buffers: Sequence[Bound], scalars: Sequence[int | float], *counts: str
    ) -> tuple[memory.Block, ...]:
        if self._unbound:
            self._check_unbound((*map(name_of, buffers), *counts))
        return check_bound(kernel, buffers, scalars, self._blocks, self.limits)

    def _check_unbound(self, buffers: Iterable[str]) -> None:
        for buffer in buffers:
            if buffer in self._unbound:
                raise InvalidHandle(
                    f"cannot use <{buffer}> because its alloc was refused "
                    "(probably it asked for too much)"
                )


def run(
    program: Program,
    kernels: Mapping[str, Kernel] = BUILTIN,
    limits: Limits | None = None,
    *,
    make: Callable[[Mapping[str, Kernel], Limits | None], Reference] = Reference,
) -> History:
    """What every execution of ``program`` must show, with the error bound of each value.

    Every accepted read is delivered, in the order in which the reads were issued.
    ``make`` makes the executor, by default a ``Reference``.

    Raises:
        InvalidKernel: a kernel is not registered (before anything runs), or its meaning raises.
    """
    for op in program:
        if isinstance(op, AnyDispatch):
            _kernel(op.kernel, kernels)
        elif isinstance(op, Capture):
            for command in op.commands:
                if isinstance(command, AnyDispatch):
                    _kernel(command.kernel, kernels)
    executor = make(kernels, limits)
    deliveries: list[str] = []
    outcomes = tuple([_outcome(executor, op, deliveries) for op in program])
    ends_with_sync = len(program) > 0 and isinstance(program[-1], Sync)
    closing = None if ends_with_sync else _outcome(executor, Sync(), deliveries)
    return History(outcomes=outcomes, deliveries=tuple(deliveries), closing=closing)


def _outcome(executor: Reference, op: Op, deliveries: list[str]) -> Outcome:
    try:
        delivery = executor.perform(op)
    except (Refused, DeviceFault) as error:
        return Outcome(error=type(error).__name__, raised=Raised(str(error)))
    if isinstance(op, Read) and delivery is not None:
        deliveries.append(op.result)
        return Outcome(data=delivery.data, error_bound=delivery.error_bound)
    return Outcome(data=",".join(deliveries).encode()) if isinstance(op, Sync) else ACCEPTED


def _dispatch(
    kernel: Kernel, blocks: Sequence[memory.Block], scalars: Sequence[int | float], grid: Grid
) -> None:
    if math.prod(grid):
        apply_kernel(kernel, blocks, scalars, grid)


def _kernel(name: str, kernels: Mapping[str, Kernel]) -> Kernel:
    try:
        return kernels[name]
    except KeyError:
        raise InvalidKernel(
            f"cannot dispatch {name} because no kernel of that name is registered "
            "(probably the program's own kernels were not loaded)"
        ) from None
