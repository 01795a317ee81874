"""A buffer: its memory, and the three states of its mapping.

Source: WebGPU specification, section 5 "Buffers" and 5.2 "Buffer Mapping".
Memory that may no longer be read is overwritten with POISON, so that a late read is noticed.
"""

from functools import lru_cache, partial
from typing import Any

import numpy as np
import wgpu

from gpusim.simulated.profile import aborting, device_lost, invalid
from gpusim.simulated.promise import Promise
from gpusim.simulated.state import DeviceState, next_uid
from gpusim.simulated.timeline import Operation

POISON = 0xDB
AVAILABLE, UNAVAILABLE, DESTROYED = "available", "unavailable", "destroyed"
_READ, _WRITE = wgpu.MapMode.READ, wgpu.MapMode.WRITE
_NEEDED_USAGE = {_READ: wgpu.BufferUsage.MAP_READ, _WRITE: wgpu.BufferUsage.MAP_WRITE}


class Mapping:
    """An active mapping: its own copy of a range of the buffer, and views on it."""

    __slots__ = ("data", "end", "mode", "start", "views")

    def __init__(self, mode: int, start: int, data: bytearray) -> None:
        self.mode = mode
        self.start = start
        self.end = start + len(data)
        self.data = data
        self.views: list[memoryview] = []

    def close(self) -> None:
        """End every view on the mapping's memory, and overwrite the memory with POISON."""
        for view in self.views:
            try:
                view.release()
            except BufferError:
                # An array still holds the view, so the array reads poison.
                continue
        self.data[:] = bytes([POISON]) * len(self.data)


