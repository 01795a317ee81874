"""Our runtime with one mistake that about one program in 17,000 shows, for long sessions to find.

gpusim fuzz --device simulated --target tests/fleet/seldom.py:seldom
"""

from functools import partial
from typing import Any

from gpusim.runtime import Parts
from gpusim.runtime.commands import DeviceBuffer
from gpusim.runtime.host_data import Destination
from gpusim.runtime.readbacks import Ticket
from gpusim.runtime.reads import Reads
from properties.targets.factory import RuntimeFactory

_BUFFER_BYTES, _OFFSET, _SIZE_BYTES = 256, 16, 64


class _Blurred(Destination):
    """Delivers with the last byte wrong."""

    def __init__(self, inner: Destination) -> None:
        self._inner = inner

    def deliver(self, data: memoryview) -> Any:
        wrong = bytearray(data)
        wrong[-1] ^= 1
        return self._inner.deliver(memoryview(wrong))


class _ReadsSeldomWrong(Reads):
    """One part of buffers of one size is read wrongly."""

    def issue(
        self,
        origin: DeviceBuffer,
        offset: int,
        size_bytes: int,
        destination: Destination,
        *,
        fence: bool = False,
    ) -> Ticket:
        if (origin.size_bytes, offset, size_bytes) == (_BUFFER_BYTES, _OFFSET, _SIZE_BYTES):
            destination = _Blurred(destination)
        return super().issue(origin, offset, size_bytes, destination, fence=fence)


seldom = partial(RuntimeFactory, parts=Parts(reads=_ReadsSeldomWrong))
