"""Tells which failing programs show one bug.

Two failing programs show one bug if they fail in the same way and, once shrunk, have the same
needs.  The needs of a program are the first of these things that it has:

- invalid ops of some classes;
- forms of ops that not every runtime takes;
- two ops that must share a batch;
- the kinds of its ops.

If a program has one of the first three, its other ops are no part of the signature.

A client tests one thing that a target promises.  If a target fails under a client, the bug is the
same whether the layer settled maps in another order or let one fail.  So beside a client, injected
faults are no part of the signature.
"""

from gpusim.history import History
from gpusim.kernels import Kernels
from gpusim.limits import WORD_BYTES, Limits
from gpusim.ops import Copy, Op
from gpusim.program import Program, flattened
from properties.model.case import PLAIN, Case
from properties.model.failure import Failure, FailureKind
from properties.model.refusals import RAISED, parted
from properties.shrink.avoid import Avoided, avoidable
from properties.shrink.together import Together
from reference import run as run_reference

Signature = tuple[str, ...]


def signature_of(
    case: Case, failure: Failure, kernels: Kernels, together: Together = ()
) -> Signature:
    """What tells failures apart: how a case failed, and what it needs in order to fail.

    An invalid op that did harm may show in any other op.  So after one, the other ops, the client
    and the disturbance are no part of the signature.  The kinds of ops are no part of it either if
    a form that not every runtime takes, or two ops that must stand ``together``, explain the
    failure.  With such a form or an invalid op, all kinds of failure in ``_HARM`` count as one.
    """
    meant = run_reference(case.program, kernels, case.limits(Limits()))
    how, forms = _how(failure, meant), _forms(case.program, meant, failure)
    if how == _HARMED:
        return *how, *sorted(forms)
    if forms and failure.kind in _HARM:
        how = _HARMED
    pair = {" to ".join(together)} if together else set()
    takes = forms or pair or _kinds(case.program)
    if case.injected or (case.client != PLAIN and case.disturbance is not None):
        # The failure needs a fault, or a client and another order in which maps settle.  The ops
        # only bring these about, so their kinds are left out.
        takes = forms
    return *how, *sorted(takes), *_variants(case)


def needs_of(signature: Signature, case: Case, failure: Failure) -> Avoided:
    """What a failure of this signature needs, as far as programs can leave it out."""
    return avoidable((*signature, *case.injected), failure.refused)


def forms_of(case: Case, failure: Failure, kernels: Kernels) -> set[str]:
    """The words for the invalid ops of a case.

    If it has none, these are the words for those forms of its ops that not every runtime takes.
    """
    meant = run_reference(case.program, kernels, case.limits(Limits()))
    return _forms(case.program, meant, failure)


def _harming(refused: str) -> str:
    """The word for an op that may have done harm.

    ``refused`` is the sort of the op, and what the target did with it.  An op that raises does harm
    by what it leaves behind, so the word does not say what was wrong with the op.
    """
    sort, done = parted(refused)
    if done == RAISED:
        return f"raises at {sort.partition(' ')[2].removesuffix(' twice')}"
    return f"accepts {sort}"


def _refused(meant: History) -> set[str]:
    """The words for the invalid ops, if the failure does not say what the target did with them."""
    return {f"refuses {outcome.error}" for outcome in meant.outcomes if outcome.error}


_HARMED = "harm", ""
_HARM = (
    FailureKind.VALUE,
    FailureKind.ERROR,
    FailureKind.LATE_ERROR,
    FailureKind.DELIVERY_ORDER,
    FailureKind.CRASH,
)


def _how(failure: Failure, meant: History) -> tuple[str, str]:
    """How a case failed.

    If a valid op shows harm that an invalid op may have done, all ways to fail count as one.
    """
    outcomes, at = meant.outcomes, failure.position
    is_valid = at >= len(outcomes) or outcomes[at].error is None
    if is_valid and failure.kind in _HARM and any(outcome.error for outcome in outcomes):
        return _HARMED
    return failure.signature


def _forms(program: Program, meant: History, failure: Failure) -> set[str]:
    refused = {*map(_harming, failure.refused)} or _refused(meant)
    if refused:
        return refused
    ops = list(flattened(program))
    odd = {f"odd {op.verb}" for op in ops if any(number % WORD_BYTES for number in _numbers(op))}
    within = any(isinstance(op, Copy) and op.source == op.target for op in ops)
    return {*odd, *(["copy within"] if within else [])}


_PLAIN_VERBS = ("alloc", "read", "flush", "sync")
"""The kinds of ops that nearly every program has."""


def _kinds(program: Program) -> set[str]:
    """The kinds of a program's ops; ``write`` only if there is no other kind.

    With other ops, a write may only supply their bytes.
    """
    kinds = {op.verb for op in program if op.verb not in _PLAIN_VERBS}
    return kinds - {"write"} or kinds


def _numbers(op: Op) -> list[int]:
    names = ("size_bytes", "offset", "source_offset", "target_offset")
    return [*(getattr(op, name, 0) for name in names), len(getattr(op, "data", b""))]


def _variants(case: Case) -> Signature:
    """A case's client, its disturbance and the kinds of its transformations."""
    disturbed = () if case.disturbance is None else ("disturbed",)
    faults = sorted(case.injected) if case.client == PLAIN else ()
    return (case.client, *disturbed, *faults, *sorted(each.name for each in case.transformations))
