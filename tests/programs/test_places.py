"""Generated programs read small grids on the GPU, and bind parts that a device may bind."""

import math

import pytest

from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from gpusim.ops import AnyDispatch, Capture, Grid, Part, Replay, Write
from gpusim.program import Program
from properties.generate.choices import SeededChoices
from properties.generate.draft import Draft
from properties.generate.generator import generate
from properties.generate.operands import drawable
from properties.generate.places import walk
from properties.generate.shape import draw_shape
from reference import Reference, run
from reference.memory import Block


@pytest.fixture(scope="module")
def programs() -> list[Program]:
    return [generate(SeededChoices(f"places {at}"), invalid=bool(at % 2)) for at in range(600)]


def test_no_grid_on_the_gpu_is_large(programs: list[Program]) -> None:
    """A program must not run for ever: few groups, or past the limit of any device."""
    grids: list[tuple[int, int, int]] = []

    class Watching(Reference):
        def grid_in(self, block: Block, offset: int) -> Grid | None:
            grid = super().grid_in(block, offset)
            assert grid is not None
            grids.append(grid)
            return grid

    for program in programs:
        run(program, make=Watching)
    assert all(max(grid) <= 5 or max(grid) == 2**32 - 1 for grid in grids)
    assert sum(0 < math.prod(grid) <= 125 for grid in grids) >= len(grids) / 2
    assert len(grids) >= 200


def test_parts_are_bound_aligned_and_at_odd_lengths_and_two_of_one_buffer(
    programs: list[Program],
) -> None:
    bound = [
        [one for one in op.buffers if isinstance(one, Part)]
        for program in programs
        for op, outcome in zip(program, run(program).outcomes, strict=True)
        if isinstance(op, AnyDispatch) and not outcome.error
    ]
    parts = [part for each in bound for part in each]
    assert all(part.offset % 256 == 0 for part in parts)
    assert sum(part.offset > 0 for part in parts) >= len(parts) / 5
    assert sum(part.size_bytes % 4 > 0 for part in parts) >= len(parts) / 5
    assert sum(len({part.buffer for part in each}) < len(each) for each in bound) >= 20


def test_a_walk_calls_and_replays_over_parts_of_one_buffer_and_writes_into_one() -> None:
    for seed in range(100):
        choices = SeededChoices(f"walk {seed}")
        draft = Draft(Limits(storage_offset_alignment_bytes=32), palette=(256,))
        walk(choices, draft, draw_shape(choices, drawable(BUILTIN)))
        ops = Program(tuple(draft.ops))
        assert not any(outcome.error for outcome in run(ops, limits=draft.limits).outcomes)
        called = [op for op in ops if isinstance(op, AnyDispatch)]
        captured = [command for op in ops if isinstance(op, Capture) for command in op.commands]
        assert called
        assert captured
        assert sum(isinstance(op, Replay) for op in ops) == len(captured)
        written = next(op for op in ops if isinstance(op, Write))
        parts = [
            one
            for command in (*called, *captured)
            if isinstance(command, AnyDispatch)
            for one in command.buffers
            if isinstance(one, Part)
        ]
        assert {part.buffer for part in parts} == {written.buffer}
        assert any(
            part.offset <= written.offset
            and written.offset + len(written.data) <= part.offset + part.size_bytes
            for part in parts
        )
