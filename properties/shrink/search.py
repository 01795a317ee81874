"""The search for a smaller failing case: the smallest so far, and the candidates tried.

A shrink pass proposes candidates to a ``Search``.  The search runs no candidate whose text it has
run before (see ``text_of``).  Nothing here knows what a pass proposes, or what a failure means.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from gpusim.program import Program
from properties.model.case import Case

Fails = Callable[[Case], bool]


class OutOfTime(Exception):
    """The time is over."""


@dataclass(kw_only=True, slots=True)
class PassCount:
    """The counts of one pass: the candidates that were run, and those that were kept."""

    tried: int = 0
    taken: int = 0


Statistics = dict[str, PassCount]
"""The counts of each pass, by its name, in the order in which they first ran."""


class Search:
    """The smallest failing case so far."""

    def __init__(
        self, case: Case, fails: Fails, statistics: Statistics, is_late: Callable[[], bool]
    ) -> None:
        self.case = case
        self._fails = fails
        self._statistics = statistics
        self._is_late = is_late
        self._count = PassCount()
        self._asked = {text_of(case)}

    @property
    def program(self) -> Program:
        return self.case.program

    def begin(self, name: str) -> None:
        """Count the candidates from now on for the pass of that name."""
        self._count = self._statistics.setdefault(name, PassCount())

    def take(self, candidate: Case) -> bool:
        """Whether ``candidate`` fails; if it does, the search continues from it.

        A candidate without ops is never taken: the file of a finding cannot hold it.

        Raises:
            OutOfTime: the candidate was not run, because the time is over.
        """
        text = text_of(candidate)
        if text in self._asked or not candidate.program:
            return False
        if self._is_late():
            raise OutOfTime
        self._asked.add(text)
        self._count.tried += 1
        if not self._fails(candidate):
            return False
        self._count.taken += 1
        self.case = candidate
        return True

    def take_program(self, program: Program | None) -> bool:
        """Whether the case fails with ``program`` in the place of its own; False for None.

        If it does, the search continues from it.
        """
        return program is not None and self.take(replace(self.case, program=program))

    def take_first(self, candidates: Iterable[Case]) -> bool:
        """Whether one of ``candidates`` fails; the search continues from the first that does."""
        return any(self.take(candidate) for candidate in candidates)

    def take_first_program(self, programs: Iterable[Program]) -> bool:
        """Whether the case fails with one of ``programs``; the first that fails is taken."""
        return any(self.take_program(program) for program in programs)


def text_of(case: Case) -> str:
    """All that decides the run of a case; cases with equal texts run alike.

    Cases cannot be compared themselves, because a NaN among scalars is unequal to itself.
    """
    setting = (case.device, case.policy, case.client, case.target, case.promises)
    decided = (*setting, case.disturbance)
    return "\n".join([*map(str, decided), *map(repr, case.transformations), str(case.program)])
