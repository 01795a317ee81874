"""Tries in which order one submit has commands of each sort.

A small program shows one pair of commands that changed places.  Trials tell whether every copy
comes first, or only a read, or only a command over other buffers.
"""

from dataclasses import replace

from gpusim.ops import Alloc
from gpusim.program import Program
from properties.explain.clocks import Traced, read_clocks
from properties.explain.experiments import Judge
from properties.explain.told import NOTHING, Told
from properties.explain.trials import LIFTED
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws.catalogue import A1, A3, C1, LawContext

_MADE = "alloc x 64\nalloc y 64\nalloc z 64\n"
_DISPATCH, _READ = "dispatch affine x 3,1 1x1x1", "read y 0 4 -> r"
_FIRST, _SECOND = "copy y 0 z 0 4", "copy y 4 z 4 4"
_ORDERS = {
    "dispatch, copy": (_DISPATCH, _FIRST),
    "dispatch, read": (_DISPATCH, _READ),
    "dispatch, read of it": (_DISPATCH, "read x 0 4 -> r"),
    "copy, dispatch, other": (_FIRST, _DISPATCH, _SECOND),
    "copy, read": (_FIRST, _READ),
    "read, dispatch": (_READ, _DISPATCH),
    "copies 1, 2, 3, 4, 5": tuple(f"copy y {4 * n} z {4 * n} 4" for n in range(5)),
}
_KINDS = (FailureKind.LAW, FailureKind.VALUE)
_OF_ORDER = (A1.name, A3.name, C1.name)


def tell_within(verdict: Verdict, failure: Failure, traced: Traced, again: Judge | None) -> Told:
    """If a submit had its commands in another order: which sorts of commands change places."""
    case, broken = verdict.execution.case, traced.broken
    if again is None or failure.kind not in _KINDS or case.follows_no_policy:
        return NOTHING
    is_mixed = any(list(places) != sorted(places) for places in traced.submits.values())
    if broken is None or broken.trait not in _OF_ORDER or not is_mixed or len(case.device.faults):
        return NOTHING
    orders = {words: _submitted(verdict, words, ops, again) for words, ops in _ORDERS.items()}
    moved = [f"{words} -> {came}" for words, came in orders.items() if came not in ("", words)]
    kept = [words for words, came in orders.items() if came == words]
    if not moved:
        return NOTHING
    rest = f"; as issued: {' / '.join(kept)}" if kept else ""
    return Told(facts=(f"tried, issued -> submitted: {'; '.join(moved)}{rest}",))


def _submitted(verdict: Verdict, words: str, ops: tuple[str, ...], again: Judge) -> str:
    """The order in which one submit has ``ops``, in words; "" if no submit has all of them."""
    case = verdict.execution.case
    policy = replace(case.policy, **LIFTED)
    program = Program.parse(_MADE + "\n".join(ops) + "\n")
    execution = again(replace(case, program=program, policy=policy, transformations=())).execution
    if not execution.is_lawful:
        return ""
    first = sum(isinstance(op, Alloc) for op in program)
    for places in read_clocks(execution.trace, LawContext.of(execution)).submits.values():
        at = [position - first for position, _ in places]
        if sorted(at) == [*range(len(ops))]:
            return ", ".join(words.split(", ")[n] for n in at)
    return ""
