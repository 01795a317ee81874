"""Mistakes of the reference, in what a program means.

Here the runtime is sound and the reference is not: the comparison must see that they differ.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gpusim.kernels import Kernel
from gpusim.limits import Limits
from gpusim.ops import Bound, Grid
from properties.mutants.mutant import mutant
from reference.executor import Reference


@mutant(part="reference")
class ForwardCopy(Reference):
    """A copy within one buffer runs forward, and overwrites source bytes before it reads them."""

    def copy(
        self, source: str, source_offset: int, target: str, target_offset: int, size_bytes: int
    ) -> None:
        forward = source == target and 0 < target_offset - source_offset < size_bytes
        step = target_offset - source_offset if forward else size_bytes
        for start in range(0, size_bytes, step) if forward and source_offset >= 0 else ():
            size = min(step, size_bytes - start)
            super().copy(source, source_offset + start, target, target_offset + start, size)
        if not forward:
            super().copy(source, source_offset, target, target_offset, size_bytes)


@mutant(part="reference")
class ZeroGridRunsOnce(Reference):
    """A grid with a zero in it runs as if the zero were a one."""

    def dispatch(
        self, kernel: str, buffers: Sequence[Bound], scalars: Sequence[int | float], grid: Grid
    ) -> None:
        x, y, z = (size or 1 for size in grid)
        super().dispatch(kernel, buffers, scalars, (x, y, z))


@mutant(part="reference")
class WritePadded(Reference):
    """A write is padded with zeros to whole words where the buffer has room."""

    def write(self, buffer: str, data: bytes, offset: int) -> None:
        block = self._blocks.get(buffer)
        padded = data + bytes(-len(data) % 4)
        fits = block is not None and 0 <= offset <= block.size_bytes - len(padded)
        super().write(buffer, padded if fits else data, offset)


@mutant(part="reference")
class ScalarsOfTheFirst(Reference):
    """Each later dispatch of a kernel runs again, with the scalars of its first dispatch."""

    def dispatch(
        self, kernel: str, buffers: Sequence[Bound], scalars: Sequence[int | float], grid: Grid
    ) -> None:
        super().dispatch(kernel, buffers, scalars, grid)
        kept = self._kept.setdefault(kernel, scalars)
        if kept is not scalars:
            super().dispatch(kernel, buffers, kept, grid)

    def __init__(self, kernels: Mapping[str, Kernel], limits: Limits | None = None) -> None:
        super().__init__(kernels, limits)
        self._kept: dict[str, Sequence[int | float]] = {}


@mutant(part="reference")
class FreeTwiceIsFine(Reference):
    """A free of a buffer that is not live does nothing, instead of being refused."""

    def free(self, buffer: str) -> None:
        if buffer in self._blocks or buffer in self._unbound:
            super().free(buffer)


@mutant(part="reference", hard=True)
class BudgetOfOne(Reference):
    """Each buffer is compared with the whole budget, as if it were the only one."""

    def alloc(self, buffer: str, size_bytes: int) -> None:
        blocks, self._blocks = self._blocks, {}
        try:
            super().alloc(buffer, size_bytes)
        finally:
            self._blocks = {**blocks, **self._blocks}


@mutant(part="reference", hard=True)
class EmptyReadUnchecked(Reference):
    """A read of no bytes is legal wherever it starts."""

    def read(self, buffer: str, offset: int, size_bytes: int) -> Any:
        past = size_bytes == 0 and buffer in self._blocks
        return super().read(buffer, 0 if past else offset, size_bytes)
