"""A runtime with the classic mistake, for the judge to find.

    gpusim fuzz --target examples/overtaking_write.py:Overtaking

It gathers dispatches and runs them when something needs their results, but it
forgets that a host write has to wait for them too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gpusim import Buffer, Kernel, Runtime, Ticket
from gpusim.testing import Adapter


class Overtaking(Adapter):
    """Gathers dispatches over a runtime that is right."""

    def __init__(self, device: Any, kernels: Mapping[str, Kernel]) -> None:
        super().__init__(device, kernels)
        self.runtime = Runtime(device)
        self.buffers: dict[str, Buffer] = {}
        self.gathered: list[Any] = []

    def alloc(self, buffer: str, size_bytes: int) -> None:
        self.buffers[buffer] = self.runtime.alloc(size_bytes)

    def write(self, buffer: str, data: bytes, offset: int) -> None:  # the mistake: no flush
        self.runtime.write(self.buffers[buffer], data, offset)

    def dispatch(
        self, kernel: str, buffers: Sequence[str], scalars: Any, grid: tuple[int, int, int]
    ) -> None:
        bound = [self.buffers[name] for name in buffers]
        self.gathered.append((self.kernels[kernel], bound, scalars, grid))

    def copy(self, source: str, at: int, target: str, target_at: int, size_bytes: int) -> None:
        self.flush()
        ends = {"source_offset": at, "target_offset": target_at, "size_bytes": size_bytes}
        self.runtime.copy(self.buffers[source], self.buffers[target], **ends)

    def read(self, buffer: str, offset: int, size_bytes: int) -> Ticket:
        self.flush()
        return self.runtime.read(self.buffers[buffer], offset, size_bytes)

    def free(self, buffer: str) -> None:
        self.flush()
        self.runtime.free(self.buffers.pop(buffer))

    def flush(self) -> None:
        for call in self.gathered:
            self.runtime.dispatch(*call)
        self.gathered.clear()

    def close(self) -> None:
        self.runtime.close()
