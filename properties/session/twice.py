"""One case run twice: what is the same must leave the same trace, event by event."""

from gpusim.trace import Trace
from properties.case import Case
from properties.oracles.laws import Marks
from properties.oracles.laws.determinism import compare_traces
from properties.runner import run
from properties.session.subject import Subject
from properties.session.verdict import Failure, broken_law


def judge_twice(case: Case, subject: Subject) -> Failure | None:
    """The failure of a case whose second run did something else on its driver."""
    violation = compare_traces(_trace(case, subject), _trace(case, subject))
    return None if violation is None else broken_law(violation)


def _trace(case: Case, subject: Subject) -> Trace:
    opened = subject.open(case)
    run(case.program, opened.target, watch=Marks(opened.trace))
    opened.target.close()
    return opened.trace
