"""What the checks of shaders cost: ``python -m tools.wgsl checks``.

Each shader runs with the checks and without, in turns, over the same bytes.  Times are the best of
several, in microseconds.  Nothing is asserted, and no shader here has a mistake.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpusim.kernels import BUILTIN, COPY_BYTES, PATCH_WORDS
from gpusim.wgsl import compile_module
from gpusim.wgsl.checks import Ledger, checked
from gpusim.wgsl.checks.orders import Order, numbered
from tools.wgsl.speed import LEAVING, PRODUCT, best

_WORDS = 65_536
_TURNS = 12
_HEAD = """
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<storage, read> z: array<u32>;
@group(0) @binding(3) var<storage, read_write> n: atomic<u32>;
var<workgroup> s: array<u32, 64>;
"""
_LINE = """@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) l: u32,
        @builtin(workgroup_id) w: vec3u) {
"""
_PLANE = """@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = id.y * arrayLength(&z) / 256u + id.x;
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """A shader with its buffers and its grid."""

    name: str
    text: str
    arrays: tuple[Any, ...]
    grid: tuple[int, int, int]


def _line(name: str, body: str) -> Work:
    arrays = (np.arange(_WORDS), np.zeros(_WORDS), np.arange(_WORDS)[::-1], np.zeros(1))
    typed = tuple(each.astype(np.uint32) for each in arrays)
    is_plane = body.startswith("plane")
    text = _HEAD + (_PLANE if is_plane else _LINE) + body.removeprefix("plane") + "}"
    grid = (16, 16, 1) if is_plane else (_WORDS // 64, 1, 1)
    return Work(name=name, text=text, arrays=typed, grid=grid)


def works() -> Iterator[Work]:
    """What is measured: elementwise and tiled shaders, then others, the worst last."""
    yield _line("elementwise", "if (id.x < arrayLength(&x)) { x[id.x] = 3u * x[id.x] + z[id.x]; }")
    yield _line("elementwise, no guard", "y[id.x] = 3u * x[id.x] + z[id.x];")
    yield _line("elementwise, a plane", "plane y[i] = 3u * z[i];")
    yield _line(
        "elementwise, four each",
        "if (id.x < 16384u) { for (var k = 0u; k < 4u; k++) { y[4u * id.x + k] = z[id.x]; } }",
    )
    random = np.random.default_rng(1)
    floats = tuple(random.standard_normal(_WORDS).astype(np.float32) for _ in range(3))
    yield Work(name="tiled product", text=PRODUCT, arrays=floats, grid=(16, 16, 1))
    yield _line(
        "reduction",
        "s[l] = z[id.x]; workgroupBarrier();"
        "for (var k = 32u; k > 0u; k >>= 1u) { if (l < k) { s[l] += s[l + k]; }"
        "workgroupBarrier(); } if (l == 0u) { y[w.x] = s[0]; }",
    )
    yield _line(
        "scan",
        "s[l] = z[id.x]; workgroupBarrier();"
        "for (var k = 1u; k < 64u; k <<= 1u) { var a = s[l]; if (l >= k) { a += s[l - k]; }"
        "workgroupBarrier(); s[l] = a; workgroupBarrier(); } y[id.x] = s[l];",
    )
    yield _line("append", "if (z[id.x] % 3u == 0u) { y[atomicAdd(&n, 1u) % 65536u] = id.x; }")
    yield _line("stencil", "y[id.x] = z[max(id.x, 1u) - 1u] + z[id.x] + z[min(id.x + 1u, 65535u)];")
    yield _line("scatter", "y[z[id.x]] = id.x;")
    yield _line("in place, by an index", "x[z[id.x]] = x[z[id.x]] * 3u + 1u;")
    lanes = (random.uniform(-1, 1, _WORDS).astype(np.float32), np.zeros(_WORDS, np.uint32))
    yield Work(name="lanes leave a loop", text=LEAVING, arrays=lanes, grid=(_WORDS // 64, 1, 1))
    yield from _kernels()
    yield _line(
        "walk in place",
        "let at = z[id.x]; for (var k = 0u; k < 16u; k++) { x[at] = x[at] + k; }",
    )
    yield _line(
        "walk by links, in place",
        "var at = z[id.x]; for (var k = 0u; k < 16u; k++) { x[at] = x[at] + k; at ^= id.x & 0u; }",
    )


def _kernels() -> Iterator[Work]:
    for kernel in (*BUILTIN.values(), COPY_BYTES, PATCH_WORDS):
        floats = any(binding.dtype == "f32" for binding in kernel.buffers)
        words = np.arange(_WORDS, dtype=np.float32 if floats else np.uint32)
        scalars: list[Any] = [0.5 if each.dtype == "f32" else 12345 for each in kernel.scalars]
        if kernel is COPY_BYTES:
            scalars = [3, 5, _WORDS * 4 - 30]
        if kernel is PATCH_WORDS:
            scalars = [0, 0xFF00, 7, _WORDS - 1, 0xFF, 9]
        groups = 1 if kernel is PATCH_WORDS else -(-_WORDS // kernel.group_size)
        payload = np.frombuffer(kernel.pack(scalars, groups), np.uint8)
        arrays = [words] * len(kernel.buffers) + ([payload] if len(payload) else [])
        yield Work(name=kernel.name, text=kernel.wgsl(), arrays=tuple(arrays), grid=(groups, 1, 1))


def one_other() -> tuple[Order, ...]:
    """The further orders for a shader in which another order of atomics may show more: just one."""
    return (numbered(1),)


def times(work: Work) -> tuple[float, float, int]:
    """The time without checks and with them, and the number of reports."""
    entry = compile_module(work.text).entry("main")
    ledger = Ledger()
    with_checks = checked(entry, ledger, work.text)
    used = [work.arrays[each.binding] for each in entry.point.bindings]
    plain = entry.bind([each.copy().view(np.uint8) for each in used])
    looked_at = with_checks.bind([each.copy().view(np.uint8) for each in used])
    pairs = []
    for _ in range(_TURNS):
        without = best(lambda: plain(*work.grid), 1)
        pairs.append((without, best(lambda: looked_at(*work.grid, orders=one_other), 1)))
    without, ran = (min(column) for column in zip(*pairs, strict=True))
    return without, ran, len(ledger.reports)


def table() -> str:
    """A line a shader."""
    lines = [f"{'shader':<24}{'without':>10}{'with':>10}{'ratio':>8}{'reports':>9}"]
    for work in works():
        without, ran, reports = times(work)
        lines.append(
            f"{work.name:<24}{without:>10.1f}{ran:>10.1f}{ran / without:>8.2f}{reports:>9}"
        )
    return "\n".join(lines)
