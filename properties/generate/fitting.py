"""Fits programs to a target's promises.

Programs are drawn for the whole contract.  Fitting rounds numbers to the granularity, folds grids
into fewer dimensions, and leaves out what is not promised.  Ops stay inside their buffers, and a
program that already fits is not changed.  A program that the shrinker changed may ask for something
that is not promised, so it is checked again before it runs.  Nothing here is drawn.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from gpusim.kernels import Kernel
from gpusim.limits import WORD_BYTES, Limits
from gpusim.ops import (
    VERBS,
    Alloc,
    AnyDispatch,
    Bound,
    Capture,
    Command,
    Copy,
    Dispatch,
    DispatchIndirect,
    Grid,
    Op,
    Read,
    Replay,
    Scalars,
    Write,
)
from gpusim.program import Program, buffers_of, inlined, replayed
from properties.generate.floats import (
    has_special_floats,
    ordinary_data,
    ordinary_scalars,
    real_buffers,
)
from properties.model.capabilities import Capabilities, Refusal
from reference import Reference, ReferenceDelivery
from reference import run as run_reference
from reference.memory import Block


def fitted(
    program: Program, capabilities: Capabilities, kernels: Mapping[str, Kernel], limits: Limits
) -> Program:
    """``program``, fitted to ``capabilities``."""
    fitting = _Fitting(program, capabilities, kernels, limits)
    ops = [op for each in program for op in fitting.of(each)]
    return _without_unasked(Program(tuple(ops)), capabilities, kernels, limits)


def is_within_capabilities(
    program: Program, capabilities: Capabilities, kernels: Mapping[str, Kernel], limits: Limits
) -> bool:
    """Whether ``program`` asks for nothing that is not promised."""
    return first_beyond(program, capabilities, kernels, limits) is None


def first_beyond(
    program: Program, capabilities: Capabilities, kernels: Mapping[str, Kernel], limits: Limits
) -> int | None:
    """The position of the first op that asks for what is not promised; None if no op does."""
    fitting = _Fitting(program, capabilities, kernels, limits)
    for position, op in enumerate(program):
        if list(fitting.of(op)) != [op]:
            return position
    asked = _without_unasked(program, capabilities, kernels, limits)
    if asked == program:
        return None
    both = zip(program, asked, strict=False)
    return next((at for at, (op, other) in enumerate(both) if op != other), len(asked))


def _without_unasked(
    program: Program, capabilities: Capabilities, kernels: Mapping[str, Kernel], limits: Limits
) -> Program:
    """The program without ops whose refusal is not promised, and without ops that depend on them.

    Indirect dispatches over an unknown or large grid are also left out.  The generator draws no
    such dispatch, but a change of the program may change the bytes of a grid.
    """
    has_grids = any(isinstance(op, DispatchIndirect) for op in inlined(program))
    if Refusal.NOT_ASKED not in capabilities.refusals and not has_grids:
        return program
    while True:
        kept = _asked(program, capabilities, kernels, limits)
        if not has_grids or kept == program:
            return kept
        # The ops that were left out may have written the grid of a later dispatch: look again.
        program = kept


def _asked(
    program: Program, capabilities: Capabilities, kernels: Mapping[str, Kernel], limits: Limits
) -> Program:
    grids = _Grids(kernels, limits)
    meant = run_reference(program, kernels, limits, make=lambda *_: grids)
    gone: set[str] = set()
    kept: list[Op] = []
    for position, (op, outcome) in enumerate(zip(program, meant.outcomes, strict=True)):
        is_asked = outcome.error is None or capabilities.refusal(outcome.error).is_asked
        if is_asked and position not in grids.wild and gone.isdisjoint(_names(op)):
            kept.append(op)
        else:
            gone.update(_introduced(op))
    return Program(tuple(kept))


class _Grids(Reference):
    """A reference that notes the ops which read a grid that is unknown or large."""

    def __init__(self, kernels: Mapping[str, Kernel], limits: Limits) -> None:
        super().__init__(kernels, limits)
        self.wild: set[int] = set()
        self._position = -1
        self._is_replaying = False

    def perform(self, op: Op) -> ReferenceDelivery | None:
        """See ``Reference``."""
        # The commands of a replay are no ops of the program.
        self._position += not self._is_replaying
        return super().perform(op)

    def replay(
        self,
        graph: str,
        scalars: Sequence[Scalars | None] | None,
        bindings: Sequence[tuple[str, str]],
    ) -> None:
        """See ``Reference``."""
        self._is_replaying = True
        try:
            super().replay(graph, scalars, bindings)
        finally:
            self._is_replaying = False

    def grid_in(self, block: Block, offset: int) -> Grid | None:
        """See ``Reference``."""
        grid = super().grid_in(block, offset)
        if grid is None or not self._is_small(grid):
            self.wild.add(self._position)
        return grid

    def _is_small(self, grid: Grid) -> bool:
        most = self.limits.max_groups_per_dimension
        if 0 in grid or max(grid) >= _NO_DEVICE_RUNS:
            return True
        return max(grid) <= most and math.prod(grid) <= _MOST_SMALL_GROUPS


_NO_DEVICE_RUNS = 2**24
"""No device has so many workgroups in a dimension: it runs no workgroup of such a grid."""
_MOST_SMALL_GROUPS = 1 << 16


def _dispatches(capture: Capture) -> int:
    return sum(isinstance(command, AnyDispatch) for command in capture.commands)


def _names(op: Op) -> tuple[str, ...]:
    graph = (op.graph,) if isinstance(op, Replay) else ()
    return (*buffers_of(op), *graph)


def _introduced(op: Op) -> tuple[str, ...]:
    name = VERBS[type(op)].makes
    return (getattr(op, name),) if name else ()


class _Fitting:
    """Fits the ops of a program one after another.

    It keeps each capture and the size of each buffer, as drawn and as fitted.
    """

    def __init__(
        self,
        program: Program,
        capabilities: Capabilities,
        kernels: Mapping[str, Kernel],
        limits: Limits,
    ) -> None:
        self._promised = capabilities
        self._has_special = has_special_floats(capabilities.special_floats, kernels)
        self._reals = frozenset() if self._has_special else real_buffers(program, kernels)
        """The buffers whose floats must be ordinary."""
        self._kernels = kernels
        self._limits = limits
        self._sizes: dict[str, tuple[int, int]] = {}
        self._captures: dict[str, tuple[Capture, Capture]] = {}

    def of(self, op: Op) -> Iterator[Op]:
        """The fitted op, or nothing."""
        match op:
            case Alloc():
                size_bytes = self._size(op.size_bytes)
                self._sizes[op.buffer] = op.size_bytes, size_bytes
                yield replace(op, size_bytes=size_bytes)
            case Write():
                yield from self._write(op)
            case Read():
                yield from self._read(op)
            case Capture():
                captured = replace(op, commands=tuple(self._commands(op)))
                # A replay has scalars for each dispatch of its capture.  So a capture that lost
                # a dispatch is left out.
                if self._promised.replays and _dispatches(captured) == _dispatches(op):
                    self._captures[op.graph] = op, captured
                    yield captured
            case Replay():
                yield from self._replay(op)
            case Copy() | Dispatch() | DispatchIndirect():
                yield from self._command(op)
            case _:
                yield op

    def _size(self, size_bytes: int) -> int:
        unit = self._promised.buffer_size_bytes
        if size_bytes < 0 or size_bytes > self._limits.max_buffer_bytes:
            # The alloc is refused on purpose, and stays so.
            return -(-size_bytes // unit) * unit if size_bytes > 0 else size_bytes // unit * unit
        return self._amount(size_bytes, unit)

    def _amount(self, size_bytes: int, unit: int) -> int:
        if size_bytes == 0 and self._promised.empty_ops:
            return 0
        return size_bytes // unit * unit or unit

    def _write(self, op: Write) -> Iterator[Write]:
        units = self._promised.write_offset_bytes, self._promised.write_size_bytes
        span = self._span([(op.buffer, op.offset)], len(op.data), units)
        if span is not None:
            (offset,), size_bytes = span
            data = op.data.ljust(size_bytes)[:size_bytes]
            if op.buffer in self._reals:
                data = ordinary_data(offset, data)
            if not self._cuts_floats(op.buffer, len(op.data), size_bytes):
                yield replace(op, offset=offset, data=data)

    def _read(self, op: Read) -> Iterator[Read]:
        units = self._promised.read_offset_bytes, self._promised.read_size_bytes
        span = self._span([(op.buffer, op.offset)], op.size_bytes, units)
        if span is not None:
            (offset,), size_bytes = span
            yield replace(op, offset=offset, size_bytes=size_bytes)

    def _command(self, op: Command) -> Iterator[Command]:
        if isinstance(op, AnyDispatch):
            yield from self._dispatch(op)
            return
        units = self._promised.copy_offset_bytes, self._promised.copy_size_bytes
        places = [(op.source, op.source_offset), (op.target, op.target_offset)]
        span = self._span(places, op.size_bytes, units)
        if span is None:
            return
        (source, target), size_bytes = span
        copy = replace(op, source_offset=source, target_offset=target, size_bytes=size_bytes)
        if self._may_copy(copy) and not self._cuts_floats(op.target, op.size_bytes, size_bytes):
            yield copy

    def _may_run(self, kernel: str) -> bool:
        """Whether the target promises to run the kernel.

        A target that promises no kernel by name runs all but those that have an ``operation``.
        """
        named = self._promised.kernels
        return kernel in named if named else self._kernels[kernel].operation is None

    def _cuts_floats(self, buffer: str, drawn_bytes: int, size_bytes: int) -> bool:
        """Whether an empty op grew to one that changes only some bytes of a float."""
        return not drawn_bytes and size_bytes % WORD_BYTES > 0 and buffer in self._reals

    def _dispatch(self, op: AnyDispatch) -> Iterator[Command]:
        promised = self._promised
        has_parts = not all(isinstance(bound, str) for bound in op.buffers)
        if not self._may_run(op.kernel):
            return
        if has_parts and not promised.parts:
            return
        fitted = replace(op, scalars=self._scalars(op.scalars, op.kernel))
        if has_parts:
            fitted = replace(fitted, buffers=tuple(map(self._bound, op.buffers)))
        if isinstance(fitted, Dispatch):
            yield replace(fitted, grid=self._grid(fitted))
        elif promised.indirect:
            yield fitted

    def _bound(self, bound: Bound) -> Bound:
        """``bound``; the size of a part is rounded down to the unit of buffer sizes."""
        if isinstance(bound, str):
            return bound
        unit = self._promised.buffer_size_bytes
        return bound._replace(size_bytes=bound.size_bytes // unit * unit)

    def _commands(self, capture: Capture) -> Iterator[Command]:
        # A copy that is too small is left out, not enlarged: a replay may use other buffers, which
        # may lack the room.
        smallest = 1 if self._promised.empty_ops else 0
        too_small = range(smallest, self._promised.copy_size_bytes)
        for command in capture.commands:
            if isinstance(command, AnyDispatch) or command.size_bytes not in too_small:
                yield from self._command(command)

    def _replay(self, op: Replay) -> Iterator[Op]:
        drawn, capture = self._captures.get(op.graph, (None, None))
        if drawn is None or capture is None:
            return
        commands = replayed(capture, op)
        if any(isinstance(each, Copy) and not self._may_copy(each) for each in commands):
            return
        # A binding for a buffer that is no longer captured would be refused.
        gone = {*buffers_of(drawn)} - {*buffers_of(capture)}
        yield replace(
            op,
            bindings=tuple(pair for pair in op.bindings if pair[0] not in gone),
            scalars=self._entries(capture, op),
        )

    def _entries(self, capture: Capture, op: Replay) -> tuple[Scalars | None, ...] | None:
        """The scalars of a replay, an entry for each dispatch of its capture."""
        kernels = [each.kernel for each in capture.commands if isinstance(each, AnyDispatch)]
        if op.scalars is None or len(op.scalars) != len(kernels):
            return op.scalars
        pairs = zip(op.scalars, kernels, strict=True)
        return tuple(None if one is None else self._scalars(one, name) for one, name in pairs)

    def _scalars(self, scalars: Scalars, kernel: str) -> Scalars:
        if self._has_special:
            return scalars
        return ordinary_scalars(scalars, kernel, self._kernels)

    def _may_copy(self, copy: Copy) -> bool:
        if copy.source != copy.target:
            return True
        apart = abs(copy.source_offset - copy.target_offset) >= copy.size_bytes
        return self._promised.copies_within if apart else self._promised.overlapping_copies

    def _grid(self, op: Dispatch) -> Grid:
        if min(op.grid) < 0:
            return op.grid
        x, y, z = op.grid
        # Folding keeps the number of workgroups.  Most kernels depend on nothing else of a grid.
        folded = ((x * y * z, 1, 1), (x, y * z, 1), op.grid)
        grid = folded[self._promised.grid_dimensions - 1]
        if self._promised.spreads_grids or not self._kernels[op.kernel].guarded:
            return grid
        most = self._limits.max_groups_per_dimension
        return min(grid[0], most), min(grid[1], most), min(grid[2], most)

    def _span(
        self, places: list[tuple[str, int]], size_bytes: int, units: tuple[int, int]
    ) -> tuple[list[int], int] | None:
        """Returns offsets and a size, rounded to ``units``.

        None if a buffer is too small for a size of one unit.
        """
        offset_unit, size_unit = units
        sizes = [self._sizes.get(buffer, (-1, -1)) for buffer, _ in places]
        is_within = size_bytes >= 0 and all(
            0 <= offset <= drawn - size_bytes
            for (_, offset), (drawn, _) in zip(places, sizes, strict=True)
        )
        room = min(new for _, new in sizes)
        size = self._amount(min(size_bytes, room) if is_within else size_bytes, size_unit)
        if is_within and size > room:
            return None
        offsets = []
        for (_, offset), (_, new) in zip(places, sizes, strict=True):
            at = min(offset, new - size) if is_within else offset
            offsets.append(at // offset_unit * offset_unit)
        return offsets, size
