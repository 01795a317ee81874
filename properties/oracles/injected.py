"""Translates the errors of a disturbed target into the contract's classes of errors.

A target in another language raises its own errors when a map fails or memory runs out.  Its promise
says which ops may raise.  Their errors count as the contract's class, so that the reference can
follow the execution.  Any other error stays what it is.
"""

from dataclasses import replace

from gpusim.errors import MapFailed, OutOfMemory, SubmitFailed
from gpusim.history import History, Outcome
from gpusim.ops import Op, Read, Sync
from gpusim.program import Program
from properties.execute import CHANGED

_CLASSES = {
    "failed_maps": MapFailed.__name__,
    "out_of_memory": OutOfMemory.__name__,
    # On a lost device WebGPU's calls do nothing, so an op need not raise.  A loss therefore counts
    # as a failed submit: only what the batch would have written is lost.
    "lost_at_submit": SubmitFailed.__name__,
}


def shown_faults(injected: frozenset[str]) -> frozenset[str]:
    """The error classes that stand for the injected faults."""
    return frozenset(_CLASSES[name] for name in injected)


def may_fail_close(injected: frozenset[str]) -> bool:
    """Whether the injected faults allow a close to raise; failed maps alone do not."""
    return bool(injected - {"failed_maps"})


def in_contract_terms(program: Program, got: History, injected: frozenset[str]) -> History:
    """``got`` with the errors that the promises allow, under the names of the contract.

    A read, and a sync that waits for it, may raise if a map fails.  Any op may raise if memory runs
    out or the device is lost.
    """
    outcomes = [
        _translated(op, outcome, injected)
        for op, outcome in zip(program, got.outcomes, strict=True)
    ]
    closing = got.closing and _translated(Sync(), got.closing, injected)
    return replace(got, outcomes=tuple(outcomes), closing=closing)


def _translated(op: Op, outcome: Outcome, injected: frozenset[str]) -> Outcome:
    waits = isinstance(op, Read | Sync)
    kinds = [kind for kind in _CLASSES if kind in injected and (waits or kind != "failed_maps")]
    if not kinds:
        return outcome
    kind = kinds[-1]
    if outcome.late_error not in (None, CHANGED):
        return replace(outcome, late_error=_CLASSES[kind])
    return outcome if outcome.error is None else replace(outcome, error=_CLASSES[kind])
