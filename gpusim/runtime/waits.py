"""Waiting: for a ticket, for everything, for the end; and the faults that come up meanwhile.

Who waits gets the fault.  One that nobody was waiting for is kept for the next
op, and raised there once.
"""

from gpusim.errors import DeviceFault
from gpusim.runtime import checks
from gpusim.runtime.caller import Caller
from gpusim.runtime.captures import Captures
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.flush_rules import FlushReason
from gpusim.runtime.readbacks import Readbacks, Ticket
from gpusim.runtime.recorder import Recorder


class Waits:
    """What one runtime waits for; the ``Waiter`` of its tickets."""

    def __init__(
        self,
        driver: Driver,
        caller: Caller,
        *,
        recorder: Recorder,
        readbacks: Readbacks,
        captures: Captures,
    ) -> None:
        self._driver = driver
        self._caller = caller
        self._recorder = recorder
        self._readbacks = readbacks
        self._captures = captures

    def settle_ticket(self, ticket: Ticket) -> None:
        """Wait for a ticket and for every read before it; ``Ticket.result`` calls this."""
        self._begin(ticket)
        self._readbacks.settle_through(ticket)

    async def settle_ticket_async(self, ticket: Ticket) -> None:
        """The same for ``await``."""
        self._begin(ticket)
        await self._readbacks.settle_through_async(ticket)

    def for_all(self, goal: Ticket | None) -> None:
        """Wait for the goal of a sync; nothing is under way after that."""
        if goal is not None:
            self._readbacks.settle_through(goal)
        self._recorder.after_sync()

    async def for_all_async(self, goal: Ticket | None) -> None:
        """The same, leaving the event loop free."""
        if goal is not None:
            await self._readbacks.settle_through_async(goal)
        self._recorder.after_sync()

    def keep(self, fault: DeviceFault) -> None:
        """Keep a fault that is not the present op's for the next one."""
        self._readbacks.unseen = self._readbacks.unseen or fault

    def raise_fault(self) -> None:
        """Raise a fault that no call has raised yet, or for ever that the device is lost."""
        if self._driver.lost:
            self._notice_loss()
            raise checks.device_lost()
        fault, self._readbacks.unseen = self._readbacks.unseen, None
        if fault is not None:
            raise type(fault)(*fault.args) from fault

    def finish(self) -> DeviceFault | None:
        """Submit and settle all that is left; a fault that no call has raised yet."""
        try:
            if not self._driver.lost:
                self._recorder.submit(FlushReason.CLOSE)
        except DeviceFault as fault:
            self.keep(fault)
        if not self._driver.lost and self._readbacks.last_ticket is not None:
            self._readbacks.settle_through(self._readbacks.last_ticket)
        self._notice_loss()
        return None if self._driver.lost else self._readbacks.unseen

    def _begin(self, ticket: Ticket) -> None:
        self._caller.check()
        self._captures.refuse("wait for a read")
        self._notice_loss()
        if ticket.is_recorded:
            self._recorder.submit(FlushReason.READ)

    def _notice_loss(self) -> None:
        if self._driver.lost:
            self._recorder.abandon()
            self._readbacks.fail_all(checks.device_lost())
