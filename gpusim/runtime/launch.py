"""From a program's grid to the workgroups that are dispatched: checked, and spread.

Pure.  A guarded grid may exceed the device's limit in a dimension; it is spread
over three and the kernel drops what is too many, as TVM does with blockIdx.x,
but by the total so that no group runs twice.
"""

from typing import NamedTuple

from gpusim.errors import LimitExceeded
from gpusim.kernels import Kernel
from gpusim.program import Grid


class Launch(NamedTuple):
    """``groups`` workgroups in all, dispatched as ``spread`` (x, y, z)."""

    groups: int
    spread: Grid


def plan_launch(kernel: Kernel, grid: Grid, max_per_dimension: int) -> Launch:
    """Check ``grid`` for ``kernel`` and spread it; LimitExceeded where it cannot be."""
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
    if groups > max_per_dimension**3:
        raise LimitExceeded(
            f"cannot dispatch {kernel.name} over {grid} because three dimensions of "
            f"{max_per_dimension} hold no {groups} workgroups (probably it should be split)"
        )
    if groups == 0 or max(grid) <= max_per_dimension:
        return Launch(groups, grid)
    return Launch(groups, spread(groups, max_per_dimension))


def spread(groups: int, max_per_dimension: int) -> Grid:
    """The smallest x by y by z box of at least ``groups``, each within the limit."""
    layers = -(-groups // (max_per_dimension * max_per_dimension))
    rows = -(-groups // (max_per_dimension * layers))
    columns = -(-groups // (rows * layers))
    return columns, rows, layers
