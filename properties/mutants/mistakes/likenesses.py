"""Mistakes among buffers of one size: one is taken for another, or a whole copy is put off.

Tensors of a model often have the same size.  If every buffer of a program had another size, none of
these mistakes would show.
"""

from collections.abc import Hashable
from itertools import compress
from typing import Any

from gpusim.runtime import Buffer, Runtime
from gpusim.runtime.commands import Pipeline, Role
from gpusim.runtime.graph import CopyCall
from gpusim.runtime.plans import AnyPlan, Plans
from gpusim.runtime.transfers import Transfers
from properties.mutants.mistakes.caches import _KeyedBindGroups
from properties.mutants.mutant import mutant


@mutant(part="runtime", hard=True)
class WholeCopyWaits(Runtime):
    """A copy of a whole buffer waits until its target is used; a dispatch changes its source."""

    _late: tuple[Buffer, Buffer] | None = None

    def _settle(self, *used: object) -> None:
        if self._late is not None and (not used or any(one in self._late for one in used)):
            (source, target), self._late = self._late, None
            super().copy(source, target)

    def copy(self, source: Any, target: Any, **named: Any) -> None:
        self._settle()
        sizes = named.get("size_bytes"), named.get("source_offset"), named.get("target_offset")
        is_open = self._captures.open is not None
        if is_open or source is target or sizes != (source.size_bytes, 0, 0):
            super().copy(source, target, **named)
        elif source.is_live and target.is_live and source.size_bytes == target.size_bytes:
            self._late = source, target
        else:
            super().copy(source, target, **named)

    def dispatch(self, kernel: Any, buffers: Any, *given: Any, **named: Any) -> None:
        handles = [getattr(one, "buffer", one) for one in buffers]
        if self._late is not None and (self._late[1] in handles or self._captures.open):
            self._settle()
        super().dispatch(kernel, buffers, *given, **named)

    def write(self, buffer: Any, *given: Any, **named: Any) -> None:
        self._settle(buffer)
        super().write(buffer, *given, **named)

    def read(self, *given: Any, **named: Any) -> Any:
        self._settle()
        return super().read(*given, **named)

    def free(self, buffer: Buffer) -> None:
        self._settle(buffer)
        super().free(buffer)

    def capture(self) -> Any:
        self._settle()
        return super().capture()

    def sync(self, timeout: float | None = None) -> None:
        self._settle()
        super().sync(timeout)


@mutant(part="transfers", hard=True)
class SameWholeCopySkipped(Transfers):
    """A copy of a whole buffer is left out if the last such copy was the same."""

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
    """A buffer that is only read appears in the key by its size and place."""

    def _key(self, pipeline: Pipeline, ranges: Any) -> tuple[Hashable, ...]:
        written = [*pipeline.kernel.writes, True]
        named = list(compress(ranges, written)) or ranges[:1]
        sizes = [(one.offset, one.size_bytes) for one in ranges if one.buffer.role is Role.STORAGE]
        return pipeline.uid, *((one.buffer.uid, one.offset) for one in named), *sizes


@mutant(part="plans", hard=True)
class LastBufferFoundBySize(Plans[AnyPlan]):
    """A dispatch over three buffers gets the plan of one whose last buffer has the same size."""

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
