"""The three timelines of the specification, and the choices between them.

- Content: the caller's calls.
- Device: the steps that a call issues at once, in the order of the calls.
- Queue: operations, executed in order, each at the latest when somebody could see its effect.

Only this file asks a Scheduler what happens next.  Source: WebGPU specification, section
3.4.1 "Timelines" and "GPUQueue".

Nothing here validates, and nothing here knows what an operation does.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from gpusim.simulated.faults import FaultPlan
from gpusim.simulated.scheduler import RUN, STOP, Scheduler

BACKLOG = 4096
"""The most operations that may wait in the queue; with more, the oldest runs."""
BACKLOG_BYTES = 1 << 26
"""The most bytes of host data that waiting operations may hold; with more, the oldest runs."""
PATIENCE = 8
"""How often a caller may look at a promise before something must happen."""

Operation = Callable[[], None]
Emit = Callable[..., None]


class Awaited(Protocol):
    """A promise as the timeline sees it."""

    name: str
    after: int
    """The number of the queue operation that must be executed before it settles."""
    ordered: bool
    """Whether it settles after every promise that was made before it."""

    def settle(self) -> None: ...


class Timeline:
    """The device and queue timelines of one device.

    Maps may settle in any order, each once the operations that use its buffer are
    executed.  A promise of the end of the submitted work settles after every promise
    that was made before it.
    """

    __slots__ = (
        "_glances",
        "_held_bytes",
        "_operations",
        "_scheduler",
        "defers",
        "emit",
        "enqueued",
        "executed",
        "faults",
        "losses",
        "lost",
        "pending",
        "submitted",
    )

    def __init__(self, scheduler: Scheduler, faults: FaultPlan, emit: Emit | None) -> None:
        self.faults = faults
        self.losses = faults.losses
        self.emit = emit
        self.enqueued = 0
        self.executed = 0
        self.submitted = 0
        """The number of the last submit."""
        self.lost = False
        self._scheduler = scheduler
        self.defers = bool(getattr(scheduler, "defers", False))
        self._operations: deque[tuple[Operation, int]] = deque()
        self._held_bytes = 0
        self.pending: list[Awaited] = []
        """Promises that wait for their turn to settle."""
        self._glances = 0

    def enqueue(self, operation: Operation, held_bytes: int = 0) -> int:
        """Put an operation on the queue timeline; gives its number, from 1."""
        if not self.lost:
            self.enqueued += 1
            self._operations.append((operation, held_bytes))
            self._held_bytes += held_bytes
            while len(self._operations) > BACKLOG or self._held_bytes > BACKLOG_BYTES:
                self._run_next()
        return self.enqueued

    def expect(self, promise: Awaited) -> None:
        """Let ``promise`` settle from now on, when the scheduler says so."""
        self.pending.append(promise)

    def forget(self, promise: Awaited) -> None:
        """Forget a promise that settled in another way, such as a cancelled map."""
        if promise in self.pending:
            self.pending.remove(promise)

    def look(self) -> None:
        """Let the scheduler choose what happens now, until it stops."""
        scheduler = self._scheduler
        if self.defers:
            return
        while not self.pending:
            if not (scheduler.runs and self._operations) or scheduler.choose((STOP, RUN)) == 0:
                return
            self._run_next()
        while self.pending or (scheduler.runs and self._operations):
            options = self._options()
            choice = scheduler.choose((STOP, *(self._name(option) for option in options)))
            if choice == 0:
                return
            self._take(options[choice - 1])

    def glance(self, promise: Awaited) -> None:
        """Note that a caller looks at ``promise`` without waiting for it.

        A promise that does not wait for the queue, such as the promise of a loss, is ignored.
        """
        if promise not in self.pending:
            return
        self.look()
        self._glances += 1
        if self._glances > PATIENCE:
            self.progress(promise)

    def progress(self, wanted: Awaited) -> None:
        """Let one thing happen, because somebody waits for ``wanted``."""
        if wanted not in self.pending:
            return
        self._glances = 0
        shortest = wanted if not wanted.ordered else self.pending[0]
        others = [option for option in self._options() if option is not shortest]
        options: list[Awaited | None] = [shortest, *others]
        choice = self._scheduler.choose(tuple(self._name(option) for option in options))
        self._take(options[choice])

    def wait(self, wanted: Awaited) -> None:
        """Let things happen until ``wanted`` has settled."""
        while wanted in self.pending:
            self.progress(wanted)

    def choose(self, options: tuple[str, ...]) -> int:
        """Let the scheduler choose for an operation; returns the index of one of ``options``."""
        return self._scheduler.choose(options)

    def lose(self) -> None:
        """Drop all operations that have not been executed; promises no longer wait for them."""
        self.lost = True
        self._drop_operations()

    def abandon_in_flight(self) -> None:
        """Forget every promise that waits for an operation: none of them ever settles."""
        self.pending = [promise for promise in self.pending if promise.after <= self.executed]

    def end(self) -> None:
        """Drop every waiting operation and every pending promise."""
        self._drop_operations()
        self.pending.clear()

    def _drop_operations(self) -> None:
        self._operations.clear()
        self._held_bytes = 0
        self.executed = self.enqueued

    def _options(self) -> list[Awaited | None]:
        """The promises that may settle, then None for RUN if that is offered."""
        options: list[Awaited | None] = [
            promise
            for place, promise in enumerate(self.pending)
            if place == 0 or not promise.ordered
        ]
        if self._scheduler.runs and self._operations:
            options.append(None)
        return options

    @staticmethod
    def _name(option: Awaited | None) -> str:
        return RUN if option is None else option.name

    def _take(self, option: Awaited | None) -> None:
        if option is None:
            self._run_next()
            return
        while self.executed < option.after:
            self._run_next()
        self.pending.remove(option)
        if self.emit is not None:
            self.emit("settle", promise=option.name)
        option.settle()

    def _run_next(self) -> None:
        operation, held_bytes = self._operations.popleft()
        self._held_bytes -= held_bytes
        self.executed += 1
        if self.emit is not None:
            self.emit("run", operation=self.executed)
        operation()
