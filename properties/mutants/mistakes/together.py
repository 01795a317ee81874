"""Mistakes of runtimes on one device: what should belong to one runtime is shared by all.

A single runtime never shows them.
"""

from collections.abc import Hashable
from typing import Any, ClassVar

from gpusim.kernels import Kernel
from gpusim.runtime.batch import Batch, RingUniforms, Uploads
from gpusim.runtime.buffers import Buffer, BufferTable
from gpusim.runtime.caches import BoundedCache, CacheState
from gpusim.runtime.commands import DeviceBuffer, Pipeline
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.plans import DispatchPlan, Plans
from gpusim.runtime.policy import Policy
from gpusim.runtime.recorder import Recorder
from properties.mutants.mutant import Overlay, mutant

_CLIENTS = "clients"


@mutant(part="driver", found_by=_CLIENTS)
class PipelineKeyedByName(Overlay):
    """A driver keeps pipelines by the names of their kernels."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._by_name: dict[tuple[str, bool], Pipeline] = {}

    def compile(self, kernel: Kernel, *, dynamic_uniforms: bool) -> Pipeline:
        key = kernel.name, dynamic_uniforms
        if key not in self._by_name:
            self._by_name[key] = self._inner.compile(kernel, dynamic_uniforms=dynamic_uniforms)
        return self._by_name[key]


@mutant(part="uniforms", found_by=_CLIENTS, hard=True)
class RingOfTheClass(RingUniforms):
    """All runtimes of a driver share one ring, and the first close destroys it."""

    shared: ClassVar[list[tuple[Driver, DeviceBuffer]]] = []

    def _make_ring(self, stride: int, batch: Batch) -> DeviceBuffer:
        for driver, ring in self.shared:
            if driver is self._driver and self._ring is None and ring.size_bytes >= stride:
                self._ring = ring
                return ring
        made = super()._make_ring(stride, batch)
        self.shared[:] = [(self._driver, made)]
        return made

    def clear(self) -> list[DeviceBuffer]:
        self.shared.clear()
        return super().clear()


@mutant(part="caches", found_by=_CLIENTS, hard=True)
class UniformsOfTheClass(CacheState):
    """All runtimes share one cache of uniforms, and the first close destroys its buffers."""

    open_ones: ClassVar[list[CacheState]] = []

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.uniforms = _Kept(self, policy.uniform_cache)


class _Kept(BoundedCache[bytes, DeviceBuffer]):
    """A cache that shares its entries with the oldest runtime that is still open."""

    def __init__(self, owner: UniformsOfTheClass, capacity: int) -> None:
        super().__init__(capacity)
        self._owner = owner
        if owner.open_ones:
            self._entries = owner.open_ones[0].uniforms._entries
        owner.open_ones.append(owner)

    def clear(self) -> list[DeviceBuffer]:
        if self._owner in self._owner.open_ones:
            self._owner.open_ones.remove(self._owner)
        return super().clear()


@mutant(part="plans", found_by=_CLIENTS)
class PlansOfTheClass(Plans[DispatchPlan]):
    """A dispatch may get another runtime's last plan, since buffers are compared by number."""

    shared: ClassVar[dict[Hashable, DispatchPlan]] = {}

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.get = self._get  # type: ignore[assignment]

    def _get(self, key: Any) -> DispatchPlan | None:
        plan = self._plans.get(key)
        return plan or self.shared.get(self._numbered(key))

    def put(self, key: Hashable, plan: DispatchPlan) -> None:
        super().put(key, plan)
        self.shared.clear()
        self.shared[self._numbered(key)] = plan

    def forget(self, buffer: Any) -> None:
        super().forget(buffer)
        self.shared.clear()

    def _numbered(self, key: Any) -> Hashable:
        return tuple(getattr(one, "uid", one) for one in key)


@mutant(part="buffers", found_by=_CLIENTS)
class BuffersOfTheClass(BufferTable):
    """All runtimes find device buffers by number in one registry, if the sizes are equal."""

    registry: ClassVar[dict[int, DeviceBuffer]] = {}

    def add(self, device_buffer: DeviceBuffer, size_bytes: int, label: str) -> Buffer:
        buffer = super().add(device_buffer, size_bytes, label)
        self.registry[buffer.uid] = device_buffer
        return buffer

    def device_buffer(self, buffer: Buffer) -> DeviceBuffer:
        own = super().device_buffer(buffer)
        known = self.registry[buffer.uid]
        return known if known.size_bytes == own.size_bytes else own


@mutant(part="uploads", found_by=_CLIENTS)
class UploadsOfTheClass(Uploads):
    """Staged writes are copied from the upload buffer of the runtime that was made last."""

    last: ClassVar[list[Uploads]] = []

    def __init__(self, driver: Driver, policy: Policy) -> None:
        super().__init__(driver, policy)
        self.last[:] = [self]

    def take(self, words: bytes | memoryview, batch: Batch) -> tuple[DeviceBuffer, int]:
        taken = super().take(words, batch)
        other = self.last[0]
        if other is not self and other._buffer is not None:
            return other._buffer, taken[1]
        return taken


@mutant(part="recorder", found_by=_CLIENTS)
class RetiredWithTheFirst(Recorder):
    """A retired buffer of any runtime waits for a submit of the runtime made last but one."""

    last: ClassVar[list[Recorder]] = []

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.last[:] = [*self.last[-1:], self]

    def retire(self, buffer: DeviceBuffer) -> None:
        first = self.last[0]
        first._batch.retired.append(buffer)
