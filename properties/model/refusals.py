"""The sorts of ops that the contract refuses, and what a target did with each.

A sort is the class of the refusal, and the verb: ``OutOfRange copy``.  A dispatch that binds one
buffer more than once is a sort of its own.  Ops of one sort take the same way through a runtime.
So if several of them do harm, usually one mistake is the cause.  An op that raised because of a
fault has no sort, since it was right to raise.  Data only.
"""

from collections.abc import Mapping

from gpusim import errors
from gpusim.errors import InvalidHandle
from gpusim.history import History
from gpusim.kernels import Kernel
from gpusim.ops import Op
from gpusim.program import Program

ACCEPTED, RAISED = "accepted", "raised"
_CLASSES = (*errors.Refused.__subclasses__(), errors.OutOfMemory)
_REFUSALS = frozenset(kind.__name__ for kind in _CLASSES)


def sort_of(op: Op, error: str, kernels: Mapping[str, Kernel]) -> str:
    """The sort of ``op``, which the contract refuses with the class ``error``."""
    bound = getattr(op, "buffers", ())
    kernel = kernels.get(getattr(op, "kernel", ""))
    is_whole = kernel is not None and len(kernel.buffers) == len(bound)
    is_twice = is_whole and len({str(each) for each in bound}) < len(bound)
    return f"{error} {op.verb}" + " twice" * is_twice


def refusals(
    program: Program, meant: History, got: History, kernels: Mapping[str, Kernel]
) -> frozenset[str]:
    """The sorts of the ops that ``meant`` refuses, each with whether the target raised."""
    outcomes = zip(program, meant.outcomes, got.outcomes, strict=True)
    return frozenset(
        f"{sort_of(op, expected.error, kernels)} {RAISED if shown.error else ACCEPTED}"
        for op, expected, shown in outcomes
        if expected.error in _REFUSALS
    )


def parted(refused: str) -> tuple[str, str]:
    """The sort of a refused op, and what the target did with it.

    All verbs look up a handle in the same way.  So if a wrong handle is accepted, the verb is left
    out.
    """
    sort, _, done = refused.rpartition(" ")
    error = sort.partition(" ")[0]
    return (error if done == ACCEPTED and error == InvalidHandle.__name__ else sort), done


def is_of(op: Op, error: str | None, sorts: frozenset[str], kernels: Mapping[str, Kernel]) -> bool:
    """Whether the contract refuses ``op`` with ``error``, and ``sorts`` has its sort or class."""
    return error is not None and not sorts.isdisjoint((error, sort_of(op, error, kernels)))
