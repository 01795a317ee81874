"""Captured graphs: checked once, replayed as if each call was made again."""

from collections.abc import Callable
from dataclasses import replace
from math import inf, nan, nextafter

import numpy as np
import pytest

from gpusim.errors import (
    DataLost,
    InvalidBinding,
    InvalidCapture,
    InvalidHandle,
    InvalidScalar,
    OutOfMemory,
    OutOfRange,
    Refused,
    SubmitFailed,
)
from gpusim.kernels import AFFINE, BLEND, FOLD, SCRAMBLE
from gpusim.kernels.kernel import F32_MAX
from gpusim.runtime import PRESETS, Buffer, Driver, Graph, Policy, Runtime
from gpusim.runtime.drivers.faulty import Fault
from gpusim.trace import Trace

Open = Callable[[Policy], tuple[Runtime, Trace]]
OpenFaulty = Callable[..., Runtime]
RING = replace(PRESETS["ring"], first_batch=None)
WORDS = np.arange(1, 17, dtype=np.uint32)


def filled(runtime: Runtime) -> Buffer:
    buffer = runtime.alloc(64)
    runtime.write(buffer, WORDS)
    return buffer


def words(runtime: Runtime, buffer: Buffer) -> list[int]:
    return list(runtime.read(buffer, dtype=np.uint32).result())


def affine(a: int, b: int, times: int = 1) -> list[int]:
    value = WORDS.copy()
    for _ in range(times):
        value = value * np.uint32(a) + np.uint32(b)
    return list(value)


def captured(runtime: Runtime, buffer: Buffer) -> Graph:
    """x <- 3x + 5."""
    with runtime.capture() as graph:
        runtime.dispatch(AFFINE, [buffer], [3, 5])
    return graph


def test_a_capture_runs_nothing_and_a_replay_all_of_it(runtime: Runtime) -> None:
    a, b = filled(runtime), runtime.alloc(64)
    with runtime.capture() as graph:
        runtime.dispatch(AFFINE, [a], [3, 5])
        runtime.copy(a, b)
        runtime.dispatch(SCRAMBLE, [a])
    assert words(runtime, a) == list(WORDS)
    assert words(runtime, b) == [0] * 16
    graph.replay()
    assert words(runtime, b) == affine(3, 5)
    assert runtime.stats().dispatches == 2
    assert runtime.stats().copies == 1
    assert runtime.stats().replays == 1


def test_scalars_may_change_with_each_replay(runtime: Runtime) -> None:
    a = filled(runtime)
    with runtime.capture() as graph:
        runtime.dispatch(AFFINE, [a], [3, 5])
        runtime.dispatch(AFFINE, [a], [1, 1])
    graph.replay([(7, 9), None])
    assert words(runtime, a) == list(WORDS * 7 + 10)
    graph.replay()
    assert words(runtime, a) == list((WORDS * 7 + 10) * 3 + 6)


def test_another_buffer_may_stand_in_the_place_of_one(runtime: Runtime) -> None:
    a, b = filled(runtime), filled(runtime)
    graph = captured(runtime, a)
    graph.replay(bindings={a: b})
    assert words(runtime, a) == list(WORDS)
    assert words(runtime, b) == affine(3, 5)


def test_two_buffers_may_change_places(runtime: Runtime) -> None:
    a, b = filled(runtime), runtime.alloc(64)
    with runtime.capture() as graph:
        runtime.copy(a, b)
    graph.replay()
    runtime.write(a, np.zeros(16, np.uint32))
    graph.replay(bindings={a: b, b: a})
    assert words(runtime, a) == list(WORDS)


def test_what_is_captured_is_that_of_the_call(runtime: Runtime) -> None:
    a = filled(runtime)
    scalars, buffers = [3, 5], [a]
    with runtime.capture() as graph:
        runtime.dispatch(AFFINE, buffers, scalars)
    scalars[0] = 100
    buffers.clear()
    graph.replay()
    assert words(runtime, a) == affine(3, 5)


def test_replays_keep_their_place_among_other_calls(runtime: Runtime) -> None:
    a = filled(runtime)
    graph = captured(runtime, a)
    graph.replay()
    ticket = runtime.read(a, dtype=np.uint32)
    runtime.write(a, WORDS[::-1])
    graph.replay([(1, 1)])
    assert list(ticket.result()) == affine(3, 5)
    assert words(runtime, a) == list(WORDS[::-1] + 1)


def test_an_empty_graph_does_nothing(runtime: Runtime) -> None:
    with runtime.capture() as graph:
        pass
    graph.replay()
    graph.replay([])
    assert runtime.stats().replays == 2


def test_a_freed_buffer_is_refused_until_another_takes_its_place(runtime: Runtime) -> None:
    a, b = filled(runtime), filled(runtime)
    graph = captured(runtime, a)
    graph.replay()
    runtime.free(a)
    successor = filled(runtime)
    with pytest.raises(InvalidHandle, match="was freed"):
        graph.replay()
    assert words(runtime, successor) == list(WORDS)
    graph.replay(bindings={a: b})
    assert words(runtime, b) == affine(3, 5)


