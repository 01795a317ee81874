"""A wrong byte is blamed on the op that wrote it, and not on the last op on its buffer."""

import pytest

import reference
from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from gpusim.program import Program
from properties.oracles.blame import last_writer

START = "alloc a 1024\nalloc b 1024\nwrite a 0 0102030405060708\nwrite b 0 1111111111111111\n"


@pytest.mark.parametrize(
    ("ops", "byte", "blamed"),
    [
        # The last op on the buffer writes other bytes than the first wrong one.
        ("write a 4 ff", 0, "op 2: write a 0 01"),
        ("write a 4 ff", 4, "op 4: write a 4 ff"),
        # It writes the value that was there already.
        ("write a 0 01", 0, "op 4: write a 0 01"),
        ("copy b 0 a 4 4", 5, "op 4: copy b 0 a 4 4"),
        ("copy b 0 a 4 4", 1, "op 2: write a 0"),
        # A source is read and not written.
        ("copy a 0 b 4 4", 1, "op 2: write a 0"),
        # One group reaches 64 words, and this byte is behind them.
        ("dispatch affine a 3,5 1x1x1", 3, "op 4: dispatch affine"),
        ("write a 512 aa\ndispatch affine a 3,5 1x1x1", 512, "op 4: write a 512 aa"),
        # x <- x + 0 writes, and changes nothing; that looks like no write.
        ("dispatch affine a 1,0 1x1x1", 0, "op 2: write a 0"),
        ("dispatch affine a 3,5 0x1x1", 0, "op 2: write a 0"),
        # Refused ops write nothing.
        ("write a 1020 0102030405", 1020, "nothing wrote byte 1020 of a since op 0: alloc a 1024"),
        ("read a 0 4 -> x\nflush\nsync", 7, "op 2: write a 0"),
        ("capture g dispatch affine a 3,5 1x1x1\nreplay g * -", 7, "op 5: replay g * -"),
        ("capture g dispatch affine a 3,5 1x1x1\nreplay g * a=b", 7, "op 2: write a 0"),
        ("capture g dispatch affine b 3,5 1x1x1\nreplay g * b=a", 7, "op 5: replay g * b=a"),
    ],
)
def test_the_op_that_wrote_the_byte_is_named(ops: str, byte: int, blamed: str) -> None:
    program = Program.parse(f"{START}{ops}\nread a 0 1024 -> r\n")
    expected = reference.run(program)
    words = last_writer(program, len(program) - 1, byte, expected, BUILTIN, Limits())
    assert blamed in words
