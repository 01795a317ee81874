"""Counts what a program holds: live buffers, and bytes of writes that wait for a submit.

It judges nothing, except writes that are queued without end.
"""

from collections import Counter
from dataclasses import dataclass

from gpusim.layer.report import Report
from gpusim.layer.rules.table import ENDLESS_WRITES
from gpusim.layer.sanitizer import Sanitizer
from gpusim.layer.watch import Watch
from gpusim.trace import Event

_KINDS = ("create_buffer", "destroy_buffer", "write_buffer", "submit")


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """What is held at a moment."""

    buffers: int
    """Buffers that are alive."""
    size_bytes: int
    """The bytes of these buffers together."""
    queued_bytes: int
    """Bytes that the queue was given since the last submit."""
    sites: Counter[str]
    """For each line of the program, how many of the buffers it made."""


class Memory:
    """A sink that counts what the devices of its watch hold."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[int, str]] = {}
        """For each live buffer its size in bytes, and the line that made it."""
        self._queued_bytes = 0
        self._sanitizer = Sanitizer(lambda report: None, (ENDLESS_WRITES,))
        self.watch = Watch(self, wanted=_KINDS)

    def __call__(self, event: Event) -> None:
        """Take an event."""
        if event.kind == "create_buffer":
            self._made[event["buffer"]] = event["size_bytes"], event["site"]
        elif event.kind in ("destroy_buffer", "collect_buffer"):
            self._made.pop(event["buffer"], None)
        elif event.kind == "write_buffer":
            self._queued_bytes += event["size_bytes"]
        elif event.kind == "submit":
            self._queued_bytes = 0
        self._sanitizer(event)

    def begin(self) -> None:
        """Start anew: forget earlier reports."""
        self._sanitizer.begin()

    @property
    def reports(self) -> list[Report]:
        """The reports of writes that were queued without end since ``begin``."""
        return self._sanitizer.reports

    def held(self) -> Held:
        """What is held now."""
        self.watch.tell_gone()
        made = self._made.values()
        return Held(
            buffers=len(made),
            size_bytes=sum(size for size, _ in made),
            queued_bytes=self._queued_bytes,
            sites=Counter(site for _, site in made),
        )
