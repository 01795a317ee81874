"""The commands of a batch as data, over the driver's objects.

A command is checked and planned already; encoding it decides nothing.
"""

from enum import StrEnum
from typing import Any, NamedTuple

from gpusim.kernels import Kernel
from gpusim.ops import Grid

new_tuple = tuple.__new__
"""Makes a command from its class and a tuple of its fields.

It is used for objects that every dispatch makes.  Calling the class would go through a Python
function, and cost twice as much.
"""


class Role(StrEnum):
    """The purpose of a device buffer; it decides the usage flags."""

    STORAGE = "storage"
    UNIFORM = "uniform"
    UPLOAD = "upload"
    STAGING = "staging"


class DeviceBuffer:
    """One buffer of the device; ``uid`` is never given to another buffer of its driver.

    ``is_adopted``: the buffer is the caller's, and never destroyed by us.  ``holds_grids``:
    the buffer's usages let the GPU read a grid from it.
    """

    __slots__ = ("holds_grids", "is_adopted", "native", "role", "size_bytes", "uid")

    def __init__(
        self,
        *,
        uid: int,
        native: Any,
        size_bytes: int,
        role: Role,
        is_adopted: bool = False,
        holds_grids: bool = True,
    ) -> None:
        self.is_adopted = is_adopted
        self.holds_grids = holds_grids
        self.uid = uid
        self.native = native
        self.size_bytes = size_bytes
        self.role = role

    def __repr__(self) -> str:
        return f"<{self.role} buffer {self.uid}, {self.size_bytes} bytes>"


class Pipeline:
    """A compiled kernel and the layout of its one bind group.

    ``dynamic_uniforms``: each dispatch gives the offset of the uniform binding.
    """

    __slots__ = ("dynamic_uniforms", "kernel", "layout", "native", "uid")

    def __init__(
        self, *, uid: int, kernel: Kernel, dynamic_uniforms: bool, native: Any, layout: Any
    ) -> None:
        self.uid = uid
        self.kernel = kernel
        self.dynamic_uniforms = dynamic_uniforms
        self.native = native
        self.layout = layout


class BindGroup:
    """A bind group, and the buffers that it binds."""

    __slots__ = ("native", "ranges", "uid")

    def __init__(self, *, uid: int, native: Any, ranges: tuple["Range", ...]) -> None:
        self.uid = uid
        self.native = native
        self.ranges = ranges


class StagingMap:
    """A map of a staging buffer's first ``size_bytes`` bytes: requested, and not taken yet."""

    __slots__ = ("buffer", "is_given_up", "native", "size_bytes")

    def __init__(self, *, buffer: DeviceBuffer, size_bytes: int, native: Any) -> None:
        self.buffer = buffer
        self.size_bytes = size_bytes
        self.native = native
        self.is_given_up = False
        """Whether the reads that need this map were given an error instead of its bytes, so that
        nobody should wait for it any more."""


class Range(NamedTuple):
    """``size_bytes`` bytes of a device buffer from ``offset``."""

    buffer: DeviceBuffer
    offset: int
    size_bytes: int


PlainRange = tuple[DeviceBuffer, int, int]
"""A ``Range``, or a plain tuple of its fields: every dispatch makes one, and a tuple costs a
fifth of a ``Range``."""


UNKNOWN_GROUPS = 2**32 - 1
"""Stands for the number of workgroups if the GPU reads the grid.  A guarded kernel skips every
workgroup from this number on.  The number is the largest possible, so it skips none."""


class Launch(NamedTuple):
    """``groups`` workgroups in all, dispatched as ``spread`` (x, y, z).

    ``spread`` may have more workgroups than ``groups``; the kernel then skips the surplus.
    """

    groups: int
    spread: Grid


class GridAt(NamedTuple):
    """Where the GPU reads a grid: three u32 of a device buffer, from byte ``offset``."""

    buffer: DeviceBuffer
    offset: int


class DispatchCommand(NamedTuple):
    """Run a pipeline over ``groups`` workgroups (x, y, z), or over a grid that the GPU reads.

    ``uniform_offset`` is the dynamic offset of the uniform binding; None if the
    bind group takes no dynamic offset.
    """

    pipeline: Pipeline
    bind_group: BindGroup
    groups: Grid | GridAt
    uniform_offset: int | None = None

    def shifted(self, by_bytes: int) -> "DispatchCommand":
        """The same command with its uniforms ``by_bytes`` further on."""
        if self.uniform_offset is None or not by_bytes:
            return self
        return self._replace(uniform_offset=self.uniform_offset + by_bytes)


class CopyCommand(NamedTuple):
    """Copy whole words between two different device buffers."""

    source: DeviceBuffer
    source_offset: int
    target: DeviceBuffer
    target_offset: int
    size_bytes: int


RecordedCommand = DispatchCommand | CopyCommand
