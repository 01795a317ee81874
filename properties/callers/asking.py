"""A caller that asks for values before any sync: some at once, some late and out of their order."""

from collections.abc import Sequence

from gpusim.program import Grid
from gpusim.runtime import Ticket
from properties.callers.forwarding import BrokenPromise, Forwarding
from properties.targets.runtime_target import RuntimeTarget

_TURNS = 4


class AskingCaller(Forwarding):
    """Waiting for one read gives its value and settles every read before it."""

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._tickets: list[Ticket] = []

    def read(self, buffer: str, offset: int, size_bytes: int) -> Ticket:
        """A read that is asked for at once, or after the one before it and in reverse, or later."""
        ticket = self.target.read(buffer, offset, size_bytes)
        self._tickets.append(ticket)
        turn = len(self._tickets) % _TURNS
        if turn == 1:
            self._ask(len(self._tickets) - 1)
        elif turn == 0:
            self._ask(len(self._tickets) - 2)
            for position in reversed(range(len(self._tickets))):
                self._ask(position)
        return ticket

    def dispatch(
        self, kernel: str, buffers: Sequence[str], scalars: Sequence[int | float], grid: Grid
    ) -> None:
        """A dispatch, and then the value of the last read but one."""
        self.target.dispatch(kernel, buffers, scalars, grid)
        if len(self._tickets) % _TURNS == _TURNS - 1:
            self._ask(len(self._tickets) - 2)

    def _ask(self, position: int) -> None:
        self._tickets[position].result()
        if not all(ticket.done() for ticket in self._tickets[: position + 1]):
            raise BrokenPromise("a read has its value, and one that was issued before it has none")
