"""The calls on the device with their numbers, and the op and the runtime that made each.

A call between the beginning of an op and its outcome belongs to that op, and a call during the
close belongs to the close.  Any other call belongs to no op: it comes from a second runtime, if one
runs beside.  Nothing here judges.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gpusim.ops import Op
from gpusim.text import write_op
from gpusim.trace import Event
from properties.explain.clocks import is_call

_ENDS = ("outcome", "closed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A call, with its number (the first has 1), its event, and the op that made it."""

    number: int
    event: Event
    position: int = -1
    """The op that made the call; -1 if no op of the program did."""
    op: Op | None = None
    is_own: bool = True
    """Whether the call was made while an op of the program, or the close, was under way."""
    failed: str = ""
    """The error with which the call failed; empty if it did not fail."""

    @property
    def place(self) -> str:
        """The op that made the call, for a reader."""
        if self.op is None:
            return "the close" if self.is_own else "no op of the program"
        return f"op {self.position} ({write_op(self.op)})"


def calls(events: Iterable[Event]) -> Iterator[Call]:
    """The calls of a trace, each by its event; a call that failed also by its ``failed`` event.

    Both events of a call have the same number.  If a call has only its ``failed`` event, this has
    the number that the next call will get.
    """
    number, position, is_own = 0, -1, False
    op: Op | None = None
    last: Call | None = None
    for event in events:
        if event.kind == "failed":
            is_known = last is not None and last.event.kind == event["verb"]
            yield Call(
                number=number if is_known else number + 1,
                event=event,
                position=position,
                op=op,
                is_own=is_own,
                failed=event["error"],
            )
        elif event.kind in ("op", "close"):
            is_own = True
            position = event["position"] if event.kind == "op" else -1
            op = event["op"] if event.kind == "op" else None
        elif event.kind in _ENDS:
            is_own, position, op = False, -1, None
        elif is_call(event):
            number += 1
            last = Call(number=number, event=event, position=position, op=op, is_own=is_own)
            yield last


def calls_of(events: Iterable[Event], kind: str, **fields: object) -> list[Call]:
    """Each call of the trace that is of ``kind``, and whose event has these ``fields``."""
    return [
        call
        for call in calls(events)
        if call.event.kind == kind
        and all(call.event.about.get(name) == value for name, value in fields.items())
    ]
