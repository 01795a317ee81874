"""Single operands: sizes, ranges of bytes, data, scalars and grids; and the signatures of kernels.

Operands are drawn near the edges where runtimes go wrong: around words, around the alignment of
uniform offsets, at both ends of a buffer.  A kernel is read once, into its signature.  Nothing here
names a kernel, so a user's kernel is drawn like a built-in one.  Whole ops and live buffers do
not belong here.
"""

import random
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

from gpusim.kernels import Kernel
from gpusim.kernels.kernel import Dtype
from gpusim.limits import WORD_BYTES, Limits
from gpusim.ops import Grid
from properties.generate.choices import Choices, Weights
from properties.model.case import SMALL_BUFFER_BYTES

FEW = 6
"""Words below this are safe as a grid that the GPU reads, since they start few groups."""
NO_DEVICE_RUNS = 2**32 - 1
"""More groups than any device allows in a dimension."""

Parameters = tuple[bool, tuple[Dtype, ...]]
"""Whether a kernel computes floats, and the types of its scalars.  Kernels that agree in both can
share scalars."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Signature:
    """A kernel's parameters, as the generator binds them."""

    name: str
    floats: tuple[bool, ...]
    """For each buffer, whether it holds floats."""
    written: tuple[bool, ...]
    scalars: tuple[Dtype, ...]
    group_size: int
    max_groups: int
    guarded: bool
    """Whether the grid may exceed the device's limit in a dimension."""
    real: bool
    """Whether any buffer holds floats."""
    counts: bool
    """Whether every word that the kernel writes is below ``FEW``, and so can be part of a grid."""

    @cached_property
    def parameters(self) -> Parameters:
        return self.real, self.scalars


@lru_cache(maxsize=256)
def signature_of(kernel: Kernel) -> Signature:
    """The signature of ``kernel``."""
    floats = tuple(binding.is_float for binding in kernel.buffers)
    return Signature(
        name=kernel.name,
        floats=floats,
        written=kernel.writes,
        scalars=tuple(scalar.dtype for scalar in kernel.scalars),
        group_size=kernel.group_size,
        max_groups=kernel.max_groups,
        guarded=kernel.guarded,
        real=any(floats),
        counts=kernel.below is not None and kernel.below <= FEW,
    )


def drawable(kernels: Mapping[str, Kernel]) -> tuple[Signature, ...]:
    """The signatures of all kernels that a generated program may name, in their order.

    A kernel that writes integers computed from floats is left out: a float result is
    known only within a tolerance, so such an integer could not be compared.
    """
    return _signatures(tuple(kernels.values()))


@lru_cache(maxsize=16)
def _signatures(kernels: tuple[Kernel, ...]) -> tuple[Signature, ...]:
    return tuple(signature_of(kernel) for kernel in kernels if _keeps_floats_apart(kernel))


def _keeps_floats_apart(kernel: Kernel) -> bool:
    computes_floats = kernel.tolerance is not None or any(
        binding.is_float for binding in kernel.buffers
    )
    return not computes_floats or all(
        binding.is_float for binding in kernel.buffers if binding.access == "read_write"
    )


EDGES = (0, 4, 1, 2, 3, 5, 7, 8, 15, 16, 63, 64, 65, 255, 256, 257)
_TAILS = (4, 1, 0, 2, 3, 5, 8)
_SIZES = Weights(("words", 60), ("edge", 30), ("any", 40), ("page", 6), ("huge", 1))
_SPANS = Weights(
    ("words", 18), ("whole", 12), ("edge", 24), ("tail", 12), ("any", 28), ("nearly whole", 6)
)
_GRIDS = Weights(
    ("cover", 50), ("one", 14), ("zero", 6), ("flat", 8), ("deep", 8), ("under", 8), ("over", 6)
)
_MOST_WORD_GROUPS = 64
_MOST_GROUPS = 65_535
_WIDE_GRIDS = 40
"""Of the dispatches of guarded kernels, one in this many reaches or exceeds the limit."""
_MOST_CUBED = 8
"""If the limit of groups in a dimension is at most this, grids may fill all three dimensions."""
_FULL_GRIDS = 200
"""Of the dispatches of unguarded kernels, one in this many just reaches the limit in a dimension.
"""

_HUGE_BYTES = Weights(
    (1 << 16, 8), ((1 << 16) + 4, 3), ((1 << 18) - 4, 3), ((1 << 20) + 260, 1), (1 << 21, 1)
)
"""Sizes past 64 KiB and past 1 MiB, which numbers of 16 and of 20 bits cannot hold."""
_STREAM_BYTES = 1 << 17
_STREAM_PERIOD_BYTES = _STREAM_BYTES - 4
"""Data longer than the stream repeats after so many bytes.  This is no power of two, so that bytes
which are a power of two apart differ."""
_LONGEST_BYTES = 1 << 16
_STREAM = random.Random("bytes").randbytes(_STREAM_BYTES).replace(b"\0", b"\xa5")

