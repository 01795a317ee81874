"""The unfinished program: its ops so far, and the buffers that they leave alive.

Bookkeeping only: methods append ops and note what the ops change.  ``moves``
and ``mistakes`` decide what to append.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

from gpusim.limits import WORD_BYTES, Limits
from gpusim.ops import (
    GRID_BYTES,
    Alloc,
    AnyDispatch,
    Bound,
    Capture,
    Command,
    Copy,
    Dispatch,
    DispatchIndirect,
    Flush,
    Free,
    Grid,
    Op,
    Part,
    Read,
    Replay,
    Sync,
    Write,
)
from gpusim.program import buffers_of
from properties.generate.operands import (
    Parameters,
    Signature,
    filling,
    nonce_bytes,
    nonce_floats,
    with_extremes,
)

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_MOST_REAL_DISPATCHES = 24
"""The most float dispatches; with more, tolerances would add up too far, or exponents overflow."""


@dataclass(slots=True, eq=False)
class LiveBuffer:
    """A buffer as the draft sees it."""

    name: str
    size_bytes: int
    real: bool
    """Whether the buffer holds floats, which are aligned, finite and normal."""
    counts: bool = True
    """Whether each whole word may be part of a grid on the GPU; a new buffer's zeros may."""
    writers: int = 0
    written_offset: int = 0
    written_bytes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A command, the buffers that it names, and its kernel's signature (None for a copy)."""

    command: Command
    buffers: tuple[LiveBuffer, ...]
    signature: Signature | None = None

    @property
    def spans(self) -> list[tuple[int, int]]:
        """The offset and size of what is bound of each buffer; size -1 means the whole buffer."""
        if isinstance(self.command, Copy):
            return []
        bound = self.command.buffers
        return [(0, -1) if isinstance(one, str) else (one.offset, one.size_bytes) for one in bound]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DraftedGraph:
    """A graph that the program has captured."""

    name: str
    steps: tuple[Step, ...]

    @property
    def buffers(self) -> list[LiveBuffer]:
        """The buffers that the commands of the graph name, each once."""
        return list(dict.fromkeys(buffer for step in self.steps for buffer in step.buffers))


Spans = Sequence[tuple[int, int] | None]
"""An offset and a size for each buffer that a dispatch binds; None for a whole buffer."""


def _bound(buffers: Sequence[LiveBuffer], spans: Spans | None) -> tuple[Bound, ...]:
    if spans is None:
        return tuple([buffer.name for buffer in buffers])
    pairs = zip(buffers, spans, strict=True)
    return tuple([one.name if span is None else Part(one.name, *span) for one, span in pairs])


def is_in_words(op: Copy) -> bool:
    """Whether a copy moves whole words to whole words."""
    numbers = op.source_offset, op.target_offset, op.size_bytes
    return not any(number % WORD_BYTES for number in numbers)


