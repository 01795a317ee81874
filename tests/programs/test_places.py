"""Generated programs read small grids on the GPU, and bind parts that a device may bind."""

import math

import pytest

from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from gpusim.ops import AnyDispatch, Capture, DispatchIndirect, Grid, Part, Replay, Write
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


def _grids_of(program: Program) -> list[Grid]:
    """The grids that a program reads on the GPU."""
    grids: list[Grid] = []

    class Watching(Reference):
        def grid_in(self, block: Block, offset: int) -> Grid | None:
            grid = super().grid_in(block, offset)
            assert grid is not None
            grids.append(grid)
            # A large grid is noted, and not run.
            return grid if _is_small(grid) else (0, 0, 0)

    run(program, make=Watching)
    return grids


def _is_small(grid: Grid) -> bool:
    return max(grid) <= 5 or max(grid) == 2**32 - 1


def test_no_grid_on_the_gpu_is_large(programs: list[Program]) -> None:
    """A program must not run for ever: few groups, or past the limit of any device."""
    grids = [grid for program in programs for grid in _grids_of(program)]
    assert all(map(_is_small, grids))
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


def _grids_without_a_write(*, failing: bool) -> list[Grid]:
    """The grids that some programs read on the GPU, if one of their writes at a time fails."""
    grids: list[Grid] = []
    for at in range(250):
        ops = generate(SeededChoices(f"one fails {at}"), invalid=False, failing=failing).ops
        writes = [place for place, op in enumerate(ops) if isinstance(op, Write)]
        for place in writes if any(isinstance(op, DispatchIndirect) for op in ops) else ():
            grids += _grids_of(Program((*ops[:place], *ops[place + 1 :])))
    return grids


def test_a_failed_write_leaves_no_large_grid_for_a_gpu() -> None:
    """Without a bound in its shader, such a grid would run for hours on a real GPU."""
    assert all(map(_is_small, _grids_without_a_write(failing=True)))
    assert not all(map(_is_small, _grids_without_a_write(failing=False)))
