"""Mistakes in what is recorded in a batch, and in how a batch is submitted, fails and is lost.

Mistakes in the flush rules, which decide when a batch is submitted, are in ``batches``.
"""

from collections.abc import Sequence
from typing import Any, TypeGuard

from gpusim.errors import DeviceFault, SubmitFailed
from gpusim.runtime.batch import Batch, FlushReason
from gpusim.runtime.buffers import Buffer, BufferTable, Losing
from gpusim.runtime.byte_plans import chunks
from gpusim.runtime.commands import CopyCommand, DeviceBuffer, DispatchCommand, Range, Role
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.host_writes import HostWrite, HostWrites, Submit
from gpusim.runtime.plans import DispatchPlan, Pipelines
from gpusim.runtime.recorder import Recorder
from gpusim.runtime.staging import StagingPage
from gpusim.runtime.transfers import Transfers
from properties.mutants.mutant import mutant


class StepwiseRecorder(Recorder):
    """Records every dispatch in steps that a mutant may change: it has no fast path."""

    def dispatch(self, plan: DispatchPlan, payload: bytes) -> None:
        self._record_dispatch(self._prepare(plan, payload), plan)


@mutant(part="recorder", origin="TVM 18871's rule")
class ReadMissesBatch(Recorder):
    """The copy of a read runs before the commands that were recorded earlier."""

    def record_readback(self, command: CopyCommand, page: StagingPage, *, fence: bool) -> None:
        recorded, self._batch = self._batch, Batch()
        super().record_readback(command, page, fence=fence)
        if self._batch.commands:
            recorded.commands[:0] = self._batch.commands
            recorded.pages += [page for page in self._batch.pages if page not in recorded.pages]
        self._batch = recorded


@mutant(part="recorder", origin="tfjs#1968")
class UniformRecycledAtDispatch(StepwiseRecorder):
    """A uniform slot goes back to the pool at the dispatch, not at the submit."""

    def _record_dispatch(self, command: DispatchCommand, plan: DispatchPlan) -> None:
        super()._record_dispatch(command, plan)
        self._batch.uniform_slots = 0


@mutant(part="recorder", origin="TVM 18871, first version")
class EvictFlushesInsidePass(StepwiseRecorder):
    """If the batch has a uniform buffer to destroy, a dispatch submits the batch and is lost."""

    def _record_dispatch(self, command: DispatchCommand, plan: DispatchPlan) -> None:
        evicted = any(buffer.role is Role.UNIFORM for buffer in self._batch.retired)
        if evicted and self._batch.commands and not self._uniforms.is_dynamic:
            self.submit(FlushReason.UNIFORMS)
            return
        super()._record_dispatch(command, plan)


@mutant(part="recorder")
class DispatchLostAtExhaustion(StepwiseRecorder):
    """A dispatch that finds the uniforms full submits the batch, and is itself lost."""

    def _prepare(self, plan: DispatchPlan, payload: bytes) -> DispatchCommand:
        full = self.flushes[FlushReason.UNIFORMS.value]
        command = super()._prepare(plan, payload)
        if self.flushes[FlushReason.UNIFORMS.value] > full:
            return command._replace(groups=(0, 1, 1))
        return command


@mutant(part="recorder")
class CommandTwiceAtLimit(StepwiseRecorder):
    """A dispatch that fills a batch is recorded again in the next, if it has no dynamic offset."""

    def _record_dispatch(self, command: DispatchCommand, plan: DispatchPlan) -> None:
        limit = self.flushes[FlushReason.COMMANDS.value]
        super()._record_dispatch(command, plan)
        dynamic = command.uniform_offset is not None
        if self.flushes[FlushReason.COMMANDS.value] > limit and not dynamic:
            self._batch.record_dispatch(command, plan)


@mutant(part="recorder")
class CopiesHoisted(Recorder):
    """The copies of a batch are encoded before its dispatches, to open fewer passes."""

    def submit(self, reason: FlushReason) -> None:
        self._batch.commands.sort(key=lambda command: isinstance(command, DispatchCommand))
        super().submit(reason)


@mutant(part="recorder", origin="ORT#27592; cubecl#961")
class TwoStreamsOneEncoder(Recorder):
    """A batch runs every other command, from the first on, and then the rest."""

    def submit(self, reason: FlushReason) -> None:
        commands = self._batch.commands
        commands[:] = commands[::2] + commands[1::2]
        super().submit(reason)


@mutant(part="recorder")
class SameGroupTwiceIsOnce(StepwiseRecorder):
    """A dispatch is left out if the command before it is a dispatch that binds the same ranges."""

    def _record_dispatch(self, command: DispatchCommand, plan: DispatchPlan) -> None:
        last = self._batch.commands[-1] if self._batch.commands else None
        if not isinstance(last, DispatchCommand) or _ranges(last) != _ranges(command):
            super()._record_dispatch(command, plan)


