"""The only place that acts: records commands in the open batch, and submits it.

The caller has checked and planned what is recorded.  Every batch is submitted in this file, and
every queue write is called from it, so that their order can be read here.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

from gpusim.errors import DeviceFault, DeviceLost
from gpusim.runtime.batch import Batch, FlushReason, FlushRules, Uploads
from gpusim.runtime.buffers import Buffer, Losing
from gpusim.runtime.caches import BindGroupStore
from gpusim.runtime.commands import (
    BindGroup,
    CopyCommand,
    DeviceBuffer,
    DispatchCommand,
    PlainRange,
    Range,
    RecordedCommand,
    new_tuple,
)
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.host_writes import HostWrite, HostWrites, QueueClock
from gpusim.runtime.plans import DispatchPlan
from gpusim.runtime.readbacks import Readbacks
from gpusim.runtime.runs import Run, WordCopy
from gpusim.runtime.staging import StagingPage
from gpusim.runtime.uniforms import DynamicUniforms, UniformStore


class Recorder:
    """Records commands in the open batch of one runtime, and submits the batch to the queue."""

    def __init__(
        self,
        driver: Driver,
        *,
        uniforms: UniformStore,
        bind_groups: BindGroupStore,
        uploads: Uploads,
        rules: FlushRules,
        readbacks: Readbacks,
        clock: QueueClock,
        merge_passes: bool,
        keep_groups: bool,
        wait_seconds: float | None,
    ) -> None:
        self.flushes: Counter[str] = Counter()
        self.commands = 0
        self.most_queued_bytes = rules.most_queued_bytes
        """A longer host write is split into pieces; the batch may be submitted between pieces."""
        self._driver = driver
        self._uniforms = uniforms
        self._bind_groups = bind_groups
        self._uploads = uploads
        self._rules = rules
        self._readbacks = readbacks
        self._clock = clock
        self._merge_passes = merge_passes
        self._keep_groups = keep_groups
        self._batch = Batch()
        self._host_writes = HostWrites(driver, clock=clock, rules=rules, wait_seconds=wait_seconds)

    def dispatch(self, plan: DispatchPlan, payload: bytes) -> None:
        """Record a dispatch with its packed scalars.

        If the open batch has no room for the scalars, it is submitted first.  If the
        dispatch reaches a limit, the batch is submitted afterwards.  A failure before the
        dispatch is recorded leaves neither the dispatch nor its scalars in the batch.
        """
        batch, uniforms, rules = self._batch, self._uniforms, self._rules
        if plan.ring is None or plan not in batch.plans:
            self._record_dispatch(self._prepare(plan, payload), plan)
            return
        # The common case, written out to save calls: the batch has a dispatch of this plan already.
        # So the bytes that it touches are noted, and its bind group and ring stay until the submit.
        if uniforms.is_full(batch, len(payload)):
            self.submit(FlushReason.UNIFORMS)
            self._record_dispatch(self._prepare(plan, payload), plan)
            return
        _, offset, size_bytes = uniforms.take(payload, batch)
        fields = plan.pipeline, plan.group, plan.spread, offset
        batch.commands.append(new_tuple(DispatchCommand, fields))
        batch.size_bytes += size_bytes
        batch.groups += plan.launched
        if (
            len(batch.commands) >= rules.soonest
            or batch.size_bytes >= rules.most_bytes
            or batch.groups >= rules.most_groups
        ):
            self._submit_for(rules.after_recording(batch))

    def write_and_patch(self, words: HostWrite | None, patch: DispatchPlan, payload: bytes) -> None:
        """Write whole words, if any, and record the dispatch that patches bytes beside them.

        If the write or the dispatch fails, neither is done.
        """
        command = self._prepare(patch, payload)
        if words is not None:
            try:
                self.write(words)
            except DeviceFault:
                if command.uniform_offset is not None:
                    del self._batch.uniform_data[command.uniform_offset :]
                raise
        self._record_dispatch(command, patch)

    def record_run(self, run: Run, payload: bytes) -> None:
        """Record a run; ``payload`` holds the uniforms of its steps, each padded to its stride.

        The run is split into the same batches as if its commands were recorded one by one.
        If it fails half way, all buffers that its steps write are lost.
        """
        self._bind_run(run)
        done = self._record_part(run, payload, 0)
        with Losing(*run.written):
            self._submit_for(self._rules.after_recording(self._batch))
            while done < len(run):
                done = self._record_part(run, payload, done)
                self._submit_for(self._rules.after_recording(self._batch))

    def record_copy(self, command: CopyCommand, written: Sequence[Buffer] = ()) -> None:
        """Record a copy of whole words; ``written`` are the user's buffers that it writes."""
        self._batch.record_copy(command, written)
        self._submit_for(self._rules.after_recording(self._batch))

    def record_readback(self, command: CopyCommand, page: StagingPage, *, fence: bool) -> None:
        """Record a read's staging copy; submit if it is the ``fence``, or if reads do not join."""
        self._batch.record_copy(command)
        if page not in self._batch.pages[-1:]:
            self._batch.pages.append(page)
        if fence:
            self.submit(FlushReason.SYNC)
        else:
            rules = self._rules
            self._submit_for(rules.after_read(self._batch) or rules.after_recording(self._batch))

    @contextmanager
    def all_or_nothing(self, written: Sequence[Buffer]) -> Iterator[None]:
        """Take back what the block has recorded, if it fails.

        ``written`` are the buffers that the block writes.  If a part of the block was submitted,
        all of them are lost.  Otherwise those that were lost before the block are lost again, since
        the commands that would have overwritten them are taken back.
        """
        batch, mark = self._batch, self._batch.mark()
        lost = [buffer for buffer in written if buffer.lost]
        try:
            yield
        except BaseException:
            # Buffers that were retired in the block must still be destroyed: their cache may have
            # dropped them already.
            if self._batch is batch:
                batch.back_to(mark)
            else:
                lost, retired = [*written], self._batch.retired
                self._batch = Batch()
                self._batch.retired = retired
            for buffer in lost:
                buffer.lost = True
            raise

    def retire(self, buffer: DeviceBuffer) -> None:
        """Destroy ``buffer`` after the next submit; no later command may use it."""
        self._batch.retired.append(buffer)

    def destroy(self, buffer: DeviceBuffer) -> None:
        """Destroy a buffer; if the open batch touches the buffer, only after the submit."""
        if self._batch.touches(buffer):
            self.retire(buffer)
        else:
            self._driver.destroy_buffer(buffer)

    def before_write(self, target: DeviceBuffer, start: int, end: int) -> bool:
        """Before a write of bytes ``start`` to ``end``: submit the commands that it would overtake.

        Returns True if the write is to be staged instead, and copied at its place in the batch.  If
        False, the queue has room for the bytes, or for the first piece of a long write.
        """
        reason = self._rules.before_write(self._batch, target, start, end)
        if reason is not None and self._uploads.accepts(self._batch, end - start):
            return True
        self._submit_for(reason)
        self._host_writes.before(end - start, self.submit)
        return False

    def write(self, write: HostWrite) -> None:
        """Write whole words, at once or staged; ``after_write`` then submits a full batch."""
        target, offset, words, written, staged = write
        if staged:
            source, source_offset = self._uploads.take(words, self._batch)
            copy = CopyCommand(source, source_offset, target, offset, len(words))
            self._batch.record_copy(copy, (written,))
        else:
            self._host_writes.write(write, self.submit)

    def after_write(self) -> None:
        """Submit if a staged write has filled the batch."""
        if self._batch.commands:
            self._submit_for(self._rules.after_recording(self._batch))

    def before_free(self, buffer: DeviceBuffer) -> None:
        """Submit if the policy says so, or if ``buffer`` is adopted and the batch uses it.

        The owner of an adopted buffer may destroy the buffer after this free.
        """
        is_wanted = buffer.is_adopted and self._batch.touches(buffer)
        self._submit_for(FlushReason.FREE if is_wanted else self._rules.before_free(self._batch))

    def after_sync(self) -> None:
        """Start again with small batches, since everything is done."""
        self._rules.after_sync()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is recorded."""
        return not self._batch.commands

    @property
    def pages(self) -> list[StagingPage]:
        """The staging pages of the open batch."""
        return self._batch.pages

    @property
    def has_reads(self) -> bool:
        """Whether the open batch holds a read."""
        return bool(self._batch.pages)

    def submit(self, reason: FlushReason) -> None:
        """Submit the open batch, or an empty one if queued writes wait for a submit.

        Raises:
            SubmitFailed, DeviceLost: the batch is dropped, every buffer that it would have
                written is lost, and every read in it has this error.
        """
        batch = self._batch
        if not batch.commands and not self._clock.owes_submit:
            return
        # From here on nothing can be recorded into the batch that is submitted.
        self._batch = Batch()
        try:
            self._hand_over(batch, reason)
        except DeviceFault as fault:
            self._lose(batch, fault)
            raise
        finally:
            for buffer in batch.retired:
                self._driver.destroy_buffer(buffer)
        self._clock.submitted()
        self.flushes[str(reason)] += 1
        self.commands += len(batch)
        self._readbacks.submitted(batch.pages)

    def abandon(self) -> None:
        """Drop the open batch of a device that is lost."""
        batch, self._batch = self._batch, Batch()
        self._lose(batch, DeviceLost("cannot submit a batch because the device is lost"))
        for buffer in batch.retired:
            self._driver.destroy_buffer(buffer)

    def retired(self) -> list[DeviceBuffer]:
        """Give up the retired buffers of a batch that is never submitted; the caller destroys
        them."""
        retired, self._batch.retired = self._batch.retired, []
        return retired

    def _prepare(self, plan: DispatchPlan, payload: bytes) -> DispatchCommand:
        """Take the uniforms of a dispatch; returns its command, which is not recorded yet.

        Submits the open batch first if it has no room for the uniforms.  A failure leaves no
        uniforms in the batch.
        """
        if not payload:
            return self._without_uniforms(plan)
        uniforms = self._uniforms
        if uniforms.is_full(self._batch, len(payload)):
            self.submit(FlushReason.UNIFORMS)
        buffer, offset, _ = uniform = uniforms.take(payload, self._batch)
        if plan.ring is buffer:
            # The common case: the plan has a bind group over this ring, and only the offset is new.
            return new_tuple(DispatchCommand, (plan.pipeline, plan.group, plan.spread, offset))
        try:
            return self._bind(plan, uniform)
        except DeviceFault:
            del self._batch.uniform_data[offset:]
            raise

    def _record_dispatch(self, command: DispatchCommand, plan: DispatchPlan) -> None:
        self._batch.record_dispatch(command, plan)
        reason = self._rules.after_recording(self._batch)
        if reason is not None:
            self.submit(reason)

    def _bind_run(self, run: Run) -> None:
        """Give a run its commands, before anything of it is recorded."""
        ring, most = None, max(run.strides)
        if most:
            uniforms = cast(DynamicUniforms, self._uniforms)
            if most > uniforms.capacity_bytes and uniforms.is_full(self._batch, most):
                self.submit(FlushReason.UNIFORMS)
            ring = uniforms.ring_for(most, self._batch)
        if run.ring is not ring or not run.is_bound:
            steps = zip(run.steps, run.starts, strict=False)
            run.bind(ring, [self._command_of(step, ring, start) for step, start in steps])

    def _command_of(
        self, step: DispatchPlan | WordCopy, ring: DeviceBuffer | None, start: int
    ) -> RecordedCommand:
        if isinstance(step, WordCopy):
            return step.command
        if ring is None or not step.uniform_bytes:
            return self._without_uniforms(step)
        return self._bind(step, Range(ring, start, step.uniform_bytes))

    def _record_part(self, run: Run, payload: bytes, start: int) -> int:
        """Record as many steps as the batch has room for, at least one; returns where they end."""
        if run.strides[start] and self._uniforms.is_full(self._batch, run.strides[start]):
            self.submit(FlushReason.UNIFORMS)
        stop = self._end_of_part(run, start)
        offset = len(self._batch.uniform_data)
        part = run.part(start, stop, offset)
        first, last = run.starts[start], run.starts[stop]
        if first < last:
            self._uniforms.take(payload[first:last], self._batch)
        self._batch.extend(part)
        return stop

    def _end_of_part(self, run: Run, start: int) -> int:
        """Where a part ends: after the step that reaches a limit, or before one that the ring lacks
        room for."""
        commands, moved_bytes, groups = self._rules.room(self._batch)
        stop = int(min(len(run), start + max(1, commands)))
        stop = min(stop, bisect_left(run.moved, run.moved[start] + moved_bytes, start + 1))
        stop = min(stop, bisect_left(run.groups, run.groups[start] + groups, start + 1))
        if run.starts[stop] > run.starts[start]:
            capacity_bytes = cast(DynamicUniforms, self._uniforms).capacity_bytes
            room_bytes = capacity_bytes - len(self._batch.uniform_data)
            stop = min(stop, bisect_right(run.starts, run.starts[start] + room_bytes) - 1)
        return stop

    def _bind(self, plan: DispatchPlan, uniform: PlainRange) -> DispatchCommand:
        buffer, offset, size_bytes = uniform
        if not plan.pipeline.dynamic_uniforms:
            group = self._bind_groups.get(plan.pipeline, (*plan.ranges, new_tuple(Range, uniform)))
            return new_tuple(DispatchCommand, (plan.pipeline, group, plan.spread, None))
        kept = plan.group
        if kept is None or plan.ring is not buffer:
            kept = self._group_of(plan, (*plan.ranges, Range(buffer, 0, size_bytes)))
            plan.ring = buffer if self._keep_groups else None
        return DispatchCommand(plan.pipeline, kept, plan.spread, offset)

    def _without_uniforms(self, plan: DispatchPlan) -> DispatchCommand:
        group = plan.group or self._group_of(plan, plan.ranges)
        return DispatchCommand(plan.pipeline, group, plan.spread)

    def _group_of(self, plan: DispatchPlan, ranges: tuple[Range, ...]) -> BindGroup:
        """A bind group that does not depend on the scalars; the plan keeps it if the policy caches
        bind groups."""
        group = self._bind_groups.get(plan.pipeline, ranges)
        if self._keep_groups:
            plan.group = group
        return group

    def _hand_over(self, batch: Batch, reason: FlushReason) -> None:
        self._uniforms.before_submit(batch)
        self._uploads.before_submit(batch)
        command_buffer = self._driver.encode(
            batch.commands, str(reason), merge_passes=self._merge_passes
        )
        self._driver.submit(command_buffer)

    def _submit_for(self, reason: FlushReason | None) -> None:
        if reason is not None:
            self.submit(reason)

    def _lose(self, batch: Batch, fault: DeviceFault) -> None:
        for buffer in batch.written:
            buffer.lost = True
        for page in batch.pages:
            self._readbacks.fail(page, fault)