@pytest.mark.parametrize(
    ("operands", "error"),
    [
        (lambda a, b, c: ([(1, 1)], {}), InvalidScalar),
        (lambda a, b, c: ([(1, 1), (2**32,)], {}), InvalidScalar),
        (lambda a, b, c: ([(1, 1), (1, 1)], {}), InvalidScalar),
        (lambda a, b, c: (None, {c: b}), InvalidBinding),
        (lambda a, b, c: (None, {a: b}), InvalidBinding),
        (lambda a, b, c: (None, {b: c}), OutOfRange),
        (lambda a, b, c: (None, {a: "a"}), InvalidHandle),
    ],
)
def test_a_replay_is_refused_whole(
    runtime: Runtime, operands: Callable[..., tuple[object, object]], error: type[Refused]
) -> None:
    a, b, c = filled(runtime), filled(runtime), runtime.alloc(8)
    with runtime.capture() as graph:
        runtime.dispatch(AFFINE, [a], [3, 5])
        runtime.dispatch(FOLD, [a, b], [7])
        runtime.copy(a, b, size_bytes=16)
    scalars, bindings = operands(a, b, c)
    with pytest.raises(error, match=r"cannot .* because .* \(probably "):
        graph.replay(scalars, bindings)  # type: ignore[arg-type]
    assert words(runtime, a) == words(runtime, b) == list(WORDS)
    assert runtime.stats().dispatches == 0
    graph.replay()
    assert words(runtime, a) != list(WORDS)


def test_a_capture_refuses_what_a_dispatch_would_be_refused_for(runtime: Runtime) -> None:
    a, graph = filled(runtime), runtime.capture()

    def capture() -> None:
        with graph:
            runtime.dispatch(AFFINE, [a], [3, 5])
            runtime.dispatch(FOLD, [a, a], [7])

    with pytest.raises(InvalidBinding):
        capture()
    with pytest.raises(InvalidHandle, match="was left by an error"):
        graph.replay()
    runtime.dispatch(AFFINE, [a], [3, 5])
    assert words(runtime, a) == affine(3, 5)


def test_nothing_but_dispatches_and_copies_may_be_captured(runtime: Runtime) -> None:
    a = filled(runtime)
    ticket = runtime.read(a)
    with runtime.capture() as graph:
        for act in (
            lambda: runtime.alloc(4),
            lambda: runtime.write(a, b"1234"),
            lambda: runtime.read(a),
            lambda: runtime.free(a),
            runtime.flush,
            runtime.sync,
            runtime.poll,
            runtime.capture,
            graph.__enter__,
            graph.replay,
            ticket.result,
        ):
            with pytest.raises(InvalidCapture, match="while a capture is open"):
                act()
        runtime.dispatch(AFFINE, [a], [3, 5])
    graph.replay()
    assert words(runtime, a) == affine(3, 5)
    with pytest.raises(InvalidCapture, match="was captured before"):
        graph.__enter__()


def test_a_replay_may_be_larger_than_a_batch(runtime: Runtime) -> None:
    a = filled(runtime)
    with runtime.capture() as graph:
        for _ in range(300):
            runtime.dispatch(AFFINE, [a], [3, 5])
    for _ in range(2):
        graph.replay()
    assert words(runtime, a) == affine(3, 5, times=600)


@pytest.mark.parametrize(
    "policy",
    [
        replace(RING, batch_commands=7),
        replace(RING, batch_commands=0),
        replace(RING, batch_bytes=100),
        replace(RING, batch_bytes=2000),
        replace(RING, batch_groups=4),
        replace(RING, batch_groups=0),
        replace(RING, uniform_ring_bytes=1024),
        replace(RING, first_batch=3),
        replace(RING, graph_cache=0),
        replace(RING, batch_commands=None),
    ],
    ids=str,
)
def test_a_replay_is_cut_where_its_calls_would_be(policy: Policy, traced: Open) -> None:
    cuts = []
    for by_replay in (False, True):
        runtime, trace = traced(policy)
        a, b = filled(runtime), runtime.alloc(64)
        runtime.sync()
        with runtime.capture() as graph:
            for scalar in range(10):
                runtime.dispatch(AFFINE, [a], [3, scalar])
                runtime.copy(a, b)
                runtime.dispatch(SCRAMBLE, [b])
        for _ in range(3):
            if by_replay:
                graph.replay()
                continue
            for scalar in range(10):
                runtime.dispatch(AFFINE, [a], [3, scalar])
                runtime.copy(a, b)
                runtime.dispatch(SCRAMBLE, [b])
        value = words(runtime, b)
        runtime.sync()
        submitted = [(e["reason"], e["commands"]) for e in trace if e.kind == "encode"]
        kinds = [e.kind for e in trace if e.kind in ("dispatch", "copy", "submit")]
        cuts.append((value, submitted, kinds))
    assert cuts[0] == cuts[1]


