"""A client whose done callbacks use the runtime: they write, dispatch, read, flush and sync."""

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np

from gpusim.errors import DeviceFault
from gpusim.kernels import SCRAMBLE
from gpusim.ops import Read
from gpusim.runtime import Ticket
from properties.clients.client import BrokenPromise, Client
from properties.model.target import Delivery
from properties.targets.runtime_target import RuntimeTarget

_WORDS = 8
_MOST_CALLBACKS = 24


class ReentrantClient(Client):
    """Each delivery starts work on a buffer of its own, which the program does not know."""

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._numbers = count()
        self._expected: list[tuple[Ticket, bytes]] = []
        self._broken: list[str] = []

    def read(self, op: Read) -> Delivery:
        ticket = self.target.read(op.buffer, op.offset, op.size_bytes)
        return _Answered(ticket, self._answer)

    def close(self) -> None:
        """Nothing that a callback asked for is lost."""
        if not all(ticket.result() == data for ticket, data in self._expected):
            self._broken.append("a read that a callback issued has another value")
        self.target.close()
        if self._broken:
            raise BrokenPromise(self._broken[0])

    def _answer(self, ticket: Ticket) -> None:
        """One callback: a write, a dispatch over it, a read, and something that settles reads.

        A buffer for each, since what one does may deliver a read and so call another.
        """
        number, runtime = next(self._numbers), self.target.runtime
        has_room = runtime.policy.memory_budget_bytes is None
        if not has_room or number >= _MOST_CALLBACKS or not runtime.is_open:
            return
        try:
            self._work(number)
            self._finish(number, ticket)
        except DeviceFault:
            # It belongs to the program's own reads, which tell of it.
            return
        except Exception as error:
            # A runtime only logs what a callback raises.
            self._broken.append(f"a call inside a callback ended with {error!r}")

    def _work(self, number: int) -> None:
        runtime = self.target.runtime
        words = np.arange(_WORDS, dtype=np.uint32) * 2654435761 + number
        own = runtime.alloc(words.nbytes)
        runtime.write(own, words)
        runtime.dispatch(SCRAMBLE, [own])
        SCRAMBLE.meaning((words,), (), 1)
        self._expected.append((runtime.read(own), words.tobytes()))
        runtime.free(own)

    def _finish(self, number: int, ticket: Ticket) -> None:
        runtime = self.target.runtime
        own, data = self._expected[-1]
        match number % 4:
            case 0:
                runtime.flush()
            case 1:
                runtime.sync()
                if not own.done():
                    self._broken.append("a sync inside a callback returns before its reads")
            case 2:
                if own.result() != data:
                    self._broken.append("a read waited for in a callback has another value")
        ticket.result()


class _Answered:
    """A delivery whose callbacks are followed by one of this client."""

    def __init__(self, ticket: Ticket, answer: Callable[[Ticket], None]) -> None:
        self._ticket = ticket
        self._answer = answer

    def result(self) -> Any:
        return self._ticket.result()

    def add_done_callback(self, callback: Callable[[Delivery], None]) -> None:
        self._ticket.add_done_callback(lambda _: callback(self))
        self._ticket.add_done_callback(self._answer)
