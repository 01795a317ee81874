"""``bench scale``: whether an op still costs the same after a million ops.

Each row is one stretch of a curve: how many ops, buffers or keys there were at its end,
what one more cost, and what the runtime held.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from gpusim.kernels import AFFINE
from gpusim.runtime import PRESETS, Buffer, Driver, Runtime, driver_for
from properties.bench.timing import Asked, Results, Row, Sample, Watch, rows_of

_BYTES = 256
_MOST_GRID = 100
_PAGE_KIB = 4
_STATM = Path("/proc/self/statm")

Stretch = tuple[int, int, Sample]
"""How many ops, buffers or keys a stretch reached, its number of ops, and its time."""


def bench(asked: Asked, shrink: int = 1) -> Results:
    """The curves of dispatches, live buffers and cache keys; ``shrink`` divides their lengths."""
    driver = driver_for(asked.device)
    shrink *= 10 if asked.small else 1
    curves: dict[str, Callable[[Runtime, int], Iterator[Stretch]]] = {
        "dispatches so far": dispatches,
        "live buffers": live_buffers,
        "different cache keys": cache_keys,
    }
    lengths = {"dispatches so far": 1_000_000, "live buffers": 100_000}
    rows: list[Row] = []
    for workload, curve in curves.items():
        length = lengths.get(workload, 10_000) // shrink
        asked.tell(f"{workload}: up to {length:,}")
        rows += _curve(workload, driver, curve, length)
    return Results(rows=rows)


def dispatches(runtime: Runtime, length: int) -> Iterator[Stretch]:
    """A chain of ``length`` dispatches, timed in twenty stretches."""
    x = runtime.alloc(_BYTES)
    each = length // 20

    def stretch(start: int) -> None:
        for n in range(start, start + each):
            runtime.dispatch(AFFINE, [x], (3, n))

    for start in range(0, length, each):
        yield start + each, each, _timed(runtime, partial(stretch, start))


def live_buffers(runtime: Runtime, length: int) -> Iterator[Stretch]:
    """Up to ``length`` buffers alive, each made, written and dispatched on."""
    each = length // 10

    def stretch() -> None:
        for n in range(each):
            x = runtime.alloc(_BYTES)
            runtime.write(x, n.to_bytes(4, "little"))
            runtime.dispatch(AFFINE, [x], (3, n))

    for start in range(0, length, each):
        yield start + each, each, _timed(runtime, stretch)


def cache_keys(runtime: Runtime, length: int) -> Iterator[Stretch]:
    """Dispatches that go round 10 different cache keys, then 100, and so on up to ``length``."""
    buffers = [runtime.alloc(_BYTES) for _ in range(max(1, length // _MOST_GRID))]
    keys = [(buffer, grid + 1) for grid in range(_MOST_GRID) for buffer in buffers]

    def round_of(used: list[tuple[Buffer, int]]) -> None:
        for n in range(2 * length):
            buffer, grid = used[n % len(used)]
            runtime.dispatch(AFFINE, [buffer], (3, n), grid)

    number = 10
    while number <= length:
        used = keys[:number]
        round_of(used)
        yield number, 2 * length, _timed(runtime, partial(round_of, used))
        number *= 10


def _curve(
    workload: str,
    driver: Driver,
    curve: Callable[[Runtime, int], Iterator[Stretch]],
    length: int,
) -> list[Row]:
    runtime = Runtime(driver=driver, policy=PRESETS["ring"])
    warm = runtime.alloc(_BYTES)
    runtime.dispatch(AFFINE, [warm], (1, 0))
    runtime.free(warm)
    rows = []
    for reached, ops, sample in curve(runtime, length):
        (row,) = rows_of(workload, {str(reached): [sample]}, ops)
        rows.append(replace(row, more=_holdings(runtime, reached)))
    for buffer in runtime.live_buffers():
        runtime.free(buffer)
    runtime.close()
    return rows


def _timed(runtime: Runtime, stretch: Callable[[], None]) -> Sample:
    runtime.sync()
    watch = Watch()
    stretch()
    runtime.flush()
    watch.pause()
    runtime.sync()
    return watch.stop()


def _holdings(runtime: Runtime, reached: int) -> dict[str, float]:
    """What is held now: entries of pools and caches, and resident memory where it is known."""
    stats = runtime.stats()
    parts = (stats.uniforms, stats.bind_groups, stats.shapes, stats.staging)
    holdings: dict[str, float] = {"held": sum(counts.held for counts in parts)}
    if _STATM.exists():
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
        holdings["resident_mib"] = pages * _PAGE_KIB / 1024
    return {"reached": reached, **holdings}
