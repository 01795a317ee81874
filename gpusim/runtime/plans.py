"""Dispatches, and whole graphs, that were checked once and are found again by key.

A plan is right as long as its buffers live, so it goes when one of them does.
It is on no clock: what it binds is kept alive by whoever records it.
"""

from collections.abc import Hashable, Sequence
from typing import Generic, Protocol, TypeVar

from gpusim.kernels import Kernel
from gpusim.runtime.buffers import Buffer
from gpusim.runtime.commands import BindGroup, DeviceBuffer, Pipeline, Range
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.launch import Launch


class DispatchPlan:
    """Everything of a dispatch but its scalars: checked, bound and spread.

    ``groups`` and ``spread`` are those of its launch; ``group`` is the bind
    group where that does not depend on the scalars, and ``ring`` the buffer of
    uniforms that it binds then.
    """

    __slots__ = (
        "buffers",
        "group",
        "groups",
        "kernel",
        "pipeline",
        "ranges",
        "ring",
        "spread",
        "uniform_bytes",
        "written",
    )

    def __init__(
        self,
        kernel: Kernel,
        ranges: tuple[Range, ...],
        launch: Launch,
        *,
        pipeline: Pipeline,
        buffers: Sequence[Buffer] = (),
        written: Sequence[Buffer] = (),
    ) -> None:
        self.kernel = kernel
        self.uniform_bytes = kernel.uniform_bytes
        self.ranges = ranges
        self.groups, self.spread = launch
        self.pipeline = pipeline
        self.buffers = tuple(buffers)
        self.written = tuple(written)
        self.group: BindGroup | None = None
        self.ring: DeviceBuffer | None = None


class Pipelines:
    """The pipelines of one runtime: the one step of a plan that asks a device for something."""

    def __init__(self, driver: Driver, *, dynamic_uniforms: bool) -> None:
        self._driver = driver
        self._dynamic_uniforms = dynamic_uniforms

    def compiled(self, kernel: Kernel) -> Pipeline:
        """The kernel's pipeline, compiled at its driver's first use of it.

        Raises:
            ProgramError: the device refuses the kernel's WGSL.
        """
        dynamic = self._dynamic_uniforms and kernel.uniform_bytes > 0
        return self._driver.compile(kernel, dynamic_uniforms=dynamic)


class Plan(Protocol):
    """What is right as long as its buffers live."""

    @property
    def buffers(self) -> tuple[Buffer, ...]: ...


AnyPlan = TypeVar("AnyPlan", bound=Plan)


class Plans(Generic[AnyPlan]):
    """Plans by key, first in, first out."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._plans: dict[Hashable, AnyPlan] = {}
        self._keys_by_buffer: dict[Buffer, dict[Hashable, None]] = {}
        self.get = self._plans.get

    def put(self, key: Hashable, plan: AnyPlan) -> None:
        """Add a plan; the oldest goes where there is no room, and a capacity of 0 has none."""
        if not self._capacity:
            return
        while len(self._plans) >= self._capacity:
            self._drop(next(iter(self._plans)))
        self._plans[key] = plan
        for buffer in plan.buffers:
            self._keys_by_buffer.setdefault(buffer, {})[key] = None

    def forget(self, buffer: Buffer) -> None:
        """Drop every plan that binds ``buffer``."""
        for key in list(self._keys_by_buffer.get(buffer, ())):
            self._drop(key)

    def __len__(self) -> int:
        return len(self._plans)

    def _drop(self, key: Hashable) -> None:
        plan = self._plans.pop(key)
        for buffer in dict.fromkeys(plan.buffers):
            keys = self._keys_by_buffer[buffer]
            del keys[key]
            if not keys:
                del self._keys_by_buffer[buffer]
