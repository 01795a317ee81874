"""A driver that fails as planned: which call of which verb fails, and how.

This driver lets the judge check a runtime under faults.  The plan is data; nothing here knows a
program.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gpusim.errors import DeviceFault, DeviceLost, ProgramError
from gpusim.kernels import Kernel
from gpusim.runtime.commands import (
    BindGroup,
    DeviceBuffer,
    Pipeline,
    Range,
    RecordedCommand,
    Role,
    StagingMap,
)
from gpusim.runtime.drivers.driver import Driver, Receive, Value


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """Call number ``call`` (counted from 0) of ``verb`` raises ``error`` and does nothing else.

    ProgramError for a verb that never raises a fault.  But a DeviceLost may be planned for
    ``destroy_buffer``: it only makes the device lost.
    """

    verb: str
    call: int
    error: type[DeviceFault]

    def __post_init__(self) -> None:
        only_loses = self.verb == "destroy_buffer" and self.error is DeviceLost
        if self.verb in ("adopt_buffer", "destroy_buffer") and not only_loses:
            raise ProgramError(
                f"cannot plan {self.error.__name__} for {self.verb} because that verb never raises "
                "a fault (probably another verb was meant)"
            )


class FaultyDriver:
    """A driver with a plan of faults.  After a planned DeviceLost the device counts as lost.

    From then on each verb raises DeviceLost, except ``adopt_buffer`` and ``destroy_buffer``, which
    never raise a fault.
    """

    def __init__(self, driver: Driver, *faults: Fault) -> None:
        self.limits = driver.limits
        self.device = driver.device
        self.raised: list[Fault] = []
        self._driver = driver
        self._plan = {(fault.verb, fault.call): fault for fault in faults}
        self._calls: Counter[str] = Counter()
        self._planned_loss = False

    @property
    def lost(self) -> bool:
        """Whether the device is lost, as planned or by itself."""
        return self._planned_loss or self._driver.lost

    def adopt_buffer(self, native: Any) -> DeviceBuffer:
        """See ``Driver``; no fault can be planned for this verb."""
        return self._driver.adopt_buffer(native)

    def create_buffer(self, size_bytes: int, role: Role) -> DeviceBuffer:
        """See ``Driver``."""
        self._meet("create_buffer")
        return self._driver.create_buffer(size_bytes, role)

    def destroy_buffer(self, buffer: DeviceBuffer) -> None:
        """See ``Driver``; never fails."""
        if not self.lost:
            with suppress(DeviceLost):
                self._meet("destroy_buffer")
        self._driver.destroy_buffer(buffer)

    def write_buffer(self, buffer: DeviceBuffer, offset: int, data: Any) -> None:
        """See ``Driver``."""
        self._meet("write_buffer")
        self._driver.write_buffer(buffer, offset, data)

    def compile(self, kernel: Kernel, *, dynamic_uniforms: bool) -> Pipeline:
        """See ``Driver``."""
        self._meet("compile")
        return self._driver.compile(kernel, dynamic_uniforms=dynamic_uniforms)

    def create_bind_group(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> BindGroup:
        """See ``Driver``."""
        self._meet("create_bind_group")
        return self._driver.create_bind_group(pipeline, ranges)

    def encode(self, commands: Sequence[RecordedCommand], label: str, *, merge_passes: bool) -> Any:
        """See ``Driver``."""
        self._meet("encode")
        return self._driver.encode(commands, label, merge_passes=merge_passes)

    def submit(self, command_buffer: Any) -> None:
        """See ``Driver``."""
        self._meet("submit")
        self._driver.submit(command_buffer)

    def map(self, buffer: DeviceBuffer, size_bytes: int) -> StagingMap:
        """See ``Driver``."""
        self._meet("map")
        return self._driver.map(buffer, size_bytes)

    def drain(self, seconds: float | None = None) -> bool:
        """See ``Driver``."""
        self._meet("drain")
        return self._driver.drain(seconds)

    def wait(self, mapping: StagingMap, seconds: float | None = None) -> bool:
        """See ``Driver``."""
        self._meet("wait")
        return self._driver.wait(mapping, seconds)

    async def wait_async(self, mapping: StagingMap) -> None:
        """See ``Driver``."""
        self._meet("wait")
        await self._driver.wait_async(mapping)

    def take(self, mapping: StagingMap, receive: Receive[Value]) -> Value:
        """See ``Driver``."""
        self._meet("take")
        return self._driver.take(mapping, receive)

    def _meet(self, verb: str) -> None:
        if self.lost:
            raise DeviceLost(f"cannot {verb} because the device is lost (planned)")
        call = self._calls[verb]
        self._calls[verb] += 1
        fault = self._plan.get((verb, call))
        if fault is None:
            return
        self.raised.append(fault)
        self._planned_loss = self._planned_loss or fault.error is DeviceLost
        raise fault.error(f"cannot {verb} because the plan says so (call {call})")
