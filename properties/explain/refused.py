"""What a refused op takes along, and which buffer a refusal names: each is tried.

A runtime may forget what waits when it refuses an op.  Or the refused op stays in the batch, and
the device refuses all of the batch.  Both lose what was called before.  A refusal may also name
another buffer than the one that was freed.
"""

import re
from dataclasses import replace

from gpusim.ops import Alloc, AnyDispatch, Copy, Dispatch, Flush, Op, Read, Sync
from gpusim.program import Program
from properties.explain.experiments import Judge, instead_of
from properties.explain.told import NOTHING, Told
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws.catalogue import C1

_NAMED = re.compile(r"<(\w+)[,>]")
_FREED = (
    "alloc x; free x",
    "alloc x; alloc y; free x",
    "alloc x; free x; alloc y; alloc z",
    "alloc x; alloc y; alloc z; free x; free z",
)
"""Programs that free x: alone, with another buffer beside it, or with others made after it."""
_BEFORE, _AFTER = "before", "after"
_NEXT = "next"
_NAMES = (_BEFORE, _NEXT, _AFTER)


def _lost(verdict: Verdict, at: int, after: tuple[Op, ...], again: Judge) -> set[str]:
    """The buffers whose dispatches have no effect, with ``after`` right after the op at ``at``."""
    case = verdict.execution.case
    made = [Alloc(buffer=name, size_bytes=8) for name in _NAMES]
    looks = [Read(buffer=n, offset=0, size_bytes=4, result=f"look_{n}") for n in _NAMES]
    ahead = (*case.program.ops[:at], _dispatch(_BEFORE), _dispatch(_NEXT))
    ops = (*made, *ahead, case.program[at], *after, Sync(), *looks)
    judged = again(replace(case, program=Program(ops), transformations=()))
    shown = judged.execution.history.outcomes[-len(_NAMES) :]
    meant = judged.expected.outcomes[-len(_NAMES) :]
    return {
        name
        for name, one, other in zip(_NAMES, shown, meant, strict=True)
        if one.data != other.data
    }


def _dispatch(name: str) -> Op:
    return Dispatch(kernel="affine", buffers=(name,), scalars=(1, 1), grid=(1, 1, 1))


def _by_the_next(op: Op, at: int, fact: str, right: list[str], *, is_all: bool) -> Told:
    """Tells that the refusal loses nothing, and the dispatch after it does."""
    what = "dispatch" if isinstance(op, AnyDispatch) else "op"
    gone = "all that is recorded and not submitted" if is_all else "the command before it"
    return Told(
        sentence=f"after the refused {what}, op {at}, the next dispatch loses {gone}; the refusal "
        "by itself loses nothing",
        rule=C1,
        facts=(
            fact,
            f"with {' or '.join(right)} in place of the one after, both have their effect",
        ),
    )


def tell_refused(verdict: Verdict, at: int, again: Judge | None) -> Told:
    """Which of two dispatches right before the refused op at ``at`` are lost, and what loses them.

    Without a dispatch after the refused op, or with another op there, less may be lost.
    """
    program = verdict.execution.case.program
    names = {op.buffer for op in program if isinstance(op, Alloc)}
    if again is None or names & {*_NAMES} or not 0 <= at < len(program):
        return NOTHING
    lost = _lost(verdict, at, (_dispatch(_AFTER),), again)
    if _NEXT not in lost:
        return NOTHING
    before = "neither of the two before it has an effect"
    if _BEFORE not in lost:
        before = "of the two before it the last has no effect"
    end = "nor has the one after it" if _AFTER in lost else "the one after it has its effect"
    fact = f"tried with two dispatches right before op {at} and one right after: {before}, {end}"
    others: dict[str, tuple[Op, ...]] = {
        "nothing": (),
        "a flush": (Flush(),),
        "a copy": (
            Copy(source=_AFTER, source_offset=0, target=_NEXT, target_offset=4, size_bytes=4),
        ),
    }
    right = [what for what, ops in others.items() if not _lost(verdict, at, ops, again)]
    if "nothing" in right and _AFTER not in lost:
        return _by_the_next(program[at], at, fact, right, is_all=_BEFORE in lost)
    return Told(facts=(fact,))


def tell_named(verdict: Verdict, failure: Failure, again: Judge | None) -> Told:
    """Which buffer the refusal of a freed one names, with other buffers made before or after."""
    is_fit = failure.kind is FailureKind.WORDS and failure.reason.startswith("it names <")
    if again is None or not is_fit:
        return NOTHING
    named = {ops: _named(verdict, ops, again) for ops in _FREED}
    told = [f"{name} after '{ops}'" for ops, name in named.items() if name]
    if not {*named.values()} - {"", "x"}:
        return NOTHING
    return Told(facts=(f"tried a read of the freed buffer x: its refusal names {', '.join(told)}",))


def _named(verdict: Verdict, ops: str, again: Judge) -> str:
    """The buffer that the refusal of a read of x names after ``ops``; "" if none."""
    text = "".join(f"{op} 4\n" if op.startswith("alloc") else f"{op}\n" for op in ops.split("; "))
    text += "read x 0 4 -> r\n"
    raised = instead_of(verdict, text, again).execution.history.outcomes[-1].raised
    found = _NAMED.search(raised.message) if raised is not None else None
    return found[1] if found else ""
