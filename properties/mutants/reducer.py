"""Mistakes in how a failing case is made small."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gpusim.program import Program
from properties.model.case import Case
from properties.mutants.mutant import Mutant, mutant
from properties.shrink.reducer import reduce

Fails = Callable[[Case], bool]


def reduces_nothing(case: Case, fails: Fails, **how: Any) -> Case:
    """The case comes back as it was."""
    return case


def takes_the_last_asked(case: Case, fails: Fails, **how: Any) -> Case:
    """The result is the candidate asked about last, whether it failed or not."""
    asked = case

    def noted(candidate: Case) -> bool:
        nonlocal asked
        asked = candidate
        return fails(candidate)

    reduce(case, noted, **how)
    return asked


def cuts_at_the_end_only(case: Case, fails: Fails, **how: Any) -> Case:
    """Only ops at the end of a program are ever deleted."""
    ops = case.program.ops
    while len(ops) > 1 and fails(replace(case, program=Program(ops[:-1]))):
        ops = ops[:-1]
    return replace(case, program=Program(ops))


def keeps_the_policy(case: Case, fails: Fails, **how: Any) -> Case:
    """The policy stays as it is, however special."""
    return replace(reduce(case, fails, **how), policy=case.policy)


def grows_back(case: Case, fails: Fails, **how: Any) -> Case:
    """The result has the last op of the case again."""
    small = reduce(case, fails, **how)
    last = case.program[-1]
    try:
        return replace(small, program=Program((*small.program.ops, last)))
    except Exception:
        return small


def _reducer(broken: Callable[..., Case], **about: Any) -> Mutant:
    return mutant(broken, reduce=broken, prey="reduction", **about)


MUTANTS = (
    _reducer(reduces_nothing),
    _reducer(takes_the_last_asked),
    _reducer(cuts_at_the_end_only),
    _reducer(keeps_the_policy),
    _reducer(grows_back),
)