class GPUBuffer:
    """A block of memory; made by ``GPUDevice.create_buffer``."""

    __slots__ = (
        "__weakref__",
        "_device",
        "_map_state",
        "_mapping",
        "_pending",
        "contents",
        "label",
        "last_use",
        "memory",
        "size",
        "state",
        "uid",
        "usage",
    )

    def __init__(self, device: DeviceState, label: str, size: int, usage: int) -> None:
        self._device = device
        self.label = label
        self.uid = next_uid()
        self.size = size
        self.usage = usage
        self.memory = np.zeros(size, np.uint8)
        self.contents: memoryview = self.memory.data
        self.state = AVAILABLE
        device.live_buffers += 1
        self.last_use = 0
        self._map_state = "unmapped"
        self._mapping: Mapping | None = None
        self._pending: Promise | None = None

    @property
    def map_state(self) -> str:
        """``unmapped``, ``pending`` or ``mapped``."""
        return self._map_state

    def map_at_creation(self) -> None:
        """Map the new buffer for writing."""
        self.state = UNAVAILABLE
        self._begin_mapping(Mapping(_WRITE, 0, bytearray(self.size)))

    def map_sync(self, mode: int | str, offset: int = 0, size: int | None = None) -> None:
        """``map_async``, and wait for it."""
        self.map_async(mode, offset, size).sync_wait()

    def map_async(self, mode: int | str, offset: int = 0, size: int | None = None) -> Promise:
        """Ask to map a range of bytes; the range is mapped when the promise's result is taken.

        Raises:
            ValueError: a range that is not inside the buffer, or not aligned.
            GPUValidationError: a wrong mode or usage, or a destroyed buffer.
            GPUInternalError: a fault was planned.
        """
        number = self._device.count("map")
        bits = _mode_bits(mode)
        start, length = self._range(offset, size)
        name = f"map {number}"
        if self._map_state != "unmapped":
            return Promise(self._device.timeline, name).reject(
                RuntimeError(
                    f"Can only map a buffer if its currently unmapped, not {self._map_state!r}"
                )
            )
        self._check_map(bits, asks_submit=mode != "READ_NOSYNC")
        if number in self._device.timeline.faults.refused_maps and not self._device.timeline.lost:
            raise wgpu.GPUInternalError("cannot map this buffer because a fault was planned")
        promise = Promise(
            self._device.timeline,
            name,
            after=self.last_use,
            outcome=partial(self._settle_map, start, length, number),
            handler=partial(self._take_map, bits, start),
        )
        self._expect(promise)
        return promise

    def unmap(self) -> None:
        """End the mapping; what was written to it becomes the buffer's content, in queue order."""
        self._device.count("unmap")
        if self._device.profile.unmap_cancels:
            self._end_mapping("it was unmapped")
            return
        if self._map_state != "mapped":
            raise RuntimeError("Can only unmap a buffer if its currently mapped.")
        if self.state is DESTROYED:
            raise invalid("unmap this buffer", "it was destroyed", "it is unmapped too late")
        if self._device.timeline.lost:
            raise device_lost("unmap this buffer")
        self._end_mapping("it was unmapped")

    def read_mapped(
        self, buffer_offset: int | None = None, size: int | None = None, *, copy: bool = True
    ) -> memoryview:
        """The mapped bytes: a copy, or a view that is good until ``unmap``.

        Raises:
            RuntimeError: not mapped for reading.
            ValueError: a range outside the mapped one.
        """
        mapping, start, end = self._mapped_range("read", _READ, buffer_offset, size)
        if copy:
            return memoryview(bytearray(mapping.data[start:end]))
        view = memoryview(mapping.data)[start:end].toreadonly()
        mapping.views.append(view)
        return view

    @property
    def _nbytes(self) -> int:
        # The size by the name that wgpu-py's own tests read.
        return self.size

    def write_mapped(self, data: Any, buffer_offset: int | None = None) -> None:
        """Write into the mapped range; raises the errors of ``read_mapped``."""
        if self._map_state != "mapped":
            raise RuntimeError("Can only write to a buffer if its mapped.")
        source = memoryview(data).cast("B")
        size = (source.nbytes + 3) & ~3
        mapping, start, _ = self._mapped_range("write", _WRITE, buffer_offset, size)
        mapping.data[start : start + source.nbytes] = source

    def destroy(self) -> None:
        """Give the memory back; operations already on the queue still use it."""
        self._device.count("destroy")
        if self._device.profile.destroy_unmaps:
            self._end_mapping("it was destroyed", keep_written=False)
        elif self._pending is not None:
            self._pending.reject(_map_error("it was destroyed"))
        if self._mark_destroyed():
            self._device.timeline.enqueue(self._poisoning())

    def _mark_destroyed(self) -> bool:
        """Mark the buffer destroyed; returns False if it was destroyed before."""
        if self.state is DESTROYED:
            return False
        self.state = DESTROYED
        self._device.live_buffers -= 1
        return True

    def lose(self) -> None:
        """End any mapping; called when the device is destroyed."""
        self._end_mapping("the device is lost", keep_written=False)

    def _poisoning(self) -> Operation:
        # The operation holds only the memory, so the queue keeps no buffer alive.
        return partial(self.memory.fill, POISON)

    def _check_map(self, bits: int, *, asks_submit: bool) -> None:
        device = self._device
        if device.timeline.lost:
            if not device.profile.loss_is_silent:
                submits = bool(self.usage & bits & _READ) and asks_submit
                raise _lost_map(submits or not device.destroyed)
            return
        if bits not in (_READ, _WRITE):
            error = invalid("map this buffer", f"mode {bits} is not READ or WRITE", "a wrong flag")
            raise aborting(error, device.profile.map_mode_raises)
        error = None
        if self.state is DESTROYED:
            error = invalid("map this buffer", "it was destroyed", "it is used too late")
        elif not self.usage & _NEEDED_USAGE[bits]:
            error = invalid(
                "map this buffer",
                f"its usage {self.usage} lacks the MAP flag",
                "it is no staging buffer",
            )
        if error is not None:
            if not device.profile.failed_map_unmaps:
                self._map_state = "pending"
            raise error

    def _expect(self, promise: Promise) -> None:
        device = self._device
        self._pending = promise
        self._map_state = "pending"
        device.mapped[self] = None
        if not device.timeline.lost:
            self.state = UNAVAILABLE
        device.timeline.expect(promise)

    def _settle_map(self, start: int, length: int, number: int) -> bytearray:
        """Take the last step of a map on the device, after all work on the buffer is done.

        Returns a copy of the ``length`` bytes from ``start`` on; raises if the map fails.
        """
        because = None
        if self._device.timeline.lost and self._device.profile.loss_settles_maps:
            because = "the device is lost"
        elif number in self._device.timeline.faults.failed_maps:
            because = "a fault was planned"
        if because is None:
            if self._device.timeline.lost:
                # The map succeeds, but its bytes are gone with the device.
                self._mark_destroyed()
            return bytearray(self.memory[start : start + length])
        if not self._device.timeline.lost:
            self.state = AVAILABLE
        if self._device.profile.failed_map_unmaps:
            self._map_state = "unmapped"
            self._pending = None
            self._device.mapped.pop(self, None)
        raise _map_error(because)

    def _take_map(self, mode: int, start: int, data: bytearray) -> None:
        """Begin the mapping on the caller's side.  A map that was cancelled never comes here."""
        self._pending = None
        self._begin_mapping(Mapping(mode, start, data))

    def _begin_mapping(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._map_state = "mapped"
        self._device.mapped[self] = None

    def _end_mapping(self, because: str, keep_written: bool = True) -> None:
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.reject(_map_error(because))
        mapping, self._mapping = self._mapping, None
        if mapping is not None:
            if mapping.mode & _WRITE and keep_written:
                update = partial(_update, self.contents, mapping.start, bytes(mapping.data))
                self.last_use = self._device.timeline.enqueue(update, len(mapping.data))
            elif self._device.poisons_staging:
                self.last_use = self._device.timeline.enqueue(self._poisoning())
            mapping.close()
        self._map_state = "unmapped"
        self._device.mapped.pop(self, None)
        if self.state is UNAVAILABLE:
            self.state = AVAILABLE

    def _mapped_range(
        self, verb: str, mode: int, offset: int | None, size: int | None
    ) -> tuple[Mapping, int, int]:
        """Checks a range.  Returns the mapping, and the range's start and end in its memory."""
        mapping = self._mapping
        side = "from" if verb == "read" else "to"
        if mapping is None:
            raise RuntimeError(f"Can only {verb} {side} a buffer if its mapped.")
        if not mapping.mode & mode:
            raise RuntimeError(f"Can only {verb} from a buffer if its mapped in {verb} mode.")
        start, length = self._range(offset, size)
        if start < mapping.start or start + length > mapping.end:
            raise ValueError(
                f"The range for buffer {verb[:4]}ing is not contained in the currently mapped "
                "range."
            )
        if self.state is DESTROYED:
            error = invalid(f"{verb} this buffer", "it was destroyed", "it is used too late")
            raise aborting(error, self._device.profile.submit_raises)
        return mapping, start - mapping.start, start - mapping.start + length

    def _range(self, offset: int | None, size: int | None) -> tuple[int, int]:
        mapping = self._mapping
        start = int(offset) if offset is not None else (mapping.start if mapping else 0)
        length = int(size) if size is not None else (mapping.end if mapping else self.size) - start
        least = 0 if self._device.profile.maps_nothing else 1
        if start < 0:
            raise ValueError("Mapped offset must not be smaller than zero.")
        if start % 8:
            raise ValueError("Mapped offset must be a multiple of 8.")
        if length < least:
            raise ValueError("Mapped size must be larger than zero.")
        if length % 4:
            raise ValueError("Mapped size must be a multiple of 4.")
        if start + length > self.size:
            raise ValueError("Mapped range must not extend beyond total buffer size.")
        return start, length


def _update(contents: memoryview, start: int, data: bytes) -> None:
    contents[start : start + len(data)] = data


@lru_cache(maxsize=16)
def _mode_bits(mode: int | str) -> int:
    if isinstance(mode, str):
        # READ_NOSYNC is READ without the empty submit that wgpu-py makes before other maps.
        return flag_bits(wgpu.MapMode, "READ" if mode.upper() == "READ_NOSYNC" else mode)
    return int(mode)


def flag_bits(flags: Any, text: str) -> int:
    """Returns the bits of the flags that ``text`` names, as ``A|B``, in capital or small letters.

    Raises:
        ValueError: ``text`` has a name that ``flags`` lacks.
    """
    bits = 0
    for name in text.replace(" ", "").upper().split("|"):
        value = getattr(flags, name, None)
        if not isinstance(value, int):
            raise ValueError(f"Invalid flag value for {flags}: {name!r}")
        bits |= value
    return bits


def _lost_map(reaches_device: bool) -> Exception:
    """The error of a map on a lost device.

    If the call reaches the device, the error is the device's.  Otherwise it is the AttributeError
    that wgpu-py raises, since wgpu-py no longer has the thread that polls.
    """
    no_poller: Exception = AttributeError("'NoneType' object has no attribute 'get_token'")
    error: Exception = device_lost("map this buffer") if reaches_device else no_poller
    return error


def _map_error(because: str) -> RuntimeError:
    return RuntimeError(f"Could not map buffer because {because}.")
