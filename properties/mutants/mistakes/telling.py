"""Mistakes in what a runtime says and not in what it does: its counters, and messages of errors."""

from typing import Any, NoReturn

from gpusim.errors import InvalidHandle, LimitExceeded, OutOfRange, WaitTimedOut
from gpusim.kernels import Kernel
from gpusim.ops import Grid
from gpusim.runtime import Runtime
from gpusim.runtime.batch import FlushReason
from gpusim.runtime.buffers import Buffer, BufferTable
from gpusim.runtime.commands import DeviceBuffer, Launch
from gpusim.runtime.plans import Shapes
from gpusim.runtime.readbacks import Readbacks, Ticket
from gpusim.runtime.recorder import Recorder
from gpusim.runtime.staging import StagingPool
from properties.mutants.mutant import mutant


@mutant(part="buffers")
class PeakStaysLow(BufferTable):
    """The peak of live bytes is updated only when a buffer is freed."""

    def add(self, device_buffer: DeviceBuffer, size_bytes: int, label: str) -> Buffer:
        peak = self.peak_bytes
        buffer = super().add(device_buffer, size_bytes, label)
        self.peak_bytes = peak
        return buffer

    def remove(self, buffer: Buffer) -> DeviceBuffer:
        self.peak_bytes = max(self.peak_bytes, self.live_bytes)
        return super().remove(buffer)


@mutant(part="recorder")
class EmptySubmitNotCounted(Recorder):
    """A submit of nothing, which only starts host writes, is not counted by its reason."""

    def submit(self, reason: FlushReason) -> None:
        was_empty, before = self.is_empty, self.flushes[str(reason)]
        super().submit(reason)
        if was_empty:
            self.flushes[str(reason)] = before


@mutant(part="staging")
class StagingMissNotCounted(StagingPool):
    """A take that finds no staging buffer large enough is counted only if the pool was empty."""

    def take(self, size_bytes: int) -> DeviceBuffer:
        exhausted, had_some = self.counts.exhausted, bool(self._free)
        buffer = super().take(size_bytes)
        if had_some:
            self.counts.exhausted = exhausted
        return buffer


@mutant(part="buffers")
class RefusalNamesNewest(BufferTable):
    """The refusal of a freed buffer names the newest live buffer instead."""

    def device_buffer(self, buffer: Buffer) -> DeviceBuffer:
        try:
            return super().device_buffer(buffer)
        except InvalidHandle:
            for newest in list(self)[-1:]:
                _refuse(newest)
            raise


def _refuse(buffer: Buffer) -> NoReturn:
    raise InvalidHandle(
        f"cannot use {buffer!r} because it was freed (probably too early, or twice)"
    )


@mutant(part="shapes")
class RefusalNamesOtherLimit(Shapes):
    """The refusal of a grid names the kernel's workgroup size in place of a dimension's limit."""

    def get(self, kernel: Kernel, grid: Grid) -> Launch:
        try:
            return super().get(kernel, grid)
        except LimitExceeded as error:
            told = str(error).replace(
                f" {self._max_groups_per_dimension} ", f" {kernel.group_size} "
            )
            raise LimitExceeded(told) from None


@mutant(part="staging")
class MadeOnceItIsBack(StagingPool):
    """A staging buffer counts as made only once one is given back to the pool or discarded."""

    _out = 0

    def take(self, size_bytes: int) -> DeviceBuffer:
        created = self.counts.created
        buffer = super().take(size_bytes)
        self._out += self.counts.created - created
        self.counts.created = created
        return buffer

    def give_back(self, buffer: DeviceBuffer) -> None:
        self._count()
        super().give_back(buffer)

    def discard(self, buffer: DeviceBuffer) -> None:
        self._count()
        super().discard(buffer)

    def _count(self) -> None:
        self.counts.created, self._out = self.counts.created + self._out, 0


@mutant(part="readbacks", found_by="clients")
class TimeoutToldInMilliseconds(Readbacks):
    """A wait that times out tells its timeout in milliseconds, not in seconds."""

    def settle_through(self, ticket: Ticket, seconds: float | None = None) -> None:
        try:
            super().settle_through(ticket, seconds)
        except WaitTimedOut as late:
            told = str(late).replace(f"{seconds} s", f"{1000 * (seconds or 0):g} ms")
            raise WaitTimedOut(told) from None


@mutant(part="runtime", found_by="clients")
class RefusalTellsWordOffset(Runtime):
    """A write that is out of range tells its offset in elements of the data, not in bytes."""

    def write(self, buffer: Buffer, data: Any, offset: int = 0) -> None:
        try:
            super().write(buffer, data, offset)
        except OutOfRange as refused:
            if not isinstance(offset, int):
                raise
            told = str(refused).replace(
                f"offset {offset} ", f"offset {offset // getattr(data, 'itemsize', 1)} "
            )
            raise OutOfRange(told) from None


@mutant(part="buffers")
class NothingLeftToTell(BufferTable):
    """A close does not warn of buffers that were never freed."""

    def describe_left(self) -> str:
        return ""
