"""Decorators that trace what a runtime does, without changing it.

``TracedDriver`` emits the events of the device; ``traced_parts`` wraps collaborators, so
that events inside them are emitted as well.  The runtime does not know whether it is traced.
"""

from collections.abc import Sequence
from typing import Any

from gpusim.errors import DeviceFault, DeviceLost
from gpusim.kernels import Kernel
from gpusim.limits import Limits
from gpusim.runtime.commands import (
    BindGroup,
    CopyCommand,
    DeviceBuffer,
    DispatchCommand,
    GridAt,
    Pipeline,
    Range,
    RecordedCommand,
    Role,
    StagingMap,
)
from gpusim.runtime.drivers.driver import Driver, Receive, Value
from gpusim.trace import Event, Trace

_SUBMIT, _DRAIN = Event("submit", {}), Event("drain", {})
_Bound = tuple[int, int, int]
"""A range in a trace: the number of its buffer, its offset and its size."""


class _Numbers(dict[int, int]):
    """Gives each uid a number, from 1 on, in the order in which the uids were first asked for."""

    def __missing__(self, uid: int) -> int:
        number = self[uid] = len(self) + 1
        return number


class TracedDriver:
    """A driver that emits an event for each verb.

    Writes, encodes, submits, maps and destroys are emitted before they are carried out.  A verb
    that raises a DeviceFault is followed by a ``failed`` event, which says what the call was about
    if no other event does, or if the fault's message names it.  The groups of an indirect
    dispatch are two numbers: a buffer, and an offset in it.  Objects are numbered in the order in
    which this trace first saw them.  So two runs of one program on a shared driver leave equal
    traces.  ``limits`` replace the driver's, to see what a runtime does on a smaller device.
    """

    def __init__(self, driver: Driver, trace: Trace, *, limits: Limits | None = None) -> None:
        self.trace = trace
        self.limits = limits or driver.limits
        self.device = driver.device
        self._driver = driver
        self._numbers = _Numbers()
        self._bound: dict[int, tuple[_Bound, ...]] = {}
        """The ranges of each bind group, as this trace shows them, by the group's uid."""
        self._tell = trace.events.append
        self._told_loss = False

    @property
    def lost(self) -> bool:
        """Whether the device is lost; emits the loss once, even if no verb has failed."""
        lost = self._driver.lost
        if lost and not self._told_loss:
            self._told_loss = True
            self.trace.failures += 1
            self._tell(Event("failed", {"verb": "lost", "error": DeviceLost.__name__}))
        return lost

    def create_buffer(self, size_bytes: int, role: Role) -> DeviceBuffer:
        """See ``Driver``; emitted after the buffer exists, since it has no number before."""
        try:
            buffer = self._driver.create_buffer(size_bytes, role)
        except DeviceFault as fault:
            self._tell_failed("create_buffer", fault, role=role, size_bytes=size_bytes)
            raise
        number = self._numbers[buffer.uid]
        self._tell(
            Event("create_buffer", {"buffer": number, "role": role, "size_bytes": size_bytes})
        )
        return buffer

    def adopt_buffer(self, native: Any) -> DeviceBuffer:
        """See ``Driver``."""
        buffer = self._driver.adopt_buffer(native)
        number = self._numbers[buffer.uid]
        self._tell(Event("adopt_buffer", {"buffer": number, "size_bytes": buffer.size_bytes}))
        return buffer

    def destroy_buffer(self, buffer: DeviceBuffer) -> None:
        """See ``Driver``."""
        self._tell(
            Event("destroy_buffer", {"buffer": self._numbers[buffer.uid], "role": buffer.role})
        )
        self._driver.destroy_buffer(buffer)

    def write_buffer(self, buffer: DeviceBuffer, offset: int, data: Any) -> None:
        """See ``Driver``."""
        number, taken = self._numbers[buffer.uid], bytes(data)
        self._tell(
            Event(
                "write_buffer",
                {"buffer": number, "role": buffer.role, "offset": offset, "data": taken},
            )
        )
        try:
            self._driver.write_buffer(buffer, offset, data)
        except DeviceFault as fault:
            self._tell_failed("write_buffer", fault)
            raise

    def compile(self, kernel: Kernel, *, dynamic_uniforms: bool) -> Pipeline:
        """See ``Driver``; no event, since a driver compiles a kernel once for all its runtimes."""
        try:
            return self._driver.compile(kernel, dynamic_uniforms=dynamic_uniforms)
        except DeviceFault as fault:
            self._tell_failed("compile", fault, kernel=kernel.name)
            raise

    def create_bind_group(self, pipeline: Pipeline, ranges: tuple[Range, ...]) -> BindGroup:
        """See ``Driver``."""
        try:
            group = self._driver.create_bind_group(pipeline, ranges)
        except DeviceFault as fault:
            self._tell_failed("create_bind_group", fault, kernel=pipeline.kernel.name)
            raise
        number, bound = self._numbers[group.uid], self._ranges(ranges)
        if group.ranges is ranges:
            self._bound[group.uid] = bound
        self._tell(
            Event(
                "create_bind_group",
                {"group": number, "kernel": pipeline.kernel.name, "ranges": bound},
            )
        )
        return group

    def encode(self, commands: Sequence[RecordedCommand], label: str, *, merge_passes: bool) -> Any:
        """See ``Driver``; one event for the encoder, then one for each command."""
        self._tell(Event("encode", {"reason": label, "commands": len(commands)}))
        for command in commands:
            if isinstance(command, DispatchCommand):
                self._tell_dispatch(command)
            else:
                self._tell_copy(command)
        try:
            return self._driver.encode(commands, label, merge_passes=merge_passes)
        except DeviceFault as fault:
            self._tell_failed("encode", fault, commands=len(commands))
            raise

    def submit(self, command_buffer: Any) -> None:
        """See ``Driver``."""
        self._tell(_SUBMIT)
        try:
            self._driver.submit(command_buffer)
        except DeviceFault as fault:
            self._tell_failed("submit", fault)
            raise

    def map(self, buffer: DeviceBuffer, size_bytes: int) -> StagingMap:
        """See ``Driver``."""
        self._tell(Event("map", {"buffer": self._numbers[buffer.uid], "size_bytes": size_bytes}))
        try:
            return self._driver.map(buffer, size_bytes)
        except DeviceFault as fault:
            self._tell_failed("map", fault)
            raise

    def drain(self, seconds: float | None = None) -> bool:
        """See ``Driver``; emits an event only if the work is done."""
        try:
            is_done = self._driver.drain(seconds)
        except DeviceFault as fault:
            self._tell_failed("drain", fault)
            raise
        if is_done:
            self._tell(_DRAIN)
        return is_done

    def wait(self, mapping: StagingMap, seconds: float | None = None) -> bool:
        """See ``Driver``; emits an event only if the map has settled."""
        waited = Event("wait", {"buffer": self._numbers[mapping.buffer.uid]})
        try:
            has_settled = self._driver.wait(mapping, seconds)
        except DeviceFault as fault:
            self._tell(waited)
            self._tell_failed("wait", fault)
            raise
        if has_settled:
            self._tell(waited)
        return has_settled

    async def wait_async(self, mapping: StagingMap) -> None:
        """See ``Driver``."""
        self._tell(Event("wait", {"buffer": self._numbers[mapping.buffer.uid]}))
        try:
            await self._driver.wait_async(mapping)
        except DeviceFault as fault:
            self._tell_failed("wait", fault)
            raise

    def take(self, mapping: StagingMap, receive: Receive[Value]) -> Value:
        """See ``Driver``; the event has the bytes that the staging buffer holds."""
        number, is_told = self._numbers[mapping.buffer.uid], False

        def told(held: memoryview) -> Value:
            nonlocal is_told
            is_told = True
            self._tell(Event("take", {"buffer": number, "data": bytes(held)}))
            return receive(held)

        try:
            return self._driver.take(mapping, told)
        except DeviceFault as fault:
            if not is_told:
                self._tell(Event("take", {"buffer": number, "data": b""}))
            self._tell_failed("take", fault)
            raise

    def _tell_failed(self, verb: str, fault: DeviceFault, **about: Any) -> None:
        self.trace.failures += 1
        self._tell(Event("failed", {"verb": verb, "error": type(fault).__name__, **about}))

    def _tell_dispatch(self, command: DispatchCommand) -> None:
        pipeline, group, groups, offset = command
        if isinstance(groups, GridAt):
            grid: tuple[int, ...] = self._numbers[groups.buffer.uid], groups.offset
        else:
            grid = groups
        self._tell(
            Event(
                "dispatch",
                {
                    "kernel": pipeline.kernel.name,
                    "group": self._numbers[group.uid],
                    "ranges": self._bound_by(group, offset),
                    "groups": grid,
                },
            )
        )

    def _tell_copy(self, command: CopyCommand) -> None:
        source, source_offset, target, target_offset, size_bytes = command
        self._tell(
            Event(
                "copy",
                {
                    "source": self._numbers[source.uid],
                    "source_offset": source_offset,
                    "target": self._numbers[target.uid],
                    "target_role": target.role,
                    "target_offset": target_offset,
                    "size_bytes": size_bytes,
                },
            )
        )

    def _bound_by(self, group: BindGroup, offset: int | None) -> tuple[_Bound, ...]:
        """The ranges that a dispatch binds, with its dynamic offset added."""
        bound = self._bound.get(group.uid) or self._ranges(group.ranges)
        if offset is None:
            return bound
        *buffers, (uniform, start, size_bytes) = bound
        return (*buffers, (uniform, start + offset, size_bytes))

    def _ranges(self, ranges: tuple[Range, ...]) -> tuple[_Bound, ...]:
        numbers = self._numbers
        return tuple([(numbers[buffer.uid], at, size) for buffer, at, size in ranges])
