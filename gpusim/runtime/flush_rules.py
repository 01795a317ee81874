"""When the open batch must reach the queue, and why.  Pure: it flushes nothing itself.

A host write and a destroy act on the queue at once, while recorded commands
still wait in the encoder.  TVM 18871 therefore submits before every host write,
readback, free and sync; a policy may ask for that only where a recorded command
touches the same bytes.
"""

import math
from enum import StrEnum

from gpusim.runtime.batch import Batch
from gpusim.runtime.commands import DeviceBuffer
from gpusim.runtime.policy import Policy


class FlushReason(StrEnum):
    """Why a batch was submitted."""

    ASKED = "asked"
    COMMANDS = "commands"
    BYTES = "bytes"
    EARLY = "early"
    UNIFORMS = "uniforms"
    WRITE = "write"
    READ = "read"
    FREE = "free"
    SYNC = "sync"
    DEBUG = "debug"
    CLOSE = "close"


class FlushRules:
    """The flush rules of a policy."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._most_commands = math.inf if policy.batch_commands is None else policy.batch_commands
        self._most_bytes = math.inf if policy.batch_bytes is None else policy.batch_bytes
        self._early = math.inf
        self.after_sync()

    def after_recording(self, batch: Batch) -> FlushReason | None:
        """Whether a limit is reached: a limit of 0 or 1 is reached by every command."""
        count = len(batch.commands)
        if count < self._soonest and batch.size_bytes < self._most_bytes:
            return None
        if self._policy.debug_submit_each:
            return FlushReason.DEBUG
        if count >= self._most_commands:
            return FlushReason.COMMANDS
        if batch.size_bytes >= self._most_bytes:
            return FlushReason.BYTES
        self._set_early(2 * self._early)
        return FlushReason.EARLY

    def room(self, batch: Batch) -> tuple[float, float]:
        """Commands, and bytes, after which ``after_recording`` will have the batch submitted."""
        return self._soonest - len(batch.commands), self._most_bytes - batch.size_bytes

    def after_sync(self) -> None:
        """The queue has run dry: the next batch is to reach it early again."""
        first = self._policy.first_batch
        self._set_early(math.inf if first is None else first)

    def _set_early(self, commands: float) -> None:
        self._early = commands
        each = 0 if self._policy.debug_submit_each else math.inf
        self._soonest = min(each, self._most_commands, commands)

    def before_write(
        self, batch: Batch, buffer: DeviceBuffer, start: int, end: int
    ) -> FlushReason | None:
        """A host write of bytes ``start`` to ``end`` acts on the queue now."""
        if self._policy.flush_on_conflict:
            return FlushReason.WRITE if batch.touches(buffer, start, end) else None
        return FlushReason.WRITE if batch.commands else None

    def after_read(self, batch: Batch) -> FlushReason | None:
        """A read whose staging copy was just recorded is under way once that is submitted."""
        return None if self._policy.join_reads else FlushReason.READ

    def before_free(self, batch: Batch) -> FlushReason | None:
        """A destroyed buffer may not be referred to by a later submit."""
        if self._policy.defer_frees:
            return None
        return FlushReason.FREE if batch.commands else None
