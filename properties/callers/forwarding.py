"""The plain caller: hands every op on.  The others change a method or two of it."""

from collections.abc import Sequence

from gpusim.program import Command, Grid, Scalars
from properties.target import Delivery
from properties.targets.runtime_target import RuntimeTarget


class BrokenPromise(Exception):
    """A runtime did not do what it promises to a caller of this kind."""


class Forwarding:
    """Every op goes to ``target`` as it comes."""

    def __init__(self, target: RuntimeTarget) -> None:
        self.capabilities = target.capabilities
        self.limits = target.limits
        self.target = target

    def alloc(self, buffer: str, size_bytes: int) -> None:
        self.target.alloc(buffer, size_bytes)

    def write(self, buffer: str, offset: int, data: bytes) -> None:
        self.target.write(buffer, offset, data)

    def dispatch(
        self, kernel: str, buffers: Sequence[str], scalars: Sequence[int | float], grid: Grid
    ) -> None:
        self.target.dispatch(kernel, buffers, scalars, grid)

    def copy(
        self, source: str, source_offset: int, target: str, target_offset: int, size_bytes: int
    ) -> None:
        self.target.copy(source, source_offset, target, target_offset, size_bytes)

    def read(self, buffer: str, offset: int, size_bytes: int) -> Delivery:
        return self.target.read(buffer, offset, size_bytes)

    def free(self, buffer: str) -> None:
        self.target.free(buffer)

    def flush(self) -> None:
        self.target.flush()

    def sync(self) -> None:
        self.target.sync()

    def capture(self, graph: str, commands: Sequence[Command]) -> None:
        self.target.capture(graph, commands)

    def replay(
        self,
        graph: str,
        scalars: Sequence[Scalars | None] | None,
        bindings: Sequence[tuple[str, str]],
    ) -> None:
        self.target.replay(graph, scalars, bindings)

    def close(self) -> None:
        self.target.close()
