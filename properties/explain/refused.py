"""Tries which ops are refused or accepted, and what is lost by a refused op or by a free.

A runtime may accept a buffer that was freed, lent, or is another runtime's, in some uses of it.
When it refuses an op, or frees a buffer, it may lose commands that wait for their submit.  A
refusal may also name another buffer than the one that was freed.
"""

import re

from gpusim.errors import InvalidHandle
from gpusim.ops import Alloc, AnyDispatch, Free, Read
from gpusim.program import Program, buffers_of
from gpusim.text import write_op
from properties.explain.argument import said_shortly
from properties.explain.calls import calls, calls_of
from properties.explain.told import NOTHING, Told, told
from properties.explain.trials import LIFTED, Evidence, Trials, by_trial, sides
from properties.explain.variations import BY_THE_TEXT
from properties.model.case import PLAIN
from properties.model.failure import FailureKind
from properties.oracles.laws.catalogue import A12, C1, C4, F1

_NAMED = re.compile(r"<(\w+)[,>]")
_FREED = (
    "alloc x; free x",
    "alloc x; alloc y; free x",
    "alloc x; free x; alloc y; alloc z",
    "alloc x; alloc y; alloc z; free x; free z",
)
"""Programs that free x: alone, with another buffer beside it, or with others made after it."""
_BEFORE, _NEXT, _AFTER = _NAMES = ("before", "next", "after")
_DISPATCH = "dispatch affine {} 1,1 1x1x1\n"
_INSTEAD = {"nothing": "", "a flush": "flush\n", "a copy": f"copy {_AFTER} 0 {_NEXT} 4 4\n"}
"""Ops that are tried right after a refused op, instead of a dispatch."""
_MADE = "alloc x 512\nalloc y 512\n"
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
_WAITING = {
    "a read of it": "read x 0 4 -> r",
    "a dispatch that writes it": "dispatch affine x 3,1 1x1x1",
    "a dispatch and a copy from it": "dispatch affine y 3,1 1x1x1\ncopy x 0 y 0 4",
    "a dispatch that reads it": "dispatch fold x,y 1 1x1x1",
    "a copy from it": "copy x 0 y 0 4",
    "a copy to it": "copy y 0 x 0 4",
}
_ONE_BY_ONE = (
    *(f"alloc {name} 4\n" for name in "xyz"),
    *(f"read {name} 0 4 -> {name}\nfree {name}\n" for name in "xyz"),
    "flush\nsync\n",
)
_SUBMITTED = 9
"""The position of the flush among these ops."""
_LIVED = f"alloc x 8\nwrite x 0 {'01' * 8}\nfree x\n"
_ERRORS = (FailureKind.ERROR, FailureKind.LATE_ERROR)
_LEFT, _DESTROYED, _LENT = "never destroyed", "destroyed", "though the buffer is lent"
_FOREIGN = "a foreign buffer is not refused"


@by_trial()
def tell_poisoned(evidence: Evidence, trials: Trials) -> Told:
    """Tells which commands are lost, if a refused op seems to poison the batch."""
    at = evidence.argument.culprit
    return taken_along(trials, at) if evidence.kind == "poisoned" else NOTHING


def taken_along(trials: Trials, at: int) -> Told:
    """Puts two dispatches before the refused op at ``at``, and one after; tells which are lost.

    If those before are lost only with the one after, the loss is the fault of the one after.
    """
    program = trials.case.program
    names = {op.buffer for op in program if isinstance(op, Alloc)}
    if names & {*_NAMES} or not 0 <= at < len(program):
        return NOTHING
    lost = _lost(trials, at, _DISPATCH.format(_AFTER))
    if _NEXT not in lost:
        return NOTHING
    before = "neither of the two before it has an effect"
    if _BEFORE not in lost:
        before = "of the two before it the last has no effect"
    end = "nor has the one after it" if _AFTER in lost else "the one after it has its effect"
    fact = f"tried with two dispatches right before op {at} and one right after: {before}, {end}"
    right = [what for what, ops in _INSTEAD.items() if not _lost(trials, at, ops)]
    if "nothing" not in right or _AFTER in lost:
        return told(fact)
    what = "dispatch" if isinstance(program[at], AnyDispatch) else "op"
    gone = f"the command right before op {at}"
    if _BEFORE in lost:
        gone = "all that is recorded and not submitted"
    return Told(
        sentence=f"op {at}, a refused {what}, loses nothing by itself; but a dispatch right after "
        f"it makes the runtime lose {gone}",
        rule=C1,
        facts=(
            fact,
            f"with {' or '.join(right)} instead of the one after, the two before have their effect",
        ),
    )


