"""A caller that closes instead of the last sync, with reads in flight."""

from gpusim.errors import RuntimeClosed
from gpusim.program import Program, Sync
from gpusim.runtime import Ticket
from properties.callers.forwarding import BrokenPromise, Forwarding
from properties.targets.runtime_target import RuntimeTarget


class ClosingCaller(Forwarding):
    """Closing settles every ticket, with its value; after it every op is refused."""

    def __init__(self, target: RuntimeTarget, program: Program) -> None:
        super().__init__(target)
        ends_with_sync = len(program) > 0 and isinstance(program[-1], Sync)
        self._syncs_left = sum(isinstance(op, Sync) for op in program) + (not ends_with_sync)
        self._tickets: list[Ticket] = []

    def read(self, buffer: str, offset: int, size_bytes: int) -> Ticket:
        ticket = self.target.read(buffer, offset, size_bytes)
        self._tickets.append(ticket)
        return ticket

    def sync(self) -> None:
        self._syncs_left -= 1
        if self._syncs_left:
            self.target.sync()
            return
        self.target.close()
        if not all(ticket.done() for ticket in self._tickets):
            raise BrokenPromise("a read is not settled, though its runtime is closed")
        try:
            self.target.runtime.flush()
        except RuntimeClosed:
            return
        raise BrokenPromise("a runtime that is closed still flushes")
