"""How far the programs of a session went: the largest figures of any trace.

A mistake past a threshold shows only where a program went past it.  Nothing is judged here.
"""

from dataclasses import astuple, dataclass

from gpusim.ops import Read
from gpusim.trace import Trace


@dataclass(kw_only=True, slots=True)
class Reach:
    """The largest figures of one or more traces; without a driver's calls, only the reads count."""

    range_bytes: int = 0
    """The largest range that a dispatch bound."""
    batch_commands: int = 0
    """The commands of the longest batch."""
    reads_in_flight: int = 0
    """The most reads that were issued and not delivered."""

    def note(self, trace: Trace) -> None:
        """Count one trace."""
        waiting = 0
        for event in trace.events:
            match event.kind:
                case "dispatch":
                    largest = max([size for _, _, size in event["ranges"]], default=0)
                    self.range_bytes = max(self.range_bytes, largest)
                case "encode":
                    self.batch_commands = max(self.batch_commands, event["commands"])
                case "op":
                    waiting += type(event["op"]) is Read
                    self.reads_in_flight = max(self.reads_in_flight, waiting)
                case "delivered":
                    waiting -= 1

    def add(self, other: "Reach") -> None:
        """Keep the larger of each figure."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        self.range_bytes, self.batch_commands, self.reads_in_flight = map(max, pairs)

    def __str__(self) -> str:
        bound = f"a dispatch bound at most {self.range_bytes} bytes, a batch had at most "
        traced = f"{bound}{self.batch_commands} commands, and " if self.batch_commands else ""
        return f"{traced}at most {self.reads_in_flight} reads were in flight"
