"""Our runtime as a target: it maps names to handles, and leaves out arguments that are the default.

Callers that pass such arguments all the same are in ``properties.clients``.
"""

import gc
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from weakref import ref

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
    driver_for,
)
from properties.model.capabilities import CONTRACT
from properties.model.target import IndirectAdapter, ReplayingAdapter

_ALL = Parts()


class SilentClose(Exception):
    """A close did not warn of the buffers that the program left alive, or gave wrong numbers."""


def _is_kept(dropped: "ref[Any]") -> bool:
    """Whether a dropped object still exists.  A ticket whose read is pending does not count."""
    kept = dropped()
    return kept is not None and not (isinstance(kept, Ticket) and not kept.done())


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
        make_driver: Callable[[Any], Driver] = driver_for,
    ) -> None:
        self.runtime = make_runtime(driver=driver, policy=policy, parts=parts)
        self._made_of = driver, policy, parts, make_runtime
        self.make_driver = make_driver
        """Makes a driver like the target's, over a device that a client has opened."""
        self.driver, self.policy = driver, policy
        self.limits = self.runtime.limits
        self.kernels = kernels
        self._buffers: dict[str, Buffer] = {}
        self.graphs: dict[str, Graph] = {}
        self._tickets: list[ref[Ticket]] = []
        self._has_warned = False

    def another(self, kernels: Mapping[str, Kernel], policy: Policy) -> "RuntimeTarget":
        """A second runtime on the same driver, made of the same parts, over ``kernels``."""
        driver, _, parts, make_runtime = self._made_of
        return RuntimeTarget(
            driver,
            policy,
            kernels=kernels,
            parts=parts,
            make_runtime=make_runtime,
            make_driver=self.make_driver,
        )

    def runtime_around(self, around: Callable[[Driver], Any], policy: Policy) -> Runtime:
        """A runtime with the same parts, whose driver ``around`` makes of this target's driver."""
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
        origin = self.find(source)
        numbers = {"source_offset": source_offset, "target_offset": target_offset}
        given = {name: number for name, number in numbers.items() if number}
        if size_bytes != origin.size_bytes - source_offset:
            given["size_bytes"] = size_bytes
        self.runtime.copy(origin, self.find(target), **given)

    def read(self, buffer: str, offset: int, size_bytes: int) -> Ticket:
        origin = self.find(buffer)
        span: tuple[int, ...] = offset, size_bytes
        if size_bytes == origin.size_bytes - offset:
            span = (offset,) if offset else ()
        ticket = self.runtime.read(origin, *span)
        self._tickets.append(ref(ticket))
        return ticket

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

        ``close`` is called instead of the runtime's own ``close``, if it is given.
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
        is_other = told and f" {len(live)} buffers of {size_bytes} bytes " not in told[0]
        # A done callback may have made and freed buffers during the close.  Then the numbers from
        # before the close need not be those of the warning.
        if is_other and self.runtime.stats().allocs == made:
            raise SilentClose(
                f"the close left {len(live)} buffers of {size_bytes} bytes, and says: {told[0]}"
            )
        if left and not self._has_warned:
            raise SilentClose(f"the close did not warn of {left} buffers that were never freed")

    def let_go(self) -> str:
        """Drop every graph, and look for a graph or a settled ticket that the runtime still keeps.

        Returns a sentence about the first of these, or an empty string.  The program must be over.
        Nobody else may hold a ticket or a graph.
        """
        dropped: list[ref[Any]] = [*map(ref, self.graphs.values()), *self._tickets]
        self.graphs.clear()
        if not any(map(_is_kept, dropped)):
            return ""
        # What was dropped may belong to a cycle.
        gc.collect()
        return next(
            (f"{one()!r} is kept, and nobody uses it" for one in dropped if _is_kept(one)), ""
        )

    def left_behind(self) -> str:
        """What the device still holds after the close, or what ``stats()`` counts as held.

        Empty if nothing is held.
        """
        left = getattr(self.runtime.device, "live_buffers", 0)
        if left:
            return f"{left} buffers of the device were never destroyed"
        stats = self.runtime.stats()
        stores = {"uniforms": stats.uniforms, "bind_groups": stats.bind_groups}
        held = {name: counts.held for name, counts in (*stores.items(), ("staging", stats.staging))}
        held |= {"live_buffers": stats.live_buffers, "live_bytes": stats.live_bytes}
        return "".join([f"stats() counts {held[name]} {name}. " for name in held if held[name]])

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
