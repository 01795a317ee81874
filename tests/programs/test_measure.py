"""Counting the writers that a read depends on, over programs counted by hand."""

import pytest

from gpusim.program import Program
from properties.generate.measure import writers_of_reads

PROGRAMS = {
    "nothing written": ("alloc a 8; read a 0 8 -> r", [0]),
    "one write": ("alloc a 8; write a 0 0102; read a 0 8 -> r", [1]),
    "bytes of nobody": ("alloc a 8; write a 0 0102; read a 2 6 -> r", [0]),
    "two writes apart": ("alloc a 8; write a 0 01; write a 4 02; read a 0 8 -> r", [2]),
    "one write over another": ("alloc a 8; write a 0 01; write a 0 02; read a 0 8 -> r", [1]),
    "through a copy": ("alloc a 8; write a 0 01; copy a 0 a 4 4; read a 4 4 -> r", [2]),
    "copy of nothing": ("alloc a 8; write a 0 01; copy a 4 a 0 4; read a 0 4 -> r", [1]),
    "through dispatches": (
        "alloc a 8; alloc b 4; write a 0 01; dispatch affine a 1,1 1x1x1;"
        "dispatch fold a,b 1 1x1x1; read b 0 4 -> r; read a 0 4 -> s; read a 4 4 -> t",
        [3, 2, 1],
    ),
    "beyond the grid": (
        "alloc a 260; write a 256 01; dispatch affine a 1,1 1x1x1; read a 256 4 -> r",
        [1],
    ),
    "grid of nought": ("alloc a 8; dispatch affine a 1,1 0x1x1; read a 0 8 -> r", [0]),
    "reborn": ("alloc a 8; write a 0 01; free a; alloc b 8; read b 0 8 -> r", [0]),
}


@pytest.mark.parametrize(("text", "counts"), PROGRAMS.values(), ids=list(PROGRAMS))
def test_writers_are_counted(text: str, counts: list[int]) -> None:
    program = Program.parse(text.replace(";", "\n"))
    assert list(writers_of_reads(program, [True] * len(program))) == counts


def test_refused_ops_write_nothing_and_read_nothing() -> None:
    program = Program.parse(
        "alloc a 4\nwrite a 0 01\nwrite a 9 02\nread a 9 1 -> r\nread a 0 4 -> s"
    )
    assert writers_of_reads(program, [True, True, False, False, True]) == (1,)
