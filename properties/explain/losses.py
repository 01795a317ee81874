"""Tries what a failed batch loses, which ops use a lost buffer, and what makes it whole too early.

Each is tried in a program of its own, on a device whose first submit fails.  The buffer x is lost
with that submit.  Until x is written whole, every op that uses it must be refused.  No command of
the batch may run later.
"""

from collections.abc import Mapping
from dataclasses import replace

from gpusim.errors import DataLost, SubmitFailed
from gpusim.limits import WORD_BYTES
from gpusim.ops import Write
from gpusim.program import Program
from gpusim.simulated.faults import FaultPlan
from gpusim.text import write_op
from properties.explain.calls import calls
from properties.explain.capacity import LIFTED
from properties.explain.experiments import Judge
from properties.explain.neighbours import instead
from properties.model.case import PLAIN
from properties.oracles.judge import Verdict
from properties.oracles.metamorphic.rewrites import sizes_of

_MADE = (
    "alloc x 12\nalloc y 12\ncapture g {}\nwrite y 0 020000000200000002000000\n"
    "{}flush\n{}read x 0 12 -> rx\n"
)
_DISPATCH, _COPY = "dispatch affine x 1,1 1x1x1", "copy y 0 x 0 4"
_FOLD, _REPLAY = "dispatch fold x,y 1 1x1x1", "replay g * -"
_WRITERS = {
    "a dispatch": (_DISPATCH, _DISPATCH),
    "a copy": (_DISPATCH, _COPY),
    "a copy of odd bytes": (_DISPATCH, "copy y 0 x 1 3"),
    "a copy within it": (_DISPATCH, "copy x 0 x 4 8"),
    "a short write": (_DISPATCH, "write x 1 01"),
    "a replay of a dispatch": (_DISPATCH, _REPLAY),
    "a replay of a copy": (_COPY, _REPLAY),
}
"""What a replay has as its command, and the op that waits when the submit fails."""
_USERS = {
    "a read": (_DISPATCH, "read x 0 4 -> r"),
    "a dispatch that reads it": (_DISPATCH, _FOLD),
    "a dispatch that writes it": (_DISPATCH, _DISPATCH),
    "a copy from it": (_DISPATCH, "copy x 0 y 0 4"),
    "a replay of a dispatch that reads it": (_FOLD, _REPLAY),
    "a replay of a dispatch that writes it": (_DISPATCH, _REPLAY),
    "a replay of a copy from it": ("copy x 0 y 0 4", _REPLAY),
}
_PARTS = {
    "a write of a part": "write x 0 01010101",
    "a write of one byte": "write x 1 01",
    "a copy to a part": _COPY,
}
_FLUSH, _USE, _AT_THE_END = 5, 6, -1
"""The places, in such a program, of the flush, of the op after it, and of the read at the end."""
_LOST = DataLost.__name__
_UNTOLD = "no submit failed"
_MOST_SAID = 4
_IN_BATCH = ("the first copy", "the dispatch", "the second copy")
_THREE = Program.parse(
    "alloc x 8\nalloc y 8\ncopy x 0 y 0 4\ndispatch affine x 3,1 1x1x1\ncopy x 4 y 4 4\nflush\n"
    "sync\n"
)


def losses(verdict: Verdict, again: Judge | None) -> tuple[str, ...]:
    """What goes wrong of losing a buffer, refusing it, and keeping it lost; empty if nothing."""
    execution = verdict.execution
    device, fits = execution.case.device, execution.capabilities
    if again is None or not device.is_simulated or not (fits.replays and execution.is_lawful):
        return ()

    def tried(rows: Mapping[str, tuple[str, str, str]], asked: int) -> dict[str, bool]:
        ends = {what: _ends(verdict, *ops, again)[asked] for what, ops in rows.items()}
        return {what: end is None for what, end in ends.items() if end in (None, _LOST)}

    kept = tried({what: (*ops, "") for what, ops in _WRITERS.items()}, _AT_THE_END)
    told = _said(
        kept,
        "after a failed submit, what {} wrote does not count as lost",
        "what {} wrote does",
        "after a failed submit nothing is lost, whatever wrote it: a dispatch, a copy, a short "
        "write or a replay",
    )
    if not all(kept.values()):
        told += _said(
            tried({what: (one, _DISPATCH, use) for what, (one, use) in _USERS.items()}, _USE),
            "a lost buffer is accepted by {}",
            "refused by {}",
            "a lost buffer is accepted by every op",
        )
        told += _said(
            tried({what: (_DISPATCH, _DISPATCH, op) for what, op in _PARTS.items()}, _AT_THE_END),
            "a lost buffer is accepted again after {}",
            "not after {}",
            "a lost buffer is accepted again after any write or copy to it",
        )
    return tuple(f"tried alone: {each}" for each in told)


def _said(tried: Mapping[str, bool], wrong: str, right: str, every: str) -> list[str]:
    bad = [what for what, is_wrong in tried.items() if is_wrong]
    good = [what for what, is_wrong in tried.items() if not is_wrong]
    # Those of the same sort as a wrong one tell most, so they come first.
    sorts = {what.split()[1] for what in bad}
    good.sort(key=lambda what: what.split()[1] not in sorts)
    if not bad:
        return []
    return [f"{wrong.format(_some(bad))}; {right.format(_some(good))}"] if good else [every]


def _some(what: list[str]) -> str:
    """The first few of ``what``, and how many more there are."""
    left = len(what) - _MOST_SAID
    return ", ".join(what[:_MOST_SAID]) + (f" or {left} more" if left > 0 else "")


def _ends(
    verdict: Verdict, captured: str, waits: str, after: str, again: Judge
) -> list[str | None]:
    """The error of each op of a program whose flush is the first submit.

    If the flush did not fail, nothing was lost, and no error tells anything.
    """
    case = verdict.execution.case
    text = _MADE.format(captured, f"{waits}\n", f"{after}\n" if after else "")
    tried = replace(
        case,
        program=Program.parse(text),
        policy=replace(case.policy, **LIFTED),
        client=PLAIN,
        device=replace(case.device, faults=FaultPlan(failed_submits=(0,)), schedule=()),
        transformations=(),
    )
    outcomes = again(tried).execution.history.outcomes
    errors = [each.error or each.late_error for each in outcomes]
    return errors if errors[_FLUSH] == SubmitFailed.__name__ else [_UNTOLD] * len(errors)


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


def run_again(verdict: Verdict, again: Judge) -> tuple[str, ...]:
    """Which commands of a batch run again, if its submit fails: two copies, and a dispatch."""
    case = verdict.execution.case
    device = replace(case.device, faults=FaultPlan(failed_submits=(0,)))
    policy = replace(case.policy, **{**LIFTED, "debug_submit_each": False})
    case = replace(case, program=_THREE, device=device, policy=policy, client=PLAIN)
    failed_at, left = 0, dict.fromkeys(_IN_BATCH, 0)
    for call in calls(again(replace(case, transformations=())).execution.trace):
        if call.failed and call.event["verb"] == "submit":
            failed_at = call.number
        elif failed_at and call.event.kind == "dispatch":
            left["the dispatch"] += 1
        elif failed_at and call.event.kind == "copy":
            nth = call.event["target_offset"] // WORD_BYTES
            left[_IN_BATCH[min(2 * nth, 2)]] += 1
    told = [what for what, count in left.items() if count]
    rest = [what for what, count in left.items() if not count]
    if not told:
        return ()
    return (
        "tried a batch of a copy, a dispatch and another copy whose submit fails: run again are "
        f"{' and '.join(told)}{f', not {rest[0]}' if rest else ''}",
    )
