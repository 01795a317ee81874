"""A target whose writes keep the array of the caller, and the same with less promised."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gpusim import Kernel
from gpusim.ops import Op
from properties.model.target import Delivery
from properties.targets.naive_target import NaiveTarget


class Keeping(NaiveTarget):
    """Looks into the array of a write when the next op comes."""

    capabilities = replace(NaiveTarget.capabilities, host_arrays=True)

    def __init__(self, device: Any, kernels: Mapping[str, Kernel]) -> None:
        super().__init__(device, kernels)
        self.kept: Sequence[Any] = ()

    def perform(self, op: Op) -> Delivery | None:
        if self.kept:
            super().write(*self.kept)
            self.kept = ()
        return super().perform(op)

    def write(self, buffer: str, data: bytes, offset: int) -> None:
        self.kept = buffer, data, offset

    def copy(
        self, source: str, source_offset: int, target: str, target_offset: int, size_bytes: int
    ) -> None:
        data = self.read(source, source_offset, size_bytes)
        super().write(target, data, target_offset)


class Reticent(Keeping):
    """The same without the promise, so that nobody can see what it does."""

    capabilities = NaiveTarget.capabilities
