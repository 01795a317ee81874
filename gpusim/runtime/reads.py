"""How a read, and the fence of a sync, get on their way.

What happens once they are under way is ``readbacks``' business.
"""

from gpusim.runtime.byte_plans import words_down, words_up
from gpusim.runtime.commands import CopyCommand, DeviceBuffer, Role
from gpusim.runtime.driver import Driver
from gpusim.runtime.flush_rules import FlushReason
from gpusim.runtime.host_data import Destination
from gpusim.runtime.readbacks import Readback, Readbacks, Ticket, Waiter
from gpusim.runtime.recorder import Recorder
from gpusim.runtime.staging import StagingPool
from gpusim.runtime.timeline import Timeline

_FENCE_BYTES = 4


class Reads:
    """Issues reads for one runtime, which waits for their tickets."""

    def __init__(
        self,
        driver: Driver,
        *,
        recorder: Recorder,
        staging: StagingPool,
        readbacks: Readbacks,
        timeline: Timeline,
        waiter: Waiter,
    ) -> None:
        self._driver = driver
        self._recorder = recorder
        self._staging = staging
        self._readbacks = readbacks
        self._timeline = timeline
        self._waiter = waiter
        self._fence_source: DeviceBuffer | None = None

    def issue(
        self,
        origin: DeviceBuffer,
        offset: int,
        size_bytes: int,
        destination: Destination,
        reason: FlushReason = FlushReason.READ,
    ) -> Ticket:
        """Copy whole words to a staging buffer, submit, and ask for its map."""
        start = words_down(offset)
        staging = self._staging.take(words_up(offset + size_bytes) - start) if size_bytes else None
        readback = Readback(
            Ticket(self._waiter),
            destination,
            staging=staging,
            staging_offset=offset - start,
            size_bytes=size_bytes,
        )
        if staging is None:
            self._readbacks.issue(readback)
        else:
            copy = CopyCommand(origin, start, staging, 0, readback.mapped_bytes)
            self._recorder.read_back(readback, copy, reason)
        return readback.ticket

    def goal_of_sync(self) -> Ticket | None:
        """Submit everything; the ticket whose delivery means that all of it is done.

        A map waits for the submit before it, and the queue works in order, so a
        read that was the queue's last act is as good as a fence (TVM 18871); any
        later act, a host write too, takes that away.
        """
        if self._recorder.is_empty and self._timeline.is_idle:
            return self._readbacks.last_ticket
        if not self._recorder.is_empty or not self._readbacks.covers(self._timeline.acts):
            self._issue_fence()
        return self._readbacks.last_ticket

    def clear(self) -> list[DeviceBuffer]:
        """Give up the fence's buffer, for the caller to destroy."""
        source, self._fence_source = self._fence_source, None
        return [] if source is None else [source]

    def _issue_fence(self) -> None:
        if self._fence_source is None:
            self._fence_source = self._driver.create_buffer(_FENCE_BYTES, Role.STORAGE)
        fence = Destination(_FENCE_BYTES)
        self.issue(self._fence_source, 0, _FENCE_BYTES, fence, FlushReason.SYNC)
