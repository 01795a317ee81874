"""Mistakes in how a trace is held against the laws."""

from collections.abc import Callable, Iterable
from typing import Any

from gpusim.trace import Event
from properties.mutants.mutant import Mutant, mutant
from properties.oracles.laws import Checker, Setting, check

Look = Callable[[list[Event]], list[Event]]


def end_unwatched(events: list[Event]) -> list[Event]:
    """Nothing is looked at after the last op."""
    last = max((n for n, event in enumerate(events) if event.kind == "outcome"), default=-1)
    return events[: last + 1]


def late_ops_unwatched(events: list[Event]) -> list[Event]:
    """Nothing is looked at after the twentieth submit."""
    submits = [n for n, event in enumerate(events) if event.kind == "submit"]
    return events[: submits[20]] if len(submits) > 20 else events


def staging_unwatched(events: list[Event]) -> list[Event]:
    """What maps a readback and takes its bytes is no business of the laws."""
    return [event for event in events if event.kind not in ("map", "wait", "take")]


def destroys_unwatched(events: list[Event]) -> list[Event]:
    """A buffer lives for ever."""
    return [event for event in events if event.kind != "destroy_buffer"]


def repeats_unwatched(events: list[Event]) -> list[Event]:
    """An event that is as the one before it is looked at once."""
    pairs = zip([None, *events], events, strict=False)
    return [event for before, event in pairs if before is None or str(before) != str(event)]


def copies_unwatched(events: list[Event]) -> list[Event]:
    """A copy that is no readback is thought to move the right bytes."""
    return [event for event in events if not _is_plain_copy(event)]


def _is_plain_copy(event: Event) -> bool:
    return event.kind == "copy" and event["target_role"] != "staging"


def _blind(look: Look, **about: Any) -> Mutant:
    def laws(events: Iterable[Event], setting: Setting) -> Checker:
        return check(look(list(events)), setting)

    return mutant(look, laws=laws, prey="sight", **about)


MUTANTS = (
    _blind(end_unwatched),
    _blind(late_ops_unwatched),
    _blind(staging_unwatched),
    _blind(destroys_unwatched),
    _blind(repeats_unwatched),
    _blind(copies_unwatched),
)
