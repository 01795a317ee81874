"""The open batch, the uniform ring and upload buffer that it fills, and the rules for its submit.

A batch is data, and recording into it calls no device.  The rules only name the reason for a
submit; they submit nothing themselves.  The bytes for the ring and for the upload buffer are
gathered on the host.  Each of the two is written once for a batch, from offset 0, right before
the submit.  After the submit the next batch may overwrite them: both are on the *submitted* clock.

A host write and a destroy act on the queue at once, while recorded commands still wait.  So the
policies that follow TVM's pull request 18871 submit before every host write, readback, free and
sync.  With ``flush_on_conflict`` a host write submits only if a recorded command touches the same
bytes.
"""

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from gpusim.runtime.buffers import Buffer
from gpusim.runtime.byte_plans import words_up
from gpusim.runtime.commands import (
    CopyCommand,
    DeviceBuffer,
    DispatchCommand,
    PlainRange,
    RecordedCommand,
    Role,
)
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.plans import DispatchPlan
from gpusim.runtime.policy import Policy
from gpusim.runtime.staging import StagingPage
from gpusim.runtime.stats import Counts

_GROWING = ("commands", "written", "pages", "uniform_data", "upload_data", "plans")
_COUNTS = ("uniform_slots", "size_bytes", "groups")
"""What recording changes in a batch: what grows at its end, and what is counted."""
MOST_QUEUED_WRITES = 4096
"""The most host writes that may wait for a submit: each write costs wgpu about 2 KB."""


class Batch:
    """Commands since the last submit.

    The whole batch is on the *recorded* clock until it is submitted.  Only commands of
    the batch use its ``retired`` buffers, which are destroyed after its submit.
    """

    def __init__(self) -> None:
        self.commands: list[RecordedCommand] = []
        self.written: dict[Buffer, None] = {}
        self.retired: list[DeviceBuffer] = []
        self.pages: list[StagingPage] = []
        self.uniform_slots = 0
        self.uniform_data = bytearray()
        self.upload_data = bytearray()
        self.size_bytes = 0
        self.groups = 0
        self.plans: dict[DispatchPlan, None] = {}
        self._touched: dict[DeviceBuffer, tuple[int, int]] = {}
        self._touched_before: dict[DeviceBuffer, tuple[int, int] | None] | None = None
        """For each buffer that was touched since the last ``mark``: its span at that time."""

    def record_dispatch(self, command: DispatchCommand, plan: DispatchPlan) -> None:
        """Append a dispatch of ``plan``, and count the slot that its uniforms take in a pool."""
        self.commands.append(command)
        self.groups += plan.launched
        if plan.uniform_bytes:
            self.uniform_slots += 1
            self.size_bytes += plan.uniform_bytes
        if plan not in self.plans:
            self.plans[plan] = None
            for touched, offset, size_bytes in plan.touches:
                self._touch(touched, offset, offset + size_bytes)
            for buffer in plan.written:
                self.written[buffer] = None

    def record_copy(self, command: CopyCommand, written: Sequence[Buffer] = ()) -> None:
        """Append a copy; ``written`` are the user's buffers that it writes."""
        source, source_offset, target, target_offset, size_bytes = command
        self.commands.append(command)
        self.size_bytes += size_bytes
        self._touch(source, source_offset, source_offset + size_bytes)
        self._touch(target, target_offset, target_offset + size_bytes)
        for buffer in written:
            self.written[buffer] = None

    def mark(self) -> tuple[dict[str, int], dict[str, int]]:
        """A mark for ``back_to``.  Nothing is copied, so a mark of a long batch costs no more."""
        self._touched_before = {}
        sizes = {name: len(getattr(self, name)) for name in _GROWING}
        return sizes, {name: getattr(self, name) for name in _COUNTS}

    def back_to(self, mark: tuple[dict[str, int], dict[str, int]]) -> None:
        """Take back what was recorded since the last ``mark``, except what was retired."""
        sizes, counts = mark
        for name, size in sizes.items():
            grown: Any = getattr(self, name)
            if isinstance(grown, dict):
                while len(grown) > size:
                    grown.popitem()
            else:
                del grown[size:]
        for name, count in counts.items():
            setattr(self, name, count)
        for buffer, span in (self._touched_before or {}).items():
            if span is None:
                del self._touched[buffer]
            else:
                self._touched[buffer] = span

    def extend(self, part: "Batch") -> None:
        """Append the commands of ``part``; ``uniform_data`` has their payloads already."""
        self.commands += part.commands
        self.uniform_slots += part.uniform_slots
        self.size_bytes += part.size_bytes
        self.groups += part.groups
        self.written.update(part.written)
        for buffer, (start, end) in part._touched.items():
            self._touch(buffer, start, end)

    def touches(self, buffer: DeviceBuffer, start: int = 0, end: int | None = None) -> bool:
        """Whether a recorded command may read or write bytes from ``start`` to ``end``.

        Without ``end``, whether a command uses the buffer at all.
        A batch keeps one span of touched bytes for each buffer.  So True may be wrong, but
        False is always right.
        """
        span = self._touched.get(buffer)
        if span is None:
            return False
        return end is None or (start < span[1] and span[0] < end)

    def __len__(self) -> int:
        return len(self.commands)

    def _touch(self, buffer: DeviceBuffer, start: int, end: int) -> None:
        span = self._touched.get(buffer)
        if self._touched_before is not None:
            self._touched_before.setdefault(buffer, span)
        self._touched[buffer] = (
            (start, end) if span is None else (min(start, span[0]), max(end, span[1]))
        )


