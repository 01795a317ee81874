"""Compute passes, which check each dispatch against the pipeline and bind groups that are set.

A pass has an owner, its command encoder; what the pass needs of the encoder is here as well.

Every dispatch is a usage scope of its own; dispatches run one after the other.
Source: WebGPU specification, section 15 "Compute Passes" and 13 "Programmable Passes".
"""

from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from typing import Any

import numpy as np
import wgpu

from gpusim.simulated.bindings import GPUBindGroup
from gpusim.simulated.buffer import GPUBuffer
from gpusim.simulated.pipeline import BoundGroup, GPUComputePipeline, Plan, Refusal, plan
from gpusim.simulated.profile import LARGER_LIMIT, invalid, unsigned
from gpusim.simulated.scheduler import ORDERS
from gpusim.simulated.sites import call_site
from gpusim.simulated.state import DeviceState, next_uid
from gpusim.wgsl.checks.orders import Order, numbered

_INDIRECT = wgpu.BufferUsage.INDIRECT
_INDIRECT_BYTES = 12
_NO_OFFSETS: tuple[int, ...] = ()
EncodedCommand = Callable[[], None]
"""The function that the queue calls when it reaches the command."""


class DebugGroups:
    """Debug groups and markers.  They do nothing, but a group that stays open is an error.

    Encoders and passes inherit this class, as in the specification ("GPUDebugCommandsMixin").
    """

    __slots__ = ("_debug_depth",)

    _debug_depth: int

    def push_debug_group(self, group_label: str) -> None:
        """Open a group."""
        if self._check_open("push a debug group"):
            self._debug_depth += 1

    def pop_debug_group(self) -> None:
        """Close the innermost group."""
        if self._check_open("pop a debug group"):
            if not self._debug_depth:
                self._invalidate("pop a debug group", "none is open", "one pop too many")
                return
            self._debug_depth -= 1

    def insert_debug_marker(self, marker_label: str) -> None:
        """Mark a place."""
        self._check_open("insert a debug marker")

    def _check_open(self, doing: str) -> bool:
        raise NotImplementedError

    def _invalidate(self, doing: str, because: str, probably: str) -> Any:
        raise NotImplementedError


class PassOwner(DebugGroups):
    """A command encoder as its pass sees it.

    The encoder is locked while the pass is open, and takes the pass's commands when the pass ends.
    """

    __slots__ = ("_commands", "_error", "_state", "_used")

    def __init__(self) -> None:
        self._debug_depth = 0
        self._state = "open"
        self._error: wgpu.GPUValidationError | None = None
        self._commands: list[EncodedCommand] = []
        self._used: dict[GPUBuffer, None] = {}

    def end_nested_pass(self) -> None:
        """Unlock the encoder at the end of a pass that was begun inside another.

        Such a pass made the encoder invalid when it began.
        """
        self._state = "open"

    def end_pass(
        self,
        error: wgpu.GPUValidationError | None,
        commands: list[EncodedCommand],
        used: dict[GPUBuffer, None],
    ) -> None:
        """Take the commands of a pass; called by the pass."""
        self._state = "open"
        if self._error is not None:
            return
        self._error = error
        self._commands.extend(commands)
        self._used.update(used)

    @property
    def locked(self) -> bool:
        """Whether a pass is open."""
        return self._state == "locked"


class Opened(Enum):
    """How a pass was begun."""

    ALONE = "alone"
    NESTED = "nested"
    """Inside another pass: the new pass is not valid."""
    IN_VAIN = "in vain"
    """On an encoder that was invalid already: the commands of the pass are dropped."""