_EXTREMES: dict[Dtype, tuple[int | float, ...]] = {
    "u32": (1, 0, 2, 2**32 - 1, 2**31, 2**31 - 1),
    "i32": (1, 0, -1, 2**31 - 1, -(2**31)),
    "f32": (1, 0.5, 0.0, -1.0, 0.1, 16777217, 3.4028234663852886e38, 1.1754943508222875e-38),
}
_TAME_FLOATS = (1, 0.5, 0.25, 0.1, 1.0)


def draw_size(choices: Choices, most: int) -> int:
    """The size of a buffer in bytes, at most ``most``."""
    match choices.weighted(_SIZES):
        case "words":
            size = WORD_BYTES * choices.integer(1, 100)
        case "edge":
            size = choices.pick(EDGES)
        case "any":
            size = choices.integer(0, 600)
        case "page":
            size = 4096 + choices.integer(-1, 4)
            size = most if most == SMALL_BUFFER_BYTES else size
        case _:
            size = choices.weighted(_HUGE_BYTES)
    return min(size, most)


def draw_span(choices: Choices, size: int) -> tuple[int, int]:
    """An offset and a length in bytes that lie in a buffer of ``size`` bytes."""
    match choices.weighted(_SPANS):
        case "whole":
            return 0, size
        case "words":
            words = size // WORD_BYTES
            first = choices.integer(0, max(words - 1, 0))
            return WORD_BYTES * first, WORD_BYTES * choices.integer(min(1, words), words - first)
        case "edge":
            offset = min(choices.pick(EDGES), size)
            return offset, min(choices.pick(EDGES), size - offset)
        case "tail":
            length = min(choices.pick(_TAILS), size)
            return size - length, choices.pick((length, min(length, WORD_BYTES)))
        case "nearly whole":
            offset = min(choices.integer(0, WORD_BYTES - 1), size)
            return offset, max(size - offset - choices.integer(0, WORD_BYTES - 1), 0)
        case _:
            offset = choices.integer(0, max(size - 1, 0))
            return offset, choices.integer(min(1, size), size - offset)


def nonce_bytes(number: int, size: int) -> bytes:
    """The data of write ``number``; any two numbers below 255 give different first bytes.

    No byte is zero, so that padding with zeros shows.
    """
    if not size:
        return b""
    at = number * 257 % _LONGEST_BYTES
    return bytes((number % 255 + 1,)) + _from(_STREAM, at + 1, size - 1)


_EXTREME_WORDS = (
    (0x7F800001, 0xFFFFFFFF, 0x80000000, 0x00000001, 0x7FFFFFFF, 0, 0xFF812345, 0x007FFFFF),
    (0x7FC00000, 0, 0xFF800000, 0xFFC12345, 0x807FFFFF, 0xFFFFFFFF, 0x80000000, 0x7F800000),
)
"""The largest and smallest integers; as floats, NaNs that may lose bits, infinities, subnormals."""


def with_extremes(number: int, data: bytes) -> bytes:
    """``data`` with extreme words after its first eight bytes, which remain a nonce."""
    words = _EXTREME_WORDS[number % len(_EXTREME_WORDS)]
    extremes = struct.pack(f"<{len(words)}I", *words)[: max(len(data) - 2 * WORD_BYTES, 0)]
    return data[: 2 * WORD_BYTES] + extremes + data[2 * WORD_BYTES + len(extremes) :]


_FILLS = ((0x80000000,), (0,), (0xFFFFFFFF,), (0, 0x80000000), (0,))
"""Words that fill buffers.  As a float 0x80000000 is -0.0, which to NumPy equals 0.0 and is false.
"""


