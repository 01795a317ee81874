"""Making a failing case small, each candidate judged in the worker.

A candidate that kills the worker costs a new one, so that the time is bounded
rather than the number of candidates.
"""

from gpusim.kernels import Kernels
from properties.case import Case
from properties.programs.reducer import reduce
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
    words = f": {gone.words}" if gone.words else ""
    return Failure(
        kind=gone.kind,
        trait=gone.trait,
        text=f"{gone.kind}: the process that ran it "
        + (f"ended by {gone.trait}" if gone.trait else "stood still")
        + words,
    )


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
    stall_seconds = min(stall_seconds, _STALL_SECONDS)
    last: Failure | None = None

    def fails(candidate: Case) -> bool:
        nonlocal last
        found = judge_alone(candidate, supervisor, stall_seconds)
        if found is None or (found.kind, found.trait) != (failure.kind, failure.trait):
            return False
        # Every case that fails is the smallest so far, so the last one is the result.
        last = found
        return True

    try:
        small = reduce(case, fails, kernels=kernels, seconds=seconds)
    except ValueError:
        if last is None:
            return None
        raise
    assert last is not None
    return small, last
