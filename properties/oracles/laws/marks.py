"""Marks in a trace: where each op begins and ends, and when a read was delivered.

Device events say what reached the driver and these say what was asked for, so
that one can be held against the other.
"""

from gpusim.history import Outcome
from gpusim.program import Op
from gpusim.trace import Event, Trace


class Marks:
    """Writes down what the runner does between the device events of one trace."""

    def __init__(self, trace: Trace) -> None:
        self._tell = trace.events.append

    def began(self, position: int, op: Op) -> None:
        """``op`` is about to be issued."""
        self._tell(Event("op", {"position": position, "op": op}))

    def ended(self, position: int, outcome: Outcome) -> None:
        """The op at ``position`` returned or raised."""
        self._tell(Event("outcome", {"position": position, "error": outcome.error}))

    def delivered(self, result: str) -> None:
        """The read that gives ``result`` has its value, or its error."""
        self._tell(Event("delivered", {"result": result}))

    def closing(self) -> None:
        """The target is about to be closed."""
        self._tell(Event("close", {}))

    def closed(self) -> None:
        """The target was closed."""
        self._tell(Event("closed", {}))