class FlushReason(StrEnum):
    """Why a batch was submitted."""

    ASKED = "asked"
    COMMANDS = "commands"
    BYTES = "bytes"
    GROUPS = "groups"
    EARLY = "early"
    UNIFORMS = "uniforms"
    WRITE = "write"
    READ = "read"
    QUEUED = "queued"
    FREE = "free"
    SYNC = "sync"
    DEBUG = "debug"
    CLOSE = "close"


class FlushRules:
    """Says, by the rules of a policy, whether the batch must be submitted now, and why."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._most_commands = math.inf if policy.batch_commands is None else policy.batch_commands
        self.most_bytes = math.inf if policy.batch_bytes is None else policy.batch_bytes
        self.most_groups = math.inf if policy.batch_groups is None else policy.batch_groups
        queued_bytes = policy.queued_write_bytes
        self.most_queued_bytes = math.inf if queued_bytes is None else queued_bytes
        """The most bytes of host writes that may wait for a submit.

        Twice as many may be unfinished, whether submitted or not."""
        self.least_queued_bytes = 0 if queued_bytes is None else queued_bytes // MOST_QUEUED_WRITES
        """A shorter host write counts as this many bytes, so that short writes reach the limit
        too."""
        self._early = math.inf
        self.after_sync()

    def after_recording(self, batch: Batch) -> FlushReason | None:
        """The reason to submit if the batch has reached a limit, or None.

        Every batch has reached a limit of 0.
        """
        count = len(batch.commands)
        if (
            count < self.soonest
            and batch.size_bytes < self.most_bytes
            and batch.groups < self.most_groups
        ):
            return None
        if self._policy.debug_submit_each:
            return FlushReason.DEBUG
        if count >= self._most_commands:
            return FlushReason.COMMANDS
        if batch.size_bytes >= self.most_bytes:
            return FlushReason.BYTES
        if batch.groups >= self.most_groups:
            return FlushReason.GROUPS
        self._set_early(2 * self._early)
        return FlushReason.EARLY

    def room(self, batch: Batch) -> tuple[float, float, float]:
        """How many more commands, bytes and workgroups the batch takes until it reaches a limit."""
        return (
            self.soonest - len(batch.commands),
            self.most_bytes - batch.size_bytes,
            self.most_groups - batch.groups,
        )

    def after_sync(self) -> None:
        """Note that the queue is empty, so the next batch is to be submitted early again."""
        first = self._policy.first_batch
        self._set_early(math.inf if first is None else first)

    def _set_early(self, commands: float) -> None:
        self._early = commands
        each = 0 if self._policy.debug_submit_each else math.inf
        self.soonest = min(each, self._most_commands, commands)

    def before_write(
        self, batch: Batch, buffer: DeviceBuffer, start: int, end: int
    ) -> FlushReason | None:
        """The reason to submit before a host write of bytes ``start`` to ``end``, or None."""
        if self._policy.flush_on_conflict:
            return FlushReason.WRITE if batch.touches(buffer, start, end) else None
        return FlushReason.WRITE if batch.commands else None

    def before_queueing(self, waiting_bytes: int, size_bytes: int) -> FlushReason | None:
        """The reason to submit before a host write of ``size_bytes``, or None.

        It is QUEUED if earlier writes of ``waiting_bytes`` wait for a submit, and the sum of the
        two sizes exceeds the limit.
        """
        is_full = waiting_bytes and waiting_bytes + size_bytes > self.most_queued_bytes
        return FlushReason.QUEUED if is_full else None

    def after_read(self, batch: Batch) -> FlushReason | None:
        """The reason to submit after a read's staging copy was recorded, or None."""
        return None if self._policy.join_reads else FlushReason.READ

    def before_free(self, batch: Batch) -> FlushReason | None:
        """The reason to submit before a free, or None.

        Recorded commands may use the freed buffer, and no submit may use a destroyed one.
        """
        if self._policy.defer_frees:
            return None
        return FlushReason.FREE if batch.commands else None


