"""Makes the plan of a call from its arguments, with every check in the contract's order.

A plan is made once, and later calls find it again.  They check only what may have changed: the
scalars, and whether a buffer was lost.  A plan is valid as long as its buffers live, and is
dropped when one of them is freed.  A plan is on no clock: a batch that records a plan keeps alive
what the plan binds.

Nothing here records.  The only call of a device is for the pipeline (``Pipelines``),
after all checks.
"""

from collections.abc import Hashable, Iterator, Sequence
from math import prod
from typing import Any, Generic, Protocol, TypeVar

from gpusim.errors import LimitExceeded
from gpusim.kernels import Kernel
from gpusim.limits import Limits
from gpusim.ops import GRID_BYTES, Grid
from gpusim.runtime import checks
from gpusim.runtime.buffers import Bound, Buffer, BufferTable, buffer_of
from gpusim.runtime.caches import CacheState, shape_key
from gpusim.runtime.commands import (
    UNKNOWN_GROUPS,
    BindGroup,
    DeviceBuffer,
    GridAt,
    Launch,
    Pipeline,
    Range,
)
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.graph import CopyCall, DispatchCall, GridIn

_PLAIN_GRID = (int, int, int)
_MOST_NUMBERED = 2**32
"""The most groups that a kernel can tell apart."""
AnyGrid = int | Sequence[int] | GridIn
"""A grid as a caller gives it."""


class DispatchPlan:
    """A dispatch without its scalars: checked, bound and spread.

    ``groups`` and ``spread`` are those of its launch.  ``launched`` counts the workgroups of the
    spread, which may be a few more than ``groups``; 0 if the grid is in a buffer.  ``touches`` are
    the ranges that are bound, and the range of a grid in a buffer.  ``group`` is the bind group,
    kept if it does not depend on the scalars.  ``ring`` is the uniform buffer of that group.
    """

    __slots__ = (
        "buffers",
        "group",
        "groups",
        "kernel",
        "launched",
        "pipeline",
        "ranges",
        "ring",
        "spread",
        "touches",
        "uniform_bytes",
        "written",
    )

    def __init__(
        self,
        kernel: Kernel,
        ranges: tuple[Range, ...],
        launch: Launch | GridAt,
        *,
        pipeline: Pipeline,
        buffers: Sequence[Buffer] = (),
        written: Sequence[Buffer] = (),
    ) -> None:
        self.kernel = kernel
        self.uniform_bytes = kernel.uniform_bytes
        self.ranges = ranges
        self.groups: int
        self.spread: Grid | GridAt
        if isinstance(launch, GridAt):
            self.groups, self.spread, self.launched = UNKNOWN_GROUPS, launch, 0
            self.touches: tuple[Range, ...] = (*ranges, Range(*launch, GRID_BYTES))
        else:
            self.groups, self.spread = launch
            self.launched = prod(launch.spread)
            self.touches = ranges
        self.pipeline = pipeline
        self.buffers = tuple(buffers)
        self.written = tuple(written)
        self.group: BindGroup | None = None
        self.ring: DeviceBuffer | None = None


class Pipelines:
    """Gets the pipelines of one runtime; this is the only step of planning that calls a device."""

    def __init__(self, driver: Driver, *, dynamic_uniforms: bool) -> None:
        self._driver = driver
        self._dynamic_uniforms = dynamic_uniforms

    def compiled(self, kernel: Kernel) -> Pipeline:
        """The kernel's pipeline; the driver compiles it at the first use.

        Raises:
            ProgramError: the device refuses the kernel's WGSL.
        """
        dynamic = self._dynamic_uniforms and kernel.uniform_bytes > 0
        return self._driver.compile(kernel, dynamic_uniforms=dynamic)


class OverBuffers(Protocol):
    """A plan that is valid as long as its buffers live."""

    @property
    def buffers(self) -> tuple[Buffer, ...]: ...


AnyPlan = TypeVar("AnyPlan", bound=OverBuffers)


