"""Which ops accept a freed buffer, each tried alone: what its handle still reaches, how long."""

from gpusim.errors import InvalidHandle
from gpusim.ops import Free
from gpusim.program import buffers_of
from properties.explain.experiments import Judge, fails
from properties.explain.told import NOTHING, Told
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict

_MADE = "alloc x 512\nalloc y 512\nalloc z 512\nfree x\n"
_USES = {
    "a dispatch that writes it": "dispatch affine x 3,1 1x1x1",
    "a dispatch that reads it": "dispatch fold x,y 1 1x1x1",
    "a dispatch over a part": "dispatch affine x[0:256] 3,1 1x1x1",
    "a capture of a dispatch": "capture g dispatch affine x 3,1 1x1x1",
    "the grid of an indirect dispatch": "dispatch_indirect affine y 3,1 x 0",
    "a write": "write x 0 01010101",
    "a read": "read x 0 4 -> r",
    "a copy from it": "copy x 0 y 0 4",
    "a copy to it": "copy y 0 x 0 4",
    "a second free": "free x",
}
_BETWEEN = {
    "another buffer is freed after it": "free z\n",
    "a buffer is made after it": "alloc w 4\n",
}


def tell_freed(verdict: Verdict, failure: Failure, again: Judge | None) -> Told:
    """Which ops accept a freed buffer, and whether they do so after another alloc or free."""
    program, at = verdict.execution.case.program, failure.position
    if again is None or failure.kind is not FailureKind.ERROR or not 0 <= at < len(program):
        return NOTHING
    fits = verdict.execution.capabilities
    is_accepted = verdict.execution.history.outcomes[at].error is None
    is_freed = verdict.expected.outcomes[at].error == InvalidHandle.__name__
    freed = {op.buffer for op in program.ops[:at] if isinstance(op, Free)}
    is_fit = fits.indirect and fits.replays and fits.parts
    if not (is_fit and is_accepted and is_freed and freed & {*buffers_of(program[at])}):
        return NOTHING
    tried = {what: fails(verdict, f"{_MADE}{use}\n", again) for what, use in _USES.items()}
    wrong = [what for what, is_wrong in tried.items() if is_wrong]
    if not wrong:
        return NOTHING
    right = [what for what, is_wrong in tried.items() if not is_wrong]
    cured = [
        when
        for when, between in _BETWEEN.items()
        if not any(fails(verdict, f"{_MADE}{between}{_USES[what]}\n", again) for what in wrong)
    ]
    refused = f"; refused as it should be: {', '.join(right)}" if right else ""
    facts = [f"of ops on a freed buffer, each tried alone, accepted: {', '.join(wrong)}{refused}"]
    if cured:
        facts.insert(0, f"once {' or '.join(cured)}, every op on the freed buffer is refused again")
    return Told(facts=tuple(facts))
