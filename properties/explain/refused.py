"""A refused op that took its batch along: whether what was called after it is lost as well.

A runtime may forget what waits when it refuses an op.  Or the refused op stays in the batch, and
the device refuses all of the batch.  Both lose what was called before.
"""

from dataclasses import replace

from gpusim.ops import Alloc, Dispatch, Op, Read, Sync
from gpusim.program import Program
from properties.explain.experiments import Judge
from properties.explain.told import NOTHING, Told
from properties.oracles.judge import Verdict

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