class Plans(Generic[AnyPlan]):
    """Keeps plans by key; a new plan evicts the oldest one if there is no room."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._plans: dict[Hashable, AnyPlan] = {}
        self._keys_by_buffer: dict[Buffer, dict[Hashable, None]] = {}
        self.get = self._plans.get

    def put(self, key: Hashable, plan: AnyPlan) -> None:
        """Add a plan, and drop the oldest plan if needed; do nothing at a capacity of 0."""
        if not self._capacity:
            return
        while len(self._plans) >= self._capacity:
            self._drop(next(iter(self._plans)))
        self._plans[key] = plan
        for buffer in plan.buffers:
            self._keys_by_buffer.setdefault(buffer, {})[key] = None

    def forget(self, buffer: Buffer) -> None:
        """Drop every plan that binds ``buffer``."""
        for key in list(self._keys_by_buffer.get(buffer, ())):
            self._drop(key)

    def _drop(self, key: Hashable) -> None:
        plan = self._plans.pop(key)
        for buffer in dict.fromkeys(plan.buffers):
            keys = self._keys_by_buffer[buffer]
            del keys[key]
            if not keys:
                del self._keys_by_buffer[buffer]


class Shapes:
    """Keeps the launch of each kernel and grid, so that it is checked and spread only once.

    Launches are pure values, so an entry is never stale.
    """

    def __init__(self, caches: CacheState, max_groups_per_dimension: int) -> None:
        self._cache = caches.shapes
        self.counts = self._cache.counts
        self._max_groups_per_dimension = max_groups_per_dimension

    def get(self, kernel: Kernel, grid: Grid) -> Launch:
        """The launch; LimitExceeded if the grid cannot be dispatched."""
        key = shape_key(kernel, grid)
        launch = self._cache.get(key)
        if launch is None:
            launch = plan_launch(kernel, grid, self._max_groups_per_dimension)
            self._cache.put(key, launch)
        return launch


class Planner:
    """Makes the dispatch plans of one runtime, and finds them again."""

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
        buffers: Sequence[Bound],
        scalars: Sequence[int | float],
        grid: AnyGrid,
        *,
        even_lost: bool = False,
    ) -> tuple[DispatchPlan, bytes]:
        """The plan and the packed scalars; raises ``Refused`` classes, and after them DataLost.

        With ``even_lost``, a lost buffer is not refused.
        """
        if not (
            (type(buffers) is list or type(buffers) is tuple)
            and (type(scalars) is tuple or type(scalars) is list)
        ):
            buffers, scalars = checks.in_order(kernel, buffers, scalars)
        key = (kernel, grid, *buffers) if type(grid) is int else _key(kernel, buffers, grid)
        try:
            plan = None if key is None else self._plans.get(key)
        except TypeError:
            # An argument that cannot be hashed is not a kernel or buffer; ``_make`` refuses it.
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
        buffers: Sequence[Bound],
        scalars: Sequence[int | float],
        grid: AnyGrid,
    ) -> DispatchCall:
        """A dispatch for a graph, checked now; a replay plans it again."""
        buffers, scalars = checks.in_order(kernel, buffers, scalars)
        if isinstance(grid, Iterator):
            # An iterator gives its numbers only once, and the grid is needed twice here.
            grid = tuple(grid)
        self.plan(kernel, buffers, scalars, grid, even_lost=True)
        kept = grid if isinstance(grid, GridIn) else checks.grid_of(kernel, grid)
        return DispatchCall(kernel, buffers, scalars, kept)

    def check_copy(
        self,
        source: Buffer,
        source_offset: Any,
        target: Buffer,
        target_offset: Any,
        size_bytes: Any,
    ) -> CopyCall:
        """The arguments of a copy, checked, as a call; a size of None means the rest of the source.

        Raises InvalidHandle or OutOfRange.
        """
        self._buffers.device_buffer(source)
        self._buffers.device_buffer(target)
        source_offset = checks.whole("copy", source_offset, "source_offset")
        target_offset = checks.whole("copy", target_offset, "target_offset")
        rest = source.size_bytes - source_offset
        if size_bytes is None:
            size_bytes = rest
        size_bytes = checks.whole("copy", size_bytes, "size_bytes")
        checks.check_range("copy", source_offset, size_bytes, source.size_bytes)
        checks.check_range("copy", target_offset, size_bytes, target.size_bytes)
        return CopyCall(source, source_offset, target, target_offset, size_bytes)

    def forget(self, buffer: Buffer) -> None:
        """Drop every plan that binds ``buffer``, which is about to be freed or lent."""
        self._plans.forget(buffer)

    def _make(
        self,
        kernel: Kernel,
        buffers: Sequence[Bound],
        scalars: Sequence[int | float],
        grid: AnyGrid,
    ) -> DispatchPlan:
        checks.check_kernel(kernel, len(buffers), self._limits)
        ranges = tuple([self._buffers.bound(each) for each in buffers])
        checks.check_bindings(kernel, buffers, ranges, self._limits)
        kernel.pack(scalars, 0)  # refuses what cannot be packed
        launch = self._launch(kernel, buffers, grid)
        written = checks.written(kernel, buffers)
        pipeline = self._pipelines.compiled(kernel)
        named = [*map(buffer_of, buffers), *([grid.counts] if isinstance(grid, GridIn) else [])]
        return DispatchPlan(
            kernel, ranges, launch, pipeline=pipeline, buffers=named, written=written
        )

    def _launch(self, kernel: Kernel, buffers: Sequence[Bound], grid: AnyGrid) -> Launch | GridAt:
        if not isinstance(grid, GridIn):
            return self._shapes.get(kernel, checks.grid_of(kernel, grid))
        device_buffer = self._buffers.device_buffer(grid.counts)
        offset = checks.whole("dispatch", grid.offset)
        checks.check_grid_in(kernel, buffers, grid.counts, offset)
        checks.check_holds_grids(kernel, grid.counts, device_buffer)
        return GridAt(device_buffer, offset)


def _key(kernel: Kernel, buffers: Sequence[Bound], grid: AnyGrid) -> Hashable | None:
    """The key of a dispatch over three numbers or a ``GridIn``; None if a number is no plain int.

    1.0 and True equal 1, and must not find the plan of 1.
    """
    if type(grid) is tuple and tuple(map(type, grid)) == _PLAIN_GRID:
        return (kernel, grid, *buffers)
    if isinstance(grid, GridIn) and type(grid.offset) is int:
        return (kernel, grid, *buffers)
    return None


def plan_launch(kernel: Kernel, grid: Grid, max_per_dimension: int) -> Launch:
    """Check ``grid`` for ``kernel`` and spread it; LimitExceeded if it cannot be spread.

    The grid of a guarded kernel may exceed the device's limit in a dimension.  It is then spread
    over three dimensions, and the kernel drops the surplus groups.  TVM's kernels decide by
    blockIdx.x which groups to drop.  Here the number of a group among all groups of the spread
    decides, so that no group runs twice.
    """
    for size in grid:
        if size < 0 or (size > max_per_dimension and not kernel.guarded):
            raise LimitExceeded(
                f"cannot dispatch {kernel.name} over {grid} because a dimension holds 0 to "
                f"{max_per_dimension} workgroups (probably the kernel should be guarded)"
            )
    groups = grid[0] * grid[1] * grid[2]
    if groups > kernel.max_groups:
        raise LimitExceeded(
            f"cannot dispatch {kernel.name} over {grid} because {groups} workgroups exceed the "
            f"{kernel.max_groups} that its u32 index can count (probably several dispatches "
            "are needed)"
        )
    if groups == 0 or max(grid) <= max_per_dimension:
        return Launch(groups, grid)
    box = spread(groups, max_per_dimension)
    if max(box) > max_per_dimension:
        raise LimitExceeded(
            f"cannot dispatch {kernel.name} over {grid} because three dimensions of "
            f"{max_per_dimension} do not hold {groups} workgroups (probably several dispatches "
            "are needed)"
        )
    return Launch(groups, box)


def spread(groups: int, max_per_dimension: int) -> Grid:
    """A box of x by y by z groups that holds at least ``groups``, with as small a z as possible.

    z exceeds the limit if no box fits.  A kernel numbers the groups of the box in a u32.  With
    more than 2^32 groups two would have the same number, and some would run twice.  So if the box
    would have more, x and y become the same power of two: then a whole number of layers has 2^32
    groups.  These layers are within the limit if it is 2048 or more; every WebGPU device has
    65,535.
    """
    layers = -(-groups // (max_per_dimension * max_per_dimension))
    rows = -(-groups // (max_per_dimension * layers))
    columns = -(-groups // (rows * layers))
    if columns * rows * layers > _MOST_NUMBERED:
        columns = rows = 1 << min(16, max_per_dimension.bit_length() - 1)
        layers = -(-groups // (columns * rows))
    return columns, rows, layers
