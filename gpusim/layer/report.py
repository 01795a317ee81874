"""A report of a rule: the finding, its call sites, and the remedy; as text and as plain data.

The text is one paragraph, the finding first.  Nothing here decides what is a finding.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """One line of the program that takes part in a finding."""

    doing: str
    """What happens there, such as ``the dispatch is recorded``."""
    site: str
    """``file:line``; empty if it is unknown."""

    def __str__(self) -> str:
        return f"{self.doing} at {self.site or 'an unknown place'}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """One mistake of the program."""

    rule: str
    """The name of the rule that found the mistake."""
    finding: str
    """What is wrong, in a sentence."""
    places: tuple[Place, ...]
    """The lines of the program that take part, at least two, in the order of the calls."""
    lost: tuple[Place, ...] = ()
    """Commands whose work is lost, each with the line that recorded it."""
    source: str = field(compare=False, default="")
    """What the specification says."""
    remedy: str = field(compare=False, default="")
    """What to do."""

    def __str__(self) -> str:
        lines = [f"{self.finding} [{self.rule}]", *(f"  {place}" for place in self.places)]
        lines += [f"  lost: {place}" for place in self.lost[:_MOST_SHOWN]]
        if len(self.lost) > _MOST_SHOWN:
            lines.append(f"  lost: {len(self.lost) - _MOST_SHOWN} more commands")
        lines += [f"  what to do: {self.remedy}", f"  the specification: {self.source}"]
        return "\n".join(lines)

    def plain(self) -> dict[str, Any]:
        """The report as values of JSON."""
        return {
            "rule": self.rule,
            "finding": self.finding,
            "places": [{"doing": each.doing, "site": each.site} for each in self.places],
            "lost": [{"doing": each.doing, "site": each.site} for each in self.lost],
            "remedy": self.remedy,
            "source": self.source,
        }


_MOST_SHOWN = 20
