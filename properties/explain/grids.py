"""Hypotheses about grids: a dispatch over more or fewer groups, or over another dispatch's grid."""

import math
from collections.abc import Iterator
from dataclasses import replace

from gpusim.ops import Dispatch, DispatchIndirect
from properties.explain import rules
from properties.explain.hypothesis import Hypothesis, named, with_op
from properties.explain.scene import Scene


def grids(scene: Scene) -> Iterator[Hypothesis]:
    """Dispatches over another number of groups, and indirect ones over another grid."""
    for at, step in enumerate(scene.steps):
        op = step.op
        if isinstance(op, Dispatch):
            groups = math.prod(op.grid)
            for grid, said in _other_grids(scene, at, op, groups):
                if math.prod(grid) != groups:
                    yield with_op(
                        scene, at, replace(op, grid=grid), "grid", rules.GRID,
                        f"{said}: {math.prod(grid)} groups and not {groups}", detail=said,
                    )  # fmt: skip
        elif isinstance(op, DispatchIndirect):
            yield from _other_counts(scene, at, op)


def _other_grids(
    scene: Scene, at: int, op: Dispatch, groups: int
) -> Iterator[tuple[tuple[int, int, int], str]]:
    most = scene.limits.max_groups_per_dimension
    x, y, z = op.grid
    for other in scene.steps:
        if isinstance(other.op, Dispatch) and other.op.grid != op.grid:
            yield other.op.grid, f"ran over the grid of {named(other)}"
        elif isinstance(other.op, DispatchIndirect):
            found = _grid_in(scene.states[at].get(other.op.counts, b""), other.op.offset)
            if found is not None:
                yield found, f"ran over the grid that {named(other)} reads"
    yield (
        (groups - 1, 1, 1) if groups else (1, 1, 1),
        _fewer(groups),
    )
    yield (groups + 1, 1, 1), "ran one group too many"
    yield (min(x, most), min(y, most), min(z, most)), "ran over a grid that was cut to the limit"
    yield (max(x, 1), max(y, 1), max(z, 1)), "ran as if a zero in its grid were a one"
    yield (x, 1, 1), "ran over the first dimension of its grid alone"
    yield (x, y, 1), "ran over two dimensions of its grid"
    box = math.prod(min(side, most) for side in (groups, -(-groups // most)))
    yield (box, 1, 1), "ran over all groups of the larger grid into which its own was spread"


def _fewer(groups: int) -> str:
    if not groups:
        return "ran all the same"
    return "ran one group too few" if groups > 1 else "ran over no groups, as if it was lost"


def _other_counts(scene: Scene, at: int, op: DispatchIndirect) -> Iterator[Hypothesis]:
    """The dispatch over a grid from another time or place in its buffer, or of another dispatch."""
    grids_seen: dict[tuple[int, int, int], tuple[str, int]] = {}
    counts = scene.states[at].get(op.counts, b"")
    own = _grid_in(counts, op.offset)
    for offset, said in (
        (0, "from the start of its buffer"),
        (4 * op.offset, "at four times its offset, as if that were in words"),
    ):
        grid = _grid_in(counts, offset)
        if offset != op.offset and grid is not None and grid != own:
            grids_seen.setdefault(grid, (f"read its grid {said}", -1))
    for time, state in enumerate(scene.states):
        grid = _grid_in(state.get(op.counts, b""), op.offset)
        if grid is not None and grid != own:
            before = time <= at
            near = scene.steps[time if before else time - 1]
            when = f"before {named(near)} wrote it" if before else f"after {named(near)} wrote it"
            grids_seen.setdefault(grid, (f"read its grid as it was {when}", near.number))
    for other in scene.steps:
        if isinstance(other.op, DispatchIndirect) and other.op != op:
            theirs = scene.states[at].get(other.op.counts, b"")
            grid = _grid_in(theirs, other.op.offset)
            if grid is not None and grid != own:
                said = f"read its grid where {named(other)} reads its own"
                grids_seen.setdefault(grid, (said, other.number))
        elif isinstance(other.op, Dispatch) and other.op.grid != own:
            grids_seen.setdefault(
                other.op.grid, (f"ran over the grid of {named(other)}", other.number)
            )
    grids_seen.setdefault((1, 1, 1), ("ran over one group, whatever its grid", -1))
    for grid, (said, other_position) in grids_seen.items():
        direct = Dispatch(kernel=op.kernel, buffers=op.buffers, scalars=op.scalars, grid=grid)
        yield with_op(
            scene, at, direct, "counts", rules.INDIRECT, f"{said}: {_times(grid)}",
            other_position, said,
        )  # fmt: skip


def _grid_in(data: bytes, offset: int) -> tuple[int, int, int] | None:
    piece = data[offset : offset + 12]
    if len(piece) < 12:
        return None
    x, y, z = (int.from_bytes(piece[n : n + 4], "little") for n in (0, 4, 8))
    return x, y, z


def _times(grid: tuple[int, int, int]) -> str:
    return "x".join(map(str, grid))
