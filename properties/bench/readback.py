"""``bench readback``: what sixteen small reads before a sync cost, and what one large read costs.

Two arms have no runtime: ``queue.read_buffer``, wgpu-py's way to read a buffer, and one
staging buffer that is kept, copied to and mapped.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from wgpu import BufferUsage

from gpusim.runtime import PRESETS, Driver, Policy, Runtime, driver_for
from properties.bench.arms import Arm, check_same
from properties.bench.timing import BARE, Asked, Results, Row, Sample, Watch, interleave, rows_of

READ_BUFFER = "read_buffer"
_SMALL_READS, _SMALL_BYTES = 16, 256
_LARGE_BYTES, _LESS_BYTES = 1 << 26, 1 << 20
_STORAGE = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST


def bench(asked: Asked) -> Results:
    """The rows of sixteen small reads, with times per read, and those of one large read."""
    large_bytes = _LESS_BYTES if asked.small else _LARGE_BYTES
    device, rounds = asked.device, asked.rounds
    driver = driver_for(device)
    asked.tell(f"{_SMALL_READS} reads of {_SMALL_BYTES} bytes before a sync")
    rows = _time("16 small reads", device, driver, _SMALL_READS, _SMALL_BYTES, rounds)
    asked.tell(f"a read of {large_bytes >> 20} MiB")
    large = _time("a large read", device, driver, 1, large_bytes, rounds)
    rows += [
        replace(row, more={**row.more, "gb_per_second": large_bytes / row.median_us / 1000})
        for row in large
    ]
    return Results(rows=rows)


def reading_arms(device: Any, driver: Driver, reads: int, size_bytes: int) -> dict[str, Arm]:
    """Returns arms that make ``reads`` reads of ``size_bytes`` each before one sync.

    There is an arm for each policy, and two without a runtime.
    """
    data = np.arange(size_bytes // 4, dtype=np.uint32)
    arms = {name: _runtime_reads(driver, policy, reads, data) for name, policy in PRESETS.items()}
    arms[READ_BUFFER] = _read_buffer(device, reads, data)
    arms[BARE] = _by_hand(device, reads, data)
    return arms


def _time(
    workload: str, device: Any, driver: Driver, reads: int, size_bytes: int, rounds: int
) -> list[Row]:
    arms = reading_arms(device, driver, reads, size_bytes)
    samples = interleave(arms, rounds)
    check_same(workload, arms)
    for arm in arms.values():
        arm.close()
    return _against_read_buffer(rows_of(workload, samples, reads))


def _runtime_reads(driver: Driver, policy: Policy, reads: int, data: Any) -> Arm:
    runtime = Runtime(driver=driver, policy=policy)
    buffers = [runtime.alloc(data.nbytes) for _ in range(reads)]
    outs = [np.zeros_like(data) for _ in range(reads)]
    for buffer in buffers:
        runtime.write(buffer, data)
    runtime.sync()

    def play() -> tuple[Sample, bytes]:
        watch = Watch()
        for buffer, out in zip(buffers, outs, strict=True):
            runtime.read(buffer, out=out)
        runtime.flush()
        watch.pause()
        runtime.sync()
        return watch.stop(), b"".join(outs)

    def close() -> None:
        for buffer in buffers:
            runtime.free(buffer)
        runtime.close()

    return Arm(play, close)


def _read_buffer(device: Any, reads: int, data: Any) -> Arm:
    buffers = _filled(device, reads, data)
    outs = [np.zeros_like(data) for _ in range(reads)]

    def play() -> tuple[Sample, bytes]:
        watch = Watch()
        for buffer, out in zip(buffers, outs, strict=True):
            out[:] = np.frombuffer(device.queue.read_buffer(buffer), dtype=np.uint32)
        watch.pause()
        return watch.stop(), b"".join(outs)

    return Arm(play)


def _by_hand(device: Any, reads: int, data: Any) -> Arm:
    """One staging buffer that is kept, one submit and one map for all reads."""
    buffers = _filled(device, reads, data)
    outs = [np.zeros_like(data) for _ in range(reads)]
    staging = device.create_buffer(
        size=reads * data.nbytes, usage=BufferUsage.MAP_READ | BufferUsage.COPY_DST
    )

    def play() -> tuple[Sample, bytes]:
        watch = Watch()
        encoder = device.create_command_encoder()
        for number, buffer in enumerate(buffers):
            encoder.copy_buffer_to_buffer(buffer, 0, staging, number * data.nbytes, data.nbytes)
        device.queue.submit([encoder.finish()])
        watch.pause()
        staging.map_async("READ_NOSYNC").sync_wait()
        mapped = np.frombuffer(staging.read_mapped(copy=False), dtype=np.uint32)
        for out, part in zip(outs, mapped.reshape(reads, -1), strict=True):
            out[:] = part
        del mapped, part
        staging.unmap()
        return watch.stop(), b"".join(outs)

    return Arm(play)


def _filled(device: Any, count: int, data: Any) -> list[Any]:
    buffers = [device.create_buffer(size=data.nbytes, usage=_STORAGE) for _ in range(count)]
    for buffer in buffers:
        device.queue.write_buffer(buffer, 0, data)
    return buffers


def _against_read_buffer(rows: list[Row]) -> list[Row]:
    medians: Mapping[str, float] = {row.arm: row.median_us for row in rows}
    return [
        replace(row, more={"ratio_to_read_buffer": row.median_us / medians[READ_BUFFER]})
        for row in rows
    ]
