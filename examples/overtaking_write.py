"""A runtime with the classic mistake, for the judge to find.

    gpusim fuzz --target examples/overtaking_write.py:judge

It gathers dispatches and runs them when something needs their results, but it
forgets that a host write has to wait for them too.
"""

from collections.abc import Mapping
from typing import Any

from gpusim.kernels import Kernel
from properties.targets.naive_target import NaiveTarget


class Overtaking(NaiveTarget):
    """Eager, but for its dispatches."""

    def __init__(self, device: Any, kernels: Mapping[str, Kernel]) -> None:
        super().__init__(device, kernels)
        self._gathered: list[Any] = []

    def dispatch(self, *call: Any) -> None:
        self._gathered.append(call)

    def copy(self, *call: Any) -> None:
        self.flush()
        super().copy(*call)

    def read(self, *call: Any) -> Any:
        self.flush()
        return super().read(*call)

    def free(self, buffer: str) -> None:
        self.flush()
        super().free(buffer)

    def flush(self) -> None:
        while self._gathered:
            super().dispatch(*self._gathered.pop(0))


judge = Overtaking
