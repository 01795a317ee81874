"""Puts marks into a trace where each op begins and ends, and looks at the counters of a runtime.

Nothing here runs a program or judges one.
"""

from collections.abc import Callable
from zlib import crc32

from gpusim.history import Outcome
from gpusim.ops import Op
from gpusim.runtime.stats import Stats
from gpusim.trace import Event, Trace
from properties.model.case import Case
from properties.model.execution import Looked


class Marks:
    """Marks in a trace where each op begins and ends, and when a read is delivered.

    Device events say what reached the driver; the marks say what was asked for.  Laws
    compare the two.
    """

    def __init__(self, trace: Trace) -> None:
        self._tell, self._begin = trace.events.append, trace.mark
        self.looked: Looked | None = None
        """The counters in the middle of the program, if they were looked at."""

    def began(self, position: int, op: Op) -> None:
        """``op`` is about to be issued."""
        self._begin(Event("op", {"position": position, "op": op}))

    def ended(self, position: int, outcome: Outcome) -> None:
        """The op at ``position`` has returned or raised."""
        self._tell(Event("outcome", {"position": position, "error": outcome.error}))

    def delivered(self, result: str) -> None:
        """The read that gives ``result`` has its value, or its error."""
        self._tell(Event("delivered", {"result": result}))

    def closing(self) -> None:
        """The target is about to be closed."""
        self._begin(Event("close", {}))

    def closed(self) -> None:
        """The target was closed."""
        self._tell(Event("closed", {}))


class Looking(Marks):
    """Marks, and a look at the counters of a runtime after the op at ``position``."""

    def __init__(self, trace: Trace, stats: Callable[[], Stats], position: int) -> None:
        super().__init__(trace)
        self._events, self._stats, self._position = trace.events, stats, position

    def ended(self, position: int, outcome: Outcome) -> None:
        """See ``Marks``."""
        super().ended(position, outcome)
        if position == self._position:
            events = len(self._events)
            self.looked = Looked(ops=position + 1, events=events, stats=self._stats())


def apart(trace: Trace) -> tuple[Trace, Trace]:
    """The events while an op or the close was under way, and the events in between.

    If a second runtime is on the driver, the events in between are those of its calls.
    """
    within, between = Trace(), Trace()
    part = between
    for event in trace:
        part = within if event.kind in _BEGINS else part
        part.events.append(event)
        part = between if event.kind in _ENDS else part
    return within, between


_BEGINS, _ENDS = ("op", "close"), ("outcome", "closed")
_LOOKED_AT = 4
"""In every fourth case or so, the counters are looked at in the middle."""


def looked_at(case: Case) -> int:
    """The op after which the counters are looked at, drawn by the seed of the case; -1 for none.

    Without a seed it is the last op but one, before the sync that ends most programs.
    """
    if not case.seed:
        return len(case.program) - 2
    turn, rest = divmod(crc32(f"look {case.seed}".encode()), _LOOKED_AT)
    return -1 if rest or not case.program else turn % len(case.program)
