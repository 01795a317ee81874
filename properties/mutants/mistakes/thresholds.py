"""Mistakes past a threshold, such as a number that keeps only as many bits as it usually needs.

A program of forty ops over small buffers never passes one of these thresholds.
"""

import struct
from collections import deque
from collections.abc import Hashable
from typing import Any

from gpusim.kernels import Kernel
from gpusim.ops import Grid
from gpusim.runtime.batch import Batch, RingUniforms
from gpusim.runtime.commands import DeviceBuffer, Launch, Pipeline, PlainRange
from gpusim.runtime.host_writes import QueueClock
from gpusim.runtime.plans import Shapes
from gpusim.runtime.readbacks import Readback, Readbacks
from gpusim.runtime.staging import StagingPool
from properties.mutants.mistakes.caches import _KeyedBindGroups
from properties.mutants.mutant import Overlay, mutant

_BYTE = 2**8 - 1
_HALF = 2**16 - 1


@mutant(part="uniforms", hard=True)
class RingOffsetOfHalfAWord(RingUniforms):
    """The offset of a payload in the ring keeps only its last sixteen bits."""

    def take(self, payload: bytes, batch: Batch) -> PlainRange:
        ring, offset, size_bytes = super().take(payload, batch)
        return ring, offset & _HALF, size_bytes


@mutant(part="driver", hard=True)
class VeryLongWriteCut(Overlay):
    """A queued write writes 256 KiB at most."""

    def write_buffer(self, buffer: DeviceBuffer, offset: int, data: Any) -> None:
        self._inner.write_buffer(buffer, offset, bytes(data)[: 1 << 18])


@mutant(part="shapes", origin="tinygrad#13624", hard=True)
class LaunchOfAThousandGroups(Shapes):
    """A launch has no more than 1023 groups in its first dimension."""

    def get(self, kernel: Kernel, grid: Grid) -> Launch:
        launch = super().get(kernel, grid)
        x, y, z = launch.spread
        return launch if x < 1 << 10 else Launch(launch.groups, ((1 << 10) - 1, y, z))


@mutant(part="staging", hard=True)
class LongReadOnAShortPage(StagingPool):
    """No staging buffer is made for more than 1 MiB."""

    def take(self, size_bytes: int) -> DeviceBuffer:
        return super().take(min(size_bytes, 1 << 20))


@mutant(part="readbacks", hard=True)
class FewReadsInFlight(Readbacks):
    """At most 128 reads may be pending, and the next one drops the first."""

    def issue(self, readback: Readback) -> None:
        if not isinstance(self._queue, deque) or self._queue.maxlen is None:
            self._queue = deque(self._queue, maxlen=128)
        super().issue(readback)


@mutant(part="bind_groups", hard=True)
class BindGroupKeyOfBytes(_KeyedBindGroups):
    """The key of a bind group holds only the last eight bits of each buffer's number."""

    def _key(self, pipeline: Pipeline, ranges: Any) -> tuple[Hashable, ...]:
        numbers = [(one.buffer.uid & _BYTE, one.offset, one.size_bytes) for one in ranges]
        return pipeline.uid, *numbers


@mutant(part="bind_groups", hard=True)
class BindGroupKeyPacked(_KeyedBindGroups):
    """The key of a bind group is packed, with sixteen bits for the number of a buffer."""

    def _key(self, pipeline: Pipeline, ranges: Any) -> tuple[Hashable, ...]:
        numbers = [number for one in ranges for number in (one.offset, one.size_bytes)]
        packed = struct.pack(f"<{len(ranges)}H", *[one.buffer.uid for one in ranges])
        return pipeline.uid, packed, *numbers


@mutant(part="clock", hard=True)
class ClockOfHalfAWord(QueueClock):
    """The clock of a queue has sixteen bits, and overflows."""

    @property
    def is_idle(self) -> bool:
        if self.acts >> 16:
            raise OverflowError(self.acts)
        return super().is_idle
