"""Which writes of a part make a lost buffer count as whole again, found by trial.

A lost buffer is lost until it is written whole, in one op.
"""

from dataclasses import replace

from gpusim.limits import WORD_BYTES
from gpusim.ops import Write
from gpusim.text import write_op
from properties.explain.experiments import Judge
from properties.explain.neighbours import instead
from properties.oracles.judge import Verdict
from properties.oracles.metamorphic.rewrites import sizes_of


def healed_by(
    verdict: Verdict, name: str, at: int, start: int, again: Judge | None
) -> tuple[str, ...]:
    """Says which write of a part of the lost buffer ``name`` the case needs in order to fail."""
    case = verdict.execution.case
    for n in range(start - 1, at):
        op = case.program[n]
        if again is None or not isinstance(op, Write) or op.buffer != name:
            continue
        if verdict.execution.history.outcomes[n].error is not None:
            continue
        if again(replace(case, program=instead(case.program, n))).failure is None:
            return (
                f"without op {n} ({write_op(op)}), which writes a part of {name}, it passes: so op "
                f"{n} made {name} count as whole again{_healing(verdict, n, op, again)}",
            )
    return ()


def _healing(verdict: Verdict, at: int, op: Write, again: Judge) -> str:
    """Says which lengths of the write at ``at`` make its buffer count as whole."""
    case = verdict.execution.case
    size = sizes_of(case.program).get(op.buffer, 0)
    words = size // WORD_BYTES * WORD_BYTES
    tried = {
        length: again(
            replace(
                case,
                program=instead(case.program, at, replace(op, offset=0, data=b"\1" * length)),
            )
        ).failure
        for length in sorted({1, words - WORD_BYTES, words, size - 1})
        if 0 < length < size
    }
    wrong, right = (
        [str(length) for length, failed in tried.items() if (failed is not None) is is_wrong]
        for is_wrong in (True, False)
    )
    if not wrong:
        return ""
    but = f", one of its first {' or '.join(right)} does not" if right else ""
    return f"; {op.buffer} has {size} bytes: a write of its first {' or '.join(wrong)} does so{but}"