class GPUComputePassEncoder(DebugGroups):
    """Records dispatches; made by ``GPUCommandEncoder.begin_compute_pass``."""

    __slots__ = (
        "__weakref__",
        "_commands",
        "_device",
        "_encoder",
        "_error",
        "_groups",
        "_immediates",
        "_limit",
        "_open",
        "_opened",
        "_pipeline",
        "_plan",
        "_used",
        "label",
        "uid",
    )

    def __init__(self, device: DeviceState, encoder: PassOwner, label: str, opened: Opened) -> None:
        self._debug_depth = 0
        self._device = device
        self._encoder = encoder
        self.label = label
        self.uid = next_uid()
        self._opened = opened
        self._open = True
        self._error: wgpu.GPUValidationError | None = None
        self._pipeline: GPUComputePipeline | None = None
        self._groups: dict[int, BoundGroup] = {}
        self._plan: Plan | Refusal | None = None
        self._commands: list[EncodedCommand] = []
        self._used: dict[GPUBuffer, None] = {}
        self._limit = device.limits["max-compute-workgroups-per-dimension"]
        self._immediates = bytearray(device.limits["max-immediate-size"])

    def set_pipeline(self, pipeline: GPUComputePipeline) -> None:
        """Use ``pipeline`` for the dispatches that follow."""
        home = pipeline._device.home
        if not self._open and not self._check_open("set a pipeline"):
            return
        if home is not self._device.home:
            self._invalidate("set a pipeline", "it is another device's", "two devices are mixed up")
            return
        self._device.note("set pipeline")
        self._pipeline = pipeline
        self._plan = None

    def set_bind_group(
        self,
        index: int,
        bind_group: GPUBindGroup | None,
        dynamic_offsets_data: Sequence[int] = _NO_OFFSETS,
        dynamic_offsets_data_start: int | None = None,
        dynamic_offsets_data_length: int | None = None,
    ) -> None:
        """Use ``bind_group`` for the dispatches that follow; None unsets it."""
        offsets: tuple[int, ...] = ()
        start, length = dynamic_offsets_data_start, dynamic_offsets_data_length
        # An array has no truth value, so ``is`` finds out whether the argument was left out.
        if dynamic_offsets_data is not _NO_OFFSETS or start is not None or length is not None:
            offsets = _offsets(dynamic_offsets_data, start, length)
        if type(index) is not int or index < 0:
            index = unsigned(index, 32)
        if bind_group is None and not self._device.profile.unsets_bind_groups:
            raise AttributeError("'NoneType' object has no attribute '_internal'")
        if not self._open and not self._check_open("set a bind group"):
            return
        because = self._group_misfit(index, bind_group, offsets)
        if because:
            self._invalidate("set a bind group", because, "a wrong number, group or offset")
            return
        self._device.note("set bind group")
        self._plan = None
        if bind_group is None:
            self._groups.pop(index, None)
            return
        self._groups[index] = (bind_group, offsets)
        self._used.update(bind_group.buffers)

    def set_immediates(
        self, range_offset: int, data: Any, data_offset: int = 0, data_size: int | None = None
    ) -> None:
        """Set bytes of the immediates for the dispatches that follow; offsets are in bytes.

        ValueError if ``data`` does not have the bytes that are asked for.
        """
        view = memoryview(data).cast("B")
        offset, start = unsigned(int(range_offset), 32), int(data_offset)
        size = view.nbytes - start if data_size is None else int(data_size)
        if not 0 <= start < view.nbytes:
            raise ValueError("Invalid data_offset")
        if not 0 <= size <= view.nbytes:
            raise ValueError("Invalid data_size")
        if start + size > view.nbytes:
            raise ValueError("data_size + data_offset is too large")
        if not self._open and not self._check_open("set immediates"):
            return
        if offset % 4 or size % 4 or offset + size > len(self._immediates):
            because = f"{size} bytes at {offset} are not whole words within {len(self._immediates)}"
            probably = f"a wrong offset, or {LARGER_LIMIT}"
            self._invalidate("set immediates", because, probably)
            return
        self._immediates[offset : offset + size] = view[start : start + size]

    def dispatch_workgroups(
        self, workgroup_count_x: int, workgroup_count_y: int = 1, workgroup_count_z: int = 1
    ) -> None:
        """Run the pipeline over a grid of workgroups."""
        x, y, z = workgroup_count_x, workgroup_count_y, workgroup_count_z
        if not (type(x) is type(y) is type(z) is int) or x < 0 or y < 0 or z < 0:
            x, y, z = unsigned(x, 32), unsigned(y, 32), unsigned(z, 32)
        ready = self._ready("dispatch")
        if ready is None:
            return
        limit = self._limit
        if x > limit or y > limit or z > limit:
            unsigned(max(x, y, z), 32)
            because = f"{(x, y, z)} exceeds {limit} workgroups in a dimension"
            self._invalidate("dispatch", because, "the grid should use more dimensions")
            return
        self._commands.append(partial(self._runner(ready), x, y, z))

    def dispatch_workgroups_indirect(
        self, indirect_buffer: GPUBuffer, indirect_offset: int
    ) -> None:
        """Run the pipeline over a grid that the queue reads from a buffer."""
        owner = indirect_buffer._device
        offset = unsigned(int(indirect_offset))
        ready = self._ready("dispatch indirectly")
        if ready is None:
            return
        because = None
        if owner is not self._device:
            because = "the buffer is another device's"
        elif not indirect_buffer.usage & _INDIRECT:
            because = f"usage {indirect_buffer.usage} lacks INDIRECT"
        elif offset % 4 or offset + _INDIRECT_BYTES > indirect_buffer.size:
            because = f"three words at {offset} do not fit in {indirect_buffer.size} bytes"
        elif ready.writes(indirect_buffer):
            because = "the dispatch writes the buffer it reads its grid from"
        if because:
            self._invalidate("dispatch indirectly", because, "a wrong buffer or offset")
            return
        self._used[indirect_buffer] = None
        self._commands.append(
            partial(_run_indirect, self._runner(ready), indirect_buffer.memory, offset, self._limit)
        )

    def _runner(self, planned: Plan) -> Callable[[int, int, int], None]:
        """A function that runs the plan with the immediates as they are now."""
        size = len(planned.immediates)
        run: Callable[..., None] = planned.run
        if size:
            immediates = bytes(self._immediates[:size])
            run = partial(_run_with, planned.run, planned.immediates, immediates)
        if self._device.checks is None:
            return run
        return partial(run, call=call_site(), orders=self._orders)

    def _orders(self) -> tuple[Order, ...]:
        """Returns one further order of workgroups and atomics, which the scheduler chooses.

        A checked dispatch also runs in this order if it may show another mistake there.
        """
        return (numbered(self._device.timeline.choose(ORDERS)),)

    def end(self) -> None:
        """End the pass; GPUValidationError if the pass or its encoder has ended before."""
        doing = "end this compute pass"
        if self._device.timeline.lost and self._device.profile.loss_is_silent:
            self._open = False
            return
        if not self._open:
            raise invalid(doing, "it has ended", "end() is called twice")
        self._open = False
        if self._opened is Opened.IN_VAIN:
            return
        nested = self._opened is Opened.NESTED
        if not self._encoder.locked or (nested and not self._device.profile.ends_nested_passes):
            raise invalid(doing, "its encoder is not locked by it", "passes are nested")
        if nested:
            self._encoder.end_nested_pass()
            return
        if self._debug_depth:
            self._invalidate(doing, "a debug group is open", "pop_debug_group() is missing")
        # wgpu-native looks up a pass's buffers at a dispatch, not when their bind group is set.  So
        # an invalid pass without a dispatch uses no buffer.
        used = self._used if self._commands or self._error is None else {}
        self._encoder.end_pass(self._error, self._commands, used)

    def _check_open(self, doing: str) -> bool:
        if self._open:
            return True
        if self._device.timeline.lost and self._device.profile.loss_is_silent:
            return False
        raise invalid(doing, "the pass has ended", "it was ended too early")

    def _invalidate(self, doing: str, because: str, probably: str) -> None:
        self._error = self._error or invalid(doing, because, probably)

    def _ready(self, doing: str) -> Plan | None:
        """Returns the plan of a dispatch with what is set now.

        If that dispatch is not valid, this makes the pass invalid, and returns None.
        """
        if not self._open and not self._check_open(doing):
            return None
        planned = self._plan
        if planned is None:
            if self._pipeline is None:
                self._invalidate(doing, "no pipeline is set", "set_pipeline() is missing")
                return None
            refuses = self._device.profile.refuses_aliased_writes
            planned = self._plan = plan(self._pipeline, self._groups, refuses)
        if isinstance(planned, Refusal):
            self._invalidate(doing, planned.refusal, "a wrong bind group")
            return None
        return planned

    def _group_misfit(
        self, index: int, group: GPUBindGroup | None, offsets: tuple[int, ...]
    ) -> str | None:
        device = self._device
        most = device.limits["max-bind-groups"]
        if index >= most:
            return f"index {index} is not below {most}"
        dynamic = () if group is None else group.layout.dynamic
        if len(offsets) != len(dynamic):
            return f"it takes {len(dynamic)} dynamic offsets and {len(offsets)} are given"
        if group is not None and group._device is not device:
            return "it is another device's"
        return _offset_misfit(group, offsets, device.limits) if group and offsets else None


