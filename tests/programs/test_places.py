"""Generated programs read small grids on the GPU, and bind parts that a device may bind."""

import math

from gpusim.ops import AnyDispatch, Grid, Part
from properties.generate.choices import SeededChoices
from properties.generate.generator import generate
from reference import Reference, run
from reference.memory import Block

PROGRAMS = [generate(SeededChoices(f"places {at}"), invalid=bool(at % 2)) for at in range(600)]


def test_no_grid_on_the_gpu_is_large() -> None:
    """A program must not run for ever: few groups, or past the limit of any device."""
    grids: list[tuple[int, int, int]] = []

    class Watching(Reference):
        def grid_in(self, block: Block, offset: int) -> Grid | None:
            grid = super().grid_in(block, offset)
            assert grid is not None
            grids.append(grid)
            return grid

    for program in PROGRAMS:
        run(program, make=Watching)
    assert all(max(grid) <= 5 or max(grid) == 2**32 - 1 for grid in grids)
    assert sum(0 < math.prod(grid) <= 125 for grid in grids) >= len(grids) / 2
    assert len(grids) >= 200


def test_parts_are_bound_aligned_and_at_odd_lengths_and_two_of_one_buffer() -> None:
    bound = [
        [one for one in op.buffers if isinstance(one, Part)]
        for program in PROGRAMS
        for op, outcome in zip(program, run(program).outcomes, strict=True)
        if isinstance(op, AnyDispatch) and not outcome.error
    ]
    parts = [part for each in bound for part in each]
    assert all(part.offset % 256 == 0 for part in parts)
    assert sum(part.offset > 0 for part in parts) >= len(parts) / 5
    assert sum(part.size_bytes % 4 > 0 for part in parts) >= len(parts) / 5
    assert sum(len({part.buffer for part in each}) < len(each) for each in bound) >= 20
