"""Dispatches over grids in buffers, and over parts of buffers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gpusim.errors import InvalidBinding, InvalidHandle, OutOfRange
from gpusim.kernels import AFFINE, COUNT, EXCHANGE, FOLD, MIX, SCRAMBLE, TALLY
from gpusim.runtime import PRESETS, Buffer, Policy, Runtime
from gpusim.trace import Trace

Opened = tuple[Runtime, Trace]
WORDS = 256
"""Words of a buffer: four groups of a kernel."""


def words(runtime: Runtime, buffer: Buffer) -> list[int]:
    found: list[int] = runtime.read(buffer, dtype=np.uint32).result().tolist()
    return found


def grid(runtime: Runtime, *sizes: int) -> Buffer:
    counts = runtime.alloc(32)
    runtime.write(counts, np.array(sizes, np.uint32), 16)
    return counts


def counted(runtime: Runtime, buffer: Buffer) -> int:
    """How many words affine has made 1."""
    return sum(words(runtime, buffer))


def test_the_grid_is_read_where_it_stands(runtime: Runtime) -> None:
    a = runtime.alloc(4 * WORDS)
    for sizes, groups in [((3, 1, 1), 3), ((1, 2, 1), 2), ((1, 1, 4), 4), ((2, 0, 2), 0)]:
        runtime.write(a, bytes(4 * WORDS))
        runtime.dispatch_indirect(AFFINE, [a], (1, 1), counts=grid(runtime, *sizes), offset=16)
        assert counted(runtime, a) == 64 * groups


def test_a_grid_past_the_limit_of_a_dimension_does_nothing(runtime: Runtime) -> None:
    a = runtime.alloc(4 * WORDS)
    past = runtime.limits.max_groups_per_dimension + 1
    for sizes in [(past, 1, 1), (1, past, 1), (1, 1, 2**32 - 1)]:
        runtime.dispatch_indirect(AFFINE, [a], (1, 1), counts=grid(runtime, *sizes), offset=16)
    assert counted(runtime, a) == 0


def test_a_host_write_of_the_grid_does_not_overtake(runtime: Runtime) -> None:
    a, counts = runtime.alloc(4 * WORDS), grid(runtime, 2, 1, 1)
    runtime.dispatch_indirect(AFFINE, [a], (1, 1), counts=counts, offset=16)
    runtime.write(counts, np.array([4, 1, 1], np.uint32), 16)
    assert counted(runtime, a) == 128
    runtime.dispatch_indirect(AFFINE, [a], (1, 1), counts=counts, offset=16)
    assert counted(runtime, a) == 128 + 256


def test_a_grid_that_a_kernel_of_the_batch_writes_is_seen(runtime: Runtime) -> None:
    a, counts = runtime.alloc(4 * WORDS), runtime.alloc(12)
    runtime.dispatch(COUNT, [counts], (0, 1))
    assert words(runtime, counts) == [2, 3, 4]
    runtime.dispatch(COUNT, [counts], (0, 0))
    runtime.dispatch_indirect(TALLY, [a], (0,), counts=counts)
    assert words(runtime, a)[:7] == [1] * 6 + [0]
    runtime.copy(a, counts, size_bytes=12)
    runtime.dispatch_indirect(AFFINE, [a], (1, 1), counts=counts)
    assert words(runtime, a)[62:66] == [1, 1, 0, 0]


def test_a_freed_grid_is_refused_and_its_last_use_is_not_lost(runtime: Runtime) -> None:
    a, counts = runtime.alloc(4 * WORDS), grid(runtime, 2, 1, 1)
    runtime.dispatch_indirect(AFFINE, [a], (1, 1), counts=counts, offset=16)
    runtime.free(counts)
    assert counted(runtime, a) == 128
    with pytest.raises(InvalidHandle):
        runtime.dispatch_indirect(AFFINE, [a], (1, 1), counts=counts, offset=16)


def test_a_graph_reads_its_grid_at_each_replay(runtime: Runtime) -> None:
    a, counts, other = runtime.alloc(4 * WORDS), grid(runtime, 1, 1, 1), grid(runtime, 4, 1, 1)
    with runtime.capture() as graph:
        runtime.dispatch_indirect(AFFINE, [a], (1, 1), counts=counts, offset=16)
    graph.replay()
    runtime.write(counts, np.array([2, 1, 1], np.uint32), 16)
    graph.replay([(1, 2)])
    graph.replay(bindings={counts: other})
    assert counted(runtime, a) == 64 + 2 * 128 + 256


def test_indirect_dispatches_share_a_pass_with_others(
    traced: Callable[[Policy], Opened],
) -> None:
    runtime, trace = traced(PRESETS["ring"])
    a, counts = runtime.alloc(4 * WORDS), grid(runtime, 2, 1, 1)
    runtime.dispatch(AFFINE, [a], (1, 1))
    runtime.dispatch_indirect(AFFINE, [a], (1, 1), counts=counts, offset=16)
    runtime.dispatch(AFFINE, [a], (1, 1))
    runtime.flush()
    assert trace.kinds()["submit"] == 1
    groups = [event["groups"] for event in trace if event.kind == "dispatch"]
    assert [len(each) for each in groups] == [3, 2, 3]


def refused(runtime: Runtime, error: type[Exception], bound: list[Any], kernel: Any = FOLD) -> None:
    scalars = (1,) * len(kernel.scalars)
    with pytest.raises(error):
        runtime.dispatch(kernel, bound, scalars)


def test_a_kernel_sees_its_part_and_no_more(runtime: Runtime) -> None:
    step = runtime.limits.storage_offset_alignment_bytes
    a = runtime.alloc(4 * step)
    runtime.dispatch(AFFINE, [a.part(step, 10)], (1, 1), 4)
    runtime.dispatch(AFFINE, [a.part(2 * step)], (1, 2), 64)
    found = words(runtime, a)
    assert found[: step // 4] == [0] * (step // 4)
    assert found[step // 4 : step // 2] == [1, 1] + [0] * (step // 4 - 2)
    assert found[step // 2 :] == [2] * (step // 2)


def test_parts_of_one_buffer_may_both_be_written_or_both_be_read(runtime: Runtime) -> None:
    step = runtime.limits.storage_offset_alignment_bytes
    a, b = runtime.alloc(2 * step), runtime.alloc(step)
    runtime.write(a, np.arange(step // 2, dtype=np.uint32))
    runtime.dispatch(EXCHANGE, [a.part(0, step), a.part(step)], (0,), 4)
    half = step // 4
    assert words(runtime, a) == [*range(half, 2 * half), *range(half)]
    runtime.dispatch(MIX, [a.part(0, step), a.part(0), b], (0, 1), 4)
    assert words(runtime, b) == list(range(half, 2 * half))


def test_a_part_is_refused_for_its_range_its_place_and_its_aliases(runtime: Runtime) -> None:
    step = runtime.limits.storage_offset_alignment_bytes
    a, b = runtime.alloc(2 * step), runtime.alloc(2 * step)
    runtime.dispatch(FOLD, [a.part(step), b], (1,))
    refused(runtime, OutOfRange, [a.part(step, step + 1), b])
    refused(runtime, OutOfRange, [a.part(-step, step), b])
    refused(runtime, OutOfRange, [a.part(0, -4), b])
    refused(runtime, InvalidBinding, [a.part(4), b])
    refused(runtime, InvalidBinding, [a.part(0, 3), b])
    refused(runtime, InvalidBinding, [a.part(step), a.part(0, step)])
    refused(runtime, InvalidBinding, [a.part(0, step + 4), a.part(step)], EXCHANGE)
    refused(runtime, InvalidBinding, [a, a.part(step)], EXCHANGE)
    runtime.dispatch(EXCHANGE, [a.part(0, step), a.part(step)], (1,))
    with pytest.raises(OutOfRange):
        a.part(0.5)  # type: ignore[arg-type]


def test_a_write_to_a_part_waits_for_the_dispatch_before_it(runtime: Runtime) -> None:
    step = runtime.limits.storage_offset_alignment_bytes
    a = runtime.alloc(2 * step)
    runtime.dispatch(SCRAMBLE, [a.part(step)], grid=64)
    runtime.write(a, bytes(step), step)
    assert words(runtime, a) == [0] * (step // 2)


def test_a_graph_binds_the_same_part_of_another_buffer(runtime: Runtime) -> None:
    step = runtime.limits.storage_offset_alignment_bytes
    a, b, short = runtime.alloc(2 * step), runtime.alloc(2 * step), runtime.alloc(step)
    with runtime.capture() as graph:
        runtime.dispatch(AFFINE, [a.part(step)], (1, 7), 64)
    graph.replay(bindings={a: b})
    assert words(runtime, a) == [0] * (step // 2)
    assert words(runtime, b) == [0] * (step // 4) + [7] * (step // 4)
    with pytest.raises(OutOfRange):
        graph.replay(bindings={a: short})
