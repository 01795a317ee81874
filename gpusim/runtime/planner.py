"""From a call's arguments to its plan: every check in the contract's order, once.

A plan that was made before is found again without checking what cannot have
changed; what can, the scalars and whether a buffer was lost, is checked always.
Nothing here records: a new plan asks for its pipeline last (``Pipelines``), and
that is all that any device hears of it.
"""

from collections.abc import Hashable, Sequence
from typing import Any

from gpusim.kernels import Kernel
from gpusim.limits import Limits
from gpusim.runtime import checks
from gpusim.runtime.buffers import Buffer, BufferTable
from gpusim.runtime.calls import CopyCall, DispatchCall
from gpusim.runtime.plans import DispatchPlan, Pipelines, Plans
from gpusim.runtime.shapes import Shapes

_PLAIN_GRID = (int, int, int)


class Planner:
    """Finds and makes the dispatch plans of one runtime."""

    def __init__(
        self,
        *,
        limits: Limits,
        buffers: BufferTable,
        plans: Plans[DispatchPlan],
        shapes: Shapes,
        pipelines: Pipelines,
    ) -> None:
        self._limits = limits
        self._buffers = buffers
        self._plans = plans
        self._shapes = shapes
        self._pipelines = pipelines

    def plan(
        self,
        kernel: Kernel,
        buffers: Sequence[Buffer],
        scalars: Sequence[int | float],
        grid: int | Sequence[int],
        *,
        even_lost: bool = False,
    ) -> tuple[DispatchPlan, bytes]:
        """The plan and its packed scalars; ``Refused`` classes and DataLost in order.

        ``even_lost``: nobody asks yet whether bytes were lost.
        """
        key = (kernel, grid, *buffers) if type(grid) is int else _key(kernel, buffers, grid)
        try:
            plan = None if key is None else self._plans.get(key)
        except TypeError:
            # Something in it cannot be hashed, so it is no kernel or no buffer.
            key = plan = None
        if plan is None:
            plan = self._make(kernel, buffers, scalars, grid)
            if key is not None:
                self._plans.put(key, plan)
        payload = kernel.pack(scalars, plan.groups)
        for buffer in plan.buffers:
            if buffer.lost and not even_lost:
                checks.check_not_lost("dispatch", buffer)
        return plan, payload

    def call(
        self,
        kernel: Kernel,
        buffers: Sequence[Buffer],
        scalars: Sequence[int | float],
        grid: int | Sequence[int],
    ) -> DispatchCall:
        """A checked dispatch, to be planned again when it is replayed."""
        self.plan(kernel, buffers, scalars, grid, even_lost=True)
        return DispatchCall(kernel, tuple(buffers), tuple(scalars), checks.grid_of(kernel, grid))

    def check_copy(
        self,
        source: Buffer,
        source_offset: Any,
        target: Buffer,
        target_offset: Any,
        size_bytes: Any,
    ) -> CopyCall:
        """A copy in whole numbers; a size of None is the rest of the source."""
        self._buffers.device_buffer(source)
        self._buffers.device_buffer(target)
        source_offset = checks.whole("copy", source_offset)
        target_offset = checks.whole("copy", target_offset)
        rest = source.size_bytes - source_offset
        size_bytes = rest if size_bytes is None else checks.whole("copy", size_bytes)
        checks.check_range("copy", source_offset, size_bytes, source.size_bytes)
        checks.check_range("copy", target_offset, size_bytes, target.size_bytes)
        return CopyCall(source, source_offset, target, target_offset, size_bytes)

    def forget(self, buffer: Buffer) -> None:
        """Drop every plan that binds ``buffer``, which is about to go."""
        self._plans.forget(buffer)

    def _make(
        self,
        kernel: Kernel,
        buffers: Sequence[Buffer],
        scalars: Sequence[int | float],
        grid: int | Sequence[int],
    ) -> DispatchPlan:
        checks.check_kernel(kernel, len(buffers), self._limits)
        ranges = tuple([self._buffers.whole_words(buffer) for buffer in buffers])
        checks.check_bindings(kernel, buffers, self._limits)
        kernel.pack(scalars, 0)  # refuses what cannot be packed
        launch = self._shapes.get(kernel, checks.grid_of(kernel, grid))
        written = checks.written(kernel, buffers)
        pipeline = self._pipelines.compiled(kernel)
        return DispatchPlan(
            kernel, ranges, launch, pipeline=pipeline, buffers=buffers, written=written
        )


def _key(kernel: Kernel, buffers: Sequence[Buffer], grid: int | Sequence[int]) -> Hashable | None:
    """The key of a dispatch whose grid is no plain int; None where it is not of those either.

    1.0 and True equal 1, and must not find the plan of it.
    """
    if type(grid) is tuple and tuple(map(type, grid)) == _PLAIN_GRID:
        return (kernel, grid, *buffers)
    return None
