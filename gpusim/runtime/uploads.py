"""Host writes that keep their place in the batch: staged on the host, copied by a command.

The upload buffer is on the *submitted* clock, like the uniform ring: written
once at its batch's submit, from its start, and free again after it.
"""

from gpusim.runtime.batch import Batch
from gpusim.runtime.byte_plans import words_up
from gpusim.runtime.commands import DeviceBuffer, Role
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.policy import Policy


class Uploads:
    """The upload buffer of one runtime; a write fits where it has room for it."""

    def __init__(self, driver: Driver, policy: Policy) -> None:
        self._driver = driver
        self._most_bytes = policy.staged_write_bytes
        self._capacity_bytes = words_up(policy.upload_bytes)
        self._buffer: DeviceBuffer | None = None

    def accepts(self, batch: Batch, size_bytes: int) -> bool:
        """Whether ``size_bytes`` are few enough, and still fit in the batch."""
        fits = len(batch.upload_data) + words_up(size_bytes) <= self._capacity_bytes
        return size_bytes <= self._most_bytes and fits

    def take(self, words: bytes | memoryview, batch: Batch) -> tuple[DeviceBuffer, int]:
        """The buffer and the offset where ``words`` will be when ``batch`` runs; OutOfMemory."""
        if self._buffer is None:
            self._buffer = self._driver.create_buffer(self._capacity_bytes, Role.UPLOAD)
        offset = len(batch.upload_data)
        batch.upload_data += words
        return self._buffer, offset

    def before_submit(self, batch: Batch) -> None:
        """Write all staged bytes of ``batch`` at once."""
        if batch.upload_data:
            assert self._buffer is not None
            self._driver.write_buffer(self._buffer, 0, batch.upload_data)

    def clear(self) -> list[DeviceBuffer]:
        """Give up the buffer, for the caller to destroy."""
        buffer, self._buffer = self._buffer, None
        return [] if buffer is None else [buffer]
