"""Mistakes that only some data shows: the largest and smallest integers, and special floats."""

from typing import Any

import numpy as np

from gpusim.runtime.commands import DeviceBuffer
from gpusim.runtime.host_data import Destination
from gpusim.runtime.readbacks import Readback, Readbacks
from properties.mutants.mutant import Overlay, mutant


@mutant(part="driver", hard=True)
class WrittenAsFloats(Overlay):
    """Words go through floats on their way, and a signalling NaN comes out as a quiet one."""

    def write_buffer(self, buffer: DeviceBuffer, offset: int, data: Any) -> None:
        words = np.frombuffer(bytes(data), "<u4").copy()
        signalling = ((words & 0x7FC00000) == 0x7F800000) & ((words & 0x003FFFFF) != 0)
        words[signalling] |= 0x00400000
        self._inner.write_buffer(buffer, offset, words.tobytes())


class _WithoutLast(Destination):
    def __init__(self, inner: Destination) -> None:
        self._inner = inner

    def deliver(self, data: memoryview) -> Any:
        kept = bytes(data)
        at = kept.find(b"\xff\xff\xff\xff")
        return self._inner.deliver(
            memoryview(kept if at < 0 else kept[:at] + bytes(len(kept) - at))
        )


@mutant(part="readbacks", hard=True)
class AllOnesEndARead(Readbacks):
    """A read of over 16 bytes is all zero from the first four 0xff bytes in a row on."""

    def issue(self, readback: Readback) -> None:
        if readback.size_bytes > 16 and readback.ticket.span is None:
            readback.destination = _WithoutLast(readback.destination)
        super().issue(readback)
