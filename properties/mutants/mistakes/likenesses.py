"""Mistakes among buffers of one size: one is taken for another, or a copy of one is moved or lost.

Tensors of a model often have the same size.  If no two buffers of a program had the same size, none
of these mistakes would show.
"""

from collections.abc import Hashable
from itertools import compress
from typing import Any

from gpusim.runtime import Buffer
from gpusim.runtime.commands import CopyCommand, DispatchCommand, Pipeline, Role
from gpusim.runtime.graph import CopyCall
from gpusim.runtime.plans import AnyPlan, DispatchPlan, Plans
from gpusim.runtime.transfers import Transfers
from properties.mutants.mistakes.caches import _KeyedBindGroups
from properties.mutants.mistakes.recorder import StepwiseRecorder
from properties.mutants.mutant import mutant


@mutant(part="recorder", hard=True)
class WholeCopyWaits(StepwiseRecorder):
    """A copy of a whole buffer moves behind later dispatches that do not bind its target."""

    def _record_dispatch(self, command: DispatchCommand, plan: DispatchPlan) -> None:
        last = self._batch.commands[-1] if self._batch.commands else None
        if not isinstance(last, CopyCommand) or not _is_whole(last):
            return super()._record_dispatch(command, plan)
        if any(one.buffer is last.target for one in plan.ranges):
            return super()._record_dispatch(command, plan)
        self._batch.commands.pop()
        self._batch.record_dispatch(command, plan)
        self._batch.commands.append(last)
        self._submit_for(self._rules.after_recording(self._batch))
        return None


def _is_whole(copy: CopyCommand) -> bool:
    sizes = {copy.source.size_bytes, copy.target.size_bytes, copy.size_bytes}
    return len(sizes) == 1 and copy.source.role is copy.target.role is Role.STORAGE


@mutant(part="transfers", hard=True)
class SameWholeCopySkipped(Transfers):
    """A copy of a whole buffer is left out if it repeats the last one and no write came between."""

    _last: tuple[Buffer, Buffer] | None = None

    def copy(self, call: CopyCall) -> None:
        sizes = {call.source.size_bytes, call.target.size_bytes, call.size_bytes}
        if len(sizes) == 1:
            last, self._last = self._last, (call.source, call.target)
            if last == self._last:
                return
        super().copy(call)

    def write(self, buffer: Buffer, offset: int, data: memoryview) -> None:
        if self._last is not None and buffer in self._last:
            self._last = None
        super().write(buffer, offset, data)


@mutant(part="bind_groups", origin="ORT#22254", hard=True)
class InputsFoundBySize(_KeyedBindGroups):
    """The key of a bind group has only offset and size of a buffer that the kernel only reads."""

    def _key(self, pipeline: Pipeline, ranges: Any) -> tuple[Hashable, ...]:
        written = [*pipeline.kernel.writes, True]
        named = list(compress(ranges, written)) or ranges[:1]
        sizes = [(one.offset, one.size_bytes) for one in ranges if one.buffer.role is Role.STORAGE]
        return pipeline.uid, *((one.buffer.uid, one.offset) for one in named), *sizes


@mutant(part="plans", hard=True)
class LastBufferFoundBySize(Plans[AnyPlan]):
    """The plan of a dispatch over three or more buffers is found by the size of the last one."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.get = self._find  # type: ignore[assignment]

    def _find(self, key: Hashable) -> AnyPlan | None:
        if not isinstance(key, tuple) or len(key) < 5 or not isinstance(key[-1], Buffer):
            return self._plans.get(key)
        for known, plan in self._plans.items():
            assert isinstance(known, tuple)
            if known[:-1] == key[:-1] and known[-1].size_bytes == key[-1].size_bytes:
                return plan
        return None
