"""A runtime in another process, for the judge to drive over its input and output.

    gpusim fuzz --target "exec:python examples/served_runtime.py"

It serves gpusim's own runtime, which keeps every promise that a target can make.
docs/JUDGING.md has the lines that go back and forth, for a runtime in a language
without ``serve``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gpusim import BUILTIN, Buffer, Kernel, Runtime, Ticket, open_device
from gpusim.testing import CONTRACT, IndirectAdapter, ReplayingAdapter, serve


class Served(ReplayingAdapter, IndirectAdapter):
    """A ``Runtime``, driven by the names of a program."""

    capabilities = replace(CONTRACT, replays=True, indirect=True, parts=True)

    def __init__(self, device: Any, kernels: Mapping[str, Kernel]) -> None:
        super().__init__(device, kernels)
        self.runtime = Runtime(device)
        self.limits = self.runtime.limits
        self.buffers: dict[str, Buffer] = {}
        self.graphs: dict[str, Any] = {}

    def alloc(self, buffer: str, size_bytes: int) -> None:
        self.buffers[buffer] = self.runtime.alloc(size_bytes)

    def write(self, buffer: str, data: bytes, offset: int) -> None:
        self.runtime.write(self.buffers[buffer], data, offset)

    def dispatch(
        self, kernel: str, buffers: Sequence[Any], scalars: Any, grid: tuple[int, int, int]
    ) -> None:
        bound = [self._bound(each) for each in buffers]
        self.runtime.dispatch(self.kernels[kernel], bound, scalars, grid)

    def dispatch_indirect(
        self, kernel: str, buffers: Sequence[Any], scalars: Any, counts: str, offset: int
    ) -> None:
        bound = [self._bound(each) for each in buffers]
        self.runtime.dispatch_indirect(
            self.kernels[kernel], bound, scalars, counts=self.buffers[counts], offset=offset
        )

    def copy(self, source: str, at: int, target: str, target_at: int, size_bytes: int) -> None:
        ends = {"source_offset": at, "target_offset": target_at, "size_bytes": size_bytes}
        self.runtime.copy(self.buffers[source], self.buffers[target], **ends)

    def read(self, buffer: str, offset: int, size_bytes: int) -> Ticket:
        return self.runtime.read(self.buffers[buffer], offset, size_bytes)

    def free(self, buffer: str) -> None:
        self.runtime.free(self.buffers[buffer])

    def flush(self) -> None:
        self.runtime.flush()

    def sync(self) -> None:
        self.runtime.sync()

    def capture(self, graph: str, commands: Sequence[Any]) -> None:
        with self.runtime.capture() as captured:
            for command in commands:
                self.perform(command)
        self.graphs[graph] = captured

    def replay(self, graph: str, scalars: Any, bindings: Sequence[tuple[str, str]]) -> None:
        bound = {self.buffers[old]: self.buffers[new] for old, new in bindings}
        self.graphs[graph].replay(scalars, bound)

    def _bound(self, each: Any) -> Any:
        """A buffer by its name, or a part of one."""
        if isinstance(each, str):
            return self.buffers[each]
        return self.buffers[each.buffer].part(each.offset, each.size_bytes)

    def close(self) -> None:
        self.runtime.close()


def start(device: str) -> Callable[[], Served]:
    """What makes a target for each program, on the device of that name."""
    opened = open_device(device)
    return lambda: Served(opened, BUILTIN)


if __name__ == "__main__":
    serve(start)
