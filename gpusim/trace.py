"""The events a run leaves behind: data only.

A device event is one call that a runtime made on its driver; an internal event
is something that happened inside one of its collaborators.  Nothing here knows
who emits or who reads.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its kind, and what it was about, as plain comparable values.

    Device objects appear as the numbers the driver gave them, never as objects,
    so that two runs of one program compare equal.
    """

    kind: str
    about: tuple[tuple[str, Any], ...] = ()

    def __getitem__(self, name: str) -> Any:
        for key, value in self.about:
            if key == name:
                return value
        raise KeyError(name)

    def __str__(self) -> str:
        return " ".join([self.kind, *(f"{key}={value}" for key, value in self.about)])


class Trace:
    """Events in the order in which they happened."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, kind: str, **about: Any) -> None:
        """Append one event."""
        self.events.append(Event(kind, tuple(about.items())))

    def count(self, kind: str) -> int:
        """How many events of a kind there are."""
        return sum(event.kind == kind for event in self.events)

    def kinds(self) -> Counter[str]:
        """How many events of each kind there are."""
        return Counter(event.kind for event in self.events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)
