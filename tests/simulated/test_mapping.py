"""What mapping gives and keeps, and when the end of submitted work is told.

After the WebGPU conformance suite's ``operation/buffers/map`` and
``operation/onSubmittedWorkDone``, and Dawn's ``BufferMappingTests``.
"""

from typing import Any

import pytest
import wgpu

from gpusim.simulated import STRATEGIES, open_device, strategy

U = wgpu.BufferUsage
READ, WRITE = wgpu.MapMode.READ, wgpu.MapMode.WRITE
STAGING = U.MAP_READ | U.COPY_DST
UPLOAD = U.MAP_WRITE | U.COPY_SRC


@pytest.fixture(params=STRATEGIES)
def device(request: pytest.FixtureRequest) -> Any:
    return open_device(scheduler=strategy(request.param, 2))


def filled(device: Any, data: bytes) -> Any:
    staging = device.create_buffer(size=len(data), usage=STAGING)
    device.queue.write_buffer(staging, 0, data)
    return staging


DATA = bytes(range(1, 33))
RANGES = [(0, None), (8, None), (8, 8), (16, 4), (0, 32), (24, 8)]


@pytest.mark.parametrize(("offset", "size"), RANGES)
def test_a_range_is_read(device: Any, offset: int, size: int | None) -> None:
    staging = filled(device, DATA)
    staging.map_sync(READ, offset, size)
    expected = DATA[offset:] if size is None else DATA[offset : offset + size]
    assert bytes(staging.read_mapped()) == expected


def test_reading_twice_gives_the_same(device: Any) -> None:
    staging = filled(device, DATA)
    for _ in range(2):
        staging.map_sync(READ)
        assert bytes(staging.read_mapped()) == DATA
        staging.unmap()


def test_reading_again_gives_what_was_written_meanwhile(device: Any) -> None:
    staging = filled(device, DATA)
    for value in (1, 2, 3):
        device.queue.write_buffer(staging, 8, bytes([value] * 4))
        staging.map_sync(READ)
        assert bytes(staging.read_mapped(8, 4)) == bytes([value] * 4)
        assert bytes(staging.read_mapped(16, 4)) == DATA[16:20]
        staging.unmap()


@pytest.mark.parametrize(("offset", "size"), RANGES)
def test_what_is_written_stays_and_nothing_else_changes(
    device: Any, offset: int, size: int | None
) -> None:
    upload = device.create_buffer(size=32, usage=UPLOAD)
    for value, (start, length) in enumerate([(0, 32), (offset, size)], start=1):
        upload.map_sync(WRITE, start, length)
        reach = 32 - start if length is None else length
        upload.write_mapped(bytes([value] * reach), start)
        upload.unmap()
    end = 32 if size is None else offset + size
    expected = bytes([1] * offset + [2] * (end - offset) + [1] * (32 - end))
    assert bytes(device.queue.read_buffer(upload)) == expected


def test_a_write_that_is_mapped_comes_in_the_order_of_the_queue(device: Any) -> None:
    upload = device.create_buffer(size=8, usage=UPLOAD, mapped_at_creation=True)
    upload.write_mapped(b"abcdefgh")
    target = device.create_buffer(size=8, usage=U.COPY_DST | U.COPY_SRC)
    upload.unmap()
    encoder = device.create_command_encoder()
    encoder.copy_buffer_to_buffer(upload, 0, target, 0, 8)
    device.queue.submit([encoder.finish()])
    upload.map_sync(WRITE)
    upload.write_mapped(b"ABCDEFGH")
    upload.unmap()
    assert bytes(device.queue.read_buffer(target)) == b"abcdefgh"


@pytest.mark.parametrize("ended", ["mapped", "unmapped", "destroyed"])
@pytest.mark.parametrize("size", [16, 32, 48])
def test_a_buffer_mapped_at_creation_begins_with_zeros(device: Any, size: int, ended: str) -> None:
    """Whatever an earlier one has left in memory; so the bytes that nobody writes are zero."""
    first = device.create_buffer(size=32, usage=UPLOAD, mapped_at_creation=True)
    first.write_mapped(DATA)
    if ended != "mapped":
        first.unmap()
    if ended == "destroyed":
        first.destroy()
        device.queue.on_submitted_work_done_sync()
    second = device.create_buffer(size=size, usage=UPLOAD, mapped_at_creation=True)
    second.write_mapped(b"abcd", 8)
    second.unmap()
    assert bytes(device.queue.read_buffer(second)) == bytes(8) + b"abcd" + bytes(size - 12)


def test_a_map_waits_for_the_work_that_uses_its_buffer(device: Any) -> None:
    staging = device.create_buffer(size=4, usage=STAGING)
    for value in range(50):
        device.queue.write_buffer(staging, 0, bytes([value] * 4))
    staging.map_sync(READ)
    assert bytes(staging.read_mapped()) == bytes([49] * 4)


def test_what_waits_in_the_queue_is_bounded() -> None:
    """As late as possible, but not at the cost of all memory."""
    device = open_device(limits={"max-buffer-size": 1 << 28})
    target = device.create_buffer(size=1 << 25, usage=U.COPY_DST)
    for value in (1, 2, 3):
        device.queue.write_buffer(target, 0, bytes([value]) * (1 << 25))
    assert target.memory[0] == 1
    small = device.create_buffer(size=4, usage=U.COPY_DST)
    for value in range(5000):
        device.queue.write_buffer(small, 0, value.to_bytes(4, "little"))
    assert int.from_bytes(small.memory.tobytes(), "little") == 5000 - 4096 - 1


def test_reading_is_told_apart_from_writing(device: Any) -> None:
    staging, upload = filled(device, DATA), device.create_buffer(size=8, usage=UPLOAD)
    staging.map_sync(READ)
    upload.map_sync(WRITE)
    with pytest.raises(RuntimeError, match="write mode"):
        staging.write_mapped(bytes(8))
    with pytest.raises(RuntimeError, match="read mode"):
        upload.read_mapped()


def test_staging_may_be_poisoned() -> None:
    """Against the specification, and only where asked for."""
    device = open_device(poison_staging=True)
    staging = filled(device, DATA)
    for expected in (DATA, bytes([0xDB] * 32)):
        staging.map_sync(READ)
        assert bytes(staging.read_mapped()) == expected
        staging.unmap()


@pytest.mark.parametrize("work", [0, 1, 20])
def test_work_done_is_told(device: Any, work: int) -> None:
    for _ in range(work):
        device.queue.submit([device.create_command_encoder().finish()])
    device.queue.on_submitted_work_done_sync()
    timeline = device._state.timeline
    assert timeline.executed == timeline.enqueued


def test_work_done_is_told_in_order(device: Any) -> None:
    promises = []
    for _ in range(10):
        device.queue.submit([device.create_command_encoder().finish()])
        promises.append(device.queue.on_submitted_work_done_async())
    promises[4].sync_wait()
    assert all(promise.state != "pending" for promise in promises[:5])
    promises[9].sync_wait()
    assert all(promise.state != "pending" for promise in promises)
