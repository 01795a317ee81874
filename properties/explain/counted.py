"""Tries small programs: after which ops a count is wrong, or something is left or made in vain.

The failing program shows this after one op.  Other ops, each in a program of its own, show whether
it happens after them too.  Equal dispatches in a row show which of them make again what is there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from properties.execute import LeftBehind
from properties.explain.calls import calls_of
from properties.explain.told import NOTHING, Told, alike, either, every, told
from properties.explain.trials import LIFTED, Evidence, Trials, by_trial
from properties.model.failure import Failure, FailureKind

_LAUNCH = "alloc x 64\ndispatch affine x 3,1 1x1x1\n"
_LONG = "alloc x 512\n"
_LAST = "read x 0 260 -> last\n"
_REFUSED = "alloc y 12\nalloc x 4\nfree x\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Tried:
    """Programs for one counter; ``about`` says in words what all of them have in common."""

    about: str
    programs: Mapping[str, str]
    settings: Mapping[str, Any]


_COUNTERS = {
    "live_bytes": _Tried(
        about="tried after alloc y 12, alloc x 4 and free x",
        programs={
            "with no more op": _REFUSED,
            "after a refused read of x": f"{_REFUSED}read x 0 0 -> r\n",
            "after two refused reads of x": f"{_REFUSED}read x 0 0 -> r\nread x 0 0 -> s\n",
            "after a refused write to x": f"{_REFUSED}write x 0 01010101\n",
            "after a second free of x": f"{_REFUSED}free x\n",
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
        about="a read that needs a new staging buffer is to be counted; tried with a read of 260 "
        "bytes",
        programs={
            "with an empty pool": f"{_LONG}{_LAST}",
            "with a buffer of 256 bytes in use": f"{_LONG}read x 0 4 -> r\n{_LAST}",
            "with a free buffer of 256 bytes, too small, in the pool": (
                f"{_LONG}read x 0 4 -> r\nsync\n{_LAST}"
            ),
        },
        settings={**LIFTED, "debug_submit_each": False},
    ),
}
"""The programs for each counter, by the words in which the oracle names the counter."""
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
    "the ranges differ": f"read x 0 4 -> r\nsync\n{_WRITTEN}read x 4 4 -> q\n",
}
"""Programs with a write between two reads, by what holds when the second read is called."""
_TWO_READS = "alloc x 8\nread x 0 4 -> r\nsync\nread x 4 4 -> s\nsync\n"
_WHICH = {"at 0 ": "the first is kept too", "at 4 ": "only the second is kept"}
"""Which of these two reads is kept, by words in the report of what is left."""
_ROWS: Mapping[str, tuple[str, Mapping[str, str], str]] = {
    "uniforms": ("create_buffer", {"role": "uniform"}, "2,1"),
    "bind groups": ("create_bind_group", {}, ""),
}
"""For the trait of a cost: the call that makes an entry, the fields of this call, and scalars that
need an entry of their own ("" if no scalars do)."""
_TIMES = 12


@by_trial(FailureKind.STATISTICS)
def tell_counts(evidence: Evidence, trials: Trials) -> Told:
    """For which programs a counter of ``stats()`` is wrong, and for which it is right."""
    name = next((each for each in _COUNTERS if f" {each}" in evidence.failure.reason), "")
    if not name:
        return NOTHING
    tried = _COUNTERS[name]
    under = trials.under(**tried.settings)
    ends = {what: _wrong(under.run(text).failure) for what, text in tried.programs.items()}
    if not any(ends.values()):
        return NOTHING
    said = alike(ends)
    both = [f"{either(said[end])}: {end or 'right'}" for end in sorted(said, key=lambda e: not e)]
    return told(f"{tried.about}: {'; '.join(both)}")


def _wrong(failure: Failure | None) -> str:
    """In words, which counter is wrong, or that the program fails otherwise; "" if it passes."""
    if failure is None:
        return ""
    if failure.kind is not FailureKind.STATISTICS:
        return "goes wrong itself"
    meant, got = (value for _, value in failure.sides)
    return (
        f"{failure.reason.removeprefix('stats() has the wrong number of ')} is {got}, not {meant}"
    )


@by_trial(FailureKind.CRASH)
def tell_kept(evidence: Evidence, trials: Trials) -> Told:
    """Tells after which ops something is left: kept though nobody can use it, or never released."""
    if not isinstance(evidence.verdict.execution.close_error, LeftBehind):
        return NOTHING
    left = {what: _left(trials, text) for what, text in _KEPT.items()}
    kept = [what for what, error in left.items() if error]
    rest = [what for what, error in left.items() if not error]
    if not kept:
        return NOTHING
    fact = f"tried {len(left)} ops, each alone: something is left after"
    if not rest:
        return told(f"{fact} each")
    more = given = ""
    if "a read" in kept:
        both, given = _left(trials, _TWO_READS), _given_again(evidence, trials)
        more = next((said for place, said in _WHICH.items() if place in both), "")
        more = more and f" (after two reads, each with a sync, {more})"
    return told(given, f"{fact} {either(kept)}{more}; nothing after {', '.join(rest)}")


def _left(trials: Trials, text: str) -> str:
    """What a program leaves behind, in words; "" for nothing."""
    error = trials.run(text).execution.close_error
    return str(error) if isinstance(error, LeftBehind) else ""


def _given_again(evidence: Evidence, trials: Trials) -> str:
    """Tells when a second read gets the bytes of a kept first one, though a write came between."""
    failures = {what: trials.run(f"{_MADE}{ops}").failure for what, ops in _SECOND.items()}
    kinds = {what: failed.kind for what, failed in failures.items() if failed is not None}
    wrong = [what for what, kind in kinds.items() if kind is FailureKind.VALUE]
    right = [what for what in _SECOND if what not in wrong]
    if wrong:
        return (
            "likeliest a read is kept for a later one: of two reads with a write in between, the "
            f"second gives the old bytes if {either(wrong)}; not if {either(right)}"
        )
    if _READ_LEFT in evidence.failure.reason:
        return "the kept read is given to no later read of these bytes or others"
    return ""


@by_trial(FailureKind.COST)
def tell_wasted(evidence: Evidence, trials: Trials) -> Told:
    """Tells which of several equal dispatches make what is there already."""
    trait = evidence.failure.trait
    if trait not in _ROWS or not evidence.verdict.execution.is_lawful:
        return NOTHING
    kind, fields, other = _ROWS[trait]

    def making(second: str) -> str:
        """The dispatches that make an entry if every second one has these scalars."""
        row = "".join(f"dispatch affine x {each} 1x1x1\n" for each in ("1,1", second))
        trace = trials.plainly().run(f"alloc x 4\n{row * (_TIMES // 2)}").execution.trace
        return every([c.position for c in calls_of(trace, kind, **fields) if c.position > 0])

    both = f"; with two payloads in turn, dispatches {making(other)} do" if other else ""
    return told(
        f"tried {_TIMES} equal dispatches in a row: dispatches {making('1,1')} make an entry of "
        f"the {trait}, where the first alone should{both}"
    )
