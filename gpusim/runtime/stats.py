"""Counters of what a runtime has done.

Each part counts in its own ``Counts``; ``Runtime.stats()`` copies them into one
``Stats``.  Nothing here decides anything.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any


@dataclass(kw_only=True, slots=True)
class Counts:
    """The counters of one pool or cache; counters that do not apply to it stay 0."""

    created: int = 0
    """Objects made because none could be reused."""
    reused: int = 0
    """How often an object was used again: a slot of a pool, or an entry that a cache found."""
    evicted: int = 0
    """Entries dropped for lack of room."""
    invalidated: int = 0
    """Entries dropped because something that they use is gone."""
    exhausted: int = 0
    """How often no slot or entry was free."""
    held: int = 0
    """Objects that the pool or cache holds now."""

    def copy(self) -> "Counts":
        """These counts as they are now."""
        return Counts(
            created=self.created,
            reused=self.reused,
            evicted=self.evicted,
            invalidated=self.invalidated,
            exhausted=self.exhausted,
            held=self.held,
        )


COUNTED = (
    "allocs",
    "writes",
    "dispatches",
    "dispatches_dropped",
    "copies",
    "replays",
    "reads",
    "frees",
)
"""The ops that a runtime itself counts."""
RISING = ("created", "reused", "evicted", "invalidated", "exhausted")
"""The counts of a pool or cache that only rise; ``held`` also falls."""
rising: Callable[[Counts], tuple[int, ...]] = attrgetter(*RISING)
"""The counts that only rise, in the order of ``RISING``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stats:
    """A runtime's counters at one moment."""

    allocs: int = 0
    writes: int = 0
    dispatches: int = 0
    """Dispatches of replays are included here, and copies of replays in ``copies``."""
    dispatches_dropped: int = 0
    copies: int = 0
    replays: int = 0
    reads: int = 0
    frees: int = 0
    commands: int = 0
    """Dispatches and copies that reached the queue, also those made for reads and writes."""
    submits: int = 0
    flushes: Mapping[str, int] = field(default_factory=dict)
    """Submits of a batch, by reason."""
    live_buffers: int = 0
    live_bytes: int = 0
    peak_bytes: int = 0
    total_bytes: int = 0
    uniforms: Counts = field(default_factory=Counts)
    bind_groups: Counts = field(default_factory=Counts)
    shapes: Counts = field(default_factory=Counts)
    staging: Counts = field(default_factory=Counts)


def stats_of(
    done: Mapping[str, Any], recorder: Any, clock: Any, buffers: Any, **stores: Any
) -> Stats:
    """The counters of a runtime's collaborators as they are now; ``stores`` have ``counts``."""
    return Stats(
        **done,
        commands=recorder.commands,
        submits=clock.submits,
        flushes=dict(recorder.flushes),
        live_buffers=len(buffers),
        live_bytes=buffers.live_bytes,
        peak_bytes=buffers.peak_bytes,
        total_bytes=buffers.total_bytes,
        **{name: store.counts.copy() for name, store in stores.items()},
    )
