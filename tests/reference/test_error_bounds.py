"""How error bounds spread: from float kernels, by copies, to exact kernels."""

import struct

import numpy as np
import pytest

import reference
from gpusim.kernels import BUILTIN, Binding, Kernel
from gpusim.program import Program
from reference.memory import ErrorBounds

T = np.float32(2.0**-21)
ONE = "0000803f"
FLOATS = (
    f"alloc x 16\nalloc y 16\nwrite x 0 {ONE * 4}\nwrite y 0 {ONE * 4}\n"
    "dispatch blend x,y 1.5 1x1x1\n"
)
INF = float("inf")


def error_bound(text: str, read: str = "read y 0 16 -> r") -> ErrorBounds | None:
    return reference.run(Program.parse(text + read)).outcomes[-1].error_bound


def words(found: ErrorBounds | None) -> list[float]:
    """One error_bound a word; every byte of a word must agree."""
    assert found is not None
    by_word = found.reshape(-1, 4)
    assert (by_word == by_word[:, :1]).all()
    return [float(word) for word in by_word[:, 0]]


def test_all_is_exact_until_a_float_kernel_ran() -> None:
    assert error_bound("alloc y 16\ndispatch affine y 1,2 1x1x1\n") is None
    assert words(error_bound(FLOATS)) == [T] * 4
    assert error_bound(FLOATS, "read x 0 16 -> r") is None


def test_a_dispatch_of_no_groups_casts_no_doubt() -> None:
    assert error_bound(FLOATS.replace("1x1x1", "0x1x1")) is None


def test_error_bounds_add_up() -> None:
    assert words(error_bound(FLOATS + "dispatch blend x,y 1.5 1x1x1\n")) == [2 * T] * 4


def test_a_write_makes_its_words_exact() -> None:
    assert words(error_bound(FLOATS + f"write y 4 {ONE * 2}\n")) == [T, 0, 0, T]
    assert error_bound(FLOATS + f"write y 0 {ONE * 4}\n") is None


def test_a_word_written_in_part_promises_nothing_in_the_rest() -> None:
    found = error_bound(FLOATS + "write y 5 0000\n")
    assert found is not None
    assert found.tolist() == [T] * 4 + [INF, 0, 0, INF] + [T] * 8


def test_writing_nothing_into_a_word_leaves_it() -> None:
    assert words(error_bound(FLOATS + "write y 5 -\n")) == [T] * 4
    assert words(error_bound(FLOATS + "alloc z 4\ncopy z 1 y 5 0\n")) == [T] * 4


def test_a_word_read_in_part_promises_nothing() -> None:
    found = error_bound(FLOATS, "read y 3 9 -> r")
    assert found is not None
    assert found.tolist() == [INF] + [T] * 8
    found = error_bound(FLOATS, "read y 4 7 -> r")
    assert found is not None
    assert found.tolist() == [T] * 4 + [INF] * 3
    found = error_bound(FLOATS, "read y 0 3 -> r")
    assert found is not None
    assert found.tolist() == [INF] * 3
    found = error_bound(FLOATS, "read y 1 2 -> r")
    assert found is not None
    assert found.tolist() == [INF] * 2


def test_an_aligned_copy_moves_error_bounds() -> None:
    found = error_bound(FLOATS + "alloc z 16\ncopy y 4 z 8 8\n", "read z 0 16 -> r")
    assert words(found) == [0, 0, T, T]


def test_a_copy_of_exact_bytes_moves_that() -> None:
    assert words(error_bound(FLOATS + "copy x 0 y 0 8\n")) == [0, 0, T, T]


def test_a_shifted_copy_promises_nothing() -> None:
    found = error_bound(FLOATS + "alloc z 16\ncopy y 4 z 9 4\n", "read z 0 16 -> r")
    assert found is not None
    assert found.tolist() == [0] * 9 + [INF] * 4 + [0] * 3


def test_a_copy_that_cuts_words_promises_nothing_there() -> None:
    found = error_bound(FLOATS + "alloc z 16\ncopy y 2 z 2 8\n", "read z 0 16 -> r")
    assert found is not None
    assert found.tolist() == [0] * 2 + [INF] * 2 + [T] * 4 + [INF] * 2 + [0] * 6


def test_a_copy_from_and_to_odd_offsets_may_keep_its_alignment() -> None:
    found = error_bound(FLOATS + "alloc z 16\ncopy y 5 z 9 7\n", "read z 0 16 -> r")
    assert found is not None
    assert found.tolist() == [0] * 9 + [INF] * 3 + [T] * 4


