"""Finds the op that last wrote a byte, from what the ops mean.

A wrong value shows in a read, but the mistake is most likely in the op that should have written the
first wrong byte.  To see whether an op writes a byte, the reference runs the op twice, over
different bytes.  Nothing here knows what an op does, and no failure depends on the op that is
named.
"""

from collections.abc import Mapping

from gpusim.errors import ProgramError
from gpusim.history import History
from gpusim.kernels import Kernel
from gpusim.limits import Limits
from gpusim.ops import Alloc, Op, Read, Replay, Write
from gpusim.program import Program, buffers_of
from gpusim.text import write_op
from reference import run

_TRIED = (0x00, 0xFF)
_RESULT = "the_byte_after"


def last_writer(
    program: Program,
    position: int,
    byte: int,
    expected: History,
    kernels: Mapping[str, Kernel],
    limits: Limits,
) -> str:
    """Which op before the read at ``position`` last wrote ``byte`` of its buffer, in words.

    ``expected`` is the expected history; an op that is refused there writes nothing.
    """
    read = program[position]
    assert isinstance(read, Read)
    accepted = [n for n in range(position) if expected.outcomes[n].error is None]
    for at in reversed(accepted):
        op = program[at]
        if isinstance(op, Alloc) and op.buffer == read.buffer:
            return f"nothing wrote byte {byte} of {read.buffer} since op {at}: {write_op(op)}"
        before = [program[n] for n in accepted if n < at]
        if _may_write(op, read.buffer) and _writes(before, op, read.buffer, byte, kernels, limits):
            return f"byte {byte} of {read.buffer} was last written by op {at}: {write_op(op)}"
    return f"nothing wrote byte {byte} of {read.buffer}"


def _may_write(op: Op, buffer: str) -> bool:
    """Whether the op is no read, and names the buffer or may use it through a graph."""
    return isinstance(op, Replay) or (not isinstance(op, Read) and buffer in buffers_of(op))


def _writes(
    before: list[Op],
    op: Op,
    buffer: str,
    byte: int,
    kernels: Mapping[str, Kernel],
    limits: Limits,
) -> bool:
    """Whether ``op`` writes the byte if it runs after the ops ``before``."""
    look = Read(buffer=buffer, offset=byte, size_bytes=1, result=_RESULT)
    for value in _TRIED:
        put = Write(buffer=buffer, offset=byte, data=bytes([value]))
        try:
            after = run(Program((*before, put, op, look)), kernels, limits).outcomes[-1].data
        except ProgramError:
            # The kernel's NumPy code fails with this value in the byte, so the kernel uses the
            # byte.  It may well write it.
            return True
        if after != bytes([value]):
            return True
    return False
