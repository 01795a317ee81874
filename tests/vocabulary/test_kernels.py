"""The built-in kernels' meanings, by plain Python integers; and what a signature accepts."""

import math
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpusim.errors import InvalidScalar, ProgramError
from gpusim.kernels import (
    AFFINE,
    BLEND,
    BUILTIN,
    COPY_BYTES,
    EXCHANGE,
    FOLD,
    MANY,
    MIX,
    PATCH_WORDS,
    SCRAMBLE,
    TALLY,
    WIDEN,
    Binding,
    Kernel,
    Kernels,
    Scalar,
)
from gpusim.kernels.kernel import NUMPY_DTYPES

MASK = 2**32 - 1
U32 = st.integers(0, MASK)
I32 = st.integers(-(2**31), 2**31 - 1)
F32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
WORDS = st.lists(U32, min_size=1, max_size=5)


def apply(
    kernel: Kernel, buffers: Sequence[Sequence[Any]], scalars: Sequence[Any], groups: int = 1
) -> list[list[Any]]:
    """Every buffer after the kernel, as Python numbers."""
    arrays = tuple(
        np.array(words, dtype=NUMPY_DTYPES[binding.dtype])
        for words, binding in zip(buffers, kernel.buffers, strict=True)
    )
    values = tuple(
        NUMPY_DTYPES[parameter.dtype].type(value)
        for parameter, value in zip(kernel.scalars, scalars, strict=True)
    )
    with np.errstate(all="ignore"):
        kernel.meaning(arrays, values, groups)
    return [array.tolist() for array in arrays]


def rotate(value: int, by: int) -> int:
    return (value << by | value >> (32 - by)) & MASK


@given(WORDS, U32, U32)
def test_affine(x: list[int], a: int, b: int) -> None:
    assert apply(AFFINE, [x], [a, b]) == [[(a * value + b) & MASK for value in x]]


@given(WORDS, WORDS, U32)
def test_fold(x: list[int], y: list[int], a: int) -> None:
    both = [(t * a + s) & MASK for s, t in zip(x, y, strict=False)]
    assert apply(FOLD, [x, y], [a]) == [x, both + y[len(both) :]]


@given(WORDS, WORDS, WORDS, U32, U32)
def test_mix(x: list[int], y: list[int], z: list[int], a: int, b: int) -> None:
    all_three = [
        (rotate(w ^ (u * a & MASK), 7) + v * b) & MASK for u, v, w in zip(x, y, z, strict=False)
    ]
    assert apply(MIX, [x, y, z], [a, b]) == [x, y, all_three + z[len(all_three) :]]


@given(WORDS)
def test_scramble(x: list[int]) -> None:
    expected = [(rotate(value, 5) * 0x9E3779B1 + at) & MASK for at, value in enumerate(x)]
    assert apply(SCRAMBLE, [x], []) == [expected]


@given(
    WORDS,
    st.tuples(U32, U32, U32, U32),
    st.tuples(I32, I32, I32, I32),
    st.lists(F32, min_size=4, max_size=4),
)
def test_many(x: list[int], u: tuple[int, ...], i: tuple[int, ...], f: list[float]) -> None:
    bits = [*u, *(value & MASK for value in i)]
    bits += [int.from_bytes(struct.pack("<f", value), "little") for value in f]
    expected = []
    for value in x:
        for word in bits:
            value = (value * 0x01000193 & MASK) ^ word
        expected.append(value)
    assert apply(MANY, [x], [*u, *i, *f]) == [expected]


@given(st.lists(I32, min_size=1, max_size=5), WORDS, I32)
def test_widen(x: list[int], y: list[int], shift: int) -> None:
    both = [(3 * t + (s >> (shift & 31))) & MASK for s, t in zip(x, y, strict=False)]
    assert apply(WIDEN, [x, y], [shift]) == [x, both + y[len(both) :]]


@given(WORDS, WORDS, U32)
def test_exchange(x: list[int], y: list[int], a: int) -> None:
    both = [(a * t + s) & MASK for s, t in zip(x, y, strict=False)]
    n = len(both)
    assert apply(EXCHANGE, [x, y], [a]) == [y[:n] + x[n:], both + y[n:]]