def _lost(trials: Trials, at: int, after: str) -> set[str]:
    """The buffers whose dispatches have no effect, with ``after`` right after the op at ``at``."""
    ops = trials.case.program.ops
    made = "".join(f"alloc {name} 8\n" for name in _NAMES)
    ahead = f"{Program(ops[:at])}{_DISPATCH.format(_BEFORE)}{_DISPATCH.format(_NEXT)}"
    looks = "".join(f"read {name} 0 4 -> look_{name}\n" for name in _NAMES)
    judged = trials.run(f"{made}{ahead}{write_op(ops[at])}\n{after}sync\n{looks}")
    pairs = sides(judged)[-len(_NAMES) :]
    return {name for name, (meant, got) in zip(_NAMES, pairs, strict=True) if meant != got}


@by_trial(FailureKind.WORDS)
def tell_named(evidence: Evidence, trials: Trials) -> Told:
    """Reads a freed buffer, where others were made or freed too; tells which the refusal names."""
    if not evidence.failure.reason.startswith("it names <"):
        return NOTHING
    named = {ops: _named(trials, ops) for ops in _FREED}
    if not {*named.values()} - {"", "x"}:
        return NOTHING
    said = [f"{name} after '{ops}'" for ops, name in named.items() if name]
    return told(f"tried a read of the freed buffer x: its refusal names {', '.join(said)}")


def _named(trials: Trials, ops: str) -> str:
    """The buffer that the refusal of a read of x names after ``ops``; "" if none."""
    text = "".join(f"{op} 4\n" if op.startswith("alloc") else f"{op}\n" for op in ops.split("; "))
    raised = trials.run(f"{text}read x 0 4 -> r\n").execution.history.outcomes[-1].raised
    found = _NAMED.search(raised.message) if raised is not None else None
    return found[1] if found else ""


@by_trial(FailureKind.CRASH)
def tell_once_more(evidence: Evidence, trials: Trials) -> Told:
    """Tells which ops are accepted a second time, after a free of their buffer.

    Tried if an op over a lent buffer was accepted: a lent buffer must be refused like a freed one.
    """
    failure = evidence.failure
    if _LENT not in failure.reason + str(failure.sides) or not _can_use(evidence):
        return NOTHING
    wrong, right = trials.plainly().apart(
        {
            what: f"{_MADE}{use}\nfree x\n{use.replace('-> r', '-> s')}\n"
            for what, use in _USES.items()
            if use.partition(" ")[0] not in ("free", "capture")
        }
    )
    if not wrong:
        return NOTHING
    refused = f"; refused: {', '.join(right)}" if right else ""
    return told(
        "tried each op twice, with a free of a buffer that it uses in between; wrongly accepted "
        f"the second time: {', '.join(wrong)}{refused}"
    )


def _can_use(evidence: Evidence) -> bool:
    """Whether the target promises all of ``_USES``."""
    return evidence.fits.indirect and evidence.fits.replays and evidence.fits.parts


@by_trial(*_ERRORS, FailureKind.CRASH)
def tell_freed(evidence: Evidence, trials: Trials) -> Told:
    """Tells which ops accept a freed buffer, and whether they still do after an alloc or free.

    A handle of another runtime is to be refused like one that was freed.
    """
    failure = evidence.failure
    if failure.kind is FailureKind.CRASH:
        return _of_freed(trials.plainly()) if _FOREIGN in str(failure.sides) else NOTHING
    freed = {op.buffer for op in evidence.program if isinstance(op, Free)}
    if evidence.op is None or not freed or not _can_use(evidence):
        return NOTHING
    refused = evidence.verdict.expected.outcomes[failure.position].error
    is_used = refused == InvalidHandle.__name__ and freed & {*buffers_of(evidence.op)}
    # A client's own calls may use a freed buffer; the device then refuses it as destroyed.
    is_by_client = evidence.case.client in BY_THE_TEXT and _DESTROYED in failure.sides[-1][1]
    return _of_freed(trials.plainly()) if is_used or is_by_client else NOTHING


