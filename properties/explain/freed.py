"""Tries which ops accept a freed buffer, and after which waiting commands a free goes wrong.

Of an accepted freed buffer, it also tries whether an alloc or a free in between ends that.
"""

from dataclasses import replace

from gpusim.errors import InvalidHandle
from gpusim.ops import Free, Read
from gpusim.program import buffers_of
from properties.explain.argument import said_shortly
from properties.explain.capacity import LIFTED
from properties.explain.experiments import Judge, fails, instead_of
from properties.explain.told import NOTHING, Told
from properties.explain.variations import BY_THE_TEXT
from properties.model.case import PLAIN
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws.catalogue import C4

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
    "another buffer is freed afterwards": "free z\n",
    "a buffer is made afterwards": "alloc w 4\n",
}


_ERRORS = (FailureKind.ERROR, FailureKind.LATE_ERROR)
_DESTROYED = "destroyed"
_FOREIGN = "a foreign buffer is not refused"
_LENT = "though the buffer is lent"


def tell_once_more(verdict: Verdict, failure: Failure, again: Judge | None) -> Told:
    """Tells which ops are accepted once more after a free, if one was over a lent buffer.

    A lent buffer is the owner's no more, like a freed one, until it is given back.
    """
    case, fits = verdict.execution.case, verdict.execution.capabilities
    is_lent = failure.kind is FailureKind.CRASH and _LENT in failure.reason + str(failure.sides)
    if again is None or not is_lent or not (fits.indirect and fits.replays and fits.parts):
        return NOTHING
    case = replace(case, client=PLAIN)
    plain = replace(verdict, execution=replace(verdict.execution, case=case))
    tried = {
        what: fails(plain, f"alloc x 512\nalloc y 512\n{use}\nfree x\n{_renamed(use)}\n", again)
        for what, use in _USES.items()
        if use.partition(" ")[0] not in ("free", "capture")
    }
    wrong = [what for what, is_wrong in tried.items() if is_wrong]
    right = [what for what, is_wrong in tried.items() if not is_wrong]
    if not wrong:
        return NOTHING
    refused = f"; refused: {', '.join(right)}" if right else ""
    return Told(
        facts=(
            f"tried ops that are called, and once more after a free of a buffer that they use: "
            f"accepted, as none should be: {', '.join(wrong)}{refused}",
        )
    )


def _renamed(use: str) -> str:
    return use.replace("-> r", "-> s")


def tell_freed(verdict: Verdict, failure: Failure, again: Judge | None) -> Told:
    """Tells which ops accept a freed buffer, and whether they still do after an alloc or free."""
    program, at = verdict.execution.case.program, failure.position
    if again is not None and failure.kind is FailureKind.CRASH and _FOREIGN in str(failure.sides):
        # A handle of another runtime is to be refused like one that was freed.
        return _of_freed(verdict, again)
    if again is None or failure.kind not in _ERRORS or not 0 <= at < len(program):
        return NOTHING
    fits, case = verdict.execution.capabilities, verdict.execution.case
    is_freed = verdict.expected.outcomes[at].error == InvalidHandle.__name__
    freed = {op.buffer for op in program.ops if isinstance(op, Free)}
    is_fit = fits.indirect and fits.replays and fits.parts
    is_used = is_freed and freed & {*buffers_of(program[at])}
    # A client's own calls may use a freed buffer; the device then refuses it as destroyed.
    is_by_client = case.client in BY_THE_TEXT and _DESTROYED in failure.sides[-1][1]
    if not (is_fit and freed and (is_used or is_by_client)):
        return NOTHING
    return _of_freed(verdict, again)


def _of_freed(verdict: Verdict, again: Judge) -> Told:
    """Tries each use of a freed buffer, called plainly."""
    case = replace(verdict.execution.case, client=PLAIN)
    verdict = replace(verdict, execution=replace(verdict.execution, case=case))
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
    refused = f"; refused, as all should be: {', '.join(right)}" if right else ""
    facts = [f"of ops on a freed buffer, each tried alone, accepted: {', '.join(wrong)}{refused}"]
    if cured:
        facts.insert(0, f"once {' or '.join(cured)}, every op on the freed buffer is refused again")
    return Told(facts=tuple(facts))


_WAITING = {
    "a read of it": "read x 0 4 -> r",
    "a dispatch that writes it": "dispatch affine x 3,1 1x1x1",
    "a dispatch that reads it": "dispatch fold x,y 1 1x1x1",
    "a copy from it": "copy x 0 y 0 4",
    "a copy to it": "copy y 0 x 0 4",
}


def tell_freed_early(verdict: Verdict, failure: Failure, again: Judge | None) -> Told:
    """Which commands lose their buffer to a free that comes before their submit.

    A runtime that does not note a command's buffers breaks a limit of a batch as well.
    """
    case = verdict.execution.case
    is_counted = failure.kind is FailureKind.LAW and failure.trait == C4.name
    is_freed = failure.kind in _ERRORS and any(isinstance(op, Free) for op in case.program)
    is_read = any(isinstance(op, Read) for op in case.program)
    if again is None or len(case.device.faults) or case.follows_no_policy or case.client != PLAIN:
        return NOTHING
    if not (is_freed or (is_counted and is_read)):
        return NOTHING
    case = replace(case, policy=replace(case.policy, **LIFTED))
    lifted = replace(verdict, execution=replace(verdict.execution, case=case))
    made = "alloc x 512\nalloc y 512\n"
    failures = {
        what: instead_of(lifted, f"{made}{op}\nfree x\n", again).failure
        for what, op in _WAITING.items()
    }
    wrong = [what for what, failed in failures.items() if failed is not None]
    right = [what for what in _WAITING if what not in wrong]
    if not wrong or not right:
        return NOTHING
    shown = failures[wrong[0]]
    said = f" ({said_shortly(shown.sides[-1][1])})" if shown is not None and shown.sides else ""
    return Told(
        facts=(
            f"each tried alone: a free of a buffer right after {' or '.join(wrong)} goes "
            f"wrong{said}; "
            f"not one after {', '.join(right)}",
        )
    )
