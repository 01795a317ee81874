"""Copies and queue writes, byte for byte.

After the WebGPU conformance suite's ``command_buffer/copyBufferToBuffer``,
``queue/writeBuffer`` and ``resource_init/buffer``, as tables.
"""

from itertools import product
from typing import Any

import numpy as np
import pytest
import wgpu

from gpusim.simulated import STRATEGIES, open_device, strategy

U = wgpu.BufferUsage
USAGE = U.COPY_SRC | U.COPY_DST


@pytest.fixture(params=STRATEGIES)
def device(request: pytest.FixtureRequest) -> Any:
    return open_device(scheduler=strategy(request.param, 1))


def holding(device: Any, data: Any) -> Any:
    return device.create_buffer_with_data(data=bytes(data), usage=USAGE)


def content(device: Any, buffer: Any) -> list[int]:
    """All bytes; an empty buffer has none to read."""
    return list(device.queue.read_buffer(buffer)) if buffer.size else []


def copy(device: Any, *copies: tuple[Any, int, Any, int, int]) -> None:
    encoder = device.create_command_encoder()
    for one in copies:
        encoder.copy_buffer_to_buffer(*one)
    device.queue.submit([encoder.finish()])


def test_a_copy_moves_its_range_and_no_other_byte(device: Any) -> None:
    for start, to, size, more, room in product(*[(0, 4, 8, 16)] * 3, (0, 8), (0, 8)):
        data = [number % 250 + 1 for number in range(start + size + more)]
        source = holding(device, data)
        target = device.create_buffer(size=to + size + room, usage=USAGE)
        copy(device, (source, start, target, to, size))
        expected = [0] * target.size
        expected[to : to + size] = data[start : start + size]
        assert content(device, target) == expected


def test_copies_of_one_command_buffer_are_in_order(device: Any) -> None:
    source = holding(device, np.arange(1, 9, dtype=np.uint32).tobytes())
    target = device.create_buffer(size=32, usage=USAGE)
    copy(device, (source, 0, target, 0, 16), (source, 16, target, 8, 16))
    words = np.frombuffer(bytes(content(device, target)), np.uint32)
    assert words.tolist() == [1, 2, 5, 6, 7, 8, 0, 0]


def test_a_copy_back_sees_the_copy_before_it(device: Any) -> None:
    first, second = holding(device, range(1, 9)), holding(device, range(10, 90, 10))
    copy(device, (first, 0, second, 4, 4), (second, 0, first, 4, 4))
    assert content(device, first) == [1, 2, 3, 4, 10, 20, 30, 40]
    assert content(device, second) == [10, 20, 30, 40, 1, 2, 3, 4]


def test_fresh_and_cleared_memory_is_zero(device: Any) -> None:
    assert content(device, device.create_buffer(size=64, usage=USAGE)) == [0] * 64
    mapped = device.create_buffer(size=16, usage=USAGE, mapped_at_creation=True)
    mapped.write_mapped(b"abcd", 8)
    mapped.unmap()
    assert bytes(content(device, mapped)) == bytes(8) + b"abcd" + bytes(4)
    buffer = holding(device, [7] * 16)
    encoder = device.create_command_encoder()
    encoder.clear_buffer(buffer, 4, 8)
    device.queue.submit([encoder.finish()])
    assert content(device, buffer) == [7] * 4 + [0] * 8 + [7] * 4


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", "<i2", "<u4", "<i4", "<f4", "<f8"])
def test_any_array_is_written_by_its_bytes(device: Any, dtype: str) -> None:
    data = np.arange(8).astype(dtype)
    buffer = device.create_buffer(size=64, usage=USAGE)
    device.queue.write_buffer(buffer, 0, data)
    assert bytes(content(device, buffer))[: data.nbytes] == data.tobytes()


WRITES = [
    [(0, 16, 1), (4, 8, 2)],
    [(0, 8, 1), (8, 8, 2), (4, 8, 3)],
    [(0, 64, 1), (0, 32, 2), (0, 16, 3), (0, 8, 4), (0, 4, 5)],
    [(0, 4, 5), (0, 8, 4), (0, 16, 3)],
    [(60, 4, 1), (0, 0, 9), (64, 0, 9), (56, 4, 2)],
]
"""Writes as (offset, size, value), each over some of the one before it."""


@pytest.mark.parametrize("writes", WRITES, ids=range(len(WRITES)))
def test_later_writes_lie_over_earlier_ones(device: Any, writes: Any) -> None:
    buffer = device.create_buffer(size=64, usage=USAGE)
    expected = [0] * 64
    for offset, size, value in writes:
        device.queue.write_buffer(buffer, offset, bytes([value] * size))
        expected[offset : offset + size] = [value] * size
    assert content(device, buffer) == expected


def test_data_is_taken_at_the_call(device: Any) -> None:
    data = bytearray(b"abcd")
    buffer = device.create_buffer(size=4, usage=USAGE)
    device.queue.write_buffer(buffer, 0, data)
    data[:] = b"wxyz"
    assert bytes(content(device, buffer)) == b"abcd"


@pytest.mark.parametrize(
    ("skip", "size", "taken"), [(4, None, b"efgh"), (0, 4, b"abcd"), (4, 4, b"efgh")]
)
def test_a_part_of_the_data_is_written(device: Any, skip: int, size: Any, taken: bytes) -> None:
    buffer = device.create_buffer(size=4, usage=USAGE)
    device.queue.write_buffer(buffer, 0, b"abcdefgh", skip, size)
    assert bytes(content(device, buffer)) == taken


def test_a_view_kept_past_unmap_shows_poison(device: Any) -> None:
    staging = device.create_buffer(size=8, usage=U.MAP_READ | U.COPY_DST)
    device.queue.write_buffer(staging, 0, bytes(range(8)))
    staging.map_sync(1)
    array = np.frombuffer(staging.read_mapped(copy=False), np.uint8)
    copied = bytes(staging.read_mapped())
    assert array.tolist() == list(range(8))
    staging.unmap()
    assert set(array.tolist()) == {0xDB}
    assert copied == bytes(range(8))


def test_destroyed_memory_is_poisoned_after_the_work_that_uses_it(device: Any) -> None:
    source, target = holding(device, range(8)), device.create_buffer(size=8, usage=USAGE)
    copy(device, (source, 0, target, 0, 8))
    source.destroy()
    assert content(device, target) == list(range(8))
    device.queue.on_submitted_work_done_sync()
    assert set(source.memory.tolist()) == {0xDB}
