"""What the ops of a program must do to the queue, worked out from the ops alone.

An op that acts on the queue becomes one expected op; a replay becomes one for each of its commands.
The runtime may carry an expected op out in several commands, which move whole words or single
bytes; the expected op knows which part is still to come.  Nothing here
looks at events: what is known of a device buffer (``Known``) comes from the trace's events, and
``state.py`` enters it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from gpusim.errors import InvalidScalar
from gpusim.kernels import Kernel
from gpusim.limits import WORD_BYTES, Limits
from gpusim.ops import (
    GRID_BYTES,
    AnyDispatch,
    Capture,
    Copy,
    Dispatch,
    DispatchIndirect,
    Op,
    Part,
    Read,
    Replay,
    Write,
    name_of,
)
from gpusim.program import replayed
from gpusim.runtime.batch import MOST_QUEUED_WRITES
from gpusim.runtime.commands import (
    UNKNOWN_GROUPS,
    Role,
)

STORAGE, UNIFORM, STAGING = Role.STORAGE.value, Role.UNIFORM.value, Role.STAGING.value


class Known:
    """A device buffer; ``user_bytes`` is -1 if no op allocated the buffer."""

    __slots__ = ("content", "is_alive", "made_by", "number", "role", "size_bytes", "user_bytes")

    def __init__(self, number: int, role: str, size_bytes: int, made_by: int) -> None:
        self.number = number
        self.role = role
        self.size_bytes = size_bytes
        self.made_by = made_by
        self.user_bytes = -1
        self.is_alive = True
        self.content = None if role in (STORAGE, STAGING) else bytearray(size_bytes)
        """The buffer's bytes; None for storage and staging buffers, which commands write too."""


Names = Mapping[str, Known]
"""The user's live buffers."""
KernelOf = Callable[[str], Kernel | None]

Bytes = tuple[int, int, int]
"""A device buffer's number, an offset and a size."""
Touch = tuple[int, int, int, bool]
"""A device buffer's number, the bytes from start to end, and whether they are written."""


GRID_DIMENSIONS = 3
"""A trace gives a grid as this many numbers.  For an indirect dispatch it gives two: a device
buffer's number and an offset."""


