"""Extreme words are among the data of programs, and kernels may take special floats."""

import struct
from dataclasses import replace
from typing import Any

import numpy as np

from gpusim.kernels import BUILTIN, Binding, Kernel, Kernels
from gpusim.limits import Limits
from gpusim.ops import Write
from gpusim.program import Program
from properties.generate.choices import SeededChoices
from properties.generate.fitting import is_within_capabilities
from properties.generate.generator import generate
from properties.model.capabilities import CONTRACT
from properties.oracles.compare import compare
from reference import run

TAKING = replace(CONTRACT, replays=True, indirect=True, parts=True)


def most(meaning: Any, *, special_floats: bool = True) -> Kernel:
    """A kernel that takes the larger of two floats."""
    return Kernel(
        name="most",
        buffers=(
            Binding(name="x", dtype="f32"),
            Binding(name="y", dtype="f32", access="read_write"),
        ),
        body="if (i < min(arrayLength(&x), arrayLength(&y))) { y[i] = max(x[i], y[i]); }",
        meaning=meaning,
        tolerance=2.0**-22,
        special_floats=special_floats,
    )


def keeps_nan(arrays: Any, scalars: Any, groups: int) -> None:
    x, y = arrays
    n = min(len(x), len(y), groups * 64)
    np.maximum(x[:n], y[:n], out=y[:n])


def forgets_nan(arrays: Any, scalars: Any, groups: int) -> None:
    x, y = arrays
    n = min(len(x), len(y), groups * 64)
    np.fmax(x[:n], y[:n], out=y[:n])


def program(word: int) -> Program:
    data = struct.pack("<I", word).hex()
    return Program.parse(
        f"alloc a 4\nalloc b 4\nwrite a 0 {data}\nwrite b 0 0000803f\n"
        "dispatch most a,b - 1x1x1\nread b 0 4 -> r0\nsync\n"
    )


def differ(word: int, *, special_floats: bool) -> bool:
    meant, shown = (
        run(program(word), Kernels(most(meaning, special_floats=special_floats)))
        for meaning in (keeps_nan, forgets_nan)
    )
    return compare(program(word), meant, shown, CONTRACT) is not None


def test_results_of_special_floats_are_compared_where_the_kernel_takes_them() -> None:
    for nan in (0x7FC00000, 0xFFC12345):
        assert differ(nan, special_floats=True)
        assert not differ(nan, special_floats=False)
    for ordinary in (0x7F800000, 0xFF800000, 0x80000000, 0x3F800000):
        assert not differ(ordinary, special_floats=True)


def test_programs_have_special_floats_where_a_kernel_takes_them() -> None:
    kernels = Kernels(*BUILTIN.values(), most(keeps_nan))
    plain = Kernels(*BUILTIN.values(), most(keeps_nan, special_floats=False))
    drawn = [
        generate(SeededChoices(f"special {n}"), kernels=kernels, parts=False) for n in range(60)
    ]
    beyond = [one for one in drawn if not is_within_capabilities(one, TAKING, plain, Limits())]
    assert len(beyond) > 5
    assert all(is_within_capabilities(one, TAKING, kernels, Limits()) for one in drawn)


def test_one_write_in_eight_has_the_ends_of_integers_and_odd_floats() -> None:
    words: set[int] = set()
    for number in range(60):
        for op in generate(SeededChoices(f"extreme {number}")):
            if isinstance(op, Write) and len(op.data) >= 40:
                words.update(struct.unpack_from("<10I", op.data))
    assert {0, 0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, 0x7F800001, 0x00000001} <= words