def _of_freed(trials: Trials) -> Told:
    """Tries each use of a freed buffer."""
    made = f"{_MADE}alloc z 512\nfree x\n"
    wrong, right = trials.apart({what: f"{made}{use}\n" for what, use in _USES.items()})
    if not wrong:
        return NOTHING
    cured = [
        when
        for when, between in _BETWEEN.items()
        if not any(trials.fails(f"{made}{between}{_USES[what]}\n") for what in wrong)
    ]
    refused = f"; refused, as all should be: {', '.join(right)}" if right else ""
    every = "every op on the freed buffer is refused again"
    return told(
        f"once {' or '.join(cured)}, {every}" if cured else "",
        f"of ops on a freed buffer, each tried alone, accepted: {', '.join(wrong)}{refused}",
    )


@by_trial()
def tell_back(evidence: Evidence, trials: Trials) -> Told:
    """If a buffer was never destroyed: tells whether an alloc gets the bytes of a freed one."""
    if _LEFT not in evidence.failure.reason:
        return NOTHING
    left = {
        call.event["buffer"]: call.number * (call.event.kind == "destroy_buffer")
        for call in calls(evidence.trace)
        if call.event.kind in ("create_buffer", "destroy_buffer")
    }
    asked = (
        f"each buffer that was made was destroyed by a call, the last one by call "
        f"{max(left.values(), default=0)}; so it is not the runtime that keeps a buffer, but "
        "something below it"
    )
    asked = asked if left and all(left.values()) else ""
    same, other = (
        any(trials.last_data(f"{_LIVED}alloc y {size}\nread y 0 8 -> r\n")) for size in (8, 16)
    )
    if not same:
        return told(asked)
    size = "" if other else "; an alloc of more bytes has zeros"
    back = (
        "tried: a buffer was written and freed; then an alloc of as many bytes has its bytes, and "
        f"should have zeros{size}"
    )
    said = evidence.argument.sentence
    return Told(
        sentence=f"an alloc is given a freed buffer again, with its old bytes; so {said}",
        rule=A12,
        facts=told(back, asked).facts,
    )


@by_trial(follows_policy=True, without_faults=True)
def tell_freed_early(evidence: Evidence, trials: Trials) -> Told:
    """Tells which commands lose their buffer to a free that comes before their submit.

    A runtime that does not note a command's buffers breaks a limit of a batch as well.
    """
    case, failure = evidence.case, evidence.failure
    if case.client != PLAIN:
        return NOTHING
    if evidence.broken == F1.name and case.policy.defer_frees:
        return _of_deferred(trials)
    kinds = {type(op) for op in case.program}
    is_counted = failure.kind is FailureKind.LAW and failure.trait == C4.name and Read in kinds
    if not is_counted and not (failure.kind in _ERRORS and Free in kinds):
        return NOTHING
    lifted = trials.under(**LIFTED)
    wrong, right = lifted.apart({w: f"{_MADE}{op}\nfree x\n" for w, op in _WAITING.items()})
    if not wrong or not right:
        return NOTHING
    shown = lifted.run(f"{_MADE}{_WAITING[wrong[0]]}\nfree x\n").failure
    said = f" ({said_shortly(shown.sides[-1][1])})" if shown is not None and shown.sides else ""
    return told(
        f"each tried alone: a free of a buffer right after {' or '.join(wrong)} goes wrong{said}; "
        f"right is a free after {', '.join(right)}"
    )


def _of_deferred(trials: Trials) -> Told:
    """Frees three buffers before one submit; tells when each is destroyed."""
    judged = trials.under(**{**LIFTED, "join_reads": True}).run("".join(_ONE_BY_ONE))
    if judged.failure is None:
        return NOTHING
    gone = {
        call.event["buffer"]: f"in {call.place}"
        for call in calls_of(judged.execution.trace, "destroy_buffer")
    }
    ends = [f"{name} {gone.get(n, 'never')}" for n, name in enumerate("xyz", 1)]
    return told(
        f"tried three deferred frees before one submit (each buffer read, then freed): the "
        f"device's buffers are destroyed, {', '.join(ends)}; all are due after the submit of op "
        f"{_SUBMITTED} (flush)"
    )