def counted_bytes(size_bytes: int, most_bytes: int) -> int:
    """How many bytes a host write counts towards the limit ``most_bytes``.

    This is its size, but at least ``most_bytes // MOST_QUEUED_WRITES``, so that many small writes
    reach the limit too.
    """
    return max(size_bytes, most_bytes // MOST_QUEUED_WRITES)


class ExpectedOp:
    """One op that acts on the queue.

    It is ``optional`` if it failed half way, so that its commands may come or not.
    """

    __slots__ = ("command", "left", "optional", "position", "started")
    verb = ""

    def __init__(self, position: int, left: int) -> None:
        self.position = position
        self.command = -1
        """The number of the command in its replay; -1 outside a replay."""
        self.left = left
        """What no command has carried out yet: a number of bytes, or 1 for a dispatch or a read."""
        self.started = False
        self.optional = False

    @property
    def touches(self) -> tuple[Touch, ...]:
        """The ranges that it still has to read and write."""
        return ()

    @property
    def has_read(self) -> bool:
        """Whether commands of earlier batches have read all that this op reads."""
        return False

    def __str__(self) -> str:
        command = f" command {self.command}" if self.command >= 0 else ""
        return f"{self.verb} op {self.position}{command}"


class ExpectedDispatch(ExpectedOp):
    """A dispatch of a kernel.

    ``groups``: the number of workgroups in all; UNKNOWN_GROUPS for an indirect dispatch.  ``grid``:
    what a trace shows as ``groups``: x, y and z, or for an indirect dispatch a device buffer's
    number and an offset.
    """

    __slots__ = ("grid", "groups", "kernel", "ranges", "scalars")
    verb = Dispatch.verb

    def __init__(
        self, position: int, op: AnyDispatch, kernel: Kernel, ranges: tuple[Bytes, ...]
    ) -> None:
        super().__init__(position, 1)
        self.kernel = kernel
        self.scalars = op.scalars
        self.ranges = ranges
        self.grid: tuple[int, ...] = ()
        self.groups = UNKNOWN_GROUPS
        if isinstance(op, Dispatch):
            self.grid = op.grid
            self.groups = op.grid[0] * op.grid[1] * op.grid[2]

    @property
    def touches(self) -> tuple[Touch, ...]:
        """Every buffer that it binds."""
        return tuple(
            [
                (number, start, start + size, written)
                for (number, start, size), written in zip(
                    self.ranges, self.kernel.writes, strict=False
                )
            ]
        )

    def payload(self) -> bytes:
        """The uniform bytes of this call; empty if the call should be refused."""
        try:
            return self.kernel.pack(self.scalars, self.groups)
        except InvalidScalar:
            return b""


class ExpectedIndirect(ExpectedDispatch):
    """A dispatch whose grid is read at byte ``grid[1]`` of device buffer ``grid[0]``."""

    __slots__ = ()
    verb = DispatchIndirect.verb

    @property
    def touches(self) -> tuple[Touch, ...]:
        """Every buffer that it binds, and its grid."""
        number, offset = self.grid
        return (*super().touches, (number, offset, offset + GRID_BYTES, False))


class ExpectedCopy(ExpectedOp):
    """A copy on the GPU; a copy within one buffer goes through ``scratch``."""

    __slots__ = ("op", "pieces", "scratch", "source", "target")
    verb = Copy.verb

    def __init__(self, position: int, op: Copy, source: Known, target: Known) -> None:
        super().__init__(position, op.size_bytes)
        self.op = op
        self.source = source
        self.target = target
        self.scratch: tuple[int, int] | None = None
        """The scratch buffer's number, and what to add to an offset in the scratch buffer to get
        the offset in the source."""
        self.pieces = 0
        """The number of commands that moved bytes to the target."""

    @property
    def touches(self) -> tuple[Touch, ...]:
        """The bytes that it still has to copy, and where to; pieces come in order."""
        op, done = self.op, self.op.size_bytes - self.left
        source_end, target_end = op.source_offset + op.size_bytes, op.target_offset + op.size_bytes
        return (
            (self.source.number, op.source_offset + done, source_end, False),
            (self.target.number, op.target_offset + done, target_end, True),
        )

    @property
    def has_read(self) -> bool:
        """Whether the source was read: a copy to the scratch buffer takes all of it at once."""
        return self.scratch is not None


class ExpectedWrite(ExpectedOp):
    """A write from the host, which acts at the call or, if it is staged, by commands of a batch."""

    __slots__ = ("_waiting", "op", "target")
    verb = Write.verb

    def __init__(self, position: int, op: Write, target: Known) -> None:
        super().__init__(position, len(op.data))
        self.op = op
        self.target = target
        self._waiting: tuple[tuple[int, int], ...] = ((op.offset, op.offset + len(op.data)),)

    @property
    def touches(self) -> tuple[Touch, ...]:
        """The ranges that it still has to write."""
        number = self.target.number
        return tuple([(number, low, high, True) for low, high in self._waiting])

    def awaits(self, start: int, end: int) -> bool:
        """Whether the bytes from ``start`` to ``end``, without padding, are still to come."""
        end = min(end, self.op.offset + len(self.op.data))
        return any([low <= start and end <= high for low, high in self._waiting])

    def wrote(self, start: int, end: int) -> None:
        """Note that bytes from ``start`` to ``end`` are in the queue; only the other bytes wait."""
        waiting = []
        for low, high in self._waiting:
            if low < start:
                waiting.append((low, min(high, start)))
            if end < high:
                waiting.append((max(low, end), high))
        self._waiting = tuple(waiting)


class ExpectedRead(ExpectedOp):
    """A read: a copy to a staging buffer."""

    __slots__ = ("op", "source")
    verb = Read.verb

    def __init__(self, position: int, op: Read, source: Known) -> None:
        super().__init__(position, 1)
        self.op = op
        self.source = source

    @property
    def touches(self) -> tuple[Touch, ...]:
        """The bytes that it reads."""
        op = self.op
        return ((self.source.number, op.offset, op.offset + op.size_bytes, False),)


def least_piece_bytes(limits: Limits) -> int:
    """How many bytes one command of a copy between two buffers can move, whatever the offsets.

    A command that moves single bytes binds a window, which starts at an aligned
    offset and ends with a whole word.  The command has a lane for each word of the window.
    """
    window_bytes = limits.max_binding_bytes - limits.storage_offset_alignment_bytes
    lanes_bytes = 64 * WORD_BYTES * limits.max_groups_per_dimension
    return min(window_bytes, lanes_bytes) - 2 * WORD_BYTES


def expect(
    position: int, op: Op, names: Names, graphs: Mapping[str, Capture], kernel_of: KernelOf
) -> tuple[ExpectedOp, ...]:
    """The expected ops of ``op``, in order.

    Empty if ``op`` cannot be accepted, or does nothing to the queue.  ``graphs`` holds the captures
    by the name of their graph.
    """
    kind = type(op)
    if kind in _MAKER_OF:
        expected = _MAKER_OF[kind](position, op, names, kernel_of)
        return () if expected is None else (expected,)
    if not isinstance(op, Replay) or op.graph not in graphs:
        return ()
    commands = replayed(graphs[op.graph], op)
    expected_ops = [_MAKER_OF[type(one)](position, one, names, kernel_of) for one in commands]
    for command, expected in enumerate(expected_ops):
        if expected is not None:
            expected.command = command
    return tuple([expected for expected in expected_ops if expected is not None])


def _dispatch_of(
    position: int, op: Dispatch, names: Names, kernel_of: KernelOf
) -> ExpectedDispatch | None:
    kernel, ranges = kernel_of(op.kernel), _ranges_of(op, names)
    if kernel is None or ranges is None or 0 in op.grid:
        return None
    return ExpectedDispatch(position, op, kernel, ranges)


def _indirect_of(
    position: int, op: DispatchIndirect, names: Names, kernel_of: KernelOf
) -> ExpectedIndirect | None:
    kernel, ranges = kernel_of(op.kernel), _ranges_of(op, names)
    if kernel is None or ranges is None or op.counts not in names:
        return None
    expected = ExpectedIndirect(position, op, kernel, ranges)
    expected.grid = names[op.counts].number, op.offset
    return expected


def _ranges_of(op: AnyDispatch, names: Names) -> tuple[Bytes, ...] | None:
    """The whole words that ``op`` binds; None if ``op`` names an unknown buffer."""
    ranges = []
    for bound in op.buffers:
        known = names.get(name_of(bound))
        if known is None:
            return None
        offset, size_bytes = bound[1:] if isinstance(bound, Part) else (0, known.user_bytes)
        ranges.append((known.number, offset, size_bytes // WORD_BYTES * WORD_BYTES))
    return tuple(ranges)


def _write_of(position: int, op: Write, names: Names, kernel_of: KernelOf) -> ExpectedWrite | None:
    if not op.data or op.buffer not in names:
        return None
    return ExpectedWrite(position, op, names[op.buffer])


def _copy_of(position: int, op: Copy, names: Names, kernel_of: KernelOf) -> ExpectedCopy | None:
    if op.size_bytes <= 0 or op.source not in names or op.target not in names:
        return None
    return ExpectedCopy(position, op, names[op.source], names[op.target])


def _read_of(position: int, op: Read, names: Names, kernel_of: KernelOf) -> ExpectedRead | None:
    if op.size_bytes <= 0 or op.buffer not in names:
        return None
    return ExpectedRead(position, op, names[op.buffer])


_MAKER_OF: Mapping[type[Op], Callable[[int, Any, Names, KernelOf], ExpectedOp | None]] = {
    Dispatch: _dispatch_of,
    DispatchIndirect: _indirect_of,
    Write: _write_of,
    Copy: _copy_of,
    Read: _read_of,
}
"""The makers of expected ops; the other ops do nothing to the queue by themselves."""
