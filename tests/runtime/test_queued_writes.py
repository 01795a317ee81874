"""Host writes that wait for a submit, or for the GPU: how many there may be, and what fails."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from gpusim.errors import DataLost, SubmitFailed, WaitTimedOut
from gpusim.kernels import AFFINE
from gpusim.runtime import PRESETS, Driver, Policy, Runtime
from gpusim.runtime.drivers.faulty import Fault
from gpusim.trace import Trace
from tests.runtime.conftest import free_all
from tests.runtime.test_waits import Silent

Open = Callable[[Policy], tuple[Runtime, Trace]]
LIMIT = 64
LOW = replace(PRESETS["ring"], queued_write_bytes=LIMIT)


def bytes_of(count: int) -> bytes:
    return np.arange(count, dtype=np.uint32).astype(np.uint8).tobytes()


def most_held(trace: Trace) -> tuple[int, int]:
    """The most bytes that waited for a submit, and that were not known to be done."""
    waiting = started = 0
    most_waiting = most = 0
    for event in trace:
        if event.kind == "write_buffer" and event["role"] == "storage":
            waiting += len(event["data"])
            most_waiting, most = max(most_waiting, waiting), max(most, waiting + started)
        elif event.kind == "submit":
            waiting, started = 0, started + waiting
        elif event.kind in ("drain", "take"):
            started = 0
    return most_waiting, most


@pytest.mark.parametrize("size_bytes", [4, 12, 60, 64])
def test_writes_without_a_submit_are_bounded(traced: Open, size_bytes: int) -> None:
    runtime, trace = traced(LOW)
    buffer, data = runtime.alloc(size_bytes), bytes_of(size_bytes)
    for _ in range(100):
        runtime.write(buffer, data)
    waiting, held = most_held(trace)
    assert LIMIT - size_bytes < waiting <= LIMIT
    assert held <= 2 * LIMIT
    assert runtime.stats().flushes["queued"] >= 100 * size_bytes // LIMIT - 1
    assert runtime.read(buffer).result() == data


@pytest.mark.parametrize("flush", [True, False])
def test_writes_that_the_gpu_has_not_done_are_bounded(traced: Open, flush: bool) -> None:
    runtime, trace = traced(LOW)
    a, b, data = runtime.alloc(32), runtime.alloc(64), bytes_of(32)
    for scalar in range(50):
        runtime.write(a, data)
        runtime.dispatch(AFFINE, [b], (1, scalar))
        if flush:
            runtime.flush()
    assert most_held(trace)[1] <= 2 * LIMIT
    assert trace.count("drain") > 0


@pytest.mark.parametrize("offset", [0, 1, 4, 7])
@pytest.mark.parametrize("size_bytes", [65, 127, 128, 129, 1000])
def test_a_long_write_goes_in_pieces_and_arrives_whole(
    traced: Open, offset: int, size_bytes: int
) -> None:
    runtime, trace = traced(LOW)
    buffer = runtime.alloc(1024)
    runtime.write(buffer, b"\xee" * 1024)
    runtime.dispatch(AFFINE, [buffer], (1, 0))
    runtime.write(buffer, bytes_of(size_bytes), offset)
    assert max(len(event["data"]) for event in trace if event.kind == "write_buffer") <= LIMIT
    assert most_held(trace)[1] <= 2 * LIMIT
    wanted = bytearray(b"\xee" * 1024)
    wanted[offset : offset + size_bytes] = bytes_of(size_bytes)
    assert runtime.read(buffer).result() == wanted


def test_short_writes_count_as_what_wgpu_holds_for_them(traced: Open) -> None:
    runtime, trace = traced(PRESETS["ring"])
    buffer = runtime.alloc(4)
    for _ in range(5000):
        runtime.write(buffer, b"abcd")
    assert runtime.stats().flushes["queued"] == 1
    assert trace.count("submit") == 1


def test_without_a_limit_nothing_is_submitted_for_a_write(traced: Open) -> None:
    runtime, trace = traced(replace(PRESETS["ring"], queued_write_bytes=None))
    buffer = runtime.alloc(1 << 20)
    for _ in range(20):
        runtime.write(buffer, bytes(1 << 20))
    assert trace.count("submit") == trace.count("drain") == 0


@pytest.mark.parametrize(("call", "is_lost"), [(0, False), (1, True), (3, True)])
def test_a_write_that_fails_between_its_pieces_loses_the_buffer(
    faulty: Callable[..., Runtime], call: int, is_lost: bool
) -> None:
    runtime = faulty(Fault(verb="write_buffer", call=call + 1, error=SubmitFailed), policy=LOW)
    buffer = runtime.alloc(256)
    runtime.write(buffer, b"abcd")
    with pytest.raises(SubmitFailed):
        runtime.write(buffer, bytes_of(256))
    if is_lost:
        with pytest.raises(DataLost):
            runtime.read(buffer)
    else:
        assert runtime.read(buffer).result() == b"abcd" + bytes(252)
    runtime.write(buffer, bytes_of(256))
    assert runtime.read(buffer).result() == bytes_of(256)


def test_a_write_that_cannot_wait_for_the_gpu_changes_nothing(driver: Driver) -> None:
    device = Silent(driver)
    runtime = Runtime(driver=device, policy=replace(LOW, wait_seconds=1))
    buffer = runtime.alloc(LIMIT)
    for _ in range(2):
        runtime.write(buffer, b"a" * LIMIT)
    with pytest.raises(WaitTimedOut, match="cannot write to a buffer because"):
        runtime.write(buffer, b"b" * LIMIT)
    device.answers = True
    assert runtime.read(buffer).result() == b"a" * LIMIT
    runtime.write(buffer, b"b" * LIMIT)
    assert runtime.read(buffer).result() == b"b" * LIMIT
    free_all(runtime)
    runtime.close()
