"""The open batch: recorded, not yet submitted, and what that touches.

Data and bookkeeping only; recording into it calls no device.
"""

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING

from gpusim.runtime.commands import CopyCommand, DeviceBuffer, DispatchCommand, RecordedCommand

if TYPE_CHECKING:
    from gpusim.runtime.buffers import Buffer
    from gpusim.runtime.plans import DispatchPlan
    from gpusim.runtime.readbacks import Readback
    from gpusim.runtime.staging import StagingPage


class Batch:
    """Commands since the last submit.

    Everything here is on the *recorded* clock: it turns to *submitted* all at
    once, when the batch is.  ``retired`` buffers are referred to by a command
    and by nobody else, and are destroyed once the batch is submitted.
    """

    def __init__(self) -> None:
        self.commands: list[RecordedCommand] = []
        self.written: dict[Buffer, None] = {}
        self.retired: list[DeviceBuffer] = []
        self.readbacks: list[Readback] = []
        self.pages: list[StagingPage] = []
        self.uniform_slots = 0
        self.uniform_data = bytearray()
        self.upload_data = bytearray()
        self.size_bytes = 0
        self._plans: dict[DispatchPlan, None] = {}
        self._touched: dict[DeviceBuffer, tuple[int, int]] = {}

    def record_dispatch(self, command: DispatchCommand, plan: "DispatchPlan") -> None:
        """Append a dispatch of ``plan``, and count its uniform slot."""
        self.commands.append(command)
        if plan.uniform_bytes:
            self.uniform_slots += 1
            self.size_bytes += plan.uniform_bytes
        if plan not in self._plans:
            self._plans[plan] = None
            for bound, offset, size_bytes in plan.ranges:
                self._touch(bound, offset, offset + size_bytes)
            for buffer in plan.written:
                self.written[buffer] = None

    def record_copy(self, command: CopyCommand, written: "Sequence[Buffer]" = ()) -> None:
        """Append a copy; ``written`` are the user's buffers that it writes."""
        source, source_offset, target, target_offset, size_bytes = command
        self.commands.append(command)
        self.size_bytes += size_bytes
        self._touch(source, source_offset, source_offset + size_bytes)
        self._touch(target, target_offset, target_offset + size_bytes)
        for buffer in written:
            self.written[buffer] = None

    def copy(self) -> "Batch":
        """What it holds now, to go back to."""
        kept = Batch()
        kept.__dict__.update({name: copy(held) for name, held in self.__dict__.items()})
        return kept

    def extend(self, part: "Batch") -> None:
        """Append what was recorded in another batch; its uniforms are in place already."""
        self.commands += part.commands
        self.uniform_slots += part.uniform_slots
        self.size_bytes += part.size_bytes
        self.written.update(part.written)
        for buffer, (start, end) in part._touched.items():
            self._touch(buffer, start, end)

    def touches(self, buffer: DeviceBuffer, start: int = 0, end: int | None = None) -> bool:
        """Whether a recorded command may read or write bytes from ``start`` to ``end``.

        The bytes that a batch touches of one buffer are kept as a single span,
        so that a yes may be said too often, and a no never.
        """
        span = self._touched.get(buffer)
        if span is None:
            return False
        return end is None or (start < span[1] and span[0] < end)

    def __len__(self) -> int:
        return len(self.commands)

    def _touch(self, buffer: DeviceBuffer, start: int, end: int) -> None:
        span = self._touched.get(buffer)
        self._touched[buffer] = (
            (start, end) if span is None else (min(start, span[0]), max(end, span[1]))
        )
