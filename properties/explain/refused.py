"""What a refused op takes along, and which buffer a refusal names: each is tried.

A runtime may forget what waits when it refuses an op.  Or the refused op stays in the batch, and
the device refuses all of the batch.  Both lose what was called before.  A refusal may also name
another buffer than the one that was freed.
"""

import re
from dataclasses import replace

from gpusim.ops import Alloc, Dispatch, Op, Read, Sync
from gpusim.program import Program
from properties.explain.experiments import Judge, instead_of
from properties.explain.told import NOTHING, Told
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict

_NAMED = re.compile(r"<(\w+)[,>]")
_FREED = (
    "alloc x; free x",
    "alloc x; alloc y; free x",
    "alloc x; free x; alloc y; alloc z",
    "alloc x; alloc y; alloc z; free x; free z",
)
"""Programs that free x: alone, with another buffer beside it, or with others made after it."""
_BEFORE, _AFTER = "before", "after"


def tell_refused(verdict: Verdict, at: int, again: Judge | None) -> Told:
    """Whether a dispatch right before the refused op at ``at`` has an effect, and one after it."""
    case = verdict.execution.case
    names = {op.buffer for op in case.program if isinstance(op, Alloc)}
    if again is None or names & {_BEFORE, _AFTER} or not 0 <= at < len(case.program):
        return NOTHING
    made: list[Op] = [Alloc(buffer=name, size_bytes=4) for name in (_BEFORE, _AFTER)]
    one, other = (
        Dispatch(kernel="affine", buffers=(name,), scalars=(1, 1), grid=(1, 1, 1))
        for name in (_BEFORE, _AFTER)
    )
    looks = [Read(buffer=n, offset=0, size_bytes=4, result=f"look_{n}") for n in (_BEFORE, _AFTER)]
    ops = (*made, *case.program.ops[:at], one, case.program[at], other, Sync(), *looks)
    judged = again(replace(case, program=Program(ops), transformations=()))
    shown = [each.data for each in judged.execution.history.outcomes[-2:]]
    meant = [each.data for each in judged.expected.outcomes[-2:]]
    if shown[0] == meant[0]:
        return NOTHING
    end = "the one after it has its effect" if shown[1] == meant[1] else "nor has the one after it"
    fact = (
        f"tried with a dispatch over another buffer right before op {at}, and right after: the one "
        f"before it has no effect, {end}"
    )
    return Told(facts=(fact,))


def tell_named(verdict: Verdict, failure: Failure, again: Judge | None) -> Told:
    """Which buffer the refusal of a freed one names, with other buffers made before or after."""
    is_fit = failure.kind is FailureKind.WORDS and failure.reason.startswith("it names <")
    if again is None or not is_fit:
        return NOTHING
    named = {ops: _named(verdict, ops, again) for ops in _FREED}
    told = [f"{name} after '{ops}'" for ops, name in named.items() if name]
    if not {*named.values()} - {"", "x"}:
        return NOTHING
    return Told(facts=(f"tried a read of the freed buffer x: its refusal names {', '.join(told)}",))


def _named(verdict: Verdict, ops: str, again: Judge) -> str:
    """The buffer that the refusal of a read of x names after ``ops``; "" if none."""
    text = "".join(f"{op} 4\n" if op.startswith("alloc") else f"{op}\n" for op in ops.split("; "))
    text += "read x 0 4 -> r\n"
    raised = instead_of(verdict, text, again).execution.history.outcomes[-1].raised
    found = _NAMED.search(raised.message) if raised is not None else None
    return found[1] if found else ""
