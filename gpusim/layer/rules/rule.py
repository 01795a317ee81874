"""What a rule is: a row for people to read, and a check that gets the events.

A check has a method for each kind of event that it looks at, with the name of the kind.  The method
takes the event and yields what it found.  The scene is as it was before the event; only the
command that an event records is in the scene already.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gpusim.layer.report import Place, Report
from gpusim.layer.scene import Command, Scene


@dataclass(frozen=True, kw_only=True, slots=True)
class Breach:
    """What a check has found; together with the row of its rule it makes a report."""

    what: str
    places: tuple[Place, ...]
    lost: tuple[Place, ...] = ()


class Check:
    """The base of all checks."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def at_end(self) -> Iterator[Breach]:
        """Yield what shows only at the end of the program."""
        return iter(())


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One row of the table."""

    name: str
    sentence: str
    """What is a mistake, in one sentence."""
    source: str
    """The section of the WebGPU specification, with its words."""
    remedy: str
    """What to do."""
    check: Callable[[Scene], Any]
    """Makes the check."""
    refuses: bool = False
    """Whether the call is refused with an error, because wgpu-native would abort the process."""

    def report(self, breach: Breach) -> Report:
        """The report of a breach."""
        return Report(
            rule=self.name,
            finding=breach.what,
            places=breach.places,
            lost=breach.lost,
            source=self.source,
            remedy=self.remedy,
        )


def lost(commands: Iterable[Command]) -> tuple[Place, ...]:
    """Commands that never run, as places."""
    return tuple(Place(doing=f"{command} recorded", site=command.site) for command in commands)
