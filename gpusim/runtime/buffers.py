"""Buffer handles with their labels, and the table of the live handles.

A handle's number is never given again, and its device buffer is dropped at ``free``,
so a stale handle reaches nothing.  No device is called here.
"""

from collections.abc import Iterator
from itertools import count
from operator import index
from typing import NamedTuple, NoReturn, Self

from gpusim.errors import InvalidHandle, OutOfRange
from gpusim.runtime.commands import DeviceBuffer, Range, new_tuple
from gpusim.runtime.handles import Handle


class Buffer(Handle):
    """A handle to ``size_bytes`` bytes on the device; made by ``Runtime.alloc``."""

    __slots__ = (
        "__weakref__",
        "_device_buffer",
        "_lent",
        "_table",
        "label",
        "lost",
        "size_bytes",
        "uid",
    )
    _instead = "its bytes were meant: read them"

    def __init__(
        self,
        *,
        table: "BufferTable",
        uid: int,
        device_buffer: DeviceBuffer,
        size_bytes: int,
        label: str,
    ) -> None:
        self._table = table
        self._device_buffer: DeviceBuffer | None = device_buffer
        self._lent: DeviceBuffer | None = None
        """The device buffer, while the handle is lent."""
        self.uid = uid
        self.size_bytes = size_bytes
        self.label = label
        self.lost = False
        """Whether a failed batch would have written the buffer, and no op has filled it since."""

    @property
    def nbytes(self) -> int:
        """``size_bytes``, by the name that arrays use."""
        return self.size_bytes

    @property
    def is_live(self) -> bool:
        """Whether the buffer was not freed."""
        return (self._lent or self._device_buffer) is not None

    def part(self, offset: int, size_bytes: int | None = None) -> "BufferPart":
        """``size_bytes`` bytes from byte ``offset``, for a dispatch to bind in the buffer's place.

        Without ``size_bytes`` the part is the rest of the buffer.  The dispatch checks whether a
        kernel can bind these bytes.

        Raises:
            OutOfRange: the offset or the size is no whole number.
        """
        return BufferPart(self, offset, size_bytes)

    def __repr__(self) -> str:
        name = self.label or f"buffer {self.uid}"
        return f"<{name}, {self.size_bytes} bytes{'' if self.is_live else ', freed'}>"

    def __array__(self, dtype: object = None, copy: bool | None = None) -> NoReturn:
        raise InvalidHandle(
            f"cannot make an array of {self!r} because its bytes are on the device (probably "
            "runtime.read(buffer, dtype=...).result() was meant)"
        )


class _Place(NamedTuple):
    buffer: Buffer
    offset: int
    size_bytes: int


class BufferPart(_Place):
    """``size_bytes`` bytes of a buffer from ``offset``; made by ``Buffer.part``.

    A part never equals a plain tuple.  Otherwise a dispatch that is given a plain tuple would find
    the plan that was made for the part.
    """

    __slots__ = ()

    def __new__(cls, buffer: Buffer, offset: int, size_bytes: int | None = None) -> Self:
        """Makes a part; raises OutOfRange as ``Buffer.part`` does."""
        try:
            if bool in (type(offset), type(size_bytes)):
                raise TypeError
            start = index(offset)
            size = buffer.size_bytes - start if size_bytes is None else index(size_bytes)
        except TypeError:
            raise OutOfRange(
                f"cannot take a part of {buffer!r} with offset={offset!r}, "
                f"size_bytes={size_bytes!r} because one of these is no whole number (probably a "
                "division that gave a float)"
            ) from None
        return new_tuple(cls, (buffer, int(start), int(size)))

    def __eq__(self, other: object) -> bool:
        return type(other) is BufferPart and tuple.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__


Bound = Buffer | BufferPart
"""What a dispatch binds."""


def buffer_of(bound: Bound) -> Buffer:
    """The buffer that is bound, in whole or in part."""
    return bound.buffer if isinstance(bound, BufferPart) else bound


class Losing:
    """Marks ``buffers`` lost if the ``with`` block raises.

    Some of their bytes may have changed by then, and others not.
    """

    def __init__(self, *buffers: Buffer) -> None:
        self._buffers = buffers

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if kind is not None:
            for buffer in self._buffers:
                buffer.lost = True


