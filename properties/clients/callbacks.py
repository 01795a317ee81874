"""The client whose done callbacks use the runtime, and raise errors, a CancelledError too."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, cycle
from typing import Any

import numpy as np

from gpusim.errors import DeviceFault
from gpusim.kernels import SCRAMBLE
from gpusim.ops import Op, Read
from gpusim.runtime import Ticket
from properties.clients.client import BrokenPromise, Client
from properties.model.target import Delivery
from properties.targets.runtime_target import RuntimeTarget

_WORDS = 8
_MOST_CALLBACKS = 24


class ReentrantClient(Client):
    """Each delivery starts work on a new buffer that is not in the program.

    Before that, another callback raises; nobody else may notice.  Some of the work is done while
    the runtime closes.
    """

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._numbers = count()
        self._expected: list[tuple[Ticket, bytes]] = []
        self._broken: list[str] = []
        self._fault: DeviceFault | None = None
        self._errors = cycle((Meant, MeantCancel))

    def perform(self, op: Op) -> Delivery | None:
        """See ``Target``."""
        with unnoticed():
            return super().perform(op)

    def read(self, op: Read) -> Delivery:
        ticket = self.target.read(op.buffer, op.offset, op.size_bytes)
        return _Answered(ticket, self._answer, next(self._errors))

    def close(self) -> None:
        """Close, and raise BrokenPromise if a callback's work was lost.

        A fault that only callbacks have met is raised too, since no op could show it.
        """
        if len(self._expected) % 2:
            self._check()
        try:
            with unnoticed():
                self.target.close()
        finally:
            if not all([ticket.done() for ticket, _ in self._expected]):
                self._broken.append("a close leaves a read pending that a callback issued")
            else:
                self._check()
            if self._broken:
                raise BrokenPromise(self._broken[0])
        if self._fault is not None:
            raise self._fault

    def _check(self) -> None:
        """Check the values of the reads that callbacks have issued."""
        for ticket, data in self._expected:
            try:
                if ticket.result() != data:
                    self._broken.append("a read that a callback issued has another value")
            except DeviceFault as fault:
                self._fault = self._fault or fault

    def _answer(self, ticket: Ticket) -> None:
        """One callback: write, dispatch, read, and a call that settles reads.

        Each callback has its own buffer, since a callback may deliver a read, whose callback runs
        before this one ends.
        """
        number, runtime = next(self._numbers), self.target.runtime
        has_room = runtime.policy.memory_budget_bytes is None
        if not has_room or number >= _MOST_CALLBACKS or not runtime.is_open:
            return
        try:
            self._work(number)
            self._finish(number, ticket)
        except DeviceFault as fault:
            self._fault = self._fault or fault
        except Exception as error:
            # The runtime only logs an error of a callback, so it is kept here.
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
            case 3:
                own.add_done_callback(self._answer)
        ticket.result()


class _Answered:
    """A delivery that puts two callbacks of the client's own around each callback added to it.

    The first raises ``error``; the last does the client's work.
    """

    def __init__(
        self, ticket: Ticket, answer: Callable[[Ticket], None], error: type[BaseException]
    ) -> None:
        self._ticket = ticket
        self._answer = answer
        self._error = error

    def result(self) -> Any:
        with unnoticed():
            return self._ticket.result()

    def _raise(self, _: Ticket) -> None:
        raise self._error("a callback of a client raises on purpose")

    def add_done_callback(self, callback: Callable[[Delivery], None]) -> None:
        self._ticket.add_done_callback(self._raise)
        self._ticket.add_done_callback(lambda _: callback(self))
        self._ticket.add_done_callback(self._answer)


class Meant(Exception):
    """Raised by a callback on purpose."""


class MeantCancel(asyncio.CancelledError):
    """Raised by a callback on purpose: an error of the class that a cancelled future raises."""


@contextmanager
def unnoticed() -> Iterator[None]:
    """A block that delivers reads, and that no error of a callback may leave."""
    try:
        yield
    except asyncio.CancelledError:
        raise BrokenPromise(
            "a CancelledError of a done callback leaves the call that delivers its read"
        ) from None


def _was_not_meant(record: logging.LogRecord) -> bool:
    return not (record.exc_info and record.exc_info[0] in (Meant, MeantCancel))


logging.getLogger("gpusim").addFilter(_was_not_meant)