@given(WORDS, U32, st.integers(1, 12))
def test_tally(x: list[int], a: int, groups: int) -> None:
    expected = list(x)
    for group in range(groups):
        slot = group % len(x)
        expected[slot] = (expected[slot] + group * a + 1) & MASK
    assert apply(TALLY, [x], [a], groups) == [expected]


ORDINARY = st.floats(2.0**-30, 2.0**30, width=32)
FLOATS = st.lists(ORDINARY, min_size=1, max_size=5)


@given(FLOATS, FLOATS, ORDINARY, st.sampled_from([1, -1]))
def test_blend(x: list[float], y: list[float], a: float, sign: int) -> None:
    (_, blended) = apply(BLEND, [[sign * value for value in x], y], [-sign * a])
    both = [a * s + t / 2 for s, t in zip(x, y, strict=False)]
    assert blended[len(both) :] == y[len(both) :]
    assert BLEND.tolerance is not None
    for got, expected in zip(blended, both, strict=False):
        assert math.isclose(got, expected, rel_tol=BLEND.tolerance)


@pytest.mark.parametrize(
    ("kernel", "scalars"),
    [
        (AFFINE, [3, 5]),
        (FOLD, [3]),
        (MIX, [3, 5]),
        (SCRAMBLE, []),
        (MANY, [1] * 12),
        (WIDEN, [1]),
        (EXCHANGE, [3]),
        (BLEND, [3.0]),
    ],
)
def test_a_grid_reaches_its_lanes_and_no_more(kernel: Kernel, scalars: list[Any]) -> None:
    before = [[7] * 200 for _ in kernel.buffers]
    *read, written = apply(kernel, before, scalars, groups=2)
    reach = 2 * kernel.group_size
    assert reach == 128
    assert 7 not in written[:reach]
    assert written[reach:] == [7] * (200 - reach)
    assert read == before[:-1]


@pytest.mark.parametrize("kernel", [AFFINE, FOLD, MIX, SCRAMBLE, MANY, WIDEN, EXCHANGE])
def test_no_two_applications_commute(kernel: Kernel) -> None:
    """Scramble has no scalars to swap, and is held against affine."""
    count = len(kernel.scalars)
    first, second = [3 + n for n in range(count)], [6 + 2 * n for n in range(count)]
    others = [[11 + n, 12 + n] for n in range(len(kernel.buffers) - 1)]

    def once(x: list[Any], scalars: list[int]) -> list[Any]:
        return apply(kernel, [*others, x], scalars)[-1]

    def other(x: list[Any]) -> list[Any]:
        return once(x, second) if count else apply(AFFINE, [x], [3, 5])[-1]

    assert other(once([9, 10], first)) != once(other([9, 10]), first)


@given(st.lists(U32, min_size=2, max_size=5), U32, U32, U32, U32)
def test_patch_words(x: list[int], mask0: int, value0: int, mask1: int, value1: int) -> None:
    expected = list(x)
    expected[0] = x[0] & ~mask0 | value0 & mask0
    expected[-1] = x[-1] & ~mask1 | value1 & mask1
    scalars = [0, mask0, value0, len(x) - 1, mask1, value1]
    assert apply(PATCH_WORDS, [x], scalars) == [expected]


@given(st.data())
def test_copy_bytes(data: st.DataObject) -> None:
    source, target = bytes(range(16)), bytearray(range(100, 120))
    size = data.draw(st.integers(0, 16))
    source_at, target_at = (
        data.draw(st.integers(0, 16 - size)),
        data.draw(st.integers(0, 20 - size)),
    )
    words = [list(struct.unpack(f"<{len(b) // 4}I", b)) for b in (source, target)]
    target[target_at : target_at + size] = source[source_at : source_at + size]
    after = apply(COPY_BYTES, words, [source_at, target_at, size])
    assert after == [words[0], list(struct.unpack("<5I", target))]


SIGNATURE = Kernel(
    name="signature",
    buffers=(Binding(name="x"),),
    scalars=(
        Scalar(name="u", dtype="u32"),
        Scalar(name="i", dtype="i32"),
        Scalar(name="f", dtype="f32"),
    ),
    body="",
    meaning=lambda arrays, scalars, groups: None,
)
F32_MAX = float(np.finfo(np.float32).max)


