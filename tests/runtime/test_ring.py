"""What the ring policy promises beyond TVM's, counted at the driver on the real device."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from gpusim.kernels import AFFINE, FOLD, MANY, SCRAMBLE
from gpusim.runtime import PRESETS, Buffer, Policy, Runtime
from gpusim.trace import Trace

Open = Callable[[Policy], tuple[Runtime, Trace]]
RING = replace(PRESETS["ring"], first_batch=None)
WORDS = np.arange(16, dtype=np.uint32)


def filled(runtime: Runtime) -> Buffer:
    """A buffer of sixteen words, done."""
    buffer = runtime.alloc(64)
    runtime.write(buffer, WORDS)
    runtime.sync()
    return buffer


def submits(trace: Trace) -> int:
    """How many submits have reached the driver."""
    return trace.count("submit")


def test_a_batch_writes_its_uniforms_once(traced: Open) -> None:
    runtime, trace = traced(RING)
    a = filled(runtime)
    for scalar in range(50):
        runtime.dispatch(AFFINE, [a], [3, scalar])
    runtime.flush()
    writes = [e for e in trace if e.kind == "write_buffer" and e["role"] == "uniform"]
    assert len(writes) == 1
    assert runtime.stats().uniforms.created == 1
    assert runtime.stats().bind_groups.created == 1
    expected = WORDS.copy()
    for scalar in range(50):
        expected = expected * np.uint32(3) + np.uint32(scalar)
    assert runtime.read(a).result() == expected.tobytes()


def test_offsets_keep_the_devices_alignment_and_never_overlap(traced: Open) -> None:
    runtime, trace = traced(RING)
    a = filled(runtime)
    runtime.dispatch(AFFINE, [a], [1, 2])
    runtime.dispatch(MANY, [a], [1, 2, 3, 4, 1, 2, 3, 4, 1.0, 2.0, 3.0, 4.0])
    runtime.dispatch(AFFINE, [a], [1, 2])
    runtime.flush()
    ends = 0
    for event in (event for event in trace if event.kind == "dispatch"):
        _, offset, size_bytes = event["ranges"][-1]
        assert offset % runtime.limits.uniform_offset_alignment_bytes == 0
        assert offset >= ends
        ends = offset + size_bytes


def test_a_full_ring_is_submitted_and_used_again(traced: Open) -> None:
    runtime, trace = traced(replace(RING, uniform_ring_bytes=512))
    a = filled(runtime)
    slots = 512 // max(8, runtime.limits.uniform_offset_alignment_bytes)
    before = submits(trace)
    for scalar in range(2 * slots + 1):
        runtime.dispatch(AFFINE, [a], [3, scalar])
    assert submits(trace) == before + 2
    assert runtime.stats().uniforms.exhausted == 2
    assert runtime.stats().uniforms.created == 1


def test_a_payload_beyond_the_ring_makes_it_grow(traced: Open) -> None:
    runtime, _ = traced(replace(RING, uniform_ring_bytes=1))
    a = filled(runtime)
    runtime.dispatch(AFFINE, [a], [3, 5])
    runtime.dispatch(MANY, [a], [1, 2, 3, 4, 1, 2, 3, 4, 1.0, 2.0, 3.0, 4.0])
    runtime.dispatch(AFFINE, [a], [0, 9])
    assert runtime.read(a, dtype="u4").result().tolist() == [9] * 16


def test_a_write_that_no_command_touches_does_not_flush(traced: Open) -> None:
    runtime, trace = traced(RING)
    a, other = filled(runtime), filled(runtime)
    before = submits(trace)
    for scalar in range(5):
        runtime.dispatch(AFFINE, [a], [3, scalar])
        runtime.write(other, WORDS + np.uint32(scalar))
    assert submits(trace) == before
    assert runtime.read(other).result() == (WORDS + np.uint32(4)).tobytes()


def test_a_small_write_that_conflicts_is_copied_in_its_place(traced: Open) -> None:
    runtime, trace = traced(RING)
    a, total = filled(runtime), filled(runtime)
    before = submits(trace)
    expected = WORDS.copy()
    for scalar in range(5):
        runtime.write(a, WORDS + np.uint32(scalar))
        runtime.dispatch(FOLD, [a, total], [3])
        expected = expected * np.uint32(3) + WORDS + np.uint32(scalar)
    assert submits(trace) == before
    assert runtime.read(total).result() == expected.tobytes()
    assert submits(trace) == before + 1


@pytest.mark.parametrize("staged", [0, 63, 64])
def test_a_large_write_that_conflicts_flushes(traced: Open, staged: int) -> None:
    runtime, trace = traced(replace(RING, staged_write_bytes=staged))
    a = filled(runtime)
    before = submits(trace)
    runtime.dispatch(AFFINE, [a], [3, 5])
    runtime.write(a, WORDS)
    assert submits(trace) == before + (staged < 64)
    assert runtime.read(a).result() == WORDS.tobytes()


def test_an_odd_write_into_a_batch_keeps_its_neighbours(traced: Open) -> None:
    runtime, trace = traced(RING)
    a = filled(runtime)
    before = submits(trace)
    runtime.dispatch(AFFINE, [a], [3, 5])
    runtime.write(a, b"\xaa" * 11, 3)
    runtime.dispatch(AFFINE, [a], [1, 1])
    assert submits(trace) == before
    expected = (WORDS * 3 + 5).astype("<u4").tobytes()
    expected = expected[:3] + b"\xaa" * 11 + expected[14:]
    words = np.frombuffer(expected, "<u4") + np.uint32(1)
    assert runtime.read(a).result() == words.tobytes()


def test_reads_join_the_batch_and_share_a_map(traced: Open) -> None:
    runtime, trace = traced(RING)
    a = filled(runtime)
    before = submits(trace), trace.count("map")
    tickets = []
    for scalar in range(16):
        runtime.dispatch(AFFINE, [a], [3, scalar])
        tickets.append(runtime.read(a, 4 * (scalar % 3), 8))
    assert submits(trace) == before[0]
    runtime.sync()
    assert (submits(trace), trace.count("map")) == (before[0] + 1, before[1] + 1)
    expected = WORDS.copy()
    for scalar, ticket in enumerate(tickets):
        expected = expected * np.uint32(3) + np.uint32(scalar)
        at = scalar % 3
        assert ticket.result() == expected[at : at + 2].tobytes()


def test_a_joined_read_is_submitted_when_it_is_waited_for(traced: Open) -> None:
    runtime, trace = traced(RING)
    a = filled(runtime)
    before = submits(trace)
    ticket = runtime.read(a)
    assert not ticket.done()
    assert submits(trace) == before
    assert ticket.result() == WORDS.tobytes()
    assert submits(trace) == before + 1


def test_a_loop_of_alloc_dispatch_free_read_keeps_its_batch(traced: Open) -> None:
    runtime, trace = traced(RING)
    a = filled(runtime)
    before = submits(trace)
    tickets = []
    for _ in range(10):
        scratch = runtime.alloc(64)
        runtime.copy(a, scratch)
        runtime.dispatch(AFFINE, [scratch], [1, 7])
        tickets.append(runtime.read(scratch))
        runtime.free(scratch)
    assert submits(trace) == before
    runtime.sync()
    assert submits(trace) == before + 1
    assert all(t.result() == (WORDS + np.uint32(7)).tobytes() for t in tickets)
    freed = [e for e in trace if e.kind == "destroy_buffer" and e["role"] == "storage"]
    assert len(freed) == 10


def test_a_freed_buffer_that_no_command_touches_goes_at_once(traced: Open) -> None:
    runtime, trace = traced(RING)
    a, idle = filled(runtime), runtime.alloc(16)
    runtime.dispatch(SCRAMBLE, [a])
    runtime.free(idle)
    assert [event.kind for event in trace][-1] == "destroy_buffer"
    runtime.free(a)
    assert trace.count("destroy_buffer") == 1


def test_the_first_batch_is_early_and_the_next_are_larger(traced: Open) -> None:
    runtime, trace = traced(replace(RING, first_batch=2, batch_commands=16))
    a = filled(runtime)
    sizes = []
    for scalar in range(2 + 4 + 8 + 16 + 16):
        runtime.dispatch(AFFINE, [a], [3, scalar])
    sizes = [event["commands"] for event in trace if event.kind == "encode"][1:]
    assert sizes == [2, 4, 8, 16, 16]
    runtime.sync()
    runtime.dispatch(AFFINE, [a], [3, 1])
    runtime.dispatch(AFFINE, [a], [3, 2])
    assert [event["commands"] for event in trace if event.kind == "encode"][-1] == 2


@pytest.mark.parametrize("grid", [1.0, True, (1.0, 1, 1)])
def test_a_grid_that_equals_a_planned_one_is_checked_all_the_same(
    traced: Open, grid: object
) -> None:
    runtime, _ = traced(RING)
    fresh, _ = traced(replace(RING, plan_cache=0))
    outcomes = []
    for each in (runtime, fresh):
        a = filled(each)
        each.dispatch(AFFINE, [a], [3, 5], 1)
        each.dispatch(AFFINE, [a], [3, 5], (1, 1, 1))
        try:
            each.dispatch(AFFINE, [a], [3, 5], grid)  # type: ignore[arg-type]
        except Exception as error:
            outcomes.append(type(error).__name__)
        else:
            outcomes.append("accepted")
    assert outcomes[0] == outcomes[1]


def test_waiting_for_a_read_of_nothing_submits_the_reads_before_it(traced: Open) -> None:
    runtime, _ = traced(RING)
    a = filled(runtime)
    first, nothing = runtime.read(a), runtime.read(a, 5, 0)
    assert nothing.result() == b""
    assert first.done()
    assert first.result() == WORDS.tobytes()


@pytest.mark.parametrize(
    ("offset", "size", "flushes"),
    [(0, 16, 0), (0, 20, 1), (16, 16, 1), (28, 4, 1), (28, 36, 1), (32, 32, 0)],
)
def test_a_write_beside_the_bytes_that_a_command_touches_does_not_flush(
    traced: Open, offset: int, size: int, flushes: int
) -> None:
    runtime, trace = traced(replace(RING, staged_write_bytes=0))
    a, source = filled(runtime), filled(runtime)
    before = submits(trace)
    runtime.copy(source, a, source_offset=16, target_offset=16, size_bytes=16)
    runtime.write(a, b"\xaa" * size, offset)
    assert submits(trace) == before + flushes
    expected = WORDS.tobytes()[:offset] + b"\xaa" * size + WORDS.tobytes()[offset + size :]
    assert runtime.read(a).result() == expected
