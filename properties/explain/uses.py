"""Which use of a captured buffer a replay over other buffers keeps.

A command can use a buffer as an operand of a kernel, as the grid of an indirect dispatch, and as
the source or the target of a copy.  Each use is tried in a program of its own, which frees the
captured buffer.  So a replay that still needs the captured buffer is refused.
"""

from dataclasses import replace

from gpusim.ops import Replay
from gpusim.program import Program
from gpusim.text import write_op
from properties.explain import rules
from properties.explain.experiments import Judge
from properties.explain.told import NOTHING, Told
from properties.oracles.judge import Verdict

_MADE = "alloc x 16\nalloc y 16\nalloc z 16\nwrite x 0 {ones}\nwrite y 0 {twos}\n"
_REPLAYED = "capture g {command}\n{free}replay g * x=y\nread z 0 16 -> rz\nread y 0 16 -> ry\n"
_USES = {
    "an operand of a kernel": "dispatch affine x 1,1 1x1x1",
    "the grid of an indirect dispatch": "dispatch_indirect affine z 1,1 x 0",
    "the source of a copy": "copy x 0 z 0 8",
    "the target of a copy": "copy z 0 x 0 8",
}
_FILLED = {"ones": "01000000" * 4, "twos": "02000000" * 4}


def tell_uses(verdict: Verdict, at: int, again: Judge) -> Told:
    """The uses for which the replay at ``at`` keeps the captured buffers, if it is one."""
    op = verdict.execution.case.program[at]
    is_fit = isinstance(op, Replay) and op.bindings and verdict.execution.capabilities.indirect
    if not is_fit:
        return NOTHING
    live = [use for use, command in _USES.items() if _fails(verdict, command, "", again)]
    if len(live) == len(_USES):
        return NOTHING
    freed = [use for use, command in _USES.items() if _fails(verdict, command, "free x\n", again)]
    if live:
        said = f"keeps a captured buffer as {' and as '.join(live)}"
    elif freed:
        said = f"still needs a captured buffer to be live as {' and as '.join(freed)}"
    else:
        return NOTHING
    facts = [_told("with the captured buffer live", live), _told("once it is freed", freed)]
    return Told(
        sentence=f"op {at} ({write_op(op)}): a replay over other buffers {said}",
        culprit=at,
        rule=rules.BINDINGS,
        facts=tuple(facts),
    )


def _fails(verdict: Verdict, command: str, free: str, again: Judge) -> bool:
    """Whether a replay of ``command`` over another buffer fails."""
    text = _MADE.format(**_FILLED) + _REPLAYED.format(command=command, free=free)
    case = replace(verdict.execution.case, program=Program.parse(text), transformations=())
    return again(case).failure is not None


def _told(when: str, uses: list[str]) -> str:
    """Which of the uses fail, each in a program of its own."""
    wrong = ", ".join(f"as {use}" for use in uses)
    return f"each use of a captured buffer tried alone, {when}: wrong {wrong or 'in none'}"
