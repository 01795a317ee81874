"""When the open batch must reach the queue, and why.  Pure: it flushes nothing itself.

TVM 18871: pending commands are submitted before a host write, a readback, a
free and a sync, since each of these acts on the queue at once while the
commands still wait in the encoder.
"""

from enum import StrEnum

from gpusim.runtime.batch import Batch
from gpusim.runtime.policy import Policy


class FlushReason(StrEnum):
    """Why a batch was submitted."""

    ASKED = "asked"
    COMMANDS = "commands"
    BYTES = "bytes"
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
        self._commands = policy.batch_commands
        self._bytes = policy.batch_bytes
        self._each = policy.debug_submit_each

    def after_recording(self, batch: Batch) -> FlushReason | None:
        """Whether a limit is reached: a limit of 0 or 1 is reached by every command."""
        if self._each:
            return FlushReason.DEBUG
        if self._commands is not None and len(batch) >= self._commands:
            return FlushReason.COMMANDS
        if self._bytes is not None and batch.size_bytes >= self._bytes:
            return FlushReason.BYTES
        return None

    def before_write(self, batch: Batch) -> FlushReason | None:
        """A host write acts on the queue now, so what is recorded goes first."""
        return FlushReason.WRITE if batch.commands else None

    def before_free(self, batch: Batch) -> FlushReason | None:
        """A destroyed buffer may not be referred to by a later submit."""
        return FlushReason.FREE if batch.commands else None
