"""Our runtime as a target: it maps names to handles, and does nothing more."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gpusim.errors import InvalidHandle
from gpusim.kernels import BUILTIN, Kernel
from gpusim.ops import Bound, Command, Grid, Scalars
from gpusim.runtime import (
    Buffer,
    BufferPart,
    Driver,
    Graph,
    Parts,
    Policy,
    Runtime,
    Ticket,
)
from properties.model.capabilities import CONTRACT
from properties.model.target import IndirectAdapter, ReplayingAdapter

_ALL = Parts()


class SilentClose(Exception):
    """A close did not warn of the buffers that the program left alive, or gave wrong numbers."""


class RuntimeTarget(ReplayingAdapter, IndirectAdapter):
    """A ``Runtime`` over ``driver``, driven by the names of a program."""

    capabilities = replace(CONTRACT, replays=True, indirect=True, parts=True)

    def __init__(
        self,
        driver: Driver,
        policy: Policy,
        *,
        kernels: Mapping[str, Kernel] = BUILTIN,
        parts: Parts = _ALL,
        make_runtime: Callable[..., Runtime] = Runtime,
    ) -> None:
        self.runtime = make_runtime(driver=driver, policy=policy, parts=parts)
        self._made_of = driver, policy, parts, make_runtime
        self.driver, self.policy = driver, policy
        self.limits = self.runtime.limits
        self.kernels = kernels
        self._buffers: dict[str, Buffer] = {}
        self.graphs: dict[str, Graph] = {}
        self._has_warned = False

    def another(self, kernels: Mapping[str, Kernel], policy: Policy) -> "RuntimeTarget":
        """A second runtime on the same driver, made of the same parts, over ``kernels``."""
        driver, _, parts, make_runtime = self._made_of
        return RuntimeTarget(
            driver, policy, kernels=kernels, parts=parts, make_runtime=make_runtime
        )

    def runtime_around(self, around: Callable[[Driver], Any], policy: Policy) -> Runtime:
        """A runtime with the same parts, on the driver that ``around`` makes of the target's."""
        driver, _, parts, make_runtime = self._made_of
        return make_runtime(driver=around(driver), policy=policy, parts=parts)

    def alloc(self, buffer: str, size_bytes: int) -> None:
        self._buffers[buffer] = self.runtime.alloc(size_bytes, label=buffer)

    def write(self, buffer: str, data: bytes, offset: int) -> None:
        self.runtime.write(self.find(buffer), data, offset)

    def dispatch(
        self, kernel: str, buffers: Sequence[Bound], scalars: Sequence[int | float], grid: Grid
    ) -> None:
        handles = [self.find_bound(bound) for bound in buffers]
        self.runtime.dispatch(self.kernels[kernel], handles, scalars, grid)

    def dispatch_indirect(
        self,
        kernel: str,
        buffers: Sequence[Bound],
        scalars: Sequence[int | float],
        counts: str,
        offset: int,
    ) -> None:
        handles = [self.find_bound(bound) for bound in buffers]
        self.runtime.dispatch_indirect(
            self.kernels[kernel], handles, scalars, counts=self.find(counts), offset=offset
        )

    def copy(
        self, source: str, source_offset: int, target: str, target_offset: int, size_bytes: int
    ) -> None:
        self.runtime.copy(
            self.find(source),
            self.find(target),
            source_offset=source_offset,
            target_offset=target_offset,
            size_bytes=size_bytes,
        )

    def read(self, buffer: str, offset: int, size_bytes: int) -> Ticket:
        return self.runtime.read(self.find(buffer), offset, size_bytes)

    def free(self, buffer: str) -> None:
        self.runtime.free(self.find(buffer))

    def flush(self) -> None:
        self.runtime.flush()

    def sync(self) -> None:
        self.runtime.sync()

    def capture(self, graph: str, commands: Sequence[Command]) -> None:
        with self.runtime.capture() as captured:
            for op in commands:
                self.perform(op)
        self.graphs[graph] = captured

    def replay(
        self,
        graph: str,
        scalars: Sequence[Scalars | None] | None,
        bindings: Sequence[tuple[str, str]],
    ) -> None:
        bound = {self.find(old): self.find(new) for old, new in bindings}
        self.graphs[graph].replay(scalars, bound)

    def close(self, close: Callable[[], None] | None = None) -> None:
        """Close the runtime, which must free what the program left alive, and warn of it.

        ``close``: another way to close it than its method.
        """
        left = sum(buffer.is_live for buffer in self._buffers.values())
        live, made = self.runtime.live_buffers(), self.runtime.stats().allocs
        size_bytes = sum(buffer.size_bytes for buffer in live)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always", ResourceWarning)
            (close or self.runtime.close)()
        # A callback may close the runtime during this close, and so take the warning.
        told = [str(one.message) for one in warned if one.category is ResourceWarning]
        self._has_warned |= bool(told)
        # A done callback may have made and freed buffers during the close.  Then the numbers from
        # before the close need not be those of the warning.
        is_known = self.runtime.stats().allocs == made
        if is_known and told and f" {len(live)} buffers of {size_bytes} bytes " not in told[0]:
            raise SilentClose(
                f"the close left {len(live)} buffers of {size_bytes} bytes, and says: {told[0]}"
            )
        if left and not self._has_warned:
            raise SilentClose(f"the close did not warn of {left} buffers that were never freed")

    @property
    def left_buffers(self) -> int:
        """How many buffers its device holds; 0 if the device does not tell."""
        return getattr(self.runtime.device, "live_buffers", 0)

    def name(self, name: str, buffer: Buffer) -> None:
        """Use ``name`` for a buffer that the client adopted."""
        self._buffers[name] = buffer

    def find_bound(self, bound: Bound) -> Buffer | BufferPart:
        """The handle that a dispatch binds, or the part of one."""
        if isinstance(bound, str):
            return self.find(bound)
        return self.find(bound.buffer).part(bound.offset, bound.size_bytes)

    def find(self, name: str) -> Buffer:
        """The handle of that name; InvalidHandle if its alloc was refused."""
        buffer = self._buffers.get(name)
        if buffer is None:
            raise InvalidHandle(
                f"cannot use {name} because its alloc was refused (probably for its size)"
            )
        return buffer
