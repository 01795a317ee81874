"""A Told: what one module found out, to be added to an argument.  Data only.

Each module that looks at a finding in its own way returns a Told.  Nothing here finds anything out.
"""

from dataclasses import dataclass, replace

from properties.explain.argument import Argument
from properties.oracles.laws.catalogue import Law

_MOST_FACTS = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What was found out; an empty field changes nothing.

    ``sentence`` and ``rule`` replace those of the argument.  ``facts`` are put before its facts,
    and ``later`` after its facts.  ``law`` replaces its words about the first broken law.
    """

    sentence: str = ""
    culprit: int = -1
    rule: Law | None = None
    facts: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    law: str = ""

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
