"""TVM's web runtime and gpusim's side by side, as one target: every read must be the same on both.

    gpusim fuzz --target targets/tvm/both.py:Both --programs 1000

Each op goes to TVM under Node (``node.mjs``) and to ``gpusim.Runtime``; a read that differs raises.
The promises are those that both make, without those in which TVM's runtime is known to fail, and
without floats, of which both promise no more than a tolerance.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gpusim import Buffer, Runtime, Ticket
from gpusim.kernels import BUILTIN, Kernel
from gpusim.ops import Op
from gpusim.testing import Adapter, Capabilities, Delivery
from gpusim.text import write_op
from properties.targets.lines import TargetProcess
from properties.targets.wire import Failed, Ok, Raised, Value, exception_of, write_hello

_COMMAND = ("node", str(Path(__file__).with_name("node.mjs")))


@cache
def _tvm() -> TargetProcess:
    """The process, which serves every program."""
    return TargetProcess(_COMMAND)


@dataclass(frozen=True, slots=True)
class _Read:
    """One read on both."""

    name: str
    ours: Ticket
    theirs: Mapping[str, bytes]

    def result(self) -> bytes:
        """The bytes; RuntimeError where the two are not the same."""
        ours, theirs = bytes(self.ours.result()), self.theirs[self.name]
        if ours != theirs:
            raise RuntimeError(f"{self.name} is {ours.hex()} on gpusim and {theirs.hex()} on TVM")
        return ours

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Call it with the read once it has arrived on gpusim."""
        self.ours.add_done_callback(lambda _: callback(self))


class Both(Adapter):
    """The two runtimes."""

    capabilities = Capabilities(
        orders_deliveries=False,
        grid_dimensions=1,
        spreads_grids=True,
        kernels=tuple(name for name, kernel in BUILTIN.items() if kernel.tolerance is None),
    )

    def __init__(self, device: Any, kernels: Mapping[str, Kernel]) -> None:
        super().__init__(device, kernels)
        self.runtime = Runtime(device)
        self.buffers: dict[str, Buffer] = {}
        self.values: dict[str, bytes] = {}
        self.reading = ""
        if not _tvm.cache_info().currsize:
            _tvm().tell(write_hello("", kernels.values()))
            _tvm().hear()
        self.tell("open")

    def perform(self, op: Op) -> Delivery | None:
        """Carry out ``op`` on both."""
        self.reading = getattr(op, "result", "")
        self.tell(write_op(op))
        return super().perform(op)

    def tell(self, line: str) -> None:
        """Have TVM carry out a line, and keep the values that arrive."""
        _tvm().tell(line)
        while True:
            match _tvm().hear_answer():
                case Value(name, data):
                    self.values[name] = data
                case Raised() | Failed() as failed:
                    raise exception_of(failed)
                case Ok():
                    return

    def alloc(self, buffer: str, size_bytes: int) -> None:
        self.buffers[buffer] = self.runtime.alloc(size_bytes)

    def write(self, buffer: str, data: bytes, offset: int) -> None:
        self.runtime.write(self.buffers[buffer], data, offset)

    def dispatch(
        self, kernel: str, buffers: Sequence[str], scalars: Any, grid: tuple[int, int, int]
    ) -> None:
        bound = [self.buffers[buffer] for buffer in buffers]
        self.runtime.dispatch(self.kernels[kernel], bound, scalars, grid)

    def copy(self, source: str, at: int, target: str, target_at: int, size_bytes: int) -> None:
        ends = {"source_offset": at, "target_offset": target_at, "size_bytes": size_bytes}
        self.runtime.copy(self.buffers[source], self.buffers[target], **ends)

    def read(self, buffer: str, offset: int, size_bytes: int) -> Any:
        ticket = self.runtime.read(self.buffers[buffer], offset, size_bytes)
        return _Read(self.reading, ticket, self.values)

    def free(self, buffer: str) -> None:
        self.runtime.free(self.buffers.pop(buffer))

    def flush(self) -> None:
        self.runtime.flush()

    def sync(self) -> None:
        self.runtime.sync()

    def close(self) -> None:
        self.tell("close")
        self.runtime.close()
