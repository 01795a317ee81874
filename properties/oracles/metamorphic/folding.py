"""Transformations that need the reference: to write what the first ops leave; to unroll a replay.

After Rigger and others, "Constant Optimization Driven Database System Testing" (2024): constants
replace what was computed.  To unroll a replay is to put the commands of its graph in its place.
That is done only if the reference accepts the replay, because a refused replay does nothing, while
its commands would be refused one by one.
"""

from collections.abc import Mapping
from typing import Annotated

import numpy as np

from gpusim.errors import DeviceFault, LimitExceeded, Refused
from gpusim.kernels import Kernel
from gpusim.limits import Limits
from gpusim.ops import (
    Alloc,
    AnyDispatch,
    Capture,
    Free,
    Op,
    Part,
    Replay,
    Write,
)
from gpusim.program import Program, captures_of, replayed
from properties.model.case import Case, Rewrite
from properties.oracles.metamorphic.registry import Gap, Kind, op_of, transformation
from properties.oracles.metamorphic.rewrites import Rewriting, live_before, may_alloc
from reference import Reference, run


@transformation(2, "the ops before op {at} replaced by writes of what they leave")
class FoldPrefix(Kind):
    """The ops before ``at`` are replaced by writes of the bytes that they leave."""

    at: Gap

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        if not 0 < self.at <= len(case.program) or not may_alloc(case):
            return None
        left = _left_by(case, self.at, kernels)
        if left is None:
            return None
        rewriting = Rewriting(case)
        for op in case.program.ops[: self.at]:
            if isinstance(op, Capture):
                # A capture leaves no bytes, and a later op may replay it.
                rewriting.keep(op)
                continue
            rewriting.drop()
            if isinstance(op, Alloc):
                rewriting.add(op, *_constant(op.buffer, left))
        rewriting.add(*(Free(buffer=buffer) for buffer, data in left.items() if data is None))
        for op in case.program.ops[self.at :]:
            rewriting.keep(op)
        return rewriting.rewrite()


def _is_finer(op: Op, limits: Limits) -> bool:
    """Whether the op binds a part at an offset that only some devices allow."""
    step = limits.storage_offset_alignment_bytes
    bound = op.buffers if isinstance(op, AnyDispatch) else ()
    return any(isinstance(one, Part) and one.offset % step for one in bound)


def _constant(buffer: str, left: Mapping[str, bytes | None]) -> list[Op]:
    """The write of a buffer's bytes; no op if the buffer was refused or freed."""
    data = left.get(buffer)
    return [] if data is None else [Write(buffer=buffer, offset=0, data=data)]


def _left_by(case: Case, at: int, kernels: Mapping[str, Kernel]) -> dict[str, bytes | None] | None:
    """The bytes that the ops before ``at`` leave in each buffer, None for a freed buffer.

    None instead of the mapping if the fold could change a result, for one of three reasons.  A
    float is not exact.  An op was refused for a limit, or for a part at a fine offset: another
    device may accept the op.  A capture was refused, and may be accepted in the rewrite, where
    buffers are freed later.
    """
    program = case.program
    reference = Reference(kernels, case.limits(Limits()))
    refused: set[str] = set()
    for op in program.ops[:at]:
        try:
            reference.perform(op)
        except LimitExceeded:
            # Another device may have room for what this one refused.
            return None
        except (Refused, DeviceFault):
            if isinstance(op, Capture) or _is_finer(op, reference.limits):
                return None
            if isinstance(op, Alloc):
                refused.add(op.buffer)
    left: dict[str, bytes | None] = {}
    live = live_before(program, at)
    for alloc in program.ops[:at]:
        if not isinstance(alloc, Alloc) or alloc.buffer in refused:
            continue
        if alloc.buffer not in live:
            left[alloc.buffer] = None
            continue
        delivery = reference.read(alloc.buffer, 0, alloc.size_bytes)
        if delivery.error_bound is not None and np.any(delivery.error_bound):
            return None
        left[alloc.buffer] = delivery.data
    return left


@transformation(3, "op {at} as the calls that it replays")
class Unroll(Kind):
    """The replay at ``at`` as the dispatches and copies of its graph."""

    at: Annotated[int, op_of(Replay)]

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        program = case.program
        replay = program[self.at] if 0 <= self.at < len(program) else None
        if not isinstance(replay, Replay) or not _is_accepted(case, self.at, kernels):
            return None
        captures = captures_of(program)
        rewriting = Rewriting(case)
        for position, op in enumerate(program):
            if position == self.at:
                rewriting.keep_as(*replayed(captures[replay.graph], replay))
            else:
                rewriting.keep(op)
        return rewriting.rewrite()


def _is_accepted(case: Case, at: int, kernels: Mapping[str, Kernel]) -> bool:
    prefix = Program(case.program.ops[: at + 1])
    return run(prefix, kernels, case.limits(Limits())).outcomes[at].error is None