@mutant(part="recorder")
class PassKeepsFirstGroup(StepwiseRecorder):
    """In a pass, dispatches of one kernel in a row all use the bind group of the first."""

    def _record_dispatch(self, command: DispatchCommand, plan: DispatchPlan) -> None:
        last = self._batch.commands[-1] if self._batch.commands else None
        if (
            self._merge_passes
            and isinstance(last, DispatchCommand)
            and last.pipeline is command.pipeline
            and last.bind_group is not command.bind_group
        ):
            command = command._replace(bind_group=last.bind_group)
        super()._record_dispatch(command, plan)


@mutant(part="recorder", origin="TVM 18871's rule; ORT#27068")
class FreeBeforeFlush(Recorder):
    """A buffer is destroyed while recorded commands refer to it."""

    def before_free(self, buffer: DeviceBuffer) -> None:
        """Submit nothing."""

    def destroy(self, buffer: DeviceBuffer) -> None:
        self._driver.destroy_buffer(buffer)


@mutant(part="recorder", hard=True)
class FreeFlushesDispatchesOnly(Recorder):
    """If the open batch holds only copies, a free destroys a buffer that they use."""

    def before_free(self, buffer: DeviceBuffer) -> None:
        if any(isinstance(command, DispatchCommand) for command in self._batch.commands):
            self.submit(FlushReason.FREE)

    def destroy(self, buffer: DeviceBuffer) -> None:
        self._driver.destroy_buffer(buffer)


@mutant(part="recorder")
class FreeDefersWritersOnly(Recorder):
    """A buffer that the open batch only reads is destroyed at its free."""

    def destroy(self, buffer: DeviceBuffer) -> None:
        targets = [command.target for command in self._batch.commands if _is_copy(command)]
        if buffer in targets or self._bound_for_writing(buffer):
            super().destroy(buffer)
        else:
            self._driver.destroy_buffer(buffer)

    def _bound_for_writing(self, buffer: DeviceBuffer) -> bool:
        return any(
            bound.buffer is buffer and written
            for command in self._batch.commands
            if isinstance(command, DispatchCommand)
            for bound, written in zip(
                _ranges(command), command.pipeline.kernel.writes, strict=False
            )
        )


@mutant(part="recorder")
class DeferredFreeForgotten(Recorder):
    """A retired buffer is destroyed when the next one is retired, not after the submit."""

    def retire(self, buffer: DeviceBuffer) -> None:
        for old in self._waiting:
            self._driver.destroy_buffer(old)
        self._waiting = [buffer]

    _waiting: Sequence[DeviceBuffer] = ()


@mutant(part="recorder")
class RetiredDestroyedAtOnce(Recorder):
    """A retired buffer is destroyed at once, though the open batch uses it."""

    def retire(self, buffer: DeviceBuffer) -> None:
        self._driver.destroy_buffer(buffer)


@mutant(part="recorder")
class StagedWriteGoesAtOnce(Recorder):
    """A write of one word that should be staged goes to the queue at once."""

    def write(self, write: HostWrite) -> None:
        super().write(write._replace(staged=write.staged and len(write.words) > 4))


@mutant(part="recorder", hard=True)
class StagedWriteUntouched(Recorder):
    """A staged write does not count as touching its bytes, so the next host write overtakes it."""

    def write(self, write: HostWrite) -> None:
        touched = dict(self._batch._touched)
        super().write(write)
        self._batch._touched = touched


@mutant(part="recorder", hard=True)
class SpanOfLastCopy(Recorder):
    """After a copy to a buffer, only the bytes that it wrote count as touched in that buffer."""

    def record_copy(self, command: CopyCommand, written: Sequence[Buffer] = ()) -> None:
        start, end = command.target_offset, command.target_offset + command.size_bytes
        super().record_copy(command, written)
        if command.target in self._batch._touched:
            self._batch._touched[command.target] = start, end


@mutant(part="recorder", origin="tfjs#7634, #4303")
class FreeWhileReadPending(Recorder):
    """A pending read does not count as touching its buffer, so a free destroys the buffer early."""

    def record_readback(self, command: CopyCommand, page: StagingPage, *, fence: bool) -> None:
        touched = dict(self._batch._touched)
        self._batch.record_copy(command)
        self._batch._touched = touched
        self._batch.pages += [page] if page not in self._batch.pages else []
        if fence:
            self.submit(FlushReason.SYNC)

    def before_free(self, buffer: DeviceBuffer) -> None:
        if self._batch.written:
            super().before_free(buffer)


