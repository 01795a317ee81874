"""Running a program on a target, and writing down what it showed.

The runner drives and records.  It judges nothing, and knows no particular
target; what must hold of a history is for ``properties.oracles``.
"""

from collections.abc import Callable
from typing import Protocol

from gpusim.errors import GpusimError
from gpusim.history import History, Outcome
from gpusim.program import Alloc, Capture, Op, Program, Read, Replay, Sync, buffers_of
from properties.target import Delivery, Target, issue

CHANGED = "changed after delivery"
"""The late error of a read whose bytes were others at the end than at delivery."""

AfterOp = Callable[[int, Op], None]


class Watch(Protocol):
    """Who is told of every op as it begins and ends, and of every delivery."""

    def began(self, position: int, op: Op) -> None: ...
    def ended(self, position: int, outcome: Outcome) -> None: ...
    def delivered(self, result: str) -> None: ...


class Unwatched:
    """A watch that looks away."""

    def began(self, position: int, op: Op) -> None:
        """See ``Watch``."""

    def ended(self, position: int, outcome: Outcome) -> None:
        """See ``Watch``."""

    def delivered(self, result: str) -> None:
        """See ``Watch``."""


_UNWATCHED = Unwatched()
_ACCEPTED = Outcome()


def run(
    program: Program,
    target: Target,
    *,
    after_op: AfterOp | None = None,
    watch: Watch = _UNWATCHED,
) -> History:
    """Drive ``target`` through ``program`` and a closing sync; the caller closes it.

    ``after_op`` is called with each op's position and the op, once its outcome
    is known; ``watch`` is told more, the closing sync included, whose position
    is one past the program's last.  Whatever the target raises ends up in the
    history: the class of a GpusimError, and ``crash: <class>: <message>`` of any
    other exception.
    """
    recorder = _Recorder(target, watch)
    outcomes = []
    for position, op in enumerate(program):
        outcomes.append(recorder.perform(position, op))
        if after_op is not None:
            after_op(position, op)
    ends_with_sync = len(program) > 0 and isinstance(program[-1], Sync)
    closing = None if ends_with_sync else recorder.perform(len(program), Sync())
    deliveries = tuple(recorder.deliveries)
    values = [recorder.value(op, outcome) for op, outcome in zip(program, outcomes, strict=True)]
    return History(outcomes=tuple(values), deliveries=deliveries, closing=closing)


class _Recorder:
    """What is known while a program runs: deliveries, in order, and their values."""

    def __init__(self, target: Target, watch: Watch) -> None:
        self._target = target
        self._watch = watch
        self._unbound: set[str] = set()
        self._unbound_graphs: set[str] = set()
        self._reads: dict[str, _Value] = {}
        self._waiting: list[_Value] = []
        self.deliveries: list[str] = []

    def perform(self, position: int, op: Op) -> Outcome:
        """Issue one op, and say so."""
        self._watch.began(position, op)
        outcome = self._perform(op)
        self._watch.ended(position, outcome)
        return outcome

    def _perform(self, op: Op) -> Outcome:
        """Issue one op.  An op on a name that stands for nothing never reaches the target."""
        if self._names_nothing(op):
            self._unbind(op)
            return Outcome(error="InvalidHandle")
        try:
            self._issue(op)
        except Exception as error:
            self._unbind(op)
            return Outcome(error=_name(error))
        return self._after_sync() if isinstance(op, Sync) else _ACCEPTED

    def _names_nothing(self, op: Op) -> bool:
        """Whether it names what a failed alloc or capture was to make."""
        if isinstance(op, Replay) and op.graph in self._unbound_graphs:
            return True
        return bool(self._unbound) and any(name in self._unbound for name in buffers_of(op))

    def _unbind(self, op: Op) -> None:
        """What an op that failed was to make stands for nothing."""
        if isinstance(op, Alloc):
            self._unbound.add(op.buffer)
        if isinstance(op, Capture):
            self._unbound_graphs.add(op.graph)

    def value(self, op: Op, outcome: Outcome) -> Outcome:
        """The outcome of ``op`` at the end of the program: a read has its value by now."""
        if not isinstance(op, Read) or outcome.error is not None:
            return outcome
        return self._reads[op.result].outcome()

    def _issue(self, op: Op) -> None:
        delivery = issue(self._target, op)
        if delivery is None or not isinstance(op, Read):
            return
        value = _Value(delivery)
        self._reads[op.result] = value
        self._waiting.append(value)
        delivery.add_done_callback(lambda _: self._delivered(op.result, value))

    def _delivered(self, result: str, value: "_Value") -> None:
        self.deliveries.append(result)
        self._watch.delivered(result)
        value.take()

    def _after_sync(self) -> Outcome:
        """What was delivered when the sync returned; only then are the values asked for."""
        delivered = ",".join(self.deliveries).encode()
        for value in self._waiting:
            value.take()
        self._waiting.clear()
        return Outcome(data=delivered)


class _Value:
    """A read's value as first seen, kept to be seen again."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._kept: bytes | None = None
        self._first: Outcome | None = None

    def take(self) -> Outcome:
        """The value when it was first asked for."""
        if self._first is None:
            self._first = self._ask()
        return self._first

    def outcome(self) -> Outcome:
        """The value, unless it, or the object that was handed out, has changed since."""
        first = self.take()
        kept_as_it_was = self._kept is None or bytes(self._kept) == first.data
        if kept_as_it_was and self._ask() == first:
            return first
        return Outcome(data=first.data, late_error=CHANGED)

    def _ask(self) -> Outcome:
        try:
            data = self._delivery.result()
            outcome = Outcome(data=bytes(data))
        except Exception as error:
            return Outcome(late_error=_name(error))
        if self._kept is None:
            self._kept = data
        return outcome


def _name(error: Exception) -> str:
    if isinstance(error, GpusimError):
        return type(error).__name__
    return f"crash: {type(error).__name__}: {error}"
