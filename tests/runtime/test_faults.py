"""Failures that no check could foresee: what is lost is named, and nothing else is."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from gpusim.errors import DataLost, DeviceFault, DeviceLost, MapFailed, OutOfMemory, SubmitFailed
from gpusim.kernels import AFFINE, FOLD
from gpusim.runtime import PRESETS, Buffer, Driver, Runtime, Ticket, TracedDriver
from gpusim.runtime.drivers.faulty import Fault, FaultyDriver
from gpusim.simulated import FaultPlan, open_device
from gpusim.trace import Trace

Open = Callable[..., Runtime]
WORDS = np.arange(4, dtype=np.uint32)


def written(runtime: Runtime) -> Buffer:
    """A buffer of four words, done."""
    buffer = runtime.alloc(16)
    runtime.write(buffer, WORDS)
    return buffer


@pytest.mark.parametrize("verb", ["encode", "submit"])
def test_a_lost_batch_loses_what_it_would_have_written_and_no_more(faulty: Open, verb: str) -> None:
    runtime = faulty(Fault(verb=verb, call=0, error=SubmitFailed))
    a, b, c = written(runtime), written(runtime), written(runtime)
    runtime.dispatch(AFFINE, [a], [3, 5])
    runtime.dispatch(FOLD, [c, b], [7])
    with pytest.raises(SubmitFailed, match="plan"):
        runtime.flush()
    for use in (
        lambda: runtime.read(a),
        lambda: runtime.read(b),
        lambda: runtime.copy(a, c),
        lambda: runtime.dispatch(AFFINE, [b], [1, 1]),
        lambda: runtime.dispatch(FOLD, [a, c], [1]),
    ):
        with pytest.raises(DataLost, match="a batch that would have written it failed"):
            use()
    assert runtime.read(c).result() == WORDS.tobytes()
    runtime.write(a, WORDS[:2])
    with pytest.raises(DataLost):
        runtime.read(a)
    runtime.write(a, WORDS[::-1])
    runtime.copy(c, b)
    assert runtime.read(a).result() == WORDS[::-1].tobytes()
    assert runtime.read(b).result() == WORDS.tobytes()
    runtime.sync()


@pytest.mark.parametrize("name", ["cached", "ring"])
@pytest.mark.parametrize("act", ["dispatch", "copy", "odd copy", "copy within", "odd write"])
def test_whatever_a_lost_batch_would_have_written_is_lost(
    faulty: Open, act: str, name: str
) -> None:
    runtime = faulty(Fault(verb="submit", call=1, error=SubmitFailed), policy=PRESETS[name])
    a, b = written(runtime), written(runtime)
    runtime.sync()
    acts: dict[str, Callable[[], None]] = {
        "dispatch": lambda: runtime.dispatch(AFFINE, [a], [3, 5]),
        "copy": lambda: runtime.copy(b, a, size_bytes=8),
        "odd copy": lambda: runtime.copy(b, a, source_offset=1, target_offset=2, size_bytes=5),
        "copy within": lambda: runtime.copy(a, a, target_offset=4, size_bytes=8),
        "odd write": lambda: runtime.write(a, b"x", 1),
    }
    acts[act]()
    with pytest.raises(SubmitFailed):
        runtime.flush()
    with pytest.raises(DataLost):
        runtime.read(a)
    assert runtime.read(b).result() == WORDS.tobytes()


def test_a_write_in_its_place_in_a_lost_batch_is_lost_with_it(faulty: Open) -> None:
    runtime = faulty(Fault(verb="submit", call=1, error=SubmitFailed), policy=PRESETS["ring"])
    a, b = written(runtime), written(runtime)
    runtime.sync()
    runtime.copy(a, b, source_offset=4, target_offset=4, size_bytes=4)
    runtime.write(a, WORDS[:2], 4)
    with pytest.raises(SubmitFailed):
        runtime.flush()
    for buffer in (a, b):
        with pytest.raises(DataLost):
            runtime.read(buffer)


def test_a_read_in_a_lost_batch_raises_and_later_reads_work(faulty: Open) -> None:
    runtime = faulty(Fault(verb="submit", call=0, error=SubmitFailed))
    a = written(runtime)
    with pytest.raises(SubmitFailed):
        runtime.read(a)
    assert runtime.read(a).result() == WORDS.tobytes()
    assert runtime.stats().reads == 1


@pytest.mark.parametrize("verb", ["map", "take", "wait"])
def test_a_failed_map_is_its_own_tickets_error(faulty: Open, verb: str) -> None:
    error = DeviceLost if verb == "wait" else MapFailed
    runtime = faulty(Fault(verb=verb, call=1, error=error))
    a = written(runtime)
    first = runtime.read(a)
    second = runtime.read(a)
    if error is DeviceLost:
        with pytest.raises(DeviceLost):
            second.result()
        assert first.result() == WORDS.tobytes()
        return
    with pytest.raises(MapFailed):
        second.result()
    with pytest.raises(MapFailed):
        second.result()
    assert first.result() == WORDS.tobytes()
    with pytest.raises(MapFailed):
        runtime.sync()
    runtime.sync()
    third = runtime.read(a)
    assert third.result() == WORDS.tobytes()


def test_a_staging_buffer_whose_map_failed_is_never_used_again(faulty: Open) -> None:
    runtime = faulty(Fault(verb="take", call=0, error=MapFailed))
    a = written(runtime)
    ticket = runtime.read(a)
    with pytest.raises(MapFailed):
        runtime.sync()
    with pytest.raises(MapFailed):
        ticket.result()
    assert runtime.stats().staging.held == 0
    assert runtime.read(a).result() == WORDS.tobytes()
    assert runtime.stats().staging.created == 2


@pytest.mark.parametrize("verb", ["create_buffer", "create_bind_group"])
@pytest.mark.parametrize("name", PRESETS)
def test_out_of_memory_changes_nothing_whichever_call_it_hits(
    faulty: Open, verb: str, name: str
) -> None:
    """The nth creation fails, for each n until the program has no nth creation."""
    for call in range(40):
        runtime = faulty(Fault(verb=verb, call=call, error=OutOfMemory), policy=PRESETS[name])
        hits = _run_with_second_tries(runtime)
        assert hits <= 1
        if not hits:
            return
    pytest.fail("the program never ran out of creations to fail")


def _run_with_second_tries(runtime: Runtime) -> int:
    """A program in which every op that fails is tried once more; how many failed."""
    failed = 0

    def op(call: Callable[[], object]) -> object:
        nonlocal failed
        try:
            return call()
        except OutOfMemory:
            failed += 1
            return call()

    a = op(lambda: runtime.alloc(16))
    b = op(lambda: runtime.alloc(15))
    assert isinstance(a, Buffer)
    assert isinstance(b, Buffer)
    op(lambda: runtime.write(a, WORDS))
    op(lambda: runtime.dispatch(AFFINE, [a], [3, 5]))
    op(lambda: runtime.write(b, b"abcdefg", 3))
    op(lambda: runtime.copy(a, b, source_offset=1, target_offset=10, size_bytes=3))
    op(lambda: runtime.copy(b, b, source_offset=3, target_offset=4, size_bytes=9))
    op(lambda: runtime.dispatch(FOLD, [b, a], [7]))
    first = op(lambda: runtime.read(a))
    second = op(lambda: runtime.read(b))
    op(runtime.sync)
    expected_a, expected_b = _expected()
    assert first.result() == expected_a  # type: ignore[attr-defined]
    assert second.result() == expected_b  # type: ignore[attr-defined]
    return failed


def _expected() -> tuple[bytes, bytes]:
    a = WORDS * np.uint32(3) + np.uint32(5)
    b = bytearray(15)
    b[3:10] = b"abcdefg"
    b[10:13] = a.tobytes()[1:4]
    b[4:13] = bytes(b[3:12])
    a[:3] = a[:3] * np.uint32(7) + np.frombuffer(bytes(b[:12]), "<u4")
    return a.tobytes(), bytes(b)


@pytest.mark.parametrize(
    "verb",
    ["create_buffer", "write_buffer", "create_bind_group", "encode", "submit", "map", "take"],
)
def test_device_loss_ends_everything_but_free_stats_and_close(faulty: Open, verb: str) -> None:
    runtime = faulty(Fault(verb=verb, call=2, error=DeviceLost))
    tickets: list[Ticket] = []

    def work() -> None:
        for _ in range(5):
            buffer = written(runtime)
            runtime.dispatch(AFFINE, [buffer], [3, 5])
            tickets.append(runtime.read(buffer))
            runtime.sync()

    with pytest.raises(DeviceLost):
        work()
    buffers = runtime.live_buffers()
    for use in (
        runtime.sync,
        runtime.flush,
        lambda: runtime.alloc(4),
        lambda: runtime.read(buffers[0]),
    ):
        for _ in range(2):
            with pytest.raises(DeviceLost, match="the device is lost"):
                use()
    assert all(ticket.done() for ticket in tickets)
    assert runtime.stats().live_buffers == len(buffers)
    for buffer in buffers:
        runtime.free(buffer)
    runtime.close()


def test_a_fault_is_raised_once_more_by_the_next_op(faulty: Open) -> None:
    runtime = faulty(Fault(verb="map", call=0, error=MapFailed))
    a = written(runtime)
    ticket = runtime.read(a)
    with pytest.raises(MapFailed):
        runtime.dispatch(AFFINE, [a], [3, 5])
    runtime.dispatch(AFFINE, [a], [3, 5])
    with pytest.raises(MapFailed):
        ticket.result()
    assert runtime.read(a).result() == (WORDS * 3 + 5).astype("<u4").tobytes()


@pytest.mark.parametrize("error", [SubmitFailed, DeviceLost])
def test_closing_after_a_fault_gives_everything_back(
    faulty: Open, error: type[DeviceFault]
) -> None:
    runtime = faulty(Fault(verb="submit", call=1, error=error))
    a = written(runtime)
    ticket = runtime.read(a)
    runtime.dispatch(AFFINE, [a], [3, 5])
    if error is SubmitFailed:
        with pytest.warns(ResourceWarning), pytest.raises(SubmitFailed):
            runtime.close()
    else:
        with pytest.warns(ResourceWarning):
            runtime.close()
    assert ticket.done()
    assert not runtime.is_open


def test_the_limit_in_force_does_not_matter_to_a_lost_batch(faulty: Open) -> None:
    policy = replace(PRESETS["pooled"], uniform_slots=1)
    runtime = faulty(Fault(verb="submit", call=1, error=SubmitFailed), policy=policy)
    a = written(runtime)
    runtime.dispatch(AFFINE, [a], [3, 5])
    runtime.dispatch(AFFINE, [a], [3, 6])
    with pytest.raises(SubmitFailed):
        runtime.dispatch(AFFINE, [a], [3, 7])
    with pytest.raises(DataLost):
        runtime.dispatch(AFFINE, [a], [3, 8])
    runtime.write(a, WORDS)
    runtime.dispatch(AFFINE, [a], [3, 9])
    assert runtime.read(a).result() == (WORDS * 3 + 9).astype("<u4").tobytes()


def test_a_debug_wait_that_fails_is_not_the_dispatchs_fault(faulty: Open) -> None:
    policy = replace(PRESETS["eager"], debug_submit_each=True)
    runtime = faulty(Fault(verb="take", call=0, error=MapFailed), policy=policy)
    a = written(runtime)
    runtime.dispatch(AFFINE, [a], [3, 5])
    with pytest.raises(MapFailed):
        runtime.dispatch(AFFINE, [a], [3, 6])
    assert runtime.read(a).result() == (WORDS * 3 + 5).astype("<u4").tobytes()


def test_closing_after_a_failed_submit_still_delivers_what_was_submitted(faulty: Open) -> None:
    runtime = faulty(Fault(verb="submit", call=1, error=SubmitFailed), policy=PRESETS["ring"])
    a = written(runtime)
    first = runtime.read(a)
    runtime.flush()
    runtime.dispatch(AFFINE, [a], [3, 5])
    second = runtime.read(a)
    with pytest.warns(ResourceWarning), pytest.raises(SubmitFailed):
        runtime.close()
    assert first.result() == WORDS.tobytes()
    with pytest.raises(SubmitFailed):
        second.result()


@pytest.mark.parametrize("name", PRESETS)
def test_a_write_that_fails_leaves_no_buffer_behind(driver: Driver, name: str) -> None:
    """Each write of scalars or data fails once; what was made for it is destroyed."""
    for call in range(6):
        trace = Trace()
        failing = FaultyDriver(driver, Fault(verb="write_buffer", call=call, error=SubmitFailed))
        runtime = Runtime(driver=TracedDriver(failing, trace), policy=PRESETS[name])
        a = runtime.alloc(16)
        for scalar in range(3):
            with suppress(DeviceFault):
                runtime.write(a, WORDS)
                runtime.dispatch(AFFINE, [a], [3, scalar])
                runtime.flush()
        runtime.free(a)
        with suppress(DeviceFault):
            runtime.close()
        made = [event["buffer"] for event in trace if event.kind == "create_buffer"]
        gone = [event["buffer"] for event in trace if event.kind == "destroy_buffer"]
        assert sorted(gone) == sorted(made), call


def test_a_write_that_fails_gives_back_the_uniforms_of_its_odd_bytes(faulty: Open) -> None:
    policy = replace(PRESETS["ring"], uniform_ring_bytes=1)
    runtime = faulty(Fault(verb="write_buffer", call=0, error=SubmitFailed), policy=policy)
    a = runtime.alloc(16)
    with pytest.raises(SubmitFailed):
        runtime.write(a, b"thirteen byte")
    runtime.dispatch(AFFINE, [a], [1, 7])
    assert runtime.read(a).result() == np.full(4, 7, np.uint32).tobytes()


@pytest.mark.parametrize("data", [b"z", b"zz"])
def test_a_write_of_odd_bytes_to_a_wide_buffer_that_fails_changes_nothing(data: bytes) -> None:
    """The buffer exceeds a binding, so that its words and its odd bytes are written in parts."""
    limits = {"max-storage-buffer-binding-size": 512}
    device = open_device(limits=limits, faults=FaultPlan(out_of_memory=(1,)))
    with Runtime(device) as runtime:
        wide = runtime.alloc(1024)
        runtime.write(wide, bytes(range(256)) * 4)
        with pytest.raises(OutOfMemory):
            runtime.write(wide, data, 1)
        assert runtime.read(wide, 0, 4).result() == bytes(range(4))
        runtime.write(wide, data, 1)
        assert runtime.read(wide, 1, len(data)).result() == data
        runtime.free(wide)


@pytest.mark.parametrize(
    ("verb", "error"),
    [
        ("create_buffer", OutOfMemory),
        ("write_buffer", SubmitFailed),
        ("create_bind_group", OutOfMemory),
        ("encode", SubmitFailed),
        ("submit", SubmitFailed),
        ("map", MapFailed),
        ("take", MapFailed),
        ("wait", DeviceLost),
        ("wait_async", DeviceLost),
    ],
)
def test_a_trace_tells_which_verb_failed_and_with_what(
    driver: Driver, verb: str, error: type[DeviceFault]
) -> None:
    trace, told = Trace(), verb.removesuffix("_async")
    failing = FaultyDriver(driver, Fault(verb=told, call=0, error=error))
    runtime = Runtime(driver=TracedDriver(failing, trace), policy=PRESETS["cached"])
    with suppress(DeviceFault):
        a = written(runtime)
        runtime.dispatch(AFFINE, [a], [3, 5])
        ticket = runtime.read(a)
        if verb == "wait_async":
            asyncio.run(runtime.sync_async())
        ticket.result()
    for buffer in runtime.live_buffers():
        runtime.free(buffer)
    with suppress(DeviceFault):
        runtime.close()
    failed = [(event["verb"], event["error"]) for event in trace if event.kind == "failed"]
    assert (told, error.__name__) in failed
