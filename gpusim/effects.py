"""Which bytes an op reads and which it writes, by the table of ops.

A dispatch reads the buffers and parts that it binds, and writes those of them that its kernel
writes.  An indirect dispatch reads its grid too.  A replay does what the commands of its capture
do.  Nothing here knows whether an op is accepted.
"""

from collections.abc import Mapping
from itertools import compress
from typing import NamedTuple

from gpusim.kernels import Kernel
from gpusim.ops import VERBS, AnyDispatch, Bound, Capture, Op, Replay, name_of
from gpusim.program import replayed

Captures = Mapping[str, Capture]
WHOLE = -1, 2**62
"""Start and end of an access that may touch any byte of a buffer."""
_NO_CAPTURES: Captures = {}


class Access(NamedTuple):
    """Bytes ``start`` to ``end`` of a buffer that an op reads, or writes."""

    buffer: str
    start: int
    end: int
    writes: bool

    def overlaps(self, other: "Access") -> bool:
        """Whether some byte belongs to both accesses."""
        return self.buffer == other.buffer and self.start < other.end and other.start < self.end


def accesses(
    op: Op, kernels: Mapping[str, Kernel], captures: Captures = _NO_CAPTURES
) -> list[Access]:
    """The accesses of ``op``.

    A buffer that a kernel writes has one access, with ``writes`` true; the kernel may read it too.
    """
    if isinstance(op, Replay):
        commands = replayed(captures[op.graph], op)
        return [access for command in commands for access in accesses(command, kernels)]
    verb = VERBS[type(op)]
    found = [_access(*span.of(op), False) for span in verb.reads]
    found += [_access(*span.of(op), True) for span in verb.writes]
    if isinstance(op, AnyDispatch):
        bound = zip(op.buffers, kernels[op.kernel].writes, strict=False)
        found += [Access(name_of(each), *_reach(each), writes) for each, writes in bound]
    return found


def written_by(
    op: Op, kernels: Mapping[str, Kernel], captures: Captures = _NO_CAPTURES
) -> list[str]:
    """The buffers that ``op`` writes, in order; none if its kernel is unknown."""
    if isinstance(op, AnyDispatch):
        known = op.kernel in kernels
        return list(map(name_of, compress(op.buffers, kernels[op.kernel].writes))) if known else []
    if isinstance(op, Replay):
        commands = replayed(captures[op.graph], op)
        return [name for command in commands for name in written_by(command, kernels)]
    return [getattr(op, span.buffer) for span in VERBS[type(op)].writes]


def _reach(bound: Bound) -> tuple[int, int]:
    return WHOLE if isinstance(bound, str) else (bound.offset, bound.offset + bound.size_bytes)


def _access(buffer: str, offset: int, size_bytes: int, writes: bool) -> Access:
    return Access(buffer, offset, offset + size_bytes, writes)
