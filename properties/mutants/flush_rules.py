"""Mistakes in when the open batch must reach the queue."""

from typing import Any

from gpusim.runtime.batch import Batch, FlushReason, FlushRules
from gpusim.runtime.commands import CopyCommand, DeviceBuffer, DispatchCommand
from gpusim.runtime.parts import Parts
from properties.mutants.mutant import Mutant, mutant


class WriteOvertakesBatch(FlushRules):
    """A host write goes to the queue while recorded commands wait."""

    def before_write(
        self, batch: Batch, buffer: DeviceBuffer, start: int, end: int
    ) -> FlushReason | None:
        return None


class CopyOnlyFlushSkipped(FlushRules):
    """Nothing is submitted before a host write where no dispatch is pending, though copies are."""

    def before_write(
        self, batch: Batch, buffer: DeviceBuffer, start: int, end: int
    ) -> FlushReason | None:
        pending = any(isinstance(command, DispatchCommand) for command in batch.commands)
        return FlushReason.WRITE if pending else None


class DispatchOnlyFlushSkipped(FlushRules):
    """Nothing is submitted before a host write where no copy is pending, though dispatches are."""

    def before_write(
        self, batch: Batch, buffer: DeviceBuffer, start: int, end: int
    ) -> FlushReason | None:
        pending = any(isinstance(command, CopyCommand) for command in batch.commands)
        return FlushReason.WRITE if pending else None


class WriteFlushesLongBatchesOnly(FlushRules):
    """One recorded command alone is not thought worth a submit before a host write."""

    def before_write(
        self, batch: Batch, buffer: DeviceBuffer, start: int, end: int
    ) -> FlushReason | None:
        return FlushReason.WRITE if len(batch) > 1 else None


class ConflictSeesWritersOnly(FlushRules):
    """A host write conflicts with recorded commands that write its buffer, not with readers."""

    def before_write(
        self, batch: Batch, buffer: DeviceBuffer, start: int, end: int
    ) -> FlushReason | None:
        if any(written._device_buffer is buffer for written in batch.written):
            return super().before_write(batch, buffer, start, end)
        return None


class ConflictMissesLastWord(FlushRules):
    """A host write does not conflict with commands that touch its last word only."""

    def before_write(
        self, batch: Batch, buffer: DeviceBuffer, start: int, end: int
    ) -> FlushReason | None:
        return super().before_write(batch, buffer, start, end - 4 * (end - start > 8))


class LimitZeroMeansNever(FlushRules):
    """The limit 0 means "no limit" where a submit after each command was promised."""

    def after_recording(self, batch: Batch) -> FlushReason | None:
        reason = super().after_recording(batch)
        never = reason is FlushReason.COMMANDS and self._policy.batch_commands == 0
        return None if never else reason


class LimitOffByOne(FlushRules):
    """A batch holds one command more than its limit."""

    def after_recording(self, batch: Batch) -> FlushReason | None:
        reason = super().after_recording(batch)
        late = reason is FlushReason.COMMANDS and len(batch) == self._policy.batch_commands
        return None if late else reason


def _rules(broken: type[FlushRules], **about: Any) -> Mutant:
    return mutant(broken, parts=Parts(flush_rules=broken), **about)


MUTANTS = (
    _rules(WriteOvertakesBatch, ancestor="TVM 18871's rule; cubecl#83, #814; filament#9103"),
    _rules(CopyOnlyFlushSkipped, ancestor="cubecl#814"),
    _rules(DispatchOnlyFlushSkipped),
    _rules(WriteFlushesLongBatchesOnly),
    _rules(ConflictSeesWritersOnly),
    _rules(ConflictMissesLastWord, hard=True),
    _rules(LimitZeroMeansNever, ancestor="TVM 19418", prey="laws"),
    _rules(LimitOffByOne, prey="laws"),
)
