"""The request to explain a failing case, its answer, and what a worker does for it."""

from collections.abc import Callable
from dataclasses import dataclass

from properties.explain.argument import Argument
from properties.model.case import Case
from properties.oracles.judge import Oracles, Verdict, judge
from properties.targets.factory import TargetFactory

_UNREPEATED = Oracles(growth=False)
"""Cases that are run to explain another case are not repeated to see whether memory grows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Explain:
    """Explain why a case fails; with ``tries``, by running it in other ways as well."""

    case: Case
    tries: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Explained:
    """Why a case fails; None if it passed."""

    argument: Argument | None


def explained(request: Explain, factory: TargetFactory, begin: Callable[[], None]) -> Explained:
    """Answer ``request``; ``begin`` is called before each run."""
    # Most workers never explain a case, so they do not load this.
    from properties.explain.explain import explain

    def again(case: Case) -> Verdict:
        begin()
        return judge(case, factory, _UNREPEATED)

    begin()
    verdict = judge(request.case, factory)
    if verdict.failure is None:
        return Explained(argument=None)
    return Explained(argument=explain(verdict, again if request.tries else None))
