"""Tries which ops accept a freed buffer, and after which waiting commands a free goes wrong.

Of an accepted freed buffer, it also tries whether an alloc or a free in between ends that.  If the
device still has buffers after the close, it tries whether a freed one comes back with its bytes.
"""

from dataclasses import replace

from gpusim.errors import InvalidHandle
from gpusim.ops import Free, Read
from gpusim.program import buffers_of
from properties.explain.argument import said_shortly
from properties.explain.calls import calls
from properties.explain.capacity import LIFTED
from properties.explain.clocks import Traced
from properties.explain.experiments import Judge, fails, instead_of
from properties.explain.told import NOTHING, Told
from properties.explain.variations import BY_THE_TEXT
from properties.model.case import PLAIN
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws.catalogue import A12, C4, F1

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
_LIVED = f"alloc x 8\nwrite x 0 {'01' * 8}\nfree x\n"
_LEFT = "never destroyed"
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


def tell_back(verdict: Verdict, failure: Failure, sentence: str, again: Judge | None) -> Told:
    """Tells whether an alloc gets the bytes of a freed buffer, if the device has buffers left.

    ``sentence`` is what was said of the failure so far.
    """
    if again is None or _LEFT not in failure.reason:
        return NOTHING
    left = {
        call.event["buffer"]: call.number * (call.event.kind == "destroy_buffer")
        for call in calls(verdict.execution.trace)
        if call.event.kind in ("create_buffer", "destroy_buffer")
    }
    asked = ""
    if left and all(left.values()):
        asked = (
            f"each buffer that was made was destroyed by a call, the last one by call "
            f"{max(left.values())}; so what the call destroys is kept below the runtime"
        )
    same, other = (
        any(_read_after(verdict, f"{_LIVED}alloc y {size}\nread y 0 8 -> r\n", again))
        for size in (8, 16)
    )
    if not same:
        return Told(facts=(asked,) if asked else ())
    size = "" if other else "; an alloc of more bytes has zeros"
    return Told(
        sentence=f"an alloc is given a freed buffer again, with its old bytes; so {sentence}",
        rule=A12,
        facts=(
            f"tried: a buffer was written and freed; then an alloc of as many bytes has its bytes, "
            f"and should have zeros{size}",
            *((asked,) if asked else ()),
        ),
    )


def _read_after(verdict: Verdict, text: str, again: Judge) -> bytes:
    return instead_of(verdict, text, again).execution.history.outcomes[-1].data or b""


_WAITING = {
    "a read of it": "read x 0 4 -> r",
    "a dispatch that writes it": "dispatch affine x 3,1 1x1x1",
    "a copy from it behind a dispatch": "dispatch affine y 3,1 1x1x1\ncopy x 0 y 0 4",
    "a dispatch that reads it": "dispatch fold x,y 1 1x1x1",
    "a copy from it": "copy x 0 y 0 4",
    "a copy to it": "copy y 0 x 0 4",
}


def tell_freed_early(
    verdict: Verdict, failure: Failure, traced: Traced, again: Judge | None
) -> Told:
    """Which commands lose their buffer to a free that comes before their submit.

    A runtime that does not note a command's buffers breaks a limit of a batch as well.
    """
    case = verdict.execution.case
    is_counted = failure.kind is FailureKind.LAW and failure.trait == C4.name
    is_freed = failure.kind in _ERRORS and any(isinstance(op, Free) for op in case.program)
    is_read = any(isinstance(op, Read) for op in case.program)
    if again is None or len(case.device.faults) or case.follows_no_policy or case.client != PLAIN:
        return NOTHING
    if traced.broken is not None and traced.broken.trait == F1.name and case.policy.defer_frees:
        return _deferred(verdict, again)
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


_SUBMITTED = 9
_ONE_BY_ONE = "".join(f"read {name} 0 4 -> {name}\nfree {name}\n" for name in "xyz")


def _deferred(verdict: Verdict, again: Judge) -> Told:
    """When each of three buffers is destroyed that were freed in turn, before one submit."""
    case = verdict.execution.case
    policy = replace(case.policy, **{**LIFTED, "join_reads": True})
    case = replace(case, policy=policy)
    lifted = replace(verdict, execution=replace(verdict.execution, case=case))
    made = "".join(f"alloc {name} 4\n" for name in "xyz")
    judged = instead_of(lifted, f"{made}{_ONE_BY_ONE}flush\nsync\n", again)
    if judged.failure is None:
        return NOTHING
    gone = {
        call.event["buffer"]: f"in {call.place}"
        for call in calls(judged.execution.trace)
        if call.event.kind == "destroy_buffer"
    }
    ends = [f"{name} {gone.get(n, 'never')}" for n, name in enumerate("xyz", 1)]
    return Told(
        facts=(
            f"tried three deferred frees before one submit (each buffer read, then freed): the "
            f"device's buffers are destroyed, {', '.join(ends)}; all are due after the submit of "
            f"op {_SUBMITTED} (flush)",
        )
    )
