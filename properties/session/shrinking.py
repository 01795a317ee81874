"""Making a failing case small, each candidate judged in the worker.

A candidate that kills the worker costs a new one, so that the time is bounded
rather than the number of candidates.
"""

from dataclasses import replace

from gpusim.kernels import Kernels
from properties.case import PLAIN, Case
from properties.oracles.metamorphic.reducing import moved_along, without_one
from properties.programs.reducer import reduce
from properties.session.drawn import transformations_of, with_transformations
from properties.session.messages import JudgeCase, Judged
from properties.session.supervisor import Gone, Supervisor
from properties.session.verdict import Failure

_STALL_SECONDS = 5.0
"""How long a candidate may stand still; what a hang is was decided before."""


def judge_alone(case: Case, supervisor: Supervisor, stall_seconds: float) -> Failure | None:
    """The failure of one case, in the worker; a death is a failure as well."""
    supervisor.ask(JudgeCase(case=case))
    answer = supervisor.wait(stall_seconds)
    if isinstance(answer, Gone):
        return failure_of(answer)
    assert isinstance(answer, Judged)
    return answer.failure


def failure_of(gone: Gone) -> Failure:
    """A dead worker as the failure of the program it ran."""
    text = f"{gone.kind}: the process that ran it {gone}"
    return Failure(kind=gone.kind, trait=gone.trait, text=text)


def shrink(
    case: Case,
    failure: Failure,
    supervisor: Supervisor,
    *,
    kernels: Kernels,
    seconds: float,
    stall_seconds: float,
) -> tuple[Case, Failure] | None:
    """The smallest case that fails in the same way, and how; None where ``case`` does not again."""
    search = _Search(case, failure, supervisor, kernels, min(stall_seconds, _STALL_SECONDS))
    if not search.fails(case):
        return None
    search.leave_out_what_was_drawn()
    # Its result has transformations that did not follow their ops; the search's case has.
    reduce(search.case, search.fails, kernels=kernels, seconds=seconds)
    search.leave_out_what_was_drawn()
    return search.case, search.failure


class _Search:
    """The smallest case so far, and its failure."""

    def __init__(
        self,
        case: Case,
        failure: Failure,
        supervisor: Supervisor,
        kernels: Kernels,
        stall_seconds: float,
    ) -> None:
        self.case = case
        self.failure = failure
        self._supervisor = supervisor
        self._kernels = kernels
        self._stall_seconds = stall_seconds
        self._reproduced = False

    def fails(self, candidate: Case) -> bool:
        """Whether it fails in the same way, its transformations moved along with their ops."""
        return self._take(self._following(candidate))

    def leave_out_what_was_drawn(self) -> None:
        """The plain caller, and no transformation that is not needed."""
        if self.case.caller != PLAIN:
            self._take(replace(self.case, caller=PLAIN))
        for number in reversed(range(len(self.case.transformations))):
            every = transformations_of(self.case)
            fewer = without_one(_plain(self.case), every, number, self._kernels)
            self._take(with_transformations(self.case, fewer))

    def _take(self, candidate: Case) -> bool:
        if candidate == self.case and self._reproduced:
            return True
        found = judge_alone(candidate, self._supervisor, self._stall_seconds)
        if found is None or (found.kind, found.trait) != (self.failure.kind, self.failure.trait):
            return False
        # Every case that fails is the smallest so far, so the last one is the result.
        self.case, self.failure, self._reproduced = candidate, found, True
        return True

    def _following(self, candidate: Case) -> Case:
        if not candidate.transformations:
            return candidate
        every = transformations_of(self.case)
        moved = moved_along(_plain(self.case), _plain(candidate), every, self._kernels)
        return with_transformations(candidate, moved)


def _plain(case: Case) -> Case:
    return replace(case, transformations=())