def test_an_overlapping_copy_moves_error_bounds_as_memmove() -> None:
    text = FLOATS + f"write y 0 {ONE}\ncopy y 0 y 4 12\n"
    assert words(error_bound(text)) == [0, 0, T, T]


def test_an_exact_kernel_on_doubt_promises_nothing() -> None:
    read = "read z 0 16 -> r"
    assert words(error_bound(FLOATS + "alloc z 16\ndispatch fold y,z 3 1x1x1\n", read)) == [INF] * 4
    assert error_bound(FLOATS + "alloc z 16\ndispatch fold x,z 3 1x1x1\n", read) is None


def test_doubt_past_the_whole_words_is_out_of_reach() -> None:
    text = FLOATS + "alloc z 7\ncopy y 0 z 4 3\n"
    found = error_bound(text + "dispatch affine z 3,5 1x1x1\n", "read z 0 7 -> r")
    assert found is not None
    assert found.tolist() == [0] * 4 + [INF] * 3


@pytest.mark.parametrize(
    ("number", "promised"),
    [
        (0.0, True),
        (-0.0, True),
        (2.0**60, True),
        (2.0**61, False),
        (2.0**-60, True),
        (-(2.0**-61), False),
        (float("inf"), False),
        (float("nan"), False),
    ],
)
def test_inputs_that_an_implementation_may_treat_its_way(number: float, promised: bool) -> None:
    word = struct.pack("<f", number).hex()
    text = FLOATS.replace("dispatch", f"write x 8 {word}\ndispatch")
    assert words(error_bound(text)) == ([T] * 4 if promised else [INF] * 4)


@pytest.mark.parametrize(("scalar", "promised"), [("0.0", True), ("1e-30", False), ("1e30", False)])
def test_scalars_count_as_inputs(scalar: str, promised: bool) -> None:
    assert words(error_bound(FLOATS.replace("1.5", scalar))) == ([T] * 4 if promised else [INF] * 4)


def float_kernel(meaning, out: str = "f32") -> Kernel:  # type: ignore[no-untyped-def]
    return Kernel(
        name="ours",
        buffers=(
            Binding(name="x", dtype="f32"),
            Binding(name="y", dtype=out, access="read_write"),  # type: ignore[arg-type]
        ),
        body="",
        meaning=meaning,
        tolerance=float(T),
    )


@pytest.mark.parametrize(
    ("factor", "promised"),
    [(1e38, False), (2.0**120, True), (2.0**-129, True), (2.0**-130, False)],
)
def test_results_that_leave_the_normal_numbers_promise_nothing(
    factor: float, promised: bool
) -> None:
    """Eight times the factor; 2^-126 is the smallest normal number."""

    def scale(arrays, scalars, groups):  # type: ignore[no-untyped-def]
        arrays[1][:] = arrays[0] * np.float32(factor)

    text = (
        f"alloc x 8\nalloc y 8\nwrite x 4 {struct.pack('<f', 8.0).hex()}\n"
        "dispatch ours x,y - 1x1x1\nread y 0 8 -> r"
    )
    history = reference.run(Program.parse(text), BUILTIN.adding(float_kernel(scale)))
    assert words(history.outcomes[-1].error_bound) == [T, T if promised else INF]


def test_integers_out_of_a_float_kernel_promise_nothing() -> None:
    def pick(arrays, scalars, groups):  # type: ignore[no-untyped-def]
        arrays[1][:] = 1

    text = "alloc x 8\nalloc y 8\ndispatch ours x,y - 1x1x1\nread y 0 8 -> r"
    kernels = BUILTIN.adding(float_kernel(pick, "u32"))
    history = reference.run(Program.parse(text), kernels)
    assert words(history.outcomes[-1].error_bound) == [INF] * 2


def test_a_float_kernel_over_doubtful_integers_promises_nothing() -> None:
    def gather(arrays, scalars, groups):  # type: ignore[no-untyped-def]
        arrays[1][:] = arrays[0] + 1

    kernel = Kernel(
        name="gather",
        buffers=(Binding(name="places"), Binding(name="out", dtype="f32", access="read_write")),
        body="",
        meaning=gather,
        tolerance=float(T),
    )
    for source, expected in (("x", T), ("y", INF)):
        text = f"{FLOATS}alloc z 16\ndispatch gather {source},z - 1x1x1\nread z 0 16 -> r"
        history = reference.run(Program.parse(text), BUILTIN.adding(kernel))
        assert words(history.outcomes[-1].error_bound) == [expected] * 4
