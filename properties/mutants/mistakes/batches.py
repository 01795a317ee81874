"""Mistakes in the flush rules, which decide when a batch is submitted, and in staged writes.

The queue acts at once and a recorded command does not.  So a host write either comes after a
submit, or is staged and copied in the batch.  Mistakes in what is recorded, and how it is
submitted, are in ``recorder``.
"""

from gpusim.runtime.batch import Batch, FlushReason, FlushRules, Uploads
from gpusim.runtime.commands import CopyCommand, DeviceBuffer, DispatchCommand
from properties.mutants.mutant import mutant


@mutant(part="flush_rules", origin="TVM 18871's rule; cubecl#83, #814; filament#9103")
class WriteOvertakesBatch(FlushRules):
    """A host write goes to the queue while recorded commands wait."""

    def before_write(
        self, batch: Batch, buffer: DeviceBuffer, start: int, end: int
    ) -> FlushReason | None:
        return None


@mutant(part="flush_rules", origin="cubecl#814")
class CopyOnlyFlushSkipped(FlushRules):
    """A host write overtakes the open batch if the batch holds only copies."""

    def before_write(
        self, batch: Batch, buffer: DeviceBuffer, start: int, end: int
    ) -> FlushReason | None:
        pending = any(isinstance(command, DispatchCommand) for command in batch.commands)
        return FlushReason.WRITE if pending else None


@mutant(part="flush_rules")
class DispatchOnlyFlushSkipped(FlushRules):
    """A host write overtakes the open batch if the batch holds only dispatches."""

    def before_write(
        self, batch: Batch, buffer: DeviceBuffer, start: int, end: int
    ) -> FlushReason | None:
        pending = any(isinstance(command, CopyCommand) for command in batch.commands)
        return FlushReason.WRITE if pending else None


@mutant(part="flush_rules")
class WriteFlushesLongBatchesOnly(FlushRules):
    """A host write overtakes the open batch if the batch holds only one command."""

    def before_write(
        self, batch: Batch, buffer: DeviceBuffer, start: int, end: int
    ) -> FlushReason | None:
        return FlushReason.WRITE if len(batch) > 1 else None


@mutant(part="flush_rules")
class ConflictSeesWritersOnly(FlushRules):
    """A host write overtakes the open batch if no command of the batch writes its buffer."""

    def before_write(
        self, batch: Batch, buffer: DeviceBuffer, start: int, end: int
    ) -> FlushReason | None:
        if any(written._device_buffer is buffer for written in batch.written):
            return super().before_write(batch, buffer, start, end)
        return None


@mutant(part="flush_rules", hard=True)
class ConflictMissesLastWord(FlushRules):
    """A host write of more than two words overtakes commands that touch only its last word."""

    def before_write(
        self, batch: Batch, buffer: DeviceBuffer, start: int, end: int
    ) -> FlushReason | None:
        return super().before_write(batch, buffer, start, end - 4 * (end - start > 8))


@mutant(part="flush_rules", origin="TVM 19418", found_by="laws")
class LimitZeroMeansNever(FlushRules):
    """A limit of 0 commands means no limit, instead of a submit after each command."""

    def after_recording(self, batch: Batch) -> FlushReason | None:
        reason = super().after_recording(batch)
        never = reason is FlushReason.COMMANDS and self._policy.batch_commands == 0
        return None if never else reason


@mutant(part="flush_rules", found_by="laws")
class LimitOffByOne(FlushRules):
    """A batch holds one command more than its limit."""

    def after_recording(self, batch: Batch) -> FlushReason | None:
        reason = super().after_recording(batch)
        late = reason is FlushReason.COMMANDS and len(batch) == self._policy.batch_commands
        return None if late else reason


@mutant(part="flush_rules", found_by="laws")
class WorkgroupsNotCounted(FlushRules):
    """The limit of workgroups never submits a batch."""

    def after_recording(self, batch: Batch) -> FlushReason | None:
        reason = super().after_recording(batch)
        return None if reason is FlushReason.GROUPS else reason


@mutant(part="flush_rules", origin="wgpu#9354", found_by="laws")
class QueuedWritesNotCounted(FlushRules):
    """Any number of bytes of host writes may wait for a submit."""

    def before_queueing(self, waiting_bytes: int, size_bytes: int) -> FlushReason | None:
        return None


@mutant(part="uploads")
class UploadsShareOnePlace(Uploads):
    """Every staged write of a batch is copied from the start of the upload buffer."""

    def take(self, words: bytes | memoryview, batch: Batch) -> tuple[DeviceBuffer, int]:
        return super().take(words, batch)[0], 0


@mutant(part="uploads")
class UploadAcceptsAll(Uploads):
    """Every conflicting write is staged, even if it is too long or the upload buffer is full."""

    def accepts(self, batch: Batch, size_bytes: int) -> bool:
        return self._most_bytes > 0


@mutant(part="uploads")
class UploadWrittenAtTake(Uploads):
    """Each staged write is written to the start of the upload buffer at once, not at the submit."""

    def take(self, words: bytes | memoryview, batch: Batch) -> tuple[DeviceBuffer, int]:
        buffer, _ = super().take(words, batch)
        self._driver.write_buffer(buffer, 0, words)
        batch.upload_data.clear()
        return buffer, 0


@mutant(part="uploads", hard=True)
class UploadKeepsFirst(Uploads):
    """Staged bytes are not written if there are as many as in the last batch that staged any."""

    def before_submit(self, batch: Batch) -> None:
        if len(batch.upload_data) != self._written:
            super().before_submit(batch)
        self._written = len(batch.upload_data) or self._written

    _written = 0