class _BeginsEarly(BufferTable):
    """A table that reports each dispatch over a freed buffer to the recorder."""

    recorder: "BadDispatchLeavesPassOpen | None" = None

    def whole_words(self, buffer: Buffer) -> Range:
        if self.recorder is not None and not buffer.is_live:
            self.recorder.begun += 1
        return super().whole_words(buffer)


def _join(
    driver: Driver, recorder: Recorder, buffers: BufferTable, pipelines: Pipelines
) -> Transfers:
    assert isinstance(buffers, _BeginsEarly)
    assert isinstance(recorder, BadDispatchLeavesPassOpen)
    buffers.recorder = recorder
    return Transfers(driver, recorder, buffers, pipelines)


@mutant(
    part="recorder",
    origin="TVM, found by reading",
    hard=True,
    beside={"buffers": _BeginsEarly, "transfers": _join},
)
class BadDispatchLeavesPassOpen(StepwiseRecorder):
    """A dispatch that is refused for a freed buffer makes the next dispatch lose the open batch."""

    begun = 0

    def _record_dispatch(self, command: DispatchCommand, plan: DispatchPlan) -> None:
        if self.begun and self._batch.commands:
            lost, self._batch = self._batch, Batch()
            self._lose(lost, SubmitFailed("cannot begin a pass because one is open"))
        self.begun = 0
        super()._record_dispatch(command, plan)


@mutant(part="recorder", origin="TVM, found by reading", found_by="faults")
class FlushKeepsDeadEncoder(Recorder):
    """After a failed submit the encoder is kept, and every later submit fails with it."""

    _dead: DeviceFault | None = None

    def submit(self, reason: FlushReason) -> None:
        if self._dead is not None and self._batch.commands:
            lost, self._batch = self._batch, Batch()
            self._lose(lost, self._dead)
            raise SubmitFailed("cannot submit because the encoder has ended")
        try:
            super().submit(reason)
        except DeviceFault as fault:
            self._dead = fault
            raise


@mutant(part="recorder", found_by="faults")
class FailedBatchKept(Recorder):
    """The copies of a batch whose submit failed stay recorded, and run with the next batch."""

    def submit(self, reason: FlushReason) -> None:
        commands = list(self._batch.commands)
        try:
            super().submit(reason)
        except DeviceFault:
            kept = [one for one in commands if _is_copy(one)]
            self._batch.commands += [one for one in kept if one.target.role is Role.STORAGE]
            raise


@mutant(part="recorder", origin="cubecl#1641", found_by="faults")
class ReadAfterErrorReturnsBytes(Recorder):
    """After a lost batch a read hands out what the buffer held before."""

    def _lose(self, batch: Batch, fault: DeviceFault) -> None:
        batch.written.clear()
        super()._lose(batch, fault)


@mutant(part="recorder", found_by="faults", hard=True)
class FaultLosesEverything(Recorder):
    """A batch that fails loses every buffer that any batch has ever written."""

    def __init__(self, driver: Driver, **parts: Any) -> None:
        super().__init__(driver, **parts)
        self._ever: dict[Buffer, None] = {}

    def submit(self, reason: FlushReason) -> None:
        self._ever.update(self._batch.written)
        super().submit(reason)

    def _lose(self, batch: Batch, fault: DeviceFault) -> None:
        batch.written.update(self._ever)
        super()._lose(batch, fault)


@mutant(part="recorder", found_by="faults")
class FaultSwallowed(Recorder):
    """A submit that fails marks buffers as lost, and raises no error."""

    def submit(self, reason: FlushReason) -> None:
        try:
            super().submit(reason)
        except SubmitFailed:
            return


def _ranges(command: DispatchCommand) -> tuple[Range, ...]:
    """The ranges that a dispatch binds; the dynamic offset shifts the range of the uniforms."""
    if command.uniform_offset is None:
        return command.bind_group.ranges
    *buffers, uniform = command.bind_group.ranges
    shifted = Range(uniform.buffer, uniform.offset + command.uniform_offset, uniform.size_bytes)
    return (*buffers, shifted)


def _is_copy(command: Any) -> TypeGuard[CopyCommand]:
    return isinstance(command, CopyCommand)


class _AnyPieces(HostWrites):
    def write(self, write: HostWrite, submit: Submit) -> None:
        target, offset, words, written, _ = write
        if len(words) <= self._most_bytes:
            self._queue(target, offset, words)
            return
        with Losing(written):
            for start, size_bytes in chunks(len(words), int(self._most_bytes)):
                self._make_room(size_bytes, submit)
                self._queue(target, offset + start, words[start : start + size_bytes])


@mutant(part="recorder")
class PiecesNotWords(Recorder):
    """A long write is split into pieces of the policy's size, which may end within a word."""

    def __init__(self, driver: Driver, **others: Any) -> None:
        super().__init__(driver, **others)
        self._host_writes.__class__ = _AnyPieces