def _offset_misfit(
    group: GPUBindGroup, offsets: tuple[int, ...], limits: dict[str, int]
) -> str | None:
    bound_ranges = [bound for bound in group.ranges if bound.entry.dynamic]
    for bound, offset in zip(bound_ranges, offsets, strict=True):
        kind = "uniform" if bound.entry.kind == "uniform" else "storage"
        alignment = limits[f"min-{kind}-buffer-offset-alignment"]
        if offset % alignment:
            return f"dynamic offset {offset} is not a multiple of {alignment}"
        if bound.offset + offset + bound.size > bound.buffer.size:
            return f"dynamic offset {offset} passes the buffer's end at {bound.buffer.size}"
    return None


def _offsets(data: Sequence[int], start: int | None, length: int | None) -> tuple[int, ...]:
    if start is not None or length is not None:
        if start is None or length is None:
            raise ValueError("Dynamic offsets start and length must be both set or both None.")
        if start < 0:
            raise ValueError("Dynamic offsets start must be non-negative.")
        if length < 0:
            raise ValueError("Dynamic offsets length must be non-negative.")
        data = data[start : start + length]
    return tuple(unsigned(offset, 32) for offset in data)


def _run_with(
    run: Callable[..., None], memory: Any, immediates: bytes, x: int, y: int, z: int, **told: Any
) -> None:
    memory[:] = np.frombuffer(immediates, np.uint8)
    run(x, y, z, **told)


def _run_indirect(
    run: Callable[[int, int, int], None], memory: Any, offset: int, limit: int
) -> None:
    """Take a grid from a buffer and run it; if it is past the limit, nothing runs (specification,
    "dispatchWorkgroupsIndirect")."""
    x, y, z = (int(count) for count in np.ndarray(3, "<u4", memory, offset))
    if max(x, y, z) <= limit:
        run(x, y, z)
