"""Which two ops must stand in one batch for a program to fail.

A sync between the two heals the program, and a sync elsewhere changes nothing.  So the pair says
where a bug of batching is, whatever kinds of ops showed it.  The caller judges the candidates.
"""

from collections.abc import Mapping
from dataclasses import replace

from gpusim.ops import Op, Sync
from gpusim.program import Program
from properties.model.case import Case
from properties.model.failure import Failure, FailureKind
from properties.shrink.reducer import Judgement, fails_like

Together = tuple[str, ...]
"""The kinds of the two ops between which no sync may stand; empty if no sync heals."""
_KINDS: Mapping[str, str] = dict.fromkeys(
    ("dispatch", "dispatch_indirect", "copy", "replay"), "command"
)
_MOST_OPS = 16
"""A longer program was not shrunk to the end, so its ops say little."""


def together(case: Case, failure: Failure, judgement: Judgement) -> Together:
    """The kinds of the two ops of ``case`` between which a sync heals it; empty if none does.

    It is also empty, without a trial, for a long or transformed case, and if the process ended.
    """
    ends_process = failure.kind in (FailureKind.ABORT, FailureKind.HANG)
    if ends_process or case.transformations or len(case.program) > _MOST_OPS:
        return ()
    ops = case.program.ops
    gaps = range(1, len(ops))
    healing = [gap for gap in gaps if not fails_like(_with_sync(case, gap), failure, judgement)]
    if not healing:
        return ()
    return _described(ops[healing[0] - 1], ops[healing[-1]])


def _with_sync(case: Case, position: int) -> Case:
    """``case`` with a sync before the op at ``position``."""
    ops = case.program.ops
    return replace(case, program=Program((*ops[:position], Sync(), *ops[position:])))


def _described(first: Op, last: Op) -> Together:
    if first.verb == "alloc":
        # The new buffer is not ready, whichever op uses it.
        return "alloc", "any"
    if last.verb == "write" and first.verb != "write":
        # The write overtakes what was recorded: a command or a read.
        return "recorded", "write"
    if last.verb in ("alloc", "free"):
        # Memory is given away while something recorded still uses it.
        return "recorded", "free"
    return _KINDS.get(first.verb, first.verb), _KINDS.get(last.verb, last.verb)
