"""Staging buffers: a readback is copied into one and mapped there.

A staging buffer is on the *done* clock.  From ``take`` until ``give_back`` it belongs to
the reads of one page.  It is unmapped and given back only after all their bytes were taken.  A
buffer whose map failed is discarded, and never given back.
"""

from gpusim.errors import DeviceFault, MapFailed
from gpusim.runtime.commands import DeviceBuffer, Role, StagingMap
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.stats import Counts

_LEAST_BYTES = 256


class StagingPage:
    """A staging buffer in use, shared by reads of one batch.

    A page is first recorded, then submitted and mapped (``mapping``), then taken.  Or it ends with
    an ``error``, which is then the error of every read on the page.  ``act`` is the number of its
    submit in the ``QueueClock``.  ``data`` keeps the bytes of a page that several reads share.
    """

    __slots__ = ("act", "buffer", "data", "error", "is_taken", "mapping", "reads", "used_bytes")

    def __init__(self, buffer: DeviceBuffer) -> None:
        self.buffer = buffer
        self.used_bytes = 0
        self.mapping: StagingMap | None = None
        self.is_taken = False
        self.data = memoryview(b"")
        self.reads = 0
        self.error: DeviceFault | None = None
        self.act = 0

    def has_room(self, size_bytes: int) -> bool:
        """Whether the page has room for ``size_bytes`` more bytes, a number of whole words."""
        return self.used_bytes + size_bytes <= self.buffer.size_bytes

    def reserve(self, size_bytes: int) -> int:
        """Reserve ``size_bytes`` bytes for one read; gives their offset."""
        offset = self.used_bytes
        self.used_bytes += size_bytes
        self.reads += 1
        return offset

    def keep(self, mapped: memoryview) -> None:
        """Keep a copy of the page's bytes; each read takes its part of the copy.

        MapFailed if the host has no memory for it.
        """
        try:
            self.data = memoryview(bytes(mapped))
        except MemoryError:
            raise MapFailed(
                f"cannot keep the {self.used_bytes} bytes of {self.reads} reads because the host "
                "has no memory left (probably fewer of them at once will do)"
            ) from None

    @property
    def is_recorded(self) -> bool:
        """Whether the batch of the page is still open."""
        return self.mapping is None and not self.is_taken and self.error is None


class StagingPool:
    """Keeps up to ``capacity`` free buffers; more may be in use at once."""

    def __init__(self, driver: Driver, capacity: int, class_bytes: int) -> None:
        self.counts = Counts()
        self._driver = driver
        self._capacity = capacity
        self._class_bytes = class_bytes
        self._free: list[DeviceBuffer] = []

    def take(self, size_bytes: int) -> DeviceBuffer:
        """The smallest free buffer of at least ``size_bytes``, or a new one; raises OutOfMemory."""
        fitting = [buffer for buffer in self._free if buffer.size_bytes >= size_bytes]
        if fitting:
            buffer = min(fitting, key=lambda buffer: buffer.size_bytes)
            self._free.remove(buffer)
            self.counts.reused += 1
            self.counts.held = len(self._free)
            return buffer
        self.counts.exhausted += self._capacity > 0
        class_bytes = _size_class(size_bytes, self._class_bytes)
        # A power of two may be more than the device allows; ``size_bytes`` itself is not.
        class_bytes = min(class_bytes, self._driver.limits.max_buffer_bytes)
        buffer = self._driver.create_buffer(class_bytes, Role.STAGING)
        self.counts.created += 1
        return buffer

    def give_back(self, buffer: DeviceBuffer) -> None:
        """Take back an unmapped buffer; destroys the smallest buffer if there is no room."""
        self._free.append(buffer)
        if len(self._free) > self._capacity:
            smallest = min(self._free, key=lambda buffer: buffer.size_bytes)
            self._free.remove(smallest)
            self._driver.destroy_buffer(smallest)
            self.counts.evicted += 1
        self.counts.held = len(self._free)

    def discard(self, buffer: DeviceBuffer) -> None:
        """Destroy a buffer that must not be mapped again."""
        self._driver.destroy_buffer(buffer)

    def clear(self) -> list[DeviceBuffer]:
        """Drop every free buffer; the caller destroys them."""
        free, self._free = self._free, []
        self.counts.held = 0
        return free


def _size_class(size_bytes: int, most_bytes: int) -> int:
    """``size_bytes`` rounded up to a power of two, so that reads of similar size use one buffer.

    A size above ``most_bytes`` is not rounded.
    """
    if size_bytes > most_bytes:
        return size_bytes
    return max(_LEAST_BYTES, 1 << (size_bytes - 1).bit_length())
