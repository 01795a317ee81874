"""Which bytes a dispatch over a part of a buffer reaches, found by trial."""

from properties.explain.experiments import Judge, instead_of
from properties.explain.told import NOTHING, Told
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict

_SIZE, _START, _END = 1024, 256, 320
_TRIED = (
    f"alloc x {_SIZE}\nwrite x 0 {'01000000' * (_SIZE // 4)}\n"
    f"dispatch affine x[{_START}:{_END}] 3,1 8x1x1\nread x 0 {_SIZE} -> r\n"
)


def tell_part(verdict: Verdict, failure: Failure, kind: str, again: Judge | None) -> Told:
    """Which bytes a dispatch over a part changes, if a part seems to be bound wrongly.

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
        return Told(facts=(fact,))
    # What was refused shows no bytes, so that the trial tells more than they do.
    place = f"op {failure.position} ({failure.op})"
    return Told(
        sentence=f"{place} was given other bytes than those of its parts; {fact}",
        rule=None,
    )
