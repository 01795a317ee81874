"""What a batch holds: commands as data, over the driver's objects.

A command has been checked and planned; encoding it decides nothing more.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gpusim.kernels import Kernel
from gpusim.program import Grid


class Role(StrEnum):
    """What a device buffer is for, which decides its usage flags."""

    STORAGE = "storage"
    UNIFORM = "uniform"
    STAGING = "staging"


class DeviceBuffer:
    """One buffer of the device; ``uid`` is never given to another buffer of its driver."""

    __slots__ = ("native", "role", "size_bytes", "uid")

    def __init__(self, *, uid: int, native: Any, size_bytes: int, role: Role) -> None:
        self.uid = uid
        self.native = native
        self.size_bytes = size_bytes
        self.role = role

    def __repr__(self) -> str:
        return f"<{self.role} buffer {self.uid}, {self.size_bytes} bytes>"


class Pipeline:
    """A compiled kernel and the layout of its one bind group."""

    __slots__ = ("kernel", "layout", "native", "uid")

    def __init__(self, *, uid: int, kernel: Kernel, native: Any, layout: Any) -> None:
        self.uid = uid
        self.kernel = kernel
        self.native = native
        self.layout = layout


class BindGroup:
    """A bind group, and the buffers it binds."""

    __slots__ = ("native", "ranges", "uid")

    def __init__(self, *, uid: int, native: Any, ranges: tuple["Range", ...]) -> None:
        self.uid = uid
        self.native = native
        self.ranges = ranges


class Mapping:
    """A map of a staging buffer's first ``size_bytes`` bytes, asked for and not taken yet."""

    __slots__ = ("buffer", "native", "size_bytes")

    def __init__(self, *, buffer: DeviceBuffer, size_bytes: int, native: Any) -> None:
        self.buffer = buffer
        self.size_bytes = size_bytes
        self.native = native


@dataclass(frozen=True, slots=True)
class Range:
    """``size_bytes`` bytes of a device buffer from ``offset``."""

    buffer: DeviceBuffer
    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class DispatchCommand:
    """Run a pipeline over ``groups`` workgroups (x, y, z)."""

    pipeline: Pipeline
    bind_group: BindGroup
    groups: Grid


@dataclass(frozen=True, slots=True)
class CopyCommand:
    """Copy whole words between two different device buffers."""

    source: DeviceBuffer
    source_offset: int
    target: DeviceBuffer
    target_offset: int
    size_bytes: int


Command = DispatchCommand | CopyCommand
