"""What one way of looking adds to an argument, as data.

Each module that looks at a finding in its own way gives one of these; nothing here finds anything.
"""

from dataclasses import dataclass, replace

from properties.explain.argument import Argument
from properties.oracles.laws.catalogue import Law

_MOST_FACTS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What was found out; what is empty changes nothing.

    ``sentence`` replaces that of the argument, and its rule with it.  ``facts`` come before those
    that are known, and ``later`` after them.  ``law`` replaces what is said of the first broken
    law.
    """

    sentence: str = ""
    culprit: int = -1
    rule: Law | None = None
    facts: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    law: str = ""

    def added_to(self, argument: Argument) -> Argument:
        """The argument with this in it."""
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
            facts=(*self.facts, *argument.facts, *self.later)[:_MOST_FACTS],
            first_broken=self.law or argument.first_broken,
        )


NOTHING = Told()
