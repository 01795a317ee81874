"""Delta debugging: the smallest case that still fails in the same way.

Ops are deleted first, then operands become simpler, then the policy, over and over until nothing
changes.  ``shrink`` does the same for client and transformations.  The caller judges a candidate:
in this process, or in a worker where a candidate may kill its process.  The time is bounded, and
the number of candidates is not.  After Zeller and Hildebrandt, "Simplifying and Isolating
Failure-Inducing Input" (2002).
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, replace
from itertools import combinations

from gpusim.kernels import BUILTIN, Kernels
from gpusim.program import Program
from gpusim.runtime.policy import PRESETS, Policy
from properties.model.case import PLAIN, Case
from properties.model.failure import Failure
from properties.oracles.metamorphic.rewrites import moved_along, without_one
from properties.shrink.rewriting import (
    canonical,
    in_simpler_kernels,
    merges,
    numbers_of,
    shifts,
    unrolled,
    with_number,
    with_op,
    without,
    without_commands,
)
from properties.shrink.simpler import simpler_numbers, simpler_ops

Fails = Callable[[Case], bool]

_MOST_OPS_FOR_PAIRS = 16


def reduce(
    case: Case,
    fails: Fails,
    *,
    kernels: Kernels = BUILTIN,
    seconds: float = 10.0,
    clock: Callable[[], float] = time.monotonic,
) -> Case:
    """A case that still fails, and that passes without any one of its ops.

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
    search = _Search(case, fails, seconds, clock)
    try:
        while _round(search, kernels):
            pass
    except _OutOfTime:
        pass
    return search.case


class _OutOfTime(Exception):
    """The time for shrinking is used up."""


class _Search:
    """The smallest failing case so far, and the candidates that were tried."""

    def __init__(
        self, case: Case, fails: Fails, seconds: float, clock: Callable[[], float]
    ) -> None:
        self.case = case
        self._fails = fails
        self._clock = clock
        self._deadline = clock() + seconds
        self._asked = {case}

    @property
    def program(self) -> Program:
        return self.case.program

    def take(self, candidate: Case) -> bool:
        """Whether ``candidate`` fails; if it does, the search continues from it."""
        if candidate in self._asked:
            return False
        if self._clock() > self._deadline:
            raise _OutOfTime
        self._asked.add(candidate)
        if not self._fails(candidate):
            return False
        self.case = candidate
        return True

    def take_program(self, program: Program | None) -> bool:
        return program is not None and self.take(replace(self.case, program=program))

    def take_first(self, programs: Iterable[Program]) -> bool:
        """Whether one of ``programs`` fails; the search continues from the first that does."""
        return any(self.take_program(program) for program in programs)


def _round(search: _Search, kernels: Kernels) -> bool:
    before = search.case
    _delete_ops(search)
    _simplify_operands(search, kernels)
    _simplify_policy(search)
    return search.case != before


def _delete_ops(search: _Search) -> None:
    """Delete chunks from the end, each round half as long; then single ops, then pairs."""
    chunk = len(search.program) // 2
    while chunk > 1:
        _delete_chunks(search, chunk)
        chunk //= 2
    while _delete_chunks(search, 1) or _delete_pair(search):
        pass


def _delete_chunks(search: _Search, chunk: int) -> bool:
    deleted = False
    end = len(search.program)
    while end > 0:
        start = max(0, end - chunk)
        # Ops that are deleted with an alloc come after it, so nothing before ``start`` moves.
        deleted |= search.take_program(without(search.program, range(start, end)))
        end = start
    return deleted


def _delete_pair(search: _Search) -> bool:
    """Delete two ops at once, such as a free and a flush where either alone is needed."""
    if len(search.program) > _MOST_OPS_FOR_PAIRS:
        return False
    pairs = combinations(range(len(search.program)), 2)
    program = search.program
    return search.take_first(without(program, pair) for pair in pairs)


def _simplify_operands(search: _Search, kernels: Kernels) -> None:
    while search.take_first(_whole_rewrites(search.program, kernels)):
        pass
    for position in range(len(search.program)):
        while search.take_first(_op_rewrites(search.program, position, kernels)):
            pass
    search.take_program(canonical(search.program))


def _whole_rewrites(program: Program, kernels: Kernels) -> Iterator[Program]:
    yield from without_commands(program)
    yield from unrolled(program)
    yield from merges(program)
    yield from shifts(program)
    yield from in_simpler_kernels(program, kernels)
    for number in numbers_of(program):
        for simpler in simpler_numbers(number):
            yield with_number(program, number, simpler)


def _op_rewrites(program: Program, position: int, kernels: Kernels) -> Iterator[Program]:
    for op in simpler_ops(program[position], kernels):
        changed = with_op(program, position, op)
        if changed is not None:
            yield changed


def _simplify_policy(search: _Search) -> None:
    """Reset each number to the preset's, then take the first preset that still fails."""
    for field in fields(Policy):
        policy = search.case.policy
        usual = getattr(PRESETS.get(policy.name, Policy()), field.name)
        if field.name != "name" and getattr(policy, field.name) != usual:
            search.take(replace(search.case, policy=replace(policy, **{field.name: usual})))
    any(search.take(replace(search.case, policy=policy)) for policy in _presets(search.case.policy))


def _presets(policy: Policy) -> Iterator[Policy]:
    """Simpler presets, each as it is and then with the changed fields of ``policy``."""
    own = PRESETS.get(policy.name, Policy())
    special = {
        field.name: getattr(policy, field.name)
        for field in fields(Policy)
        if field.name != "name" and getattr(policy, field.name) != getattr(own, field.name)
    }
    for preset in PRESETS.values():
        if preset.name == policy.name:
            return
        yield preset
        if special:
            yield replace(preset, **special)


Judgement = Callable[[Case], Failure | None]


def shrink(
    case: Case,
    failure: Failure,
    judgement: Judgement,
    *,
    kernels: Kernels = BUILTIN,
    seconds: float,
) -> tuple[Case, Failure] | None:
    """The smallest case that fails like ``failure``, and its failure; None if ``case`` does not."""
    search = _VariantSearch(case, failure, judgement, kernels)
    if not search.fails(case):
        return None
    search.leave_out_variants()
    # The search's case, not this result: its transformations have followed their ops.
    reduce(search.case, search.fails, kernels=kernels, seconds=seconds)
    search.leave_out_variants()
    return search.case, search.failure


class _VariantSearch:
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
        """Whether it fails in the same way; its transformations follow their ops first."""
        return self._take(self._following(candidate))

    def leave_out_variants(self) -> None:
        """Take the plain client if that still fails, and drop each transformation that can go."""
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
        # A case is kept only if it fails, so the last one kept is the result.
        self.case, self.failure, self._reproduced = candidate, found, True
        return True

    def _following(self, candidate: Case) -> Case:
        every = self.case.transformations
        if not candidate.transformations:
            return candidate
        moved = moved_along(self.case.plain, candidate.plain, every, self._kernels)
        return replace(candidate, transformations=moved)
