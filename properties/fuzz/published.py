"""How far a worker is, in memory that it shares with its session and that outlives it.

A worker that dies or stands still cannot say what it was doing.  So it says so beforehand: the
number of its program, the op that it issues, the call on the driver.  Each is a number in shared
memory, since that costs a fraction of the call.  Nothing here knows why a worker is gone.
"""

from collections.abc import Iterable
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
"""The events of a trace that are calls on a driver; the first stands for none."""
_CODES = {kind: code for code, kind in enumerate(_CALLS)}
_CLOSING = 1 << 32
"""The position that stands for the close."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """What a worker was doing: an op of a run, and the last call on the driver since it began."""

    run: int = 0
    """Which of the runs that judging its program takes, from 1; 0 where none had begun."""
    position: int = -1
    """That of the last op that was begun; -1 where none was, or nobody tells."""
    is_closing: bool = False
    call: str = ""
    """Empty where there was none, or the target is not traced."""


class Published:
    """What one worker publishes; both sides have one over the same memory.

    ``context`` is that of the worker's process; without one nobody else reads it.
    """

    def __init__(self, context: BaseContext | None = None) -> None:
        self._memory: Any = [0] * 5 if context is None else context.RawArray("Q", 5)

    def begin(self, number: int | None = None) -> None:
        """A case is about to be judged: program ``number`` of the session, or any other."""
        memory = self._memory
        if number is not None:
            memory[_NUMBER] = number
        memory[_BEGUN] += 1
        memory[_RUN] = memory[_OP] = memory[_CALL] = 0

    def trace(self) -> Trace:
        """The trace of a new run, which publishes what it is told."""
        self._memory[_RUN] += 1
        self._memory[_OP] = self._memory[_CALL] = 0
        trace = Trace()
        trace.events = _Published(self._memory)
        return trace

    @property
    def number(self) -> int:
        """The program that was begun last."""
        return int(self._memory[_NUMBER])

    @property
    def steps(self) -> tuple[int, ...]:
        """Another value whenever the worker has come further by a case, a run or an op."""
        return tuple(self._memory[_BEGUN : _OP + 1])

    @property
    def place(self) -> Place:
        """Where it was last."""
        *_, run, op, call = self._memory
        is_closing = op == _CLOSING
        position = -1 if is_closing else op - 1
        return Place(run=run, position=position, is_closing=is_closing, call=_CALLS[call])


class _Published(list[Event]):
    """Events, of which the ops and the calls on the driver are published as they come."""

    def __init__(self, memory: Any, events: Iterable[Event] = ()) -> None:
        super().__init__(events)
        self._memory = memory

    def append(self, event: Event) -> None:
        """Append one event, and publish it first: it is told before it happens."""
        kind = event.kind
        if code := _CODES.get(kind):
            self._memory[_CALL] = code
        elif kind == "op":
            self._memory[_OP] = event["position"] + 1
            self._memory[_CALL] = 0
        elif kind == "close":
            self._memory[_OP] = _CLOSING
            self._memory[_CALL] = 0
        super().append(event)
