"""A runtime in another process, for the judge to drive over its input and output.

    gpusim fuzz --target "exec:python examples/served_runtime.py"

It serves gpusim's own runtime, which keeps nearly every promise that a target can make.
docs/JUDGING.md has the lines that go back and forth, for a runtime in a language
without ``serve``.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gpusim import BUILTIN, Buffer, Kernel, Runtime, Ticket, open_device
from gpusim.testing import (
    CONTRACT,
    Arrival,
    ConcurrentAdapter,
    HandleAdapter,
    IndirectAdapter,
    PendingSync,
    ReplayingAdapter,
    serve,
)


class Served(HandleAdapter, ConcurrentAdapter, ReplayingAdapter, IndirectAdapter):
    """A ``Runtime``, driven by its own buffers."""

    capabilities = replace(
        CONTRACT,
        delivery=Arrival.TICKET,
        host_arrays=True,
        concurrent_syncs=True,
        handles=True,
        replays=True,
        indirect=True,
        parts=True,
    )

    def __init__(self, device: Any, kernels: Mapping[str, Kernel]) -> None:
        super().__init__(device, kernels)
        self.runtime = Runtime(device)
        self.limits = self.runtime.limits
        self.graphs: dict[str, Any] = {}
        self.loop = asyncio.new_event_loop()

    def alloc(self, buffer: str, size_bytes: int) -> Buffer:
        return self.runtime.alloc(size_bytes)

    def write(self, buffer: Any, data: bytes, offset: int) -> None:
        self.runtime.write(buffer, data, offset)

    def dispatch(
        self, kernel: str, buffers: Sequence[Any], scalars: Any, grid: tuple[int, int, int]
    ) -> None:
        self.runtime.dispatch(self.kernels[kernel], parts_of(buffers), scalars, grid)

    def dispatch_indirect(
        self, kernel: str, buffers: Sequence[Any], scalars: Any, counts: Any, offset: int
    ) -> None:
        self.runtime.dispatch_indirect(
            self.kernels[kernel], parts_of(buffers), scalars, counts=counts, offset=offset
        )

    def copy(self, source: Any, at: int, target: Any, target_at: int, size_bytes: int) -> None:
        ends = {"source_offset": at, "target_offset": target_at, "size_bytes": size_bytes}
        self.runtime.copy(source, target, **ends)

    def read(self, buffer: Any, offset: int, size_bytes: int) -> Ticket:
        return self.runtime.read(buffer, offset, size_bytes)

    def free(self, buffer: Any) -> None:
        self.runtime.free(buffer)

    def flush(self) -> None:
        self.runtime.flush()

    def sync(self) -> None:
        self.runtime.sync()

    def begin_sync(self) -> PendingSync:
        return Syncing(self.loop, self.loop.create_task(self.runtime.sync_async()))

    def capture(self, graph: str, commands: Sequence[Any]) -> None:
        with self.runtime.capture() as captured:
            for command in commands:
                self.carry_out(command)
        self.graphs[graph] = captured

    def replay(self, graph: str, scalars: Any, bindings: Sequence[tuple[Any, Any]]) -> None:
        self.graphs[graph].replay(scalars, dict(bindings))

    def close(self) -> None:
        self.runtime.close()
        self.loop.close()


class Syncing:
    """A sync that is under way."""

    def __init__(self, loop: Any, task: Any) -> None:
        self.loop, self.task = loop, task

    def result(self) -> None:
        self.loop.run_until_complete(self.task)


def parts_of(buffers: Sequence[Any]) -> list[Any]:
    """Buffers, and parts of buffers."""
    return [
        one if isinstance(one, Buffer) else one.buffer.part(one.offset, one.size_bytes)
        for one in buffers
    ]


def start(device: str) -> Callable[[], Served]:
    """A function that makes a target for each program, on the device of that name."""
    opened = open_device(device)
    return lambda: Served(opened, BUILTIN)


if __name__ == "__main__":
    serve(start)
