"""A Told: what one module found out, to be added to an argument.  Data only.

Each module that looks at a finding in its own way returns a Told.  Nothing here finds anything out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from properties.explain.argument import Argument
from properties.oracles.laws.catalogue import Law

_MOST_FACTS = 6
_What = TypeVar("_What")
_End = TypeVar("_End")


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What was found out; an empty field changes nothing.

    A ``sentence`` replaces that of the argument, and drops the facts and the other mistakes that
    went with it; ``rule`` and ``culprit``, if given, then replace those of the argument.  Without
    a ``sentence`` they change nothing.  ``facts`` are put before the facts of the argument, and
    ``later`` after them.  ``law`` replaces what the argument says of the first broken law.
    """

    sentence: str = ""
    culprit: int = -1
    rule: Law | None = None
    facts: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    law: str = ""

    def __bool__(self) -> bool:
        """Whether anything was found out."""
        return self != NOTHING

    def added_to(self, argument: Argument) -> Argument:
        """The argument with these findings added."""
        if self.sentence:
            argument = replace(
                argument,
                sentence=self.sentence,
                rule=self.rule or argument.rule,
                culprit=self.culprit if self.culprit >= 0 else argument.culprit,
                crossing=None,
                lost=(),
                facts=(),
                others=(),
            )
        return replace(
            argument,
            facts=tuple(dict.fromkeys((*self.facts, *argument.facts, *self.later)))[:_MOST_FACTS],
            first_broken=self.law or argument.first_broken,
        )


NOTHING = Told()


def told(*facts: str) -> Told:
    """The facts alone, without those that are empty."""
    return Told(facts=tuple(filter(None, facts)))


def listed(what: Sequence[object], most: int, word: str = "and") -> str:
    """The first few of ``what`` in words, and how many others there are."""
    left = len(what) - most
    others = f" {word} {left} other{'s' * (left > 1)}" if left > 0 else ""
    return ", ".join(map(str, what[:most])) + others


def either(what: Sequence[object]) -> str:
    """All of ``what`` in words, with "or" between them."""
    return " or ".join(map(str, what))


def every(what: Sequence[object]) -> str:
    """All of ``what`` in words, with "and" before the last."""
    *first, last = map(str, what)
    return f"{', '.join(first)} and {last}" if first else last


def alike(ends: Mapping[_What, _End]) -> dict[_End, list[_What]]:
    """The keys of ``ends``, grouped by their value, in the order in which values first occur."""
    found: dict[_End, list[_What]] = {}
    for what, end in ends.items():
        found.setdefault(end, []).append(what)
    return found
