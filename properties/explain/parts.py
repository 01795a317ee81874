"""Which bytes a dispatch over a part of a buffer reaches, found by trial."""

from gpusim.text import write_op
from properties.explain.experiments import Judge, instead_of
from properties.explain.told import NOTHING, Told
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict

_SIZE, _START, _END = 1024, 256, 320
_TRIED = (
    f"alloc x {_SIZE}\nwrite x 0 {'01000000' * (_SIZE // 4)}\n"
    f"dispatch affine x[{_START}:{_END}] 3,1 8x1x1\nread x 0 {_SIZE} -> r\n"
)


def tell_part(verdict: Verdict, failure: Failure, kind: str, at: int, again: Judge | None) -> Told:
    """Which bytes a dispatch over a part changes, if the one at ``at`` seems to bind others.

    ``kind``: the kind of the mistake that explains the bytes.
    """
    if again is None or kind != "part":
        return NOTHING
    judged = instead_of(verdict, _TRIED, again)
    got, meant = judged.execution.history.outcomes[-1].data, judged.expected.outcomes[-1].data
    if got is None or got == meant:
        return NOTHING
    changed = [n for n in range(0, len(got), 4) if got[n : n + 4] != b"\1\0\0\0"]
    if not changed:
        return NOTHING
    fact = (
        f"tried alone: a dispatch over bytes {_START} to {_END - 1} of a buffer of {_SIZE} changes "
        f"bytes {changed[0]} to {changed[-1] + 3}"
    )
    if failure.kind is not FailureKind.ERROR:
        if (changed[0], changed[-1] + 4) != (_START, _SIZE) or at < 0:
            return Told(facts=(fact,))
        op = f"op {at} ({write_op(verdict.execution.case.program[at])})"
        sentence = f"{op} was given a part up to the end of its buffer, whatever the part's size"
        return Told(sentence=sentence, culprit=at, facts=(fact,))
    # What was refused shows no bytes, so that the trial tells more than they do.
    place = f"op {failure.position} ({failure.op})"
    return Told(
        sentence=f"{place} was given other bytes than those of its parts; {fact}",
        rule=None,
    )
