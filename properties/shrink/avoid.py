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
from properties.model.capabilities import REFUSALS, Capabilities, Refusal
from properties.model.case import PLAIN, Case
from properties.model.disturbance import SURVIVED
from properties.model.refusals import is_of, parted
from reference import run as run_reference

Avoided = frozenset[str]
"""Words of signatures, and sorts of refused ops."""
AGAIN_EVERY = 128
_ODD: Mapping[str, tuple[str, ...]] = {
    "odd alloc": ("buffer_size_bytes",),
    "odd write": ("write_offset_bytes", "write_size_bytes"),
    "odd read": ("read_offset_bytes", "read_size_bytes"),
    "odd copy": ("copy_offset_bytes", "copy_size_bytes"),
}
_PROMISES: Mapping[str, Mapping[str, Any]] = {
    **{form: {} for form in _ODD},
    "copy within": {"copies_within": False, "overlapping_copies": False},
    **{kind: {promise: False} for kind, promise in SURVIVED.items()},
    **{f"refuses {name}": {promise: Refusal.NOT_ASKED} for name, promise in REFUSALS.items()},
}
"""The forms that a target need not take, and the promises without which programs have none."""


def avoidable(words: Iterable[str], refused: Iterable[str]) -> Avoided:
    """Those of the ``words`` of a signature that programs can do without, and the ``refused``.

    One mistake that accepts ops of a class may show in any of its verbs.  One that raises is in the
    way of its own sort.
    """
    forms = {word for word in words if word in _PROMISES or word in FOREIGN_CLIENTS}
    return frozenset(forms) | {parted(each)[0] for each in refused}


def avoids(case: Case, avoided: Avoided) -> bool:
    """Whether ``case`` is to leave out what is ``avoided``."""
    return bool(avoided) and SeededChoices(f"avoids {case.seed}").integer(1, AGAIN_EVERY) > 1


def without(case: Case, avoided: Avoided, kernels: Kernels, limits: Limits) -> Case:
    """``case`` without what is ``avoided``."""
    if not avoided:
        return case
    program = _without_refused(case.program, avoided, kernels, limits)
    stated = case.promises or Capabilities()
    promises = _narrowed(stated, avoided)
    if promises != stated:
        program = fitted(program, promises, kernels, limits)
        case = replace(case, promises=promises)
    return replace(
        case,
        program=program,
        client=PLAIN if case.client in avoided else case.client,
        disturbance=case.disturbance and case.disturbance.allowed(promises),
    )


def _narrowed(promises: Capabilities, avoided: Avoided) -> Capabilities:
    dropped: dict[str, Any] = {}
    for word in sorted(avoided & _PROMISES.keys()):
        dropped.update(_PROMISES[word])
        for name in _ODD.get(word, ()):
            unit = getattr(promises, name)
            dropped[name] = unit if unit % WORD_BYTES == 0 else unit * WORD_BYTES
    return replace(promises, **dropped)


def _without_refused(
    program: Program, avoided: Avoided, kernels: Kernels, limits: Limits
) -> Program:
    """The program without refused ops of these sorts; to leave one out changes nothing else."""
    sorts = avoided.difference(_PROMISES, FOREIGN_CLIENTS)
    if not sorts:
        return program
    outcomes = run_reference(program, kernels, limits).outcomes
    pairs = zip(program, outcomes, strict=True)
    return Program(tuple([op for op, each in pairs if not is_of(op, each.error, sorts, kernels)]))
