"""The open batch: recorded, not yet submitted, and what that touches.

Data and bookkeeping only; recording into it calls no device.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gpusim.runtime.commands import Command, CopyCommand, DeviceBuffer

if TYPE_CHECKING:
    from gpusim.runtime.buffers import Buffer
    from gpusim.runtime.readbacks import Readback


class Batch:
    """Commands since the last submit.

    Everything here is on the *recorded* clock: it turns to *submitted* all at
    once, when the batch is.  ``retired`` buffers are referred to by a command
    and by nobody else, and are destroyed once the batch is submitted.
    """

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.written: dict[Buffer, None] = {}
        self.retired: list[DeviceBuffer] = []
        self.readbacks: list[Readback] = []
        self.uniform_slots = 0
        self.size_bytes = 0

    def record(self, command: Command, written: "Sequence[Buffer]" = ()) -> None:
        """Append one command; ``written`` are the user's buffers that it writes."""
        self.commands.append(command)
        for buffer in written:
            self.written[buffer] = None
        if isinstance(command, CopyCommand):
            self.size_bytes += command.size_bytes

    def use_uniform(self, size_bytes: int) -> None:
        """Count one more uniform slot that a recorded dispatch reads."""
        self.uniform_slots += 1
        self.size_bytes += size_bytes

    def __len__(self) -> int:
        return len(self.commands)
