"""What most programs of a foreign target leave out once a bug that takes it was found.

A runtime with many bugs shows the same one in nearly every program.  A session that shrinks it
over and over finds nothing behind it.  So once a bug was shrunk, only one in ``AGAIN_EVERY``
programs still has what it takes: a form of ops, a sort of refused ops, a client, or faults.  What
it takes decides this, never the target.  What nearly every program has is never left out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from gpusim.kernels import Kernels
from gpusim.limits import WORD_BYTES, Limits
from gpusim.program import Program
from properties.clients import FOREIGN_CLIENTS
from properties.generate.choices import SeededChoices
from properties.generate.fitting import fitted
from properties.model.case import PLAIN, Case
from properties.model.disturbance import SURVIVED
from properties.model.refusals import ACCEPTED, is_of
from reference import run as run_reference

Avoided = frozenset[str]
"""Words of signatures, and sorts of refused ops."""
AGAIN_EVERY = 128
_PROMISES: Mapping[str, Mapping[str, Any]] = {
    "odd alloc": {"buffer_size_bytes": WORD_BYTES},
    "odd write": {"write_offset_bytes": WORD_BYTES, "write_size_bytes": WORD_BYTES},
    "odd read": {"read_offset_bytes": WORD_BYTES, "read_size_bytes": WORD_BYTES},
    "odd copy": {"copy_offset_bytes": WORD_BYTES, "copy_size_bytes": WORD_BYTES},
    "copy within": {"copies_within": False, "overlapping_copies": False},
    **{kind: {promise: False} for kind, promise in SURVIVED.items()},
}
"""The forms that a target need not take, and the promises without which programs have none."""


def avoidable(words: Iterable[str], refused: Iterable[str]) -> Avoided:
    """Those of the ``words`` of a signature that programs can do without, and the ``refused``.

    One mistake that accepts ops of a class may show in any of its verbs.  One that raises is in the
    way of its own sort.
    """
    forms = {word for word in words if word in _PROMISES or word in FOREIGN_CLIENTS}
    return frozenset(forms) | {_sort(each) for each in refused}


def _sort(refused: str) -> str:
    sort, _, done = refused.rpartition(" ")
    return sort.partition(" ")[0] if done == ACCEPTED and "InvalidHandle" in sort else sort


def avoids(case: Case, avoided: Avoided) -> bool:
    """Whether ``case`` is to leave out what is ``avoided``."""
    return bool(avoided) and SeededChoices(f"avoids {case.seed}").integer(1, AGAIN_EVERY) > 1


def without(case: Case, avoided: Avoided, kernels: Kernels, limits: Limits) -> Case:
    """``case``, which states its promises, without what is ``avoided``."""
    assert case.promises is not None
    dropped: dict[str, Any] = {}
    for word in sorted(avoided & _PROMISES.keys()):
        dropped.update(_PROMISES[word])
    promises = replace(case.promises, **dropped)
    program = _without_refused(case.program, avoided, kernels, limits)
    disturbance = case.disturbance and case.disturbance.allowed(promises)
    return replace(
        case,
        program=fitted(program, promises, kernels, limits),
        promises=promises,
        client=PLAIN if case.client in avoided else case.client,
        disturbance=disturbance,
    )


def _without_refused(
    program: Program, avoided: Avoided, kernels: Kernels, limits: Limits
) -> Program:
    """The program without refused ops of these sorts; to leave one out changes nothing else."""
    outcomes = run_reference(program, kernels, limits).outcomes
    pairs = zip(program, outcomes, strict=True)
    return Program(tuple([op for op, each in pairs if not is_of(op, each.error, avoided, kernels)]))
