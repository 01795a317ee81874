"""Mistakes with grids that the GPU reads, and with parts of buffers."""

from collections.abc import Hashable, Sequence
from typing import Any

from gpusim.runtime.batch import FlushReason
from gpusim.runtime.buffers import Bound, BufferPart, BufferTable
from gpusim.runtime.commands import (
    DispatchCommand,
    GridAt,
    Range,
    RecordedCommand,
)
from gpusim.runtime.graph import DispatchCall, GridIn
from gpusim.runtime.plans import DispatchPlan, Plans
from gpusim.runtime.recorder import Recorder
from gpusim.runtime.replays import BoundGraph, Replays
from properties.mutants.mistakes.caches import KeyedPlans
from properties.mutants.mistakes.recorder import StepwiseRecorder
from properties.mutants.mutant import Overlay, mutant


@mutant(part="recorder")
class WriteOvertakesGrid(StepwiseRecorder):
    """A dispatch does not count as touching its grid, so a host write may overtake it."""

    def _record_dispatch(self, command: DispatchCommand, plan: DispatchPlan) -> None:
        plan.touches = plan.ranges
        super()._record_dispatch(command, plan)


@mutant(part="recorder")
class GridReadFirst(Recorder):
    """A batch runs its indirect dispatches first, before the commands that write their grids."""

    def submit(self, reason: FlushReason) -> None:
        self._batch.commands.sort(key=lambda command: not _is_indirect(command))
        super().submit(reason)


@mutant(part="recorder", hard=True)
class GridOfTheFirst(StepwiseRecorder):
    """Indirect dispatches in a row all run over the grid of the first."""

    def _record_dispatch(self, command: DispatchCommand, plan: DispatchPlan) -> None:
        last = self._batch.commands[-1] if self._batch.commands else None
        if isinstance(last, DispatchCommand) and _is_indirect(last) and _is_indirect(command):
            command = command._replace(groups=last.groups)
        super()._record_dispatch(command, plan)


class _Grids(Overlay):
    """A driver that reads each grid where a subclass says."""

    def encode(self, commands: Sequence[RecordedCommand], label: str, *, merge_passes: bool) -> Any:
        changed = [
            command._replace(groups=self._place(command.groups))
            if isinstance(command, DispatchCommand) and isinstance(command.groups, GridAt)
            else command
            for command in commands
        ]
        return self._inner.encode(changed, label, merge_passes=merge_passes)

    def _place(self, place: GridAt) -> GridAt:
        raise NotImplementedError


@mutant(part="driver")
class GridOffsetIgnored(_Grids):
    """A grid is read from the start of its buffer, whatever its offset."""

    def _place(self, place: GridAt) -> GridAt:
        return GridAt(place.buffer, 0)


@mutant(part="driver")
class GridOffsetInWords(_Grids):
    """The offset of a grid is taken as a number of words, if the buffer is long enough."""

    def _place(self, place: GridAt) -> GridAt:
        offset = 4 * place.offset
        return place if offset + 12 > place.buffer.size_bytes else GridAt(place.buffer, offset)


@mutant(part="plans", hard=True)
class PlanKeyLacksGridOffset(KeyedPlans[DispatchPlan]):
    """A checked indirect dispatch is found by the buffer of its grid, whatever the offset."""

    def _key(self, key: tuple[Any, ...]) -> Hashable:
        kernel, grid, *buffers = key
        return (kernel, grid.counts if isinstance(grid, GridIn) else grid, *buffers)


@mutant(part="plans", hard=True)
class PlanForgetsGrid(Plans[DispatchPlan]):
    """A checked indirect dispatch is still found after the buffer of its grid was freed."""

    def put(self, key: Hashable, plan: DispatchPlan) -> None:
        if isinstance(plan.spread, GridAt):
            plan.buffers = plan.buffers[: len(plan.ranges)]
        super().put(key, plan)


@mutant(part="replays")
class ReplayKeepsGrid(Replays):
    """A replay over other buffers still reads the grids of the capture."""

    def _bind(self, graph: Any, buffers: Any, entries: Any) -> BoundGraph:
        bound = super()._bind(graph, buffers, entries)
        grids = [call.grid for call in graph.calls if isinstance(call, DispatchCall)]
        for plan, grid in zip(bound.dispatches, grids, strict=True):
            if isinstance(grid, GridIn) and grid.counts.is_live:
                plan.spread = GridAt(self._planner._buffers.device_buffer(grid.counts), grid.offset)
        return bound


@mutant(part="buffers")
class PartFromTheStart(BufferTable):
    """A part is bound from the start of its buffer, whatever its offset."""

    def bound(self, bound: Bound) -> Range:
        found = super().bound(bound)
        return Range(found.buffer, 0, found.size_bytes)


@mutant(part="buffers")
class PartToTheEnd(BufferTable):
    """A part is bound up to the end of its buffer, whatever its size."""

    def bound(self, bound: Bound) -> Range:
        found = super().bound(bound)
        if not isinstance(bound, BufferPart) or not 0 <= found.offset < bound.buffer.size_bytes:
            return found
        return Range(found.buffer, found.offset, (bound.buffer.size_bytes - found.offset) // 4 * 4)


@mutant(part="buffers")
class PartRoundedUp(BufferTable):
    """A part is rounded up to whole words, if its buffer is long enough."""

    def bound(self, bound: Bound) -> Range:
        found = super().bound(bound)
        if isinstance(bound, BufferPart) and found.size_bytes < bound.size_bytes:
            end = found.offset + found.size_bytes + 4
            return found._replace(
                size_bytes=found.size_bytes + 4 * (end <= found.buffer.size_bytes)
            )
        return found


@mutant(part="plans")
class PlanKeyLacksPart(KeyedPlans[DispatchPlan]):
    """A checked dispatch is found by its buffers, whatever parts of them it binds."""

    def _key(self, key: tuple[Any, ...]) -> Hashable:
        kernel, grid, *bound = key
        return (
            kernel,
            grid,
            *[one.buffer if isinstance(one, BufferPart) else one for one in bound],
        )


@mutant(part="recorder")
class PartTouchesItsStart(StepwiseRecorder):
    """A dispatch counts as touching its parts and its grid at the start of their buffers."""

    def _record_dispatch(self, command: DispatchCommand, plan: DispatchPlan) -> None:
        plan.touches = tuple([Range(bound, 0, size) for bound, _, size in plan.touches])
        super()._record_dispatch(command, plan)


def _is_indirect(command: RecordedCommand) -> bool:
    return isinstance(command, DispatchCommand) and isinstance(command.groups, GridAt)
