"""What TVM's pull request 18871 promises, counted at the driver on the real device.

Each test counts the calls that reached the driver and holds ``stats()`` against
them, so that neither a missing batch nor a flattering counter can pass.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gpusim.kernels import AFFINE, FOLD, MANY, SCRAMBLE
from gpusim.runtime import PRESETS, Buffer, Policy, Runtime, Uniforms
from gpusim.trace import Trace

Open = Callable[[Policy], tuple[Runtime, Trace]]
BATCHED = ("lazy", "pooled", "cached")
WORDS = np.arange(16, dtype=np.uint32)


def flushes(trace: Trace) -> Counter[str]:
    """Submits of a batch by reason, as the driver saw them."""
    return Counter(event["reason"] for event in trace if event.kind == "encode")


def check_stats(runtime: Runtime, trace: Trace) -> None:
    """The counters are true: each agrees with what reached the driver."""
    stats = runtime.stats()
    assert stats.submits == trace.count("submit")
    assert stats.flushes == flushes(trace)
    assert stats.commands == trace.count("dispatch") + trace.count("copy")
    for part in ("uniforms", "bind_groups", "shapes", "staging"):
        counts = getattr(stats, part)
        for count in ("created", "reused", "evicted", "exhausted", "invalidated"):
            assert getattr(counts, count) == trace.count(f"{part}.{count}"), (part, count)
    roles = Counter(event["role"] for event in trace if event.kind == "create_buffer")
    assert stats.staging.created == roles["staging"]
    assert stats.uniforms.created == roles["uniform"]
    assert stats.bind_groups.created == trace.count("create_bind_group")


def filled(runtime: Runtime) -> Buffer:
    """A buffer of sixteen words, written and with nothing left to submit."""
    buffer = runtime.alloc(64)
    runtime.write(buffer, WORDS)
    runtime.sync()
    return buffer


@pytest.mark.parametrize("name", BATCHED)
def test_dispatches_and_copies_share_one_submit(traced: Open, name: str) -> None:
    runtime, trace = traced(PRESETS[name])
    a, b = filled(runtime), filled(runtime)
    before = trace.count("submit")
    for scalar in range(5):
        runtime.dispatch(AFFINE, [a], [3, scalar])
    runtime.copy(a, b)
    runtime.dispatch(FOLD, [a, b], [7])
    assert trace.count("submit") == before
    runtime.flush()
    assert trace.count("submit") == before + 1
    commands = [event.kind for event in trace if event.kind in ("dispatch", "copy", "submit")]
    assert commands[-8:] == [*["dispatch"] * 5, "copy", "dispatch", "submit"]
    check_stats(runtime, trace)


def test_eager_submits_every_command(traced: Open) -> None:
    runtime, trace = traced(PRESETS["eager"])
    a = filled(runtime)
    before = trace.count("submit")
    for scalar in range(5):
        runtime.dispatch(AFFINE, [a], [3, scalar])
        assert trace.count("submit") == before + 1 + scalar
    check_stats(runtime, trace)


@pytest.mark.parametrize("name", BATCHED)
@pytest.mark.parametrize("reason", ["write", "read", "free", "sync", "asked"])
def test_pending_commands_reach_the_queue_first(traced: Open, name: str, reason: str) -> None:
    runtime, trace = traced(PRESETS[name])
    a, other = filled(runtime), runtime.alloc(8)
    acts: dict[str, Callable[[], object]] = {
        "write": lambda: runtime.write(other, b"12345678"),
        "read": lambda: runtime.read(a),
        "free": lambda: runtime.free(other),
        "sync": runtime.sync,
        "asked": runtime.flush,
    }
    runtime.dispatch(AFFINE, [a], [3, 5])
    recorded = len(trace)
    acts[reason]()
    told = [event.kind for event in list(trace)[recorded:]]
    act = {"write": "write_buffer", "read": "map", "free": "destroy_buffer", "sync": "wait"}
    assert told.index("submit") < told.index(act.get(reason, "submit")) or reason == "asked"
    assert flushes(trace)[reason] == 1 + (reason == "sync") * 1
    check_stats(runtime, trace)


@pytest.mark.parametrize("name", BATCHED)
@pytest.mark.parametrize("reason", ["write", "free", "asked"])
def test_nothing_recorded_submits_nothing(traced: Open, name: str, reason: str) -> None:
    runtime, trace = traced(PRESETS[name])
    filled(runtime)
    other = runtime.alloc(8)
    before = trace.count("submit")
    if reason == "write":
        runtime.write(other, b"12345678")
    elif reason == "free":
        runtime.free(other)
    else:
        runtime.flush()
    assert trace.count("submit") == before
    check_stats(runtime, trace)


def test_a_queued_write_alone_is_submitted_by_sync(traced: Open) -> None:
    runtime, trace = traced(PRESETS["cached"])
    a = runtime.alloc(8)
    runtime.write(a, b"12345678")
    assert trace.count("submit") == 0
    runtime.sync()
    assert trace.count("submit") == 1
    runtime.sync()
    assert trace.count("submit") == 1
    runtime.write(a, b"abcdefgh")
    runtime.flush()
    runtime.flush()
    assert trace.count("submit") == 2
    check_stats(runtime, trace)


def test_a_sync_after_a_read_needs_no_submit_of_its_own(traced: Open) -> None:
    runtime, trace = traced(PRESETS["cached"])
    a = filled(runtime)
    runtime.read(a)
    before = trace.count("submit")
    runtime.sync()
    assert trace.count("submit") == before


def test_a_write_after_a_read_takes_the_shortcut_away(traced: Open) -> None:
    runtime, trace = traced(PRESETS["cached"])
    a = filled(runtime)
    ticket = runtime.read(a)
    runtime.write(a, WORDS + np.uint32(1))
    before = trace.count("submit")
    runtime.sync()
    assert trace.count("submit") == before + 1
    assert ticket.result() == WORDS.tobytes()
    assert runtime.read(a).result() == (WORDS + np.uint32(1)).tobytes()


LIMITS = [
    # the field, what it counts of a dispatch, and for each limit the submits of so many dispatches
    ("batch_commands", "commands", 6, {0: 6, 1: 6, 2: 3, 3: 2, None: 0}),
    ("batch_bytes", "bytes", 4, {0: 4, 8: 4, 9: 2, 16: 2, None: 0}),
    ("batch_groups", "groups", 4, {0: 4, 3: 4, 4: 2, 7: 1, None: 0}),
]


@pytest.mark.parametrize("name", ["lazy", "cached", "ring"])
@pytest.mark.parametrize(
    ("field", "reason", "dispatches", "limit", "submits"),
    [
        (*row, limit, submits)
        for *row, submits_of in LIMITS
        for limit, submits in submits_of.items()
    ],
)
def test_a_limit_of_a_batch_means_what_it_says(
    traced: Open,
    name: str,
    field: str,
    reason: str,
    dispatches: int,
    limit: int | None,
    submits: int,
) -> None:
    changed: dict[str, Any] = {field: limit}
    runtime, trace = traced(replace(PRESETS[name], **changed))
    a = filled(runtime)
    before = trace.count("submit")
    for scalar in range(dispatches):
        runtime.dispatch(AFFINE, [a], [3, scalar], (3, 1, 1))
    assert trace.count("submit") - before == submits
    assert flushes(trace)[reason] == submits
    check_stats(runtime, trace)


def test_an_exhausted_uniform_pool_flushes_and_loses_nothing(traced: Open) -> None:
    runtime, trace = traced(replace(PRESETS["pooled"], uniform_slots=2))
    a = filled(runtime)
    for scalar in range(5):
        runtime.dispatch(AFFINE, [a], [3, scalar])
    assert flushes(trace)["uniforms"] == 2
    uniforms = runtime.stats().uniforms
    assert (uniforms.exhausted, uniforms.created, uniforms.reused) == (2, 2, 3)
    expected = WORDS.copy()
    for scalar in range(5):
        expected = expected * np.uint32(3) + np.uint32(scalar)
    assert runtime.read(a).result() == expected.tobytes()
    check_stats(runtime, trace)


def test_a_kernel_without_scalars_takes_no_slot(traced: Open) -> None:
    runtime, trace = traced(replace(PRESETS["pooled"], uniform_slots=1))
    a = filled(runtime)
    for _ in range(4):
        runtime.dispatch(SCRAMBLE, [a])
    assert flushes(trace)["uniforms"] == 0
    assert runtime.stats().uniforms.created == 0


def test_a_slot_too_small_is_replaced_not_overrun(traced: Open) -> None:
    runtime, trace = traced(replace(PRESETS["pooled"], uniform_slots=1))
    a = filled(runtime)
    runtime.dispatch(AFFINE, [a], [3, 5])
    runtime.dispatch(MANY, [a], [1, 2, 3, 4, -1, -2, -3, -4, 0.5, 1.5, 2.5, 3.5])
    runtime.dispatch(AFFINE, [a], [3, 5])
    stats = runtime.stats().uniforms
    assert (stats.created, stats.evicted, stats.reused, stats.held) == (2, 1, 1, 1)
    check_stats(runtime, trace)


def test_staging_buffers_are_used_again_up_to_the_capacity(traced: Open) -> None:
    runtime, trace = traced(replace(PRESETS["cached"], staging_buffers=2))
    a = filled(runtime)
    for _ in range(3):
        runtime.read(a).result()
    tickets = [runtime.read(a) for _ in range(4)]
    runtime.sync()
    staging = runtime.stats().staging
    assert [ticket.result() for ticket in tickets] == [WORDS.tobytes()] * 4
    assert staging.held == 2
    assert staging.reused >= 3
    assert staging.evicted == staging.created - 2
    check_stats(runtime, trace)


@pytest.mark.parametrize("part", ["uniforms", "bind_groups", "shapes"])
def test_a_cache_stays_within_its_bound_and_hits_again(traced: Open, part: str) -> None:
    capacities: dict[str, Any] = {"uniform_cache": 2, "bind_group_cache": 2, "shape_cache": 2}
    runtime, trace = traced(replace(PRESETS["cached"], **capacities))
    a = filled(runtime)
    for scalar in (1, 2, 3, 3, 3):
        runtime.dispatch(AFFINE, [a], [3, scalar], grid=scalar)
    counts = getattr(runtime.stats(), part)
    assert (counts.held, counts.evicted, counts.reused, counts.created) == (2, 1, 2, 3)
    check_stats(runtime, trace)


def test_an_evicted_uniform_lives_until_its_batch_is_submitted(traced: Open) -> None:
    runtime, trace = traced(replace(PRESETS["cached"], uniform_cache=1))
    a = filled(runtime)
    for scalar in (1, 2, 3):
        runtime.dispatch(AFFINE, [a], [3, scalar])
    assert not [e for e in trace if e.kind == "destroy_buffer" and e["role"] == "uniform"]
    runtime.flush()
    assert len([e for e in trace if e.kind == "destroy_buffer" and e["role"] == "uniform"]) == 2
    assert runtime.read(a).result() == (((WORDS * 3 + 1) * 3 + 2) * 3 + 3).astype("<u4").tobytes()


def test_a_freed_buffer_leaves_no_bind_group_behind(traced: Open) -> None:
    runtime, trace = traced(PRESETS["cached"])
    a, b = filled(runtime), filled(runtime)
    runtime.dispatch(FOLD, [a, b], [7])
    runtime.dispatch(AFFINE, [b], [3, 5])
    runtime.free(a)
    assert runtime.stats().bind_groups.invalidated == 1
    assert runtime.stats().bind_groups.held == 1
    check_stats(runtime, trace)


def test_recency_decides_which_shape_goes(traced: Open) -> None:
    runtime, _ = traced(replace(PRESETS["cached"], shape_cache=2))
    a = filled(runtime)
    for grid in (1, 2, 1, 3, 1):
        runtime.dispatch(AFFINE, [a], [3, 5], grid=grid)
    shapes = runtime.stats().shapes
    assert (shapes.reused, shapes.created, shapes.evicted) == (2, 3, 1)


def test_the_same_program_again_makes_no_new_device_objects(traced: Open, policy: Policy) -> None:
    steady: dict[str, Any] = {
        "uniforms": Uniforms.POOLED,
        "cache_bind_groups": True,
        "staging_buffers": 4,
    }
    runtime, trace = traced(replace(policy, **steady))
    a = filled(runtime)

    def round_trip() -> bytes:
        runtime.write(a, WORDS)
        runtime.dispatch(AFFINE, [a], [3, 5])
        runtime.dispatch(AFFINE, [a], [7, 9])
        return bytes(runtime.read(a).result())

    first = round_trip()
    made = [event.kind for event in trace if event.kind.startswith("create")]
    assert round_trip() == first
    assert [event.kind for event in trace if event.kind.startswith("create")] == made


def test_debug_submit_each_submits_and_waits_for_every_dispatch(traced: Open) -> None:
    runtime, trace = traced(replace(PRESETS["cached"], debug_submit_each=True))
    a = filled(runtime)
    before = flushes(trace)["debug"]
    waits = trace.count("wait")
    runtime.dispatch(AFFINE, [a], [3, 5])
    runtime.dispatch(AFFINE, [a], [3, 5])
    assert flushes(trace)["debug"] == before + 2
    assert trace.count("wait") == waits + 2
    check_stats(runtime, trace)


def test_debug_dispatch_limit_drops_and_counts_the_rest(traced: Open) -> None:
    runtime, trace = traced(replace(PRESETS["cached"], debug_dispatch_limit=2))
    a = filled(runtime)
    for scalar in range(5):
        runtime.dispatch(AFFINE, [a], [3, scalar])
    runtime.sync()
    assert trace.count("dispatch") == 2
    assert runtime.stats().dispatches == 2
    assert runtime.stats().dispatches_dropped == 3


def test_the_counters_count_what_was_done(traced: Open, policy: Policy) -> None:
    runtime, trace = traced(policy)
    first, second = runtime.alloc(64), runtime.alloc(6)
    for scalar in range(3):
        runtime.dispatch(AFFINE, [first], [3, scalar])
    runtime.write(first, WORDS)
    runtime.write(second, b"ab")
    runtime.copy(first, second, size_bytes=6)
    tickets = [runtime.read(first) for _ in range(4)]
    runtime.sync()
    runtime.free(second)
    stats = runtime.stats()
    done = (stats.allocs, stats.dispatches, stats.writes, stats.copies, stats.reads, stats.frees)
    assert done == (2, 3, 2, 1, 4, 1)
    assert (stats.live_buffers, stats.live_bytes) == (1, 64)
    assert (stats.peak_bytes, stats.total_bytes) == (70, 70)
    assert len(tickets) == 4
    check_stats(runtime, trace)
    runtime.free(first)
    runtime.close()
    assert runtime.stats().live_buffers == runtime.stats().live_bytes == 0
    assert runtime.stats().staging.held == runtime.stats().uniforms.held == 0


def test_a_pool_that_keeps_nothing_is_never_exhausted(traced: Open) -> None:
    runtime, _ = traced(replace(PRESETS["cached"], staging_buffers=0))
    runtime.read(filled(runtime)).result()
    staging = runtime.stats().staging
    assert (staging.exhausted, staging.reused, staging.held) == (0, 0, 0)
    keeping, _ = traced(replace(PRESETS["cached"], staging_buffers=1))
    a = filled(keeping)
    first, second = keeping.read(a), keeping.read(a)
    assert first.result() == second.result()
    assert keeping.stats().staging.held == 1
    third = keeping.read(a)
    assert keeping.stats().staging.held == 0
    assert third.result() == WORDS.tobytes()
