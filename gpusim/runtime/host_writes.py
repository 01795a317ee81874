"""Queued host writes: how many bytes wait for the queue, and how many are unfinished.

A queued write acts before any later submit.  wgpu keeps the bytes in host memory until
a submit has started the write and the GPU has finished it.  So this file counts the
bytes that wait for a submit and the bytes that are unfinished, and limits both as the
policy says.  ``batch`` decides when a write may act.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from gpusim.runtime import checks
from gpusim.runtime.batch import FlushReason, FlushRules
from gpusim.runtime.buffers import Buffer, Losing
from gpusim.runtime.byte_plans import chunks, words_down
from gpusim.runtime.commands import DeviceBuffer
from gpusim.runtime.drivers.driver import Driver

Submit = Callable[[FlushReason], None]


class HostWrite(NamedTuple):
    """Whole words to be written into ``target`` at ``offset``.

    If ``staged``, a copy command at the write's place in the batch brings them; otherwise the
    queue is given the write now.  ``written`` is the user's buffer that the words belong to.
    """

    target: DeviceBuffer
    offset: int
    words: bytes | memoryview
    written: Buffer
    staged: bool


class QueueClock:
    """Counts the acts of one queue: its writes and its submits.

    A queued write starts with the submit that follows it.  So if the last act is a write, a submit
    is owed.
    """

    def __init__(self) -> None:
        self.acts = 0
        self.submits = 0
        self.done = 0
        self.waiting_bytes = 0
        """Bytes of writes that no submit has started yet."""
        self.held_bytes = 0
        """Bytes of all writes that are not known to be done."""
        self._submitted = 0
        self._started: deque[tuple[int, int]] = deque()
        """The number and the bytes of each submit that started writes and is not known to be
        done."""

    def count_from(self, act: int) -> None:
        """Number the acts of a new clock from ``act`` on; nothing depends on the first number."""
        self.acts = self.done = self._submitted = act

    def wrote(self, size_bytes: int) -> None:
        """Count a write that the queue was given."""
        self.acts += 1
        self.waiting_bytes += size_bytes
        self.held_bytes += size_bytes

    def submitted(self) -> None:
        """Count a submit; it also starts every write before it."""
        self.acts += 1
        self.submits += 1
        self._submitted = self.acts
        if self.waiting_bytes:
            self._started.append((self.acts, self.waiting_bytes))
            self.waiting_bytes = 0

    def finished(self, act: int) -> None:
        """Note that everything up to ``act`` is done, since the queue works in order."""
        self.done = max(self.done, act)
        while self._started and self._started[0][0] <= act:
            self.held_bytes -= self._started.popleft()[1]

    def drained(self) -> None:
        """Note that everything submitted is done."""
        self.finished(self._submitted)

    @property
    def owes_submit(self) -> bool:
        """Whether a queued write still waits for a submit to start it."""
        return self.acts > self._submitted

    @property
    def is_idle(self) -> bool:
        """Whether the queue has done all that it was given."""
        return self.done == self.acts


class HostWrites:
    """Queues host writes, and bounds the host memory that they hold.

    The argument ``submit`` of its methods submits the open batch, or an empty batch.
    """

    def __init__(
        self,
        driver: Driver,
        *,
        clock: QueueClock,
        rules: FlushRules,
        wait_seconds: float | None,
    ) -> None:
        self._driver = driver
        self._clock = clock
        self._rules = rules
        self._wait_seconds = wait_seconds
        self._most_bytes = rules.most_queued_bytes
        self._least_bytes = rules.least_queued_bytes

    def before(self, size_bytes: int, submit: Submit) -> None:
        """Make room for a write of ``size_bytes``; WaitTimedOut if the device takes too long."""
        if self._clock.held_bytes + size_bytes + self._least_bytes > self._most_bytes:
            self._make_room(int(min(size_bytes, self._most_bytes)), submit)

    def write(self, write: HostWrite, submit: Submit) -> None:
        """Queue a write, in pieces if it is long; a failure half way loses the buffer."""
        target, offset, words, written, _ = write
        if len(words) <= self._most_bytes:
            self._queue(target, offset, words)
            return
        first, *others = chunks(len(words), words_down(int(self._most_bytes)))
        self._queue(target, offset, words[: first[1]])
        with Losing(written):
            for start, size_bytes in others:
                self._make_room(size_bytes, submit)
                self._queue(target, offset + start, words[start : start + size_bytes])

    def _queue(self, target: DeviceBuffer, offset: int, words: bytes | memoryview) -> None:
        self._driver.write_buffer(target, offset, words)
        self._clock.wrote(max(len(words), self._least_bytes))

    def _make_room(self, size_bytes: int, submit: Submit) -> None:
        """Wait if too many bytes are unfinished; then submit if too many wait for a submit.

        The GPU works on the submitted writes while the host fills the next.
        """
        clock, rules = self._clock, self._rules
        size_bytes = max(size_bytes, self._least_bytes)
        if clock.held_bytes + size_bytes > 2 * self._most_bytes:
            if not self._driver.drain(self._wait_seconds):
                raise checks.timed_out("write to a buffer", self._wait_seconds)
            clock.drained()
        reason = rules.before_queueing(clock.waiting_bytes, size_bytes)
        if reason is not None:
            submit(reason)