class RingUniforms:
    """Keeps the uniforms of a batch in one buffer, the ring.

    The payloads of a batch are gathered on the host and written once, at its submit.  Every batch
    starts at offset 0: the batch before it is submitted already, so the queue runs that batch
    before the new write.  A payload larger than the ring never fits after another payload.  So
    the open batch is submitted first, and then a larger ring is made.
    """

    is_dynamic = True

    def __init__(self, driver: Driver, capacity_bytes: int) -> None:
        self.counts = Counts()
        self._driver = driver
        self.capacity_bytes = capacity_bytes
        alignment_bytes = driver.limits.uniform_offset_alignment_bytes
        # size + rest & mask is the next multiple of the alignment, a power of two.
        self._rest, self._mask = alignment_bytes - 1, -alignment_bytes
        self._ring: DeviceBuffer | None = None

    def is_full(self, batch: Batch, size_bytes: int) -> bool:
        """Whether the batch has taken bytes, and ``size_bytes`` more do not fit after them."""
        used = len(batch.uniform_data)
        if used == 0 or used + (size_bytes + self._rest & self._mask) <= self.capacity_bytes:
            return False
        self.counts.exhausted += 1
        return True

    def take(self, payload: bytes, batch: Batch) -> PlainRange:
        """The next aligned range of the ring; ``payload`` is written there at the submit."""
        size_bytes = len(payload)
        stride = size_bytes + self._rest & self._mask
        ring = self._ring
        if ring is None or ring.size_bytes < stride:
            ring = self.ring_for(stride, batch)
        offset = len(batch.uniform_data)
        batch.uniform_data += payload.ljust(stride, b"\0")
        self.counts.reused += 1
        return ring, offset, size_bytes

    def before_submit(self, batch: Batch) -> None:
        """Write all payloads of ``batch`` at once."""
        if batch.uniform_data:
            assert self._ring is not None
            self._driver.write_buffer(self._ring, 0, batch.uniform_data)

    def clear(self) -> list[DeviceBuffer]:
        """Drop the ring; the caller destroys it."""
        ring, self._ring = self._ring, None
        self.counts.held = 0
        return [] if ring is None else [ring]

    def ring_for(self, size_bytes: int, batch: Batch) -> DeviceBuffer:
        """The ring, with room for ``size_bytes``; a larger ring replaces one that is too small."""
        ring = self._ring
        if ring is None or ring.size_bytes < size_bytes:
            ring = self._make_ring(size_bytes + self._rest & self._mask, batch)
        return ring

    def _make_ring(self, stride: int, batch: Batch) -> DeviceBuffer:
        capacity_bytes = max(self.capacity_bytes, stride)
        ring = self._driver.create_buffer(words_up(capacity_bytes), Role.UNIFORM)
        self.capacity_bytes = capacity_bytes
        if self._ring is not None:
            batch.retired.append(self._ring)
            self.counts.evicted += 1
        self._ring = ring
        self.counts.created += 1
        self.counts.held = 1
        return ring


class Uploads:
    """Gathers the bytes of staged host writes for the upload buffer.

    A copy command at the write's place in the batch brings them from there to their buffer.
    """

    def __init__(self, driver: Driver, policy: Policy) -> None:
        self._driver = driver
        self._most_bytes = policy.staged_write_bytes
        self._capacity_bytes = words_up(policy.upload_bytes)
        self._buffer: DeviceBuffer | None = None

    def accepts(self, batch: Batch, size_bytes: int) -> bool:
        """Whether a write of ``size_bytes`` is small enough, and the upload buffer has room."""
        fits = len(batch.upload_data) + words_up(size_bytes) <= self._capacity_bytes
        return size_bytes <= self._most_bytes and fits

    def take(self, words: bytes | memoryview, batch: Batch) -> tuple[DeviceBuffer, int]:
        """The buffer and offset at which ``words`` will be when ``batch`` runs.

        Raises OutOfMemory.
        """
        if self._buffer is None:
            self._buffer = self._driver.create_buffer(self._capacity_bytes, Role.UPLOAD)
        offset = len(batch.upload_data)
        batch.upload_data += words
        return self._buffer, offset

    def before_submit(self, batch: Batch) -> None:
        """Write all staged bytes of ``batch`` at once."""
        if batch.upload_data:
            assert self._buffer is not None
            self._driver.write_buffer(self._buffer, 0, batch.upload_data)

    def clear(self) -> list[DeviceBuffer]:
        """Drop the buffer; the caller destroys it."""
        buffer, self._buffer = self._buffer, None
        return [] if buffer is None else [buffer]
