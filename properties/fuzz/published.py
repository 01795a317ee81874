"""Publishes what a worker is doing in memory that the session shares, and that outlives the worker.

A worker that has died or hangs cannot say what it was doing.  So a worker says in advance what it
will do: the number of its program, the op that it issues and, if a single case is judged, the call
on the driver.  Each is a number in shared memory, beside two counts: of the cases that were begun,
and of the runs of the last case.  Nothing here knows why a worker is gone.
"""

from dataclasses import dataclass
from multiprocessing.context import BaseContext
from typing import Any

from gpusim.trace import Event, Trace

_NUMBER, _BEGUN, _RUN, _OP, _CALL = range(5)
_CALLS = (
    "",
    "create_buffer",
    "destroy_buffer",
    "write_buffer",
    "create_bind_group",
    "encode",
    "dispatch",
    "copy",
    "submit",
    "map",
    "wait",
    "take",
)
"""The events of a trace that are calls on a driver; the first entry means no call."""
_CODES = {kind: code for code, kind in enumerate(_CALLS)}
_CLOSING = 1 << 32
"""Is published in the place of an op's position while the target is being closed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """What a worker was doing: a run, its op, and the last call on the driver in that op."""

    run: int = 0
    """The number of the run of its program, from 1; 0 if no run had begun."""
    position: int = -1
    """The position of the last op that was begun; -1 if no op is known."""
    is_closing: bool = False
    call: str = ""
    """Empty if there was no call, or calls were not published."""


class Published:
    """A view of the shared memory of one worker; the worker and its session have one each.

    ``context`` starts the worker's process; without a context the memory is not shared.
    """

    def __init__(self, context: BaseContext | None = None) -> None:
        self._memory: Any = [0] * 5 if context is None else context.RawArray("Q", 5)

    def begin(self, number: int | None = None) -> None:
        """Publish that a case is about to be judged.

        ``number`` is None if the case is no program of the session.
        """
        memory = self._memory
        if number is not None:
            memory[_NUMBER] = number
        memory[_BEGUN] += 1
        memory[_RUN] = memory[_OP] = memory[_CALL] = 0

    def trace(self) -> Trace:
        """The trace of a new run, which publishes each op as it begins."""
        self._memory[_RUN] += 1
        self._memory[_OP] = self._memory[_CALL] = 0
        return _Ops(self._memory)

    def trace_of_calls(self) -> Trace:
        """The trace of a new run, which publishes each call on the driver too; that is slower."""
        trace = self.trace()
        trace.events = _Calls(self._memory)
        return trace

    @property
    def number(self) -> int:
        """The number of the program that was begun last."""
        return int(self._memory[_NUMBER])

    @property
    def steps(self) -> tuple[int, ...]:
        """A value that changes with each case, run and op that the worker begins."""
        return tuple(self._memory[_BEGUN : _OP + 1])

    @property
    def place(self) -> Place:
        """The last published place."""
        *_, run, op, call = self._memory
        is_closing = op == _CLOSING
        position = -1 if is_closing else op - 1
        return Place(run=run, position=position, is_closing=is_closing, call=_CALLS[call])


class _Ops(Trace):
    """A trace that publishes each op as it begins."""

    def __init__(self, memory: Any) -> None:
        super().__init__()
        self._memory = memory

    def mark(self, event: Event) -> None:
        """Publish the op that begins, then append its mark."""
        is_close = event.kind == "close"
        self._memory[_OP] = _CLOSING if is_close else event["position"] + 1
        self._memory[_CALL] = 0
        self.events.append(event)


class _Calls(list[Event]):
    """Events; each call on the driver is published before it is made."""

    def __init__(self, memory: Any) -> None:
        super().__init__()
        self._memory = memory

    def append(self, event: Event) -> None:
        """Append one event."""
        if code := _CODES.get(event.kind):
            self._memory[_CALL] = code
        super().append(event)
