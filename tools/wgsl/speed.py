"""What compiled WGSL costs beside NumPy written by hand: ``python -m tools.wgsl.speed``.

The built-in kernels beside their meanings, over 64 and 65,536 words; a copy of bytes beside NumPy
that indexes words; a tiled product of matrices beside an adapter; a loop that lanes leave one by
one beside NumPy that compacts them by hand.
Times are the best of several, in microseconds: of the processor, so that other programs matter
less, and of the clock where an adapter has threads of its own.  Nothing is asserted.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from gpusim import Runtime
from gpusim.kernels import BUILTIN, COPY_BYTES, PATCH_WORDS, Kernel
from gpusim.kernels.kernel import NUMPY_DTYPES
from gpusim.wgsl import compile_module

_SIZES = (64, 65_536)
_OWN_SCALARS = {PATCH_WORDS.name: [3, 0xFF00, 0x12345678, 7, 0xFFFF, 0xABCDEF01]}
_SIDE = 256
PRODUCT = """
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
var<workgroup> left: array<array<f32, 16>, 16>;
var<workgroup> right: array<array<f32, 16>, 16>;
@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) g: vec3u, @builtin(local_invocation_id) l: vec3u) {
    var total = 0.0;
    for (var tile = 0u; tile < 16u; tile++) {
        left[l.y][l.x] = a[g.y * 256u + tile * 16u + l.x];
        right[l.y][l.x] = b[(tile * 16u + l.y) * 256u + g.x];
        workgroupBarrier();
        for (var k = 0u; k < 16u; k++) { total += left[l.y][k] * right[k][l.x]; }
        workgroupBarrier();
    }
    c[g.y * 256u + g.x] = total;
}
"""
LEAVING = """
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> o: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) g: vec3u) {
    let cx = a[g.x] * 2.0 - 0.5;
    let cy = a[(g.x + 77u) % arrayLength(&a)];
    var x = 0.0; var y = 0.0; var n = 0u;
    while (n < 200u && x * x + y * y < 4.0) {
        let next = x * x - y * y + cx; y = 2.0 * x * y + cy; x = next; n++;
    }
    o[g.x] = n;
}
"""
_INDEXED = """
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read> at: array<u32>;
@group(0) @binding(2) var<storage, read_write> o: array<u32>;
@compute @workgroup_size(64) fn gather(@builtin(global_invocation_id) g: vec3u) {
    if (g.x < arrayLength(&o)) { o[g.x] = a[at[g.x]]; }
}
@compute @workgroup_size(64) fn scatter(@builtin(global_invocation_id) g: vec3u) {
    if (g.x < arrayLength(&a)) { o[at[g.x]] = a[g.x]; }
}
"""


def best(
    action: Callable[[], Any], rounds: int, clock: Callable[[], float] = time.process_time
) -> float:
    """The least time of one call, in microseconds."""
    times = []
    for _ in range(7):
        start = clock()
        for _ in range(rounds):
            action()
        times.append((clock() - start) / rounds)
    return min(times) * 1e6


def kernel_times(kernel: Kernel, size: int) -> tuple[float, float]:
    """The time of a kernel's meaning, and of its compiled WGSL, over ``size`` words."""
    random = np.random.default_rng(1)
    floats = any(binding.dtype == "f32" for binding in kernel.buffers)
    words = random.standard_normal(size) if floats else random.integers(0, 2**32, size)
    kind = np.float32 if floats else np.uint32
    arrays = [words.astype(kind) for _ in kernel.buffers]
    given = [0.5 if scalar.dtype == "f32" else 12345 for scalar in kernel.scalars]
    scalars: list[Any] = _OWN_SCALARS.get(kernel.name, given)
    if kernel is COPY_BYTES:
        scalars = [3, 5, size * 4 - 30]
    groups = 1 if kernel is PATCH_WORDS else -(-size // kernel.group_size)
    payload = np.frombuffer(kernel.pack(scalars, groups), np.uint8)
    bound = [array.view(np.uint8) for array in arrays] + ([payload] if len(payload) else [])
    run = compile_module(kernel.wgsl()).entry("main").bind(bound)
    typed = tuple(
        NUMPY_DTYPES[scalar.dtype].type(value)
        for scalar, value in zip(kernel.scalars, scalars, strict=True)
    )
    views = tuple(
        array.view(NUMPY_DTYPES[binding.dtype])
        for array, binding in zip(arrays, kernel.buffers, strict=True)
    )
    rounds = 2000 if size < 1000 else 50
    with np.errstate(all="ignore"):
        meant = best(lambda: kernel.meaning(views, typed, groups), rounds)
        return meant, best(lambda: run(groups, 1, 1), rounds)


def indexed_times(entry: str, size: int) -> tuple[float, float]:
    """A gather or a scatter of ``size`` words: NumPy by hand, and compiled WGSL."""
    random = np.random.default_rng(1)
    a, o = (random.integers(0, 2**32, size, np.uint32) for _ in range(2))
    at = random.permutation(size).astype(np.uint32)
    run = compile_module(_INDEXED).entry(entry).bind([x.view(np.uint8) for x in (a, at, o)])

    def gather() -> None:
        o[:] = a[at]

    def scatter() -> None:
        o[at] = a

    rounds = 2000 if size < 1000 else 50
    by_hand = best(gather if entry == "gather" else scatter, rounds)
    return by_hand, best(lambda: run(-(-size // 64), 1, 1), rounds)


def bytes_times(size: int) -> tuple[float, float]:
    """A copy of bytes that are not words: NumPy that indexes the words by hand, and compiled."""
    random = np.random.default_rng(1)
    source, target = (random.integers(0, 2**32, size, np.uint32) for _ in range(2))
    groups = -(-size // COPY_BYTES.group_size)
    payload = np.frombuffer(COPY_BYTES.pack([3, 5, size * 4 - 30], groups), np.uint8)
    bound = [source.view(np.uint8), target.view(np.uint8), payload]
    run = compile_module(COPY_BYTES.wgsl()).entry("main").bind(bound)
    stop = 5 + size * 4 - 30
    first, words = 1, (stop + 3) // 4 - 1

    def by_hand() -> None:
        at = np.arange(words) + 1
        low, high = source[np.maximum(at, 1) - 1], source[np.minimum(at, size - 1)]
        taken = (low >> np.uint32(16)) | (high << np.uint32(16))
        mask = np.full(words, 0xFFFFFFFF, np.uint32)
        mask[0] <<= np.uint32(8)
        mask[-1] &= np.uint32(0xFFFFFFFF >> (-stop % 4 * 8))
        old = target[first : first + words]
        old[:] = (old & ~mask) | (taken & mask)

    rounds = 2000 if size < 1000 else 50
    return best(by_hand, rounds), best(lambda: run(groups, 1, 1), rounds)


def product_times(device: str) -> tuple[float, float]:
    """A tiled product of two matrices of 256 x 256: on an adapter, and compiled."""
    random = np.random.default_rng(1)
    arrays = [random.standard_normal(_SIDE * _SIDE).astype(np.float32) for _ in range(3)]
    run = compile_module(PRODUCT).entry("main").bind([array.view(np.uint8) for array in arrays])
    kernel = Kernel.from_wgsl(PRODUCT)
    with Runtime(device) as runtime:
        buffers = [runtime.alloc(array.nbytes) for array in arrays]
        for buffer, array in zip(buffers, arrays, strict=True):
            runtime.write(buffer, array)

        def on_adapter() -> None:
            runtime.dispatch(kernel, buffers, grid=(16, 16))
            runtime.read(buffers[2], size_bytes=4).result()

        theirs = best(on_adapter, 1, time.perf_counter)
        ours = best(lambda: run(16, 16, 1), 1, time.perf_counter)
    return theirs, ours


def leaving_times() -> tuple[float, float]:
    """A loop that lanes leave one by one: NumPy by hand, and compiled WGSL."""
    a = np.random.default_rng(1).uniform(-1, 1, _SIZES[1]).astype(np.float32)
    o = np.zeros(len(a), np.uint32)
    run = compile_module(LEAVING).entry("main").bind([a.view(np.uint8), o.view(np.uint8)])
    return best(lambda: _leaving_by_hand(a), 1), best(lambda: run(len(a) // 64, 1, 1), 1)


def _leaving_by_hand(a: Any) -> Any:
    cx, cy = a * np.float32(2) - np.float32(0.5), np.roll(a, -77)
    x, y, at = np.zeros_like(a), np.zeros_like(a), np.arange(len(a))
    rounds = np.zeros(len(a), np.uint32)
    for _ in range(200):
        kept = np.flatnonzero(x * x + y * y < 4)
        if len(kept) < len(x):
            x, y, cx, cy, at = (each[kept] for each in (x, y, cx, cy, at))
        x, y = x * x - y * y + cx, np.float32(2) * x * y + cy
        rounds[at] += np.uint32(1)
    return rounds


def main() -> None:
    """Print a table."""
    print(f"{'kernel':<22}{'words':>8}{'by hand':>12}{'compiled':>12}{'ratio':>8}")
    for kernel in (*BUILTIN.values(), COPY_BYTES, PATCH_WORDS):
        for size in _SIZES:
            meant, ran = kernel_times(kernel, size)
            print(f"{kernel.name:<22}{size:>8}{meant:>12.1f}{ran:>12.1f}{ran / meant:>8.2f}")
    for entry in ("gather", "scatter"):
        for size in _SIZES:
            meant, ran = indexed_times(entry, size)
            print(f"{entry:<22}{size:>8}{meant:>12.1f}{ran:>12.1f}{ran / meant:>8.2f}")
    for size in _SIZES:
        by_hand, ran = bytes_times(size)
        ratio = ran / by_hand
        print(f"{'bytes, by words':<22}{size:>8}{by_hand:>12.1f}{ran:>12.1f}{ratio:>8.2f}")
    by_hand, ran = leaving_times()
    print(
        f"{'lanes leave a loop':<22}{_SIZES[1]:>8}{by_hand:>12.1f}{ran:>12.1f}{ran / by_hand:>8.2f}"
    )
    adapter, ran = product_times("vulkan")
    ratio = ran / adapter
    print(f"{'product, on vulkan':<22}{_SIDE * _SIDE:>8}{adapter:>12.1f}{ran:>12.1f}{ratio:>8.2f}")


if __name__ == "__main__":
    main()
