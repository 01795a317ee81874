"""Mistakes in the pool of readback buffers."""

from typing import Any

from gpusim.runtime.caches import CacheState
from gpusim.runtime.commands import DeviceBuffer, Role
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.parts import Parts
from gpusim.runtime.policy import Policy
from gpusim.runtime.staging import StagingPool
from properties.mutants.mutant import Mutant, mutant


class StagingReusedTooSoon(StagingPool):
    """A buffer is free again as soon as it was handed out."""

    def take(self, size_bytes: int) -> DeviceBuffer:
        buffer = super().take(size_bytes)
        self._free.append(buffer)
        return buffer

    def give_back(self, buffer: DeviceBuffer) -> None:
        """It was given back before."""


class StagingPoolGivesSmaller(StagingPool):
    """The smallest free buffer is handed out, whether it holds the read or not."""

    def take(self, size_bytes: int) -> DeviceBuffer:
        return super().take(min([size_bytes, *(buffer.size_bytes for buffer in self._free)]))


class StagingSizeRoundedDown(StagingPool):
    """The class of a size is the power of two below it."""

    def take(self, size_bytes: int) -> DeviceBuffer:
        return super().take(1 << (size_bytes.bit_length() - 1))


class StagingEvictsUnread(StagingPool):
    """Past its capacity the pool destroys the buffer that was handed out first."""

    def __init__(self, driver: Driver, capacity: int, class_bytes: int) -> None:
        super().__init__(driver, capacity, class_bytes)
        self._out: list[DeviceBuffer] = []

    def take(self, size_bytes: int) -> DeviceBuffer:
        if len(self._out) > max(self._capacity, 1):
            self._driver.destroy_buffer(self._out.pop(0))
        buffer = super().take(size_bytes)
        self._out.append(buffer)
        return buffer

    def give_back(self, buffer: DeviceBuffer) -> None:
        if buffer in self._out:
            self._out.remove(buffer)
        super().give_back(buffer)


class StagingEvictedStaysFree(StagingPool):
    """A pool without room destroys the buffer that comes back, and hands it out all the same."""

    def give_back(self, buffer: DeviceBuffer) -> None:
        full = len(self._free) >= self._capacity > 0
        super().give_back(buffer)
        if full:
            self._free.append(buffer)


class FailedMapRecycled(StagingPool):
    """A buffer whose map failed goes back to the pool."""

    def discard(self, buffer: DeviceBuffer) -> None:
        self.give_back(buffer)


class LargeStagingShared(StagingPool):
    """Buffers of more than 4096 bytes come from one buffer that all such reads share."""

    def __init__(self, driver: Driver, capacity: int, class_bytes: int) -> None:
        super().__init__(driver, capacity, class_bytes)
        self._large: DeviceBuffer | None = None

    def take(self, size_bytes: int) -> DeviceBuffer:
        if size_bytes <= 4096:
            return super().take(size_bytes)
        if self._large is None or self._large.size_bytes < size_bytes:
            self._large = self._driver.create_buffer(size_bytes, Role.STAGING)
        return self._large

    def give_back(self, buffer: DeviceBuffer) -> None:
        if buffer is not self._large:
            super().give_back(buffer)


def _staging(broken: type[StagingPool], **about: Any) -> Mutant:
    def made(driver: Driver, policy: Policy, caches: CacheState) -> StagingPool:
        return broken(driver, policy.staging_buffers, policy.staging_class_bytes)

    return mutant(broken, parts=Parts(staging=made), **about)


MUTANTS = (
    _staging(StagingReusedTooSoon, ancestor="tinygrad; wgpu#5173"),
    _staging(StagingPoolGivesSmaller),
    _staging(StagingSizeRoundedDown),
    _staging(StagingEvictsUnread),
    _staging(StagingEvictedStaysFree),
    _staging(FailedMapRecycled, ancestor="noon#166", prey="faults"),
    _staging(LargeStagingShared),
)
