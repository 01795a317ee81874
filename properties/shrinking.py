"""The smallest case that fails in the same way: its ops, operands, policy, client, transformations.

How a candidate is judged is the caller's: in this process or, where a candidate may kill its
process, in a worker.  The time is bounded rather than the number of candidates.
"""

from collections.abc import Callable
from dataclasses import replace

from gpusim.kernels import BUILTIN, Kernels
from properties.model.case import PLAIN, Case
from properties.model.failure import Failure
from properties.oracles.metamorphic.following import moved_along, without_one
from properties.programs.reducer import reduce

Judgement = Callable[[Case], Failure | None]


def shrink(
    case: Case,
    failure: Failure,
    judgement: Judgement,
    *,
    kernels: Kernels = BUILTIN,
    seconds: float,
) -> tuple[Case, Failure] | None:
    """The smallest case that fails as ``failure`` says, and how; None where ``case`` does not."""
    search = _Search(case, failure, judgement, kernels)
    if not search.fails(case):
        return None
    search.leave_out_variants()
    # Its result has transformations that did not follow their ops; the search's case has.
    reduce(search.case, search.fails, kernels=kernels, seconds=seconds)
    search.leave_out_variants()
    return search.case, search.failure


class _Search:
    """The smallest case so far, and its failure."""

    def __init__(
        self, case: Case, failure: Failure, judgement: Judgement, kernels: Kernels
    ) -> None:
        self.case = case
        self.failure = failure
        self._judgement = judgement
        self._kernels = kernels
        self._reproduced = False

    def fails(self, candidate: Case) -> bool:
        """Whether it fails in the same way, its transformations moved along with their ops."""
        return self._take(self._following(candidate))

    def leave_out_variants(self) -> None:
        """The plain client, and no transformation that is not needed."""
        if self.case.client != PLAIN:
            self._take(replace(self.case, client=PLAIN))
        for number in reversed(range(len(self.case.transformations))):
            every = self.case.transformations
            fewer = without_one(self.case.plain, every, number, self._kernels)
            self._take(replace(self.case, transformations=fewer))

    def _take(self, candidate: Case) -> bool:
        if candidate == self.case and self._reproduced:
            return True
        found = self._judgement(candidate)
        if found is None or found.signature != self.failure.signature:
            return False
        # Every case that fails is the smallest so far, so the last one is the result.
        self.case, self.failure, self._reproduced = candidate, found, True
        return True

    def _following(self, candidate: Case) -> Case:
        every = self.case.transformations
        if not candidate.transformations:
            return candidate
        moved = moved_along(self.case.plain, candidate.plain, every, self._kernels)
        return replace(candidate, transformations=moved)
