"""The one place that acts: records commands in the open batch, and submits it.

What is to be recorded has been checked and planned by the caller.  Every queue
action of a runtime passes here, so that their order can be read in one file.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from gpusim.errors import DeviceFault, DeviceLost
from gpusim.kernels import Kernel
from gpusim.runtime.batch import Batch
from gpusim.runtime.bind_groups import BindGroupStore
from gpusim.runtime.buffers import Buffer
from gpusim.runtime.commands import (
    Command,
    CopyCommand,
    DeviceBuffer,
    DispatchCommand,
    Range,
)
from gpusim.runtime.driver import Driver
from gpusim.runtime.flush_rules import FlushReason, FlushRules
from gpusim.runtime.launch import Launch
from gpusim.runtime.readbacks import Readback, Readbacks
from gpusim.runtime.timeline import Timeline
from gpusim.runtime.uniforms import UniformStore


class Recorder:
    """The open batch of one runtime, and its way to the queue."""

    def __init__(
        self,
        driver: Driver,
        *,
        uniforms: UniformStore,
        bind_groups: BindGroupStore,
        rules: FlushRules,
        readbacks: Readbacks,
        timeline: Timeline,
    ) -> None:
        self.flushes: Counter[str] = Counter()
        self.commands = 0
        self._driver = driver
        self._uniforms = uniforms
        self._bind_groups = bind_groups
        self._rules = rules
        self._readbacks = readbacks
        self._timeline = timeline
        self._batch = Batch()

    def prepare(
        self,
        kernel: Kernel,
        bound: tuple[Range, ...],
        scalars: Sequence[int | float],
        launch: Launch,
    ) -> DispatchCommand:
        """The command of a dispatch, not yet recorded: nothing is changed if this raises."""
        pipeline = self._driver.compile(kernel)
        if kernel.uniform_bytes:
            if self._uniforms.is_full(self._batch):
                self.submit(FlushReason.UNIFORMS)
            payload = kernel.pack(scalars, launch.groups)
            bound = (*bound, self._uniforms.take(payload, self._batch))
        group = self._bind_groups.get(pipeline, bound)
        return DispatchCommand(pipeline, group, launch.spread)

    def record_dispatch(self, command: DispatchCommand, written: Sequence[Buffer]) -> None:
        """Record a prepared dispatch that writes the buffers ``written``."""
        size_bytes = command.pipeline.kernel.uniform_bytes
        if size_bytes:
            self._batch.use_uniform(size_bytes)
        self._record(command, written)

    def record_copy(self, command: CopyCommand, written: Buffer | None = None) -> None:
        """Record a copy of whole words; ``written`` is the user's buffer it writes, if any."""
        self._record(command, () if written is None else (written,))

    def retire(self, buffer: DeviceBuffer) -> None:
        """Destroy ``buffer`` at the next submit: every command that uses it is recorded."""
        self._batch.retired.append(buffer)

    def write(self, buffer: DeviceBuffer, offset: int, data: Any) -> None:
        """Queue whole words at once: ``before_write`` has been called."""
        self._driver.write_buffer(buffer, offset, data)
        self._timeline.wrote()

    def before_write(self) -> None:
        """Submit what a queue write may not overtake."""
        self._submit_for(self._rules.before_write(self._batch))

    def before_free(self) -> None:
        """Submit what may still refer to a buffer that is about to be destroyed."""
        self._submit_for(self._rules.before_free(self._batch))

    def read_back(self, readback: Readback, copy: CopyCommand, reason: FlushReason) -> None:
        """Record the staging copy of a read, submit, and ask for its map."""
        self._batch.record(copy)
        self._batch.readbacks.append(readback)
        self._readbacks.issue(readback)
        self.submit(reason)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is recorded."""
        return not self._batch.commands

    def retired(self) -> list[DeviceBuffer]:
        """Give up the buffers that wait for a submit, where none will come."""
        retired, self._batch.retired = self._batch.retired, []
        return retired

    def submit(self, reason: FlushReason) -> None:
        """Submit the open batch, or an empty one where queued writes wait for a submit.

        Raises:
            SubmitFailed, DeviceLost: the batch is gone, every buffer it would
                have written is lost, and every read in it has this error.
        """
        batch = self._batch
        if not batch.commands and not self._timeline.owes_submit:
            return
        # From here on nothing can be recorded into what is being submitted.
        self._batch = Batch()
        try:
            self._driver.submit(self._driver.encode(batch.commands, reason.value))
        except DeviceFault as fault:
            self._lose(batch, fault)
            raise
        finally:
            for buffer in batch.retired:
                self._driver.destroy_buffer(buffer)
        self._timeline.submitted()
        self.flushes[reason.value] += 1
        self.commands += len(batch)
        self._readbacks.submitted(batch.readbacks)

    def abandon(self) -> None:
        """Drop the open batch of a device that is lost."""
        batch, self._batch = self._batch, Batch()
        self._lose(batch, DeviceLost("cannot submit a batch because the device is lost"))
        for buffer in batch.retired:
            self._driver.destroy_buffer(buffer)

    def _record(self, command: Command, written: Sequence[Buffer]) -> None:
        self._batch.record(command, written)
        self._submit_for(self._rules.after_recording(self._batch))

    def _submit_for(self, reason: FlushReason | None) -> None:
        if reason is not None:
            self.submit(reason)

    def _lose(self, batch: Batch, fault: DeviceFault) -> None:
        for buffer in batch.written:
            buffer.lost = True
        for readback in batch.readbacks:
            self._readbacks.fail(readback, fault)
