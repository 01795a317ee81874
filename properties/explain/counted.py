"""Tries small programs for what is wrong after a program: a count of ``stats()``, or what is kept.

The failing program shows one op after which it is wrong.  Other ops, each tried in a program of its
own, tell which of them count.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from properties.execute import LeftBehind
from properties.explain.capacity import LIFTED
from properties.explain.experiments import Judge, instead_of
from properties.explain.told import NOTHING, Told
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict

_LAUNCH = "alloc x 64\ndispatch affine x 3,1 1x1x1\n"
_LONG = "alloc x 512\n"
_LAST = "read x 0 260 -> last\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Tried:
    """Programs for one counter; ``about`` says in words what all of them have in common."""

    about: str
    programs: Mapping[str, str]
    settings: Mapping[str, Any]


_REFUSED = "alloc y 12\nalloc x 4\nfree x\n"
_COUNTERS = {
    "live_bytes": _Tried(
        about="tried with x of 4 bytes freed, and y of 12, made before x, alive",
        programs={
            "with no more op": _REFUSED,
            "after a refused read of x": f"{_REFUSED}read x 0 0 -> r\n",
            "after two of them": f"{_REFUSED}read x 0 0 -> r\nread x 0 0 -> s\n",
            "after a refused write": f"{_REFUSED}write x 0 01010101\n",
            "after a second free": f"{_REFUSED}free x\n",
        },
        settings={},
    ),
    "shapes": _Tried(
        about="a shape is the launch of one kernel over one grid; tried after a dispatch",
        programs={
            "another kernel over that grid": f"{_LAUNCH}dispatch count x 3,1 1x1x1\n",
            "the same again": f"{_LAUNCH}dispatch affine x 3,1 1x1x1\n",
            "another x of the grid": f"{_LAUNCH}dispatch affine x 3,1 2x1x1\n",
            "another y": f"{_LAUNCH}dispatch affine x 3,1 1x2x1\n",
            "another z": f"{_LAUNCH}dispatch affine x 3,1 1x1x2\n",
        },
        settings={},
    ),
    "staging exhausted": _Tried(
        about="a read that needs a new staging buffer is to be counted; tried with one of 260 "
        "bytes",
        programs={
            "with an empty pool": f"{_LONG}{_LAST}",
            "with one of 256 bytes in use": f"{_LONG}read x 0 4 -> r\n{_LAST}",
            "with a free one of 256 bytes, too small, in the pool": (
                f"{_LONG}read x 0 4 -> r\nsync\n{_LAST}"
            ),
        },
        settings={**LIFTED, "debug_submit_each": False},
    ),
}
"""By the words in which the oracle names the counter."""
_KEPT = {
    "a read of no bytes": "alloc x 8\nread x 0 0 -> r\n",
    "a read": "alloc x 8\nread x 0 4 -> r\n",
    "a write": "alloc x 8\nwrite x 0 01010101\n",
    "a dispatch": "alloc x 8\ndispatch affine x 3,1 1x1x1\n",
    "a copy": "alloc x 8\nalloc y 8\ncopy x 0 y 0 4\n",
    "a free": "alloc x 8\nfree x\n",
    "a capture": "alloc x 8\ncapture g dispatch affine x 3,1 1x1x1\n",
    "a replay": "alloc x 8\ncapture g dispatch affine x 3,1 1x1x1\nreplay g * -\n",
}
_READ_LEFT = "<read of "
_MADE = f"alloc x 64\nwrite x 0 {bytes(range(1, 65)).hex()}\n"
_WRITTEN = "write x 0 0909090909090909\n"
_SECOND = {
    "the first was delivered by then": f"read x 0 4 -> r\nsync\n{_WRITTEN}read x 0 4 -> q\n",
    "the first is on its way": f"read x 0 4 -> r\n{_WRITTEN}read x 0 4 -> q\n",
    "another read came in between": "read x 0 4 -> r\nread x 8 4 -> s\nsync\n"
    f"{_WRITTEN}read x 0 4 -> q\n",
    "it is of another range": f"read x 0 4 -> r\nsync\n{_WRITTEN}read x 4 4 -> q\n",
}
"""Two reads with a write to their bytes in between, by what the second finds."""
_TWO_READS = "alloc x 8\nread x 0 4 -> r\nsync\nread x 4 4 -> s\nsync\n"


def tell_counts(verdict: Verdict, failure: Failure, again: Judge | None) -> Told:
    """For which programs a counter of ``stats()`` is wrong, and for which it is right."""
    name = next((each for each in _COUNTERS if f" {each}" in failure.reason), "")
    if again is None or failure.kind is not FailureKind.STATISTICS or not name:
        return NOTHING
    tried = _COUNTERS[name]
    case = verdict.execution.case
    case = replace(case, policy=replace(case.policy, **tried.settings))
    under = replace(verdict, execution=replace(verdict.execution, case=case))
    said: dict[str, list[str]] = {}
    for what, text in tried.programs.items():
        said.setdefault(_wrong(instead_of(under, text, again).failure), []).append(what)
    if not {*said} - {""}:
        return NOTHING
    told = [
        f"{' or '.join(said[wrong])}: {wrong or 'right'}"
        for wrong in sorted(said, key=lambda each: not each)
    ]
    return Told(facts=(f"{tried.about}: {'; '.join(told)}",))


def _wrong(failure: Failure | None) -> str:
    """The counter that is wrong, in words, or that more is wrong; "" if nothing is."""
    if failure is None:
        return ""
    if failure.kind is not FailureKind.STATISTICS:
        return "goes wrong itself"
    meant, got = (value for _, value in failure.sides)
    return (
        f"{failure.reason.removeprefix('stats() has the wrong number of ')} is {got}, not {meant}"
    )


def tell_kept(verdict: Verdict, failure: Failure, again: Judge | None) -> Told:
    """After which ops the runtime keeps what nobody uses, or holds something after its close."""
    if again is None or failure.kind is not FailureKind.CRASH:
        return NOTHING
    if not isinstance(verdict.execution.close_error, LeftBehind):
        return NOTHING
    left = {what: _left(verdict, text, again) for what, text in _KEPT.items()}
    kept = [what for what, error in left.items() if error]
    if not kept:
        return NOTHING
    rest = [what for what, error in left.items() if not error]
    if not rest:
        return Told(facts=(f"tried {len(left)} ops, each alone: something is left after each",))
    both = _left(verdict, _TWO_READS, again) if "a read" in kept else ""
    which = {"at 0 ": "the first is kept too", "at 4 ": "only the second is kept"}
    more = next((said for place, said in which.items() if place in both), "")
    more = more and f" (after two reads, each with a sync, {more})"
    told = f"something is left after {' or '.join(kept)}{more}; nothing after {', '.join(rest)}"
    again_given = _given_again(verdict, failure.reason, again) if "a read" in kept else ()
    return Told(facts=(*again_given, f"tried {len(left)} ops, each alone: {told}"))


def _given_again(verdict: Verdict, left: str, again: Judge) -> tuple[str, ...]:
    """Which second reads get the value of a kept one, though a write came in between.

    ``left``: what the failure says of what is left.
    """
    ends = {what: instead_of(verdict, f"{_MADE}{ops}", again) for what, ops in _SECOND.items()}
    wrong = [
        what
        for what, judged in ends.items()
        if judged.failure is not None and judged.failure.kind is FailureKind.VALUE
    ]
    right = [what for what in ends if what not in wrong]
    if not wrong and _READ_LEFT in left:
        return ("the kept read is given to no later read of these bytes or others",)
    if not wrong:
        return ()
    return (
        "likeliest kept for a later read: of a range read twice, with a write in between, the "
        f"second gives the old bytes if {' or '.join(wrong)}; not if {' or '.join(right)}",
    )


def _left(verdict: Verdict, text: str, again: Judge) -> str:
    """What a program leaves behind, in words; "" for nothing."""
    error = instead_of(verdict, text, again).execution.close_error
    return str(error) if isinstance(error, LeftBehind) else ""
