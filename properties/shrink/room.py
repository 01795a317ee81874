"""A program whose buffers have room for all that its ops reach.

Shrinking makes buffers smaller, and so puts ops out of range that were valid.  If the program fails
with larger buffers as well, its failure does not need the refusal of such an op.
"""

from collections.abc import Mapping
from dataclasses import replace

from gpusim.effects import accesses
from gpusim.kernels import Kernel
from gpusim.limits import WORD_BYTES
from gpusim.ops import Alloc, Copy, Op, Read, Write
from gpusim.program import Program

_MOST_BYTES = 1 << 12
"""An op that reaches further is out of range on purpose."""


def with_room(program: Program, kernels: Mapping[str, Kernel]) -> Program:
    """``program`` with each buffer at least as large as its ops need."""
    ends: dict[str, int] = {}
    for op in program:
        for reached in accesses(op, kernels) if isinstance(op, Read | Write | Copy) else ():
            if reached.end <= _MOST_BYTES:
                ends[reached.buffer] = max(reached.end, ends.get(reached.buffer, 0))
    return Program(tuple([_enlarged(op, ends) for op in program]))


def _enlarged(op: Op, ends: Mapping[str, int]) -> Op:
    if not isinstance(op, Alloc) or (end := ends.get(op.buffer, op.size_bytes)) <= op.size_bytes:
        return op
    words = -(-end // WORD_BYTES)
    return replace(op, size_bytes=words * WORD_BYTES)
