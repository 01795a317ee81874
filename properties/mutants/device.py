"""Mistakes of the device itself: a simulated one that does not do what WebGPU says."""

from collections.abc import Callable
from typing import Any

import wgpu

from gpusim.runtime.drivers.driver import WgpuDriver
from properties.mutants.mutant import Mutant, mutant
from properties.mutants.overlay import Overlay

_STORAGE = wgpu.BufferUsage.STORAGE


class QueueWriteJumpsQueue(Overlay):
    """A queue write acts at once, before what was submitted has run."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.queue = _JumpingQueue(inner.queue)


class _JumpingQueue(Overlay):
    def write_buffer(self, buffer: Any, offset: int, data: Any) -> None:
        self._inner.write_buffer(buffer, offset, data)
        timeline = self._inner._device.timeline
        timeline._operations.appendleft(timeline._operations.pop())


class MapBeforeWork(Overlay):
    """A map settles without waiting for the submit that fills its buffer."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.queue = _ForgetfulQueue(inner.queue)


class _ForgetfulQueue(Overlay):
    def submit(self, command_buffers: Any) -> None:
        used = [buffer for one in command_buffers for buffer in one.used]
        self._inner.submit(command_buffers)
        for buffer in used:
            buffer.last_use = 0


class BufferNotCleared(Overlay):
    """A new buffer of 64 bytes or more holds what its memory held before."""

    def create_buffer(self, **about: Any) -> Any:
        buffer = self._inner.create_buffer(**about)
        if about["usage"] & _STORAGE and about["size"] >= 64:
            buffer.memory[-1] = 0xA7
        return buffer


class LastGroupDropped(Overlay):
    """A pipeline runs one group too few of a dispatch of more than 16."""

    def create_command_encoder(self, **about: Any) -> Any:
        return _ShortEncoder(self._inner.create_command_encoder(**about))


class _ShortEncoder(Overlay):
    def begin_compute_pass(self) -> Any:
        return _ShortPass(self._inner.begin_compute_pass())


class _ShortPass(Overlay):
    def dispatch_workgroups(self, x: int, y: int = 1, z: int = 1) -> None:
        self._inner.dispatch_workgroups(x - (x > 16), y, z)


class CopyEndsEarly(Overlay):
    """A copy to the very end of its target leaves the last word."""

    def create_command_encoder(self, **about: Any) -> Any:
        return _EarlyEncoder(self._inner.create_command_encoder(**about))


class _EarlyEncoder(Overlay):
    def copy_buffer_to_buffer(
        self, source: Any, source_offset: int, target: Any, target_offset: int, size: int
    ) -> None:
        short = 4 * (target_offset > 0 and target_offset + size == target.size and size > 4)
        self._inner.copy_buffer_to_buffer(
            source, source_offset, target, target_offset, size - short
        )


def _device(broken: Callable[[Any], Any], **about: Any) -> Mutant:
    return mutant(broken, make_driver=lambda device: WgpuDriver(broken(device)), **about)


MUTANTS = (
    _device(QueueWriteJumpsQueue),
    _device(MapBeforeWork),
    _device(BufferNotCleared),
    _device(LastGroupDropped),
    _device(CopyEndsEarly),
)