class Draft:
    """Ops, the buffers alive after them, and the counters that make operands distinct."""

    def __init__(
        self,
        limits: Limits,
        *,
        indirect: bool = True,
        parts: bool = True,
        failing: bool = False,
        palette: Sequence[int] = (),
    ) -> None:
        self.limits = limits
        self.palette = palette
        """The sizes of most buffers; if empty, each buffer has a size of its own."""
        self.indirect, self.parts = indirect, parts
        """Whether a grid may be read on the GPU, and whether parts of buffers may be bound."""
        self._failing = failing
        self.ops: list[Op] = []
        self.live: list[LiveBuffer] = []
        self.freed: list[str] = []
        self.recent: LiveBuffer | None = None
        """The buffer that was written last, while it lives."""
        self.dispatched: list[tuple[Signature, tuple[LiveBuffer, ...]]] = []
        self.scalars: dict[Parameters, tuple[int | float, ...]] = {}
        """The scalars that were passed last, by their types."""
        self.dispatches = 0
        self.orphan: AnyDispatch | None = None
        """The last dispatch over a buffer that has been freed since."""
        self.wide_grid: Grid | None = None
        """A grid past the limit in a dimension, which a guarded kernel was given."""
        self.graphs: list[DraftedGraph] = []
        self.replayed: tuple[DraftedGraph, tuple[tuple[str, str], ...]] | None = None
        """The graph that was replayed last, and its bindings."""
        self.refused_graphs: list[str] = []
        """Names of graphs whose capture was refused on purpose."""
        self._captured: list[Step] | None = None
        """The steps of the capture that is being drafted."""
        self._last_write: tuple[LiveBuffer, Write, bool] | None = None
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
        """Usually data that no other write of the program carries; floats if ``real``.

        If not ``real``, every eighth write has extreme words, and one in twelve repeats one or two
        words to its end, like a write that resets a buffer.
        """
        self._writes += 1
        data = (nonce_floats if real else nonce_bytes)(self._writes - 1, size_bytes)
        if not real and self._writes % 12 == 5:
            return filling(self._writes // 12, size_bytes)
        return data if real or self._writes % 8 else with_extremes(self._writes // 8, data)

    def alloc(self, size_bytes: int, real: bool) -> LiveBuffer:
        buffer = LiveBuffer(self.new_name(), size_bytes, real)
        self.ops.append(Alloc(buffer=buffer.name, size_bytes=size_bytes))
        self.live.append(buffer)
        self._allocated_bytes += size_bytes
        return buffer

    def write(self, buffer: LiveBuffer, offset: int, size_bytes: int) -> None:
        self._write(buffer, offset, self.next_data(size_bytes, buffer.real))

    def write_counts(self, buffer: LiveBuffer, offset: int, data: bytes) -> None:
        """Write whole words that can serve as a grid on the GPU."""
        self._write(buffer, offset, data, counts=True)

    @property
    def is_capturing(self) -> bool:
        """Whether a capture is being drafted: then only commands may come."""
        return self._captured is not None

    @property
    def can_repeat(self) -> bool:
        """Whether there was a write whose buffer is still alive."""
        return self._last_write is not None

    def repeat(self) -> None:
        """Repeat the last write, with the same bytes."""
        if self._last_write is not None:
            buffer, op, counts = self._last_write
            self.ops.append(op)
            self._wrote(buffer, op.offset, len(op.data), counts=counts)

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
        spans: Spans | None = None,
    ) -> None:
        """``spans``: the bytes to bind of each buffer; None binds whole buffers."""
        bound = _bound(buffers, spans)
        op = Dispatch(kernel=signature.name, buffers=bound, scalars=scalars, grid=grid)
        self._dispatched(Step(command=op, buffers=buffers, signature=signature), scalars)
        if max(grid) > self.limits.max_groups_per_dimension:
            self.wide_grid = grid

    def dispatch_indirect(
        self,
        signature: Signature,
        buffers: tuple[LiveBuffer, ...],
        scalars: tuple[int | float, ...],
        counts: LiveBuffer,
        offset: int,
        spans: Spans | None = None,
    ) -> None:
        op = DispatchIndirect(
            kernel=signature.name,
            buffers=_bound(buffers, spans),
            scalars=scalars,
            counts=counts.name,
            offset=offset,
        )
        step = Step(command=op, buffers=(*buffers, counts), signature=signature)
        self._dispatched(step, scalars)

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
        self.replayed = graph, bindings
        for step in graph.steps:
            self._ran(step, tuple(swaps.get(buffer, buffer) for buffer in step.buffers))

    def read(self, buffer: LiveBuffer, offset: int, size_bytes: int) -> None:
        self.ops.append(
            Read(buffer=buffer.name, offset=offset, size_bytes=size_bytes, result=self.new_result())
        )

    def free(self, buffer: LiveBuffer) -> None:
        over = (op for op in reversed(self.ops) if isinstance(op, AnyDispatch))
        self.orphan = next((op for op in over if buffer.name in buffers_of(op)), self.orphan)
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
        """The live buffers that a kernel may bind: with floats if ``real``, else without."""
        most = self.limits.max_binding_bytes
        return [
            buffer
            for buffer in self.live
            if buffer.real is real and WORD_BYTES <= buffer.size_bytes <= most
        ]

    def counting(self) -> Sequence[LiveBuffer]:
        """The live buffers that a grid may be read from."""
        pool = [one for one in self.live if one.counts and not one.real]
        return [one for one in pool if one.size_bytes >= GRID_BYTES]

    def _write(self, buffer: LiveBuffer, offset: int, data: bytes, *, counts: bool = False) -> None:
        op = Write(buffer=buffer.name, offset=offset, data=data)
        self._last_write = buffer, op, counts
        self.ops.append(op)
        self._wrote(buffer, offset, len(data), counts=counts)

    def _dispatched(self, step: Step, scalars: tuple[int | float, ...]) -> None:
        assert step.signature is not None
        self._command(step)
        buffers = step.buffers[: len(step.signature.written)]
        if not any(buffers.count(one) > 1 for one in compress(buffers, step.signature.written)):
            # A dispatch that binds a buffer twice, and writes it, binds two parts of the buffer.
            # Repeated over whole buffers, it would be refused.
            self.dispatched.append((step.signature, buffers))
        self.scalars[step.signature.parameters] = scalars

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
            self._copied(step.command, *buffers)
        elif step.signature is not None:
            signature = step.signature
            spans = zip(buffers, step.spans, signature.written, strict=False)
            for buffer, (offset, size_bytes), written in spans:
                if written:
                    reach = buffer.size_bytes if size_bytes < 0 else size_bytes
                    words = reach // WORD_BYTES * WORD_BYTES
                    # Words that the kernel does not reach must be usable in a grid as well.
                    counts = signature.counts and buffer.counts
                    self._wrote(buffer, offset, words, counts=counts)
            self._real_dispatches += signature.real

    def _copied(self, op: Copy, source: LiveBuffer, target: LiveBuffer) -> None:
        counts = source.counts and is_in_words(op)
        self._wrote(target, op.target_offset, op.size_bytes, counts=counts)

    def _wrote(
        self, buffer: LiveBuffer, offset: int, size_bytes: int, *, counts: bool = False
    ) -> None:
        is_whole = offset == 0 and size_bytes >= buffer.size_bytes // WORD_BYTES * WORD_BYTES
        # If the write may fail, the words before it must be usable in a grid as well.
        buffer.counts = counts and (buffer.counts or (is_whole and not self._failing))
        buffer.writers += 1
        buffer.written_offset = offset
        buffer.written_bytes = size_bytes
        self.recent = buffer