class BufferTable:
    """The live buffers of one runtime, in the order of their allocs."""

    def __init__(self) -> None:
        self.live_bytes = 0
        self.peak_bytes = 0
        self.total_bytes = 0
        self._live: dict[int, Buffer] = {}
        self._by_native: dict[int, Buffer] = {}
        """The live handles by the ``id`` of their native object.  A handle keeps that object
        alive, so no other object gets its ``id``."""
        self._uids = count(1)

    def count_from(self, uid: int) -> None:
        """Number the buffers from ``uid`` on; call this before the first ``add``."""
        self._uids = count(uid)

    def add(self, device_buffer: DeviceBuffer, size_bytes: int, label: str) -> Buffer:
        """A new handle for ``device_buffer``."""
        buffer = Buffer(
            table=self,
            uid=next(self._uids),
            device_buffer=device_buffer,
            size_bytes=size_bytes,
            label=label,
        )
        self._live[buffer.uid] = buffer
        self._by_native[id(device_buffer.native)] = buffer
        self.live_bytes += size_bytes
        self.total_bytes += size_bytes
        self.peak_bytes = max(self.peak_bytes, self.live_bytes)
        return buffer

    def check_new(self, native: object) -> None:
        """Raise InvalidHandle if ``native`` has a live handle already."""
        buffer = self._by_native.get(id(native))
        if buffer is not None:
            raise InvalidHandle(
                f"cannot adopt {native!r} because {buffer!r} stands for it already (probably "
                "it was adopted twice)"
            )

    def device_buffer(self, buffer: Buffer) -> DeviceBuffer:
        """The device buffer of a live handle of this table; InvalidHandle for any other."""
        if not isinstance(buffer, Buffer):
            raise InvalidHandle(
                f"cannot use a value of type {type(buffer).__name__} as a buffer because this "
                "runtime did not make it (probably alloc makes the buffer, and write "
                "brings the bytes)"
            )
        if buffer._table is not self:
            raise InvalidHandle(
                f"cannot use {buffer!r} because this runtime did not make it "
                "(probably it belongs to another runtime)"
            )
        if buffer._lent is not None:
            raise InvalidHandle(
                f"cannot use {buffer!r} because it is lent (probably this call belongs after the "
                "with block of lend)"
            )
        if buffer._device_buffer is None:
            raise InvalidHandle(
                f"cannot use {buffer!r} because it was freed (probably too early, or twice)"
            )
        return buffer._device_buffer

    def whole_words(self, buffer: Buffer) -> Range:
        """The whole words of a live buffer, which a kernel binds."""
        return new_tuple(Range, (self.device_buffer(buffer), 0, buffer.size_bytes // 4 * 4))

    def bound(self, bound: Bound) -> Range:
        """The whole words of a buffer or part that a dispatch binds.

        Nothing checks here whether a part lies inside its buffer.
        """
        if not isinstance(bound, BufferPart):
            return self.whole_words(bound)
        buffer, offset, size_bytes = bound
        return new_tuple(Range, (self.device_buffer(buffer), offset, size_bytes // 4 * 4))

    def remove(self, buffer: Buffer) -> DeviceBuffer:
        """End a handle's life; gives the device buffer that it stood for."""
        device_buffer = buffer._lent or self.device_buffer(buffer)
        buffer._device_buffer = buffer._lent = None
        del self._live[buffer.uid], self._by_native[id(device_buffer.native)]
        self.live_bytes -= buffer.size_bytes
        return device_buffer

    def lend(self, buffer: Buffer) -> DeviceBuffer:
        """The device buffer of a live handle; until ``take_back``, no op may use the handle."""
        buffer._lent, buffer._device_buffer = self.device_buffer(buffer), None
        return buffer._lent

    def take_back(self, buffer: Buffer) -> None:
        """End a loan; do nothing if the buffer was freed meanwhile."""
        if buffer._lent is not None:
            buffer._device_buffer, buffer._lent = buffer._lent, None

    def describe_left(self) -> str:
        """The warning of a runtime that closes now; empty if no buffer is left."""
        if not self._live:
            return ""
        return (
            f"closing a runtime frees {len(self._live)} buffers of {self.live_bytes} bytes that "
            f"were never freed, the first of them {next(iter(self))!r} (probably a missing free)"
        )

    def __iter__(self) -> Iterator[Buffer]:
        return iter(list(self._live.values()))

    def __len__(self) -> int:
        return len(self._live)
