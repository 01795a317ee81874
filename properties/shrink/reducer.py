"""Delta debugging: the smallest case that still fails in the same way.

``reduce`` runs the shrink passes over and over until nothing changes.  ``shrink`` does
that too, and also leaves out the client and the transformations.  The caller judges a candidate:
in this process, or in a worker if the candidate may kill the process that runs it.  The time is
bounded, and the number of candidates is not.  After Zeller and Hildebrandt, "Simplifying and
Isolating Failure-Inducing Input" (2002).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from gpusim.kernels import BUILTIN, Kernels
from properties.model.case import PLAIN, Case
from properties.model.failure import Failure
from properties.oracles.metamorphic.rewrites import moved_along, without_one
from properties.shrink.passes import PASSES
from properties.shrink.rewriting import with_room
from properties.shrink.search import Fails, OutOfTime, PassCount, Search, Statistics, text_of


def reduce(
    case: Case,
    fails: Fails,
    *,
    kernels: Kernels = BUILTIN,
    seconds: float = 10.0,
    clock: Callable[[], float] = time.monotonic,
) -> Case:
    """A smaller case that still fails, and from which no single op can be left out.

    ``fails`` is asked once about each candidate: does it show the failure of ``case``?
    The result is the same every time, unless ``seconds`` of the ``clock`` run out
    first; then it is the smallest failing case so far.

    Raises:
        ValueError: ``case`` does not fail.
    """
    if not fails(case):
        raise ValueError(
            "cannot reduce a case because it does not fail "
            "(probably its failure depends on something outside it)"
        )
    deadline = clock() + seconds
    search = Search(case, fails, {}, lambda: clock() > deadline)
    _search(search, kernels)
    return search.case


def _search(search: Search, kernels: Kernels) -> bool:
    """Run all passes until none finds a smaller case; False if the time ran out first."""
    before = None
    try:
        while before is not search.case:
            before = search.case
            for one in PASSES:
                search.begin(one.__name__)
                one(search, kernels)
    except OutOfTime:
        return False
    return True


Judgement = Callable[[Case], Failure | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shrunk:
    """The smallest case that was found, and its failure."""

    case: Case
    failure: Failure
    is_cut_short: bool
    """Whether the time ran out before every smaller case was tried."""
    candidates: int
    """The number of cases that were judged, each once."""
    passes: Mapping[str, PassCount] = field(default_factory=dict)
    """The counts of each shrink pass, by its name."""


def shrink(
    case: Case,
    failure: Failure,
    judgement: Judgement,
    *,
    kernels: Kernels = BUILTIN,
    seconds: float,
) -> Shrunk | None:
    """The smallest case that fails like ``failure``; None if ``case`` does not fail like that."""
    variants = _VariantSearch(case, failure, judgement, kernels)
    if not variants.fails(case):
        return None
    variants.leave_out_variants()
    statistics: Statistics = {}
    deadline = time.monotonic() + seconds
    search = Search(variants.case, variants.fails, statistics, lambda: time.monotonic() > deadline)
    # From here on ``variants.case`` is used, not ``search.case``: only in ``variants.case`` were
    # the transformations moved along with their ops.
    is_complete = _search(search, kernels)
    variants.fails(replace(variants.case, program=with_room(variants.case.program, kernels)))
    variants.leave_out_variants()
    return Shrunk(
        case=variants.case,
        failure=variants.failure,
        is_cut_short=not is_complete,
        candidates=variants.candidates,
        passes=statistics,
    )


def fails_like(case: Case, failure: Failure, judgement: Judgement) -> bool:
    """Whether ``case`` fails in the same way as ``failure``."""
    found = judgement(case)
    return found is not None and found.signature == failure.signature


class _VariantSearch:
    """The smallest case so far, and its failure."""

    def __init__(
        self, case: Case, failure: Failure, judgement: Judgement, kernels: Kernels
    ) -> None:
        self.case = case
        self.failure = failure
        self._judgement = judgement
        self._kernels = kernels
        self._judged: dict[str, Failure | None] = {}
        """For the text of each judged case: its failure if that is like the first, else None."""

    @property
    def candidates(self) -> int:
        """The number of cases that were judged."""
        return len(self._judged)

    def fails(self, candidate: Case) -> bool:
        """Whether the candidate fails like the case, once its transformations are moved.

        A transformation moves to the place that its op has in the candidate.
        """
        return self._take(self._following(candidate))

    def leave_out_variants(self) -> None:
        """Drop the client, and each transformation, if the case still fails without it."""
        if self.case.client != PLAIN:
            self._take(replace(self.case, client=PLAIN))
        for number in reversed(range(len(self.case.transformations))):
            every = self.case.transformations
            if number >= len(every):
                # If a transformation could not be applied, the later ones were dropped with it.
                continue
            fewer = without_one(self.case.plain, every, number, self._kernels)
            self._take(replace(self.case, transformations=fewer))

    def _take(self, candidate: Case) -> bool:
        text = text_of(candidate)
        if text not in self._judged:
            found = self._judgement(candidate)
            is_same = found is not None and found.signature == self.failure.signature
            self._judged[text] = found if is_same else None
        failure = self._judged[text]
        if failure is not None:
            # A case is kept only if it fails, so the last one kept is the result.
            self.case, self.failure = candidate, failure
        return failure is not None

    def _following(self, candidate: Case) -> Case:
        every = self.case.transformations
        if not candidate.transformations:
            return candidate
        moved = moved_along(self.case.plain, candidate.plain, every, self._kernels)
        return replace(candidate, transformations=moved)
