"""The unfinished program: its ops so far, and the buffers that they leave alive.

Bookkeeping only: every method appends one op and notes what it changes.  ``moves``
and ``mistakes`` decide what to append.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gpusim.limits import WORD_BYTES, Limits
from gpusim.ops import (
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
    Sync,
    Write,
)
from properties.generate.operands import Parameters, Signature, nonce_bytes, nonce_floats

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_MOST_REAL_DISPATCHES = 24
"""With more, the sum of tolerances is too large to compare, and exponents may overflow."""


@dataclass(slots=True, eq=False)
class LiveBuffer:
    """A buffer as the draft sees it."""

    name: str
    size_bytes: int
    real: bool
    """Whether it holds floats: whole, aligned, finite and normal ones."""
    writers: int = 0
    written_offset: int = 0
    written_bytes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A captured command, what it binds, and its kernel's signature; None for a copy."""

    command: Command
    buffers: tuple[LiveBuffer, ...]
    signature: Signature | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DraftedGraph:
    """A graph that the program has captured."""

    name: str
    steps: tuple[Step, ...]

    @property
    def buffers(self) -> list[LiveBuffer]:
        """The buffers that its commands name, each once."""
        return list(dict.fromkeys(buffer for step in self.steps for buffer in step.buffers))


class Draft:
    """Ops, the buffers alive after them, and the counters that make operands distinct."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.ops: list[Op] = []
        self.live: list[LiveBuffer] = []
        self.freed: list[str] = []
        self.recent: LiveBuffer | None = None
        """The buffer that was written last, while it lives."""
        self.dispatched: list[tuple[Signature, tuple[LiveBuffer, ...]]] = []
        self.scalars: dict[Parameters, tuple[int | float, ...]] = {}
        """The scalars that were passed last, by their types."""
        self.dispatches = 0
        self.orphan: Dispatch | None = None
        """The last dispatch over a buffer that has been freed since."""
        self.wide_grid: Grid | None = None
        """A grid past the limit in a dimension that was given to a guarded kernel."""
        self.graphs: list[DraftedGraph] = []
        self.refused_graphs: list[str] = []
        """Names of graphs whose capture was refused on purpose."""
        self._captured: list[Step] | None = None
        """The steps of the open capture; None outside one."""
        self._last_write: tuple[LiveBuffer, Write] | None = None
        self._allocated_bytes = 0
        self._buffers = 0
        self._reads = 0
        self._writes = 0
        self._graphs = 0
        self._real_dispatches = 0

    @property
    def room_bytes(self) -> int:
        """The largest buffer that may be allocated now."""
        most = self.limits.max_buffer_bytes
        budget = self.limits.memory_budget_bytes
        return most if budget is None else min(most, budget - self._allocated_bytes)

    @property
    def floats_allowed(self) -> bool:
        return self._real_dispatches < _MOST_REAL_DISPATCHES

    def new_name(self) -> str:
        """A buffer name that the program has not used."""
        turn, letter = divmod(self._buffers, len(_LETTERS))
        self._buffers += 1
        return _LETTERS[letter] + (str(turn) if turn else "")

    def new_result(self) -> str:
        """A result name that the program has not used."""
        self._reads += 1
        return f"r{self._reads - 1}"

    def next_data(self, size_bytes: int, real: bool = False) -> bytes:
        """Data that no other write of the program carries."""
        self._writes += 1
        return (nonce_floats if real else nonce_bytes)(self._writes - 1, size_bytes)

    def alloc(self, size_bytes: int, real: bool) -> LiveBuffer:
        buffer = LiveBuffer(self.new_name(), size_bytes, real)
        self.ops.append(Alloc(buffer=buffer.name, size_bytes=size_bytes))
        self.live.append(buffer)
        self._allocated_bytes += size_bytes
        return buffer

    def write(self, buffer: LiveBuffer, offset: int, size_bytes: int) -> None:
        data = self.next_data(size_bytes, buffer.real)
        op = Write(buffer=buffer.name, offset=offset, data=data)
        self._last_write = buffer, op
        self.ops.append(op)
        self._wrote(buffer, offset, size_bytes)

    @property
    def can_repeat(self) -> bool:
        """Whether there was a write, and its buffer is alive."""
        return self._last_write is not None

    def repeat(self) -> None:
        """The last write once more, with the same bytes."""
        if self._last_write is not None:
            buffer, op = self._last_write
            self.ops.append(op)
            self._wrote(buffer, op.offset, len(op.data))

    def copy(
        self,
        source: LiveBuffer,
        source_offset: int,
        target: LiveBuffer,
        target_offset: int,
        size_bytes: int,
    ) -> None:
        op = Copy(
            source=source.name,
            source_offset=source_offset,
            target=target.name,
            target_offset=target_offset,
            size_bytes=size_bytes,
        )
        self._command(Step(command=op, buffers=(source, target)))

    def dispatch(
        self,
        signature: Signature,
        buffers: tuple[LiveBuffer, ...],
        scalars: tuple[int | float, ...],
        grid: Grid,
    ) -> None:
        names = tuple([buffer.name for buffer in buffers])
        op = Dispatch(kernel=signature.name, buffers=names, scalars=scalars, grid=grid)
        self._command(Step(command=op, buffers=buffers, signature=signature))
        self.dispatched.append((signature, buffers))
        self.scalars[signature.parameters] = scalars
        if max(grid) > self.limits.max_groups_per_dimension:
            self.wide_grid = grid

    def begin_capture(self) -> None:
        """Dispatches and copies from here on are captured."""
        self._captured = []

    def end_capture(self) -> tuple[Step, ...]:
        """The steps since ``begin_capture``; no op was appended for them."""
        steps, self._captured = tuple(self._captured or ()), None
        return steps

    def capture(self, steps: tuple[Step, ...]) -> None:
        graph = DraftedGraph(name=self.new_graph(), steps=steps)
        self.ops.append(Capture(graph=graph.name, commands=tuple([step.command for step in steps])))
        self.graphs.append(graph)

    def new_graph(self) -> str:
        """A graph name that the program has not used."""
        self._graphs += 1
        return f"g{self._graphs - 1}"

    def replay(
        self,
        graph: DraftedGraph,
        scalars: tuple[tuple[int | float, ...] | None, ...] | None,
        swaps: Mapping[LiveBuffer, LiveBuffer],
    ) -> None:
        bindings = tuple((old.name, new.name) for old, new in swaps.items())
        self.ops.append(Replay(graph=graph.name, scalars=scalars, bindings=bindings))
        for step in graph.steps:
            self._ran(step, tuple(swaps.get(buffer, buffer) for buffer in step.buffers))

    def read(self, buffer: LiveBuffer, offset: int, size_bytes: int) -> None:
        self.ops.append(
            Read(buffer=buffer.name, offset=offset, size_bytes=size_bytes, result=self.new_result())
        )

    def free(self, buffer: LiveBuffer) -> None:
        over = (op for op in reversed(self.ops) if isinstance(op, Dispatch))
        self.orphan = next((op for op in over if buffer.name in op.buffers), self.orphan)
        self.ops.append(Free(buffer=buffer.name))
        self.live.remove(buffer)
        self.freed.append(buffer.name)
        self._allocated_bytes -= buffer.size_bytes
        if self.recent is buffer:
            self.recent = None
        if self._last_write and self._last_write[0] is buffer:
            self._last_write = None
        self.dispatched = [entry for entry in self.dispatched if buffer not in entry[1]]

    def flush(self) -> None:
        self.ops.append(Flush())

    def sync(self) -> None:
        self.ops.append(Sync())

    def take_dispatch_number(self) -> int:
        """The number of the next dispatch, for its scalars."""
        self.dispatches += 1
        return self.dispatches - 1

    def bindable(self, real: bool) -> Sequence[LiveBuffer]:
        """The live buffers that a kernel may bind, of one class of contents."""
        most = self.limits.max_binding_bytes
        return [
            buffer
            for buffer in self.live
            if buffer.real is real and WORD_BYTES <= buffer.size_bytes <= most
        ]

    def _command(self, step: Step) -> None:
        """Append a command, or capture it."""
        if self._captured is not None:
            self._captured.append(step)
            return
        self.ops.append(step.command)
        self._ran(step, step.buffers)

    def _ran(self, step: Step, buffers: Sequence[LiveBuffer]) -> None:
        """Note what a command did over ``buffers``."""
        if isinstance(step.command, Copy):
            self._wrote(buffers[1], step.command.target_offset, step.command.size_bytes)
        elif step.signature is not None:
            for buffer, written in zip(buffers, step.signature.written, strict=True):
                if written:
                    self._wrote(buffer, 0, buffer.size_bytes // WORD_BYTES * WORD_BYTES)
            self._real_dispatches += step.signature.real

    def _wrote(self, buffer: LiveBuffer, offset: int, size_bytes: int) -> None:
        buffer.writers += 1
        buffer.written_offset = offset
        buffer.written_bytes = size_bytes
        self.recent = buffer