@pytest.mark.parametrize(
    ("accepted", "refused"),
    [
        ((0, 0, 0), (0, 0)),
        ((0, 0, 0), (0, 0, 0, 0)),
        ((0, 0, 0.0), (-1, 0, 0.0)),
        ((2**32 - 1, 0, 0.0), (2**32, 0, 0.0)),
        ((1, 0, 0.0), (1.0, 0, 0.0)),
        ((1, 0, 0.0), (True, 0, 0.0)),
        ((np.uint32(1), 0, 0.0), (np.bool_(True), 0, 0.0)),
        ((0, -(2**31), 0.0), (0, -(2**31) - 1, 0.0)),
        ((0, 2**31 - 1, 0.0), (0, 2**31, 0.0)),
        ((0, np.int64(5), 0.0), (0, "5", 0.0)),
        ((0, 0, F32_MAX), (0, 0, F32_MAX * 1.01)),
        ((0, 0, F32_MAX), (0, 0, math.nextafter(F32_MAX, math.inf))),
        ((0, 0, -F32_MAX), (0, 0, float("-inf"))),
        ((0, 0, np.float32(1)), (0, 0, float("nan"))),
        ((0, 0, 7), (0, 0, True)),
        ((0, 0, 1.5), (0, 0, "1.5")),
        ((0, 0, 1.5), (0, 0, 1.5j)),
        ((0, 0, 10**38), (0, 0, 10**400)),
    ],
)
def test_scalars_are_checked_by_type(accepted: tuple[Any, ...], refused: tuple[Any, ...]) -> None:
    SIGNATURE.check_scalars(accepted)
    assert len(SIGNATURE.pack(accepted, 1)) == 12
    with pytest.raises(InvalidScalar, match=r"^cannot dispatch signature because .*\(probably "):
        SIGNATURE.check_scalars(refused)
    with pytest.raises(InvalidScalar):
        SIGNATURE.pack(refused, 1)


def test_uniform_payload_is_packed_in_order() -> None:
    assert SIGNATURE.pack((1, -1, 1.0), 9).hex() == "01000000ffffffff0000803f"
    assert SIGNATURE.uniform_bytes == 12
    assert TALLY.pack((5,), 0x10203).hex() == "0500000003020100"
    assert TALLY.uniform_bytes == 8
    assert SCRAMBLE.uniform_bytes == 0
    assert SCRAMBLE.pack((), 1) == b""


def test_groups_stop_where_the_lane_number_would_wrap() -> None:
    assert AFFINE.max_groups * 64 <= MASK < (AFFINE.max_groups + 1) * 64
    assert TALLY.max_groups == MASK


def test_the_shader_binds_what_the_signature_says() -> None:
    shader = TALLY.wgsl()
    assert "@binding(0) var<storage, read_write> x: array<atomic<u32>>;" in shader
    assert "struct Args { a: u32, groups: u32 }" in shader
    assert "@binding(1) var<uniform> args: Args;" in shader
    assert "if (group >= args.groups) { return; }" in shader
    assert "uniform" not in SCRAMBLE.wgsl()
    assert "args.groups" not in AFFINE.wgsl()
    assert "@binding(0) var<storage, read> x: array<i32>;" in WIDEN.wgsl()


def nothing(arrays: object, scalars: object, groups: int) -> None:
    """A meaning for kernels that never run."""


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Kernel(
                name="two words", buffers=(Binding(name="x"),), body="", meaning=nothing
            ),
            "cannot make kernel 'two words' because .* one word",
        ),
        (
            lambda: Kernel(name="idle", buffers=(), body="", meaning=nothing),
            "cannot make kernel 'idle' because it binds no buffer",
        ),
        (lambda: Kernels(AFFINE, AFFINE), "cannot register kernels because two share a name"),
        (lambda: BUILTIN.adding(AFFINE), "cannot register kernels because two share a name"),
    ],
)
def test_malformed_kernels_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        make()


def test_adding_a_kernel_leaves_the_registry_alone() -> None:
    more = BUILTIN.adding(SIGNATURE)
    assert list(more) == [*BUILTIN, "signature"]
    assert more["signature"] is SIGNATURE
    assert "signature" not in BUILTIN