def filling(number: int, size: int) -> bytes:
    """The data of a write that fills a buffer with the words of one of ``_FILLS``."""
    words = _FILLS[(number + size) % len(_FILLS)]
    pattern = struct.pack(f"<{len(words)}I", *words)
    whole = size - size % WORD_BYTES
    return (pattern * (whole // len(pattern) + 1))[:whole] + bytes(size - whole)


def nonce_floats(number: int, size: int) -> bytes:
    """The data of write ``number`` to floats: finite normal f32 values, whole words.

    Their magnitudes are between 1 and 1024; their signs vary.
    """
    at = number * 388 % _LONGEST_BYTES
    return _from(_floats(), at, size)


@cache
def _floats() -> bytes:
    draw = random.Random("floats")
    count = _STREAM_BYTES // WORD_BYTES
    floats = (draw.choice((-1.0, 1.0)) * (1.0 + 1023.0 * draw.random()) for _ in range(count))
    return struct.pack(f"<{count}f", *floats)


def _from(stream: bytes, at: int, size: int) -> bytes:
    """``size`` bytes of a stream, which is repeated if it is too short."""
    if at + size > _STREAM_BYTES:
        stream = stream[:_STREAM_PERIOD_BYTES] * ((at + size) // _STREAM_PERIOD_BYTES + 1)
    return stream[at : at + size]


def draw_scalars(choices: Choices, signature: Signature, number: int) -> tuple[int | float, ...]:
    """The scalars of dispatch ``number``: small, and mostly different from those of the others.

    Integers are odd, because multiplying by an odd number loses no information.  At times one of
    the scalars is an extreme of its type instead.
    """
    dtypes = signature.scalars
    first = number * len(dtypes)
    values = [
        _distinct(dtype, first + position, signature.real) for position, dtype in enumerate(dtypes)
    ]
    if values and choices.chance(1, 8):
        position = choices.integer(0, len(values) - 1)
        values[position] = choices.pick(_extremes(dtypes[position], signature.real))
    return tuple(values)


def _distinct(dtype: Dtype, number: int, tame: bool) -> int | float:
    value = 2 * number + 3
    if dtype == "f32":
        # Near 1 for float kernels, so that a chain of dispatches does not overflow.
        return (value % 320 + 64) / 256 if tame else value / 4
    return -value if dtype == "i32" and number % 2 else value


def _extremes(dtype: Dtype, tame: bool) -> Sequence[int | float]:
    return _TAME_FLOATS if dtype == "f32" and tame else _EXTREMES[dtype]


def draw_grid(choices: Choices, signature: Signature, words: int, limits: Limits) -> Grid:
    """A legal grid for a kernel whose longest buffer has ``words`` words."""
    most = limits.max_groups_per_dimension
    if signature.guarded and most > 1 and choices.chance(1, _WIDE_GRIDS):
        return _wide(choices, most)
    if not signature.guarded and choices.chance(1, _FULL_GRIDS):
        full = min(most, signature.max_groups)
        return choices.pick(((full, 1, 1), (1, full, 1), (1, 1, full)))
    cover = -(-words // signature.group_size)
    if cover > _MOST_WORD_GROUPS:
        cover = min(cover, _MOST_GROUPS) if choices.chance(2, 3) else _MOST_WORD_GROUPS
    x, y, z = _grid(choices, cover)
    if signature.guarded:
        return (x, y, z) if x * y * z <= most**3 else (most, 1, 1)
    return min(x, most), min(y, most), min(z, most)


def _grid(choices: Choices, cover: int) -> Grid:
    match choices.weighted(_GRIDS):
        case "cover":
            return cover, 1, 1
        case "one":
            return 1, 1, 1
        case "zero":
            return choices.pick(((0, 1, 1), (cover, 0, 1), (1, 1, 0), (0, 0, 0)))
        case "flat":
            return choices.pick(((1, cover, 1), (2, -(-cover // 2), 1), (2, 2, 1)))
        case "deep":
            return choices.pick(((1, 1, cover), (1, 2, 2), (2, 1, 2), (3, 2, 2)))
        case "under":
            return max(1, choices.integer(1, cover) - 1), 1, 1
        case _:
            return cover + choices.integer(1, 3), 1, 1


def _wide(choices: Choices, most: int) -> Grid:
    """A grid with at least as many groups in one dimension as the device allows there.

    It has up to 3 more, or about as many as two or all three dimensions hold.
    """
    groups = most + choices.integer(0, 3)
    if most <= _MOST_CUBED and choices.chance(1, 2):
        groups = choices.pick((most**2, most**2 + 1, most**3 - 1, most**3))
    return choices.pick(((groups, 1, 1), (1, groups, 1), (1, 1, groups)))


def draw_counts(choices: Choices, words: int) -> bytes:
    """Words that may be in a grid on the GPU: few groups, at times none, at times too many."""
    drawn = _counts()
    at = choices.integer(0, max(len(drawn) - words, 0))
    counts = drawn[at : at + words] * (words // len(drawn) + 1)
    return struct.pack(f"<{words}I", *counts[:words])


@cache
def _counts() -> list[int]:
    draw = random.Random("counts")
    return [
        draw.randint(1, FEW - 2) if draw.random() < 0.9 else draw.choice((0, NO_DEVICE_RUNS))
        for _ in range(1 << 15)
    ]
