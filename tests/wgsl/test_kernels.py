"""Compiled WGSL and the hand-written meaning of each kernel are two opinions, and agree."""

from typing import Any

import numpy as np
import pytest

from gpusim.kernels import COPY_BYTES, OFFERED, PATCH_WORDS, Kernel
from gpusim.wgsl import compile_module

pytestmark = pytest.mark.unit
KERNELS = (*OFFERED.values(), PATCH_WORDS, COPY_BYTES)
DTYPES: dict[str, Any] = {"u32": np.uint32, "i32": np.int32, "f32": np.float32}
OWN_SCALARS = {
    PATCH_WORDS.name: [3, 0xFF00, 0x12345678, 7, 0xFFFF, 0xABCDEF01],
    COPY_BYTES.name: [3, 5, 33],
}
SIZES = (16, 64, 65, 200)
GRIDS = ((1, 1, 1), (3, 1, 1), (1, 2, 1), (2, 2, 2))


def words_of(kernel: Kernel, size: int, random: np.random.Generator) -> list[Any]:
    floats = any(binding.dtype == "f32" for binding in kernel.buffers)
    if floats:
        return [
            random.standard_normal(size).astype(np.float32).view(np.uint32) for _ in kernel.buffers
        ]
    return [random.integers(0, 2**32, size, dtype=np.uint32) for _ in kernel.buffers]


def scalars_of(kernel: Kernel, random: np.random.Generator) -> list[Any]:
    return OWN_SCALARS.get(kernel.name) or [
        float(np.float32(random.standard_normal()))
        if scalar.dtype == "f32"
        else int(random.integers(0, 2**31))
        for scalar in kernel.scalars
    ]


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_a_kernel_does_what_it_means(kernel: Kernel) -> None:
    entry = compile_module(kernel.wgsl()).entry("main")
    random = np.random.default_rng(1)
    for size in SIZES:
        for grid in GRIDS:
            scalars = scalars_of(kernel, random)
            count = grid[0] * grid[1] * grid[2]
            compiled = words_of(kernel, size, random)
            meant = [array.copy() for array in compiled]
            payload = np.frombuffer(kernel.pack(scalars, count), np.uint8)
            bound = [array.view(np.uint8) for array in compiled]
            entry.bind([*bound, payload] if len(payload) else bound)(*grid)
            typed = tuple(
                DTYPES[scalar.dtype](value)
                for scalar, value in zip(kernel.scalars, scalars, strict=True)
            )
            views = tuple(
                array.view(DTYPES[binding.dtype])
                for array, binding in zip(meant, kernel.buffers, strict=True)
            )
            with np.errstate(all="ignore"):
                kernel.meaning(views, typed, count)
            for left, right in zip(compiled, meant, strict=True):
                assert left.tolist() == right.tolist(), (size, grid)