def test_what_was_planned_for_a_graph_is_kept_and_found_again(traced: Open) -> None:
    runtime, trace = traced(RING)
    a, b = filled(runtime), filled(runtime)
    graph = captured(runtime, a)
    for target in (a, b, a, b):
        graph.replay([(3, 7)], {a: target})
        runtime.flush()
    groups = [event for event in trace if event.kind == "create_bind_group"]
    assert len(groups) == 2


def test_a_graph_that_reads_lost_bytes_is_refused(faulty: OpenFaulty) -> None:
    runtime = faulty(Fault(verb="submit", call=0, error=SubmitFailed))
    a, b = filled(runtime), filled(runtime)
    graph = captured(runtime, a)
    with runtime.capture() as mending:
        runtime.copy(b, a)
        runtime.dispatch(AFFINE, [a], [3, 5])
    runtime.dispatch(AFFINE, [a], [1, 1])
    with pytest.raises(SubmitFailed):
        runtime.flush()
    with pytest.raises(DataLost):
        graph.replay()
    mending.replay()
    assert words(runtime, a) == affine(3, 5)


def test_a_replay_that_fails_before_a_submit_changes_nothing(faulty: OpenFaulty) -> None:
    fault = Fault(verb="create_bind_group", call=1, error=OutOfMemory)
    for preset in ("lazy", "cached", "ring"):
        runtime = faulty(fault, policy=PRESETS[preset])
        a, b = filled(runtime), filled(runtime)
        with runtime.capture() as graph:
            runtime.dispatch(AFFINE, [a], [3, 5])
            runtime.dispatch(AFFINE, [b], [3, 7])
        with pytest.raises(OutOfMemory):
            graph.replay()
        assert (runtime.stats().dispatches, runtime.stats().replays) == (0, 0)
        assert words(runtime, a) == words(runtime, b) == list(WORDS)
        graph.replay()
        assert (runtime.stats().dispatches, runtime.stats().replays) == (2, 1)
        assert words(runtime, a) == affine(3, 5)


@pytest.mark.parametrize("preset", ["lazy", "pooled", "cached", "ring"])
def test_a_replay_that_fails_before_it_is_recorded_heals_nothing(
    faulty: OpenFaulty, preset: str
) -> None:
    runtime = faulty(
        Fault(verb="submit", call=0, error=SubmitFailed),
        Fault(verb="create_bind_group", call=1, error=OutOfMemory),
        policy=PRESETS[preset],
    )
    x, y, z = (runtime.alloc(16) for _ in range(3))
    runtime.dispatch(AFFINE, [x], (1, 1))
    with pytest.raises(SubmitFailed):
        runtime.flush()
    with runtime.capture() as graph:
        runtime.copy(y, x)
        runtime.dispatch(AFFINE, [z], (1, 1))
    with pytest.raises(OutOfMemory):
        graph.replay()
    with pytest.raises(DataLost):
        runtime.read(x)
    graph.replay()
    assert runtime.read(x).result() == bytes(16)


def test_a_replay_that_fails_half_way_loses_what_it_writes(faulty: OpenFaulty) -> None:
    policy = replace(RING, batch_commands=1)
    runtime = faulty(Fault(verb="submit", call=1, error=SubmitFailed), policy=policy)
    a, b, c = filled(runtime), filled(runtime), filled(runtime)
    with runtime.capture() as graph:
        runtime.dispatch(AFFINE, [a], [3, 5])
        runtime.dispatch(AFFINE, [b], [3, 7])
    with pytest.raises(SubmitFailed):
        graph.replay()
    for buffer in (a, b):
        with pytest.raises(DataLost):
            runtime.read(buffer)
    assert words(runtime, c) == list(WORDS)


def test_a_callback_that_frees_a_buffer_stops_a_replay_that_waits(driver: Driver) -> None:
    """Only the debug mode waits half way, and so calls back."""
    runtime = Runtime(driver=driver, policy=replace(PRESETS["eager"], debug_submit_each=True))
    a, b = filled(runtime), filled(runtime)
    with runtime.capture() as graph:
        runtime.dispatch(AFFINE, [a], [3, 5])
        runtime.dispatch(AFFINE, [b], [3, 5])
    runtime.read(a).add_done_callback(lambda _: runtime.free(b))
    with pytest.raises(InvalidHandle, match="was freed half way"):
        graph.replay()
    with pytest.raises(DataLost):
        runtime.read(a)
    runtime.free(a)
    runtime.close()


@pytest.mark.parametrize("past", [nextafter(F32_MAX, inf), -nextafter(F32_MAX, inf), nan, -inf])
def test_a_planned_replay_refuses_the_floats_that_a_dispatch_refuses(
    runtime: Runtime, past: float
) -> None:
    a, b = filled(runtime), filled(runtime)
    with runtime.capture() as graph:
        runtime.dispatch(BLEND, [a, b], (1.0,))
    graph.replay()
    graph.replay([(F32_MAX,)])
    for _ in range(2):
        with pytest.raises(InvalidScalar):
            graph.replay([(past,)])
    with pytest.raises(InvalidScalar):
        runtime.dispatch(BLEND, [a, b], (past,))
