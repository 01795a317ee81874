"""Which commands a host write overtakes, each tried alone in a program made for it.

A write acts at once.  So the runtime must know which bytes the commands that wait will use.  One
that forgets a use lets a write overtake the commands that have it, and no others.
"""

from dataclasses import replace

from gpusim.ops import Write
from gpusim.program import Program
from properties.explain.experiments import Judge
from properties.explain.told import NOTHING, Told
from properties.explain.weighing import CROSSING
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict

_MADE = "alloc x 512\nalloc y 512\nalloc z 64\nwrite x 0 {ones}\nwrite y 0 {ones}\n"
_ENDS = "read x 0 512 -> rx\nread y 0 512 -> ry\nread z 0 64 -> rz\n"
_ONES = "01000000" * 128
_OTHER = "02000000"
_WAITING = {
    "a dispatch that reads it": ("dispatch fold x,y 1 1x1x1", 0),
    "a dispatch that writes it": ("dispatch affine x 3,1 1x1x1", 0),
    "a dispatch over a part": ("dispatch affine x[256:320] 3,1 1x1x1", 256),
    "the grid of an indirect dispatch": ("dispatch_indirect affine z 3,1 x 16", 16),
    "the source of a copy": ("copy x 0 y 0 16", 0),
    "the last word of a copy's source": ("copy x 0 y 0 16", 12),
    "the target of a copy": ("copy y 0 x 0 16", 0),
    "the last word of a copy's target": ("copy y 0 x 0 16", 12),
    "the first of two copies from it": ("copy x 0 y 0 16\ncopy x 128 y 128 16", 0),
    "the first of two copies to it": ("copy y 0 x 0 16\ncopy y 128 x 128 16", 0),
    "a dispatch before a copy to it": ("dispatch affine x[0:64] 3,1 1x1x1\ncopy y 0 x 256 16", 0),
    "a copy within a buffer": ("copy x 64 x 0 16", 64),
    "a copy of odd bytes": ("copy x 1 y 0 7", 4),
    "a read": ("read x 0 16 -> rw", 0),
    "a dispatch before other commands": (
        "dispatch affine x 3,1 1x1x1\ndispatch affine z 3,1 1x1x1\ncopy y 0 z 0 16",
        0,
    ),
    "a replay": ("capture g dispatch affine x 3,1 1x1x1\nreplay g * -", 0),
}
"""Commands that use buffer x, and the byte of x that is then written."""


def tell_conflicts(
    verdict: Verdict, failure: Failure, kind: str, at: int, again: Judge | None
) -> Told:
    """Which commands are overtaken, if a write at ``at`` overtook one.

    ``kind`` is that of the mistake that explains the bytes.
    """
    program = verdict.execution.case.program
    is_write = 0 <= at < len(program) and isinstance(program[at], Write)
    if again is None or kind not in CROSSING or not is_write:
        return NOTHING
    fits = verdict.execution.capabilities
    if failure.kind is not FailureKind.VALUE or not (fits.indirect and fits.replays and fits.parts):
        return NOTHING
    tried = {
        what: _overtaken(verdict, commands, byte, again)
        for what, (commands, byte) in _WAITING.items()
    }
    wrong = [what for what, is_wrong in tried.items() if is_wrong]
    if not wrong or len(wrong) == len(tried):
        return NOTHING
    right = [what for what, is_wrong in tried.items() if not is_wrong]
    fact = (
        f"each tried alone, a write overtakes {', '.join(wrong)}; and not {', '.join(right[:4])}"
        f"{f' or {len(right) - 4} others' if len(right) > 4 else ''}"
    )
    return Told(facts=(fact,))


def _overtaken(verdict: Verdict, commands: str, byte: int, again: Judge) -> bool:
    made = _MADE.format(ones=_ONES)
    text = f"{made}{commands}\nwrite x {byte} {_OTHER}\n{_ENDS}"
    case = replace(verdict.execution.case, program=Program.parse(text), transformations=())
    return again(case).failure is not None
