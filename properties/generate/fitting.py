"""Fits programs to a target's promises.

Programs are drawn for the whole contract.  Fitting rounds numbers to the granularity, folds grids
into fewer dimensions, and leaves out what is not promised.  Ops stay inside their buffers, and a
program that fits already is unchanged.  A smaller or changed program may ask for more, so it is
checked again.  Nothing here is drawn.
"""

from collections.abc import Iterator
from dataclasses import replace

from gpusim.kernels import Kernels
from gpusim.limits import Limits
from gpusim.ops import Alloc, Capture, Command, Copy, Dispatch, Grid, Op, Read, Replay, Write
from gpusim.program import Program, buffers_of, replayed
from properties.model.capabilities import Capabilities, Refusal
from reference import run as run_reference


def fitted(
    program: Program, capabilities: Capabilities, kernels: Kernels, limits: Limits
) -> Program:
    """``program``, fitted to ``capabilities``."""
    fitting = _Fitting(capabilities, kernels, limits)
    ops = [op for each in program for op in fitting.of(each)]
    return _without_unasked(Program(tuple(ops)), capabilities, kernels, limits)


def is_within_capabilities(
    program: Program, capabilities: Capabilities, kernels: Kernels, limits: Limits
) -> bool:
    """Whether ``program`` asks for no more than is promised."""
    fitting = _Fitting(capabilities, kernels, limits)
    fits = all(list(fitting.of(op)) == [op] for op in program)
    return fits and _without_unasked(program, capabilities, kernels, limits) == program


def _without_unasked(
    program: Program, capabilities: Capabilities, kernels: Kernels, limits: Limits
) -> Program:
    """The program without ops whose refusal is not promised, and without those that need them."""
    if Refusal.NOT_ASKED not in capabilities.refusals:
        return program
    meant = run_reference(program, kernels, limits)
    gone: set[str] = set()
    kept: list[Op] = []
    for op, outcome in zip(program, meant.outcomes, strict=True):
        asked = outcome.error is None or (
            capabilities.refusal(outcome.error) is not Refusal.NOT_ASKED
        )
        if asked and gone.isdisjoint(_names(op)):
            kept.append(op)
        else:
            gone.update(_made(op))
    return Program(tuple(kept))


def _names(op: Op) -> tuple[str, ...]:
    graph = (op.graph,) if isinstance(op, Replay) else ()
    return (*buffers_of(op), *graph)


def _made(op: Op) -> tuple[str, ...]:
    match op:
        case Alloc():
            return (op.buffer,)
        case Capture():
            return (op.graph,)
    return ()


class _Fitting:
    """Fits op after op; knows the buffers' drawn and fitted sizes, and the captures."""

    def __init__(self, capabilities: Capabilities, kernels: Kernels, limits: Limits) -> None:
        self._promised = capabilities
        self._kernels = kernels
        self._limits = limits
        self._sizes: dict[str, tuple[int, int]] = {}
        self._captures: dict[str, Capture] = {}

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
                self._captures[op.graph] = captured
                if self._promised.replays:
                    yield captured
            case Replay():
                yield from self._replay(op)
            case Copy() | Dispatch():
                yield from self._command(op)
            case _:
                yield op

    def _size(self, size_bytes: int) -> int:
        unit = self._promised.buffer_size_bytes
        if size_bytes < 0 or size_bytes > self._limits.max_buffer_bytes:
            # Too large on purpose; it stays so.
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
            yield replace(op, offset=offset, data=op.data.ljust(size_bytes)[:size_bytes])

    def _read(self, op: Read) -> Iterator[Read]:
        units = self._promised.read_offset_bytes, self._promised.read_size_bytes
        span = self._span([(op.buffer, op.offset)], op.size_bytes, units)
        if span is not None:
            (offset,), size_bytes = span
            yield replace(op, offset=offset, size_bytes=size_bytes)

    def _command(self, op: Command) -> Iterator[Command]:
        if isinstance(op, Dispatch):
            if not self._promised.kernels or op.kernel in self._promised.kernels:
                yield replace(op, grid=self._grid(op))
            return
        units = self._promised.copy_offset_bytes, self._promised.copy_size_bytes
        places = [(op.source, op.source_offset), (op.target, op.target_offset)]
        span = self._span(places, op.size_bytes, units)
        if span is None:
            return
        (source, target), size_bytes = span
        copy = replace(op, source_offset=source, target_offset=target, size_bytes=size_bytes)
        if self._may_copy(copy):
            yield copy

    def _commands(self, capture: Capture) -> Iterator[Command]:
        least = self._promised.copy_size_bytes
        for command in capture.commands:
            # Smaller ones cannot be rounded up here: a replay may use smaller buffers.
            if isinstance(command, Dispatch) or command.size_bytes >= least:
                yield from self._command(command)

    def _replay(self, op: Replay) -> Iterator[Op]:
        capture = self._captures[op.graph]
        commands = replayed(capture, op)
        if not self._promised.replays:
            return
        if any(isinstance(each, Copy) and not self._may_copy(each) for each in commands):
            return
        # Replacing a buffer that the capture no longer names would be refused.
        names = buffers_of(capture)
        yield replace(op, bindings=tuple(pair for pair in op.bindings if pair[0] in names))

    def _may_copy(self, copy: Copy) -> bool:
        if copy.source != copy.target:
            return True
        apart = abs(copy.source_offset - copy.target_offset) >= copy.size_bytes
        return self._promised.copies_within if apart else self._promised.overlapping_copies

    def _grid(self, op: Dispatch) -> Grid:
        if min(op.grid) < 0:
            return op.grid
        x, y, z = op.grid
        # A kernel knows the number of workgroups, and not their arrangement.
        folded = ((x * y * z, 1, 1), (x, y * z, 1), op.grid)
        grid = folded[self._promised.grid_dimensions - 1]
        if self._promised.spreads_grids or not self._kernels[op.kernel].guarded:
            return grid
        most = self._limits.max_groups_per_dimension
        return min(grid[0], most), min(grid[1], most), min(grid[2], most)

    def _span(
        self, places: list[tuple[str, int]], size_bytes: int, units: tuple[int, int]
    ) -> tuple[list[int], int] | None:
        """Offsets and a size in these units; None where the buffers are too small for one."""
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
