"""A trace: the calls of a runtime on its driver, as events, and marks of ops.  Data only.

A device event is one call that a runtime made on its driver.  An internal event is
something that happened inside one of its collaborators.  A mark says where an op
of a program, or the close, begins.  Nothing here knows who emits or who reads.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Any


class Event:
    """One event: its kind and its details, as plain comparable values.

    Device objects appear as numbers, never as objects, so that two runs of one program
    compare equal.  An event is never changed.
    """

    __slots__ = ("about", "kind")

    def __init__(self, kind: str, about: Mapping[str, Any]) -> None:
        self.kind = kind
        self.about = about

    def __getitem__(self, name: str) -> Any:
        return self.about[name]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        return self.kind == other.kind and self.about == other.about

    def __str__(self) -> str:
        return " ".join([self.kind, *(f"{key}={value}" for key, value in self.about.items())])

    def __repr__(self) -> str:
        return f"<{self}>"


_kind_of = attrgetter("kind")


def frozen(value: Any) -> Any:
    """A value of JSON with its lists as tuples, so that it has a hash."""
    return tuple(map(frozen, value)) if isinstance(value, list) else value


class Trace:
    """Events in the order in which they happened."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.failures = 0
        """How many ``failed`` events a driver has emitted; counted as they are emitted."""

    def emit(self, kind: str, **about: Any) -> None:
        """Append one event."""
        self.events.append(Event(kind, about))

    def mark(self, event: Event) -> None:
        """Append a mark: an op or the close begins here."""
        self.events.append(event)

    def count(self, kind: str) -> int:
        """How many events of a kind there are."""
        return [*map(_kind_of, self.events)].count(kind)

    def kinds(self) -> Counter[str]:
        """How many events of each kind there are."""
        return Counter(map(_kind_of, self.events))

    def before_close(self) -> list[Event]:
        """The events before the mark of the close; all events if there is no such mark."""
        # Only a few events follow the mark of the close, so the search begins at the end.
        for after, event in enumerate(reversed(self.events), 1):
            if event.kind == "close":
                return self.events[:-after]
        return self.events[:]

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)
