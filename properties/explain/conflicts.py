"""Tries which commands a host write overtakes, each in a program of its own.

A write acts at once.  So the runtime must know which bytes the waiting commands will use.  A
runtime that forgets one sort of use lets writes overtake commands with that use, and no others.
"""

from gpusim.limits import WORD_BYTES
from gpusim.ops import Write
from gpusim.text import write_op
from properties.explain.calls import calls
from properties.explain.clocks import Traced
from properties.explain.experiments import Judge, fails, instead_of
from properties.explain.told import NOTHING, Told
from properties.explain.weighing import CROSSING
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import STORAGE

_MADE = "alloc x 512\nalloc y 512\nalloc z 64\nwrite x 0 {ones}\nwrite y 0 {ones}\n"
_ENDS = "read x 0 512 -> rx\nread y 0 512 -> ry\nread z 0 64 -> rz\n"
_ONES = "01000000" * 128
_OTHER = "02000000"
_WRITTEN = {"first": "0a0a0a0a", "second": "0b0b0b0b"}
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
    "a copy after a dispatch over another buffer": (
        "dispatch affine z 3,1 1x1x1\ncopy x 0 y 0 16",
        0,
    ),
    "a copy within a buffer": ("copy x 64 x 0 16", 64),
    "a copy of odd bytes": ("copy x 1 y 0 7", 4),
    "a read": ("read x 0 16 -> rw", 0),
    "a dispatch before a copy over others": (
        "dispatch affine x 3,1 1x1x1\ncopy y 0 z 0 16",
        0,
    ),
    "a dispatch before other commands": (
        "dispatch affine x 3,1 1x1x1\ndispatch affine z 3,1 1x1x1\ncopy y 0 z 0 16",
        0,
    ),
    "a replay after other commands": (
        "dispatch affine z 3,1 1x1x1\ncapture g dispatch affine x 3,1 1x1x1\nreplay g * -",
        0,
    ),
    "a replay": ("capture g dispatch affine x 3,1 1x1x1\nreplay g * -", 0),
}
"""For each use of a buffer, commands that use x so, and the byte of x that is written next."""


_MOST_SAID, _MOST_RIGHT = 3, 3
_OTHERS = " over others"
_SORTS = ("copy", "dispatch", "read", "replay")
_SIZES = (1, 4, 8, 64)
_LONG_BYTES = 16
_WORDS = {"first": 0, "second": 4, "third": 8, "last": 12}
_WAITS = "dispatch affine x 3,1 1x1x1"


def tell_conflicts(
    verdict: Verdict, failure: Failure, kind: str, at: int, traced: Traced, again: Judge | None
) -> Told:
    """Tells which waiting commands a write overtakes, if the write at ``at`` seems to overtake one.

    ``kind``: the kind of the mistake that explains the bytes.
    """
    program = verdict.execution.case.program
    op = program[at] if 0 <= at < len(program) else None
    is_law = failure.kind is FailureKind.LAW and failure.trait in (laws.A2.name, laws.A4.name)
    if again is None or not isinstance(op, Write) or not (kind in CROSSING or is_law):
        return NOTHING
    fits = verdict.execution.capabilities
    is_fit = failure.kind is FailureKind.VALUE or is_law
    if not is_fit or not (fits.indirect and fits.replays and fits.parts):
        return NOTHING
    tried = {
        what: _overtakes(verdict, commands, byte, WORD_BYTES, again)
        for what, (commands, byte) in _WAITING.items()
    }
    wrong = [what for what, is_wrong in tried.items() if is_wrong]
    if not wrong:
        return _of_words(verdict, again)
    if len(wrong) == len(tried):
        between = _read_between(verdict, again)
        facts = (_of_sizes(verdict, again), *between, *_unstaged(verdict, at, op))
        return Told(sentence=_on_the_device(verdict, at, traced), culprit=at, facts=facts)
    right = [what for what, is_wrong in tried.items() if not is_wrong]
    # Of the right uses, those tell most that other commands set apart from a wrong use, then those
    # of the same sort as a wrong one.
    near = {word for what in wrong for word in what.split()} & {*_SORTS}
    most = max(_SORTS, key=lambda sort: sum(sort in what for what in wrong))
    right.sort(key=lambda what: not near & {*what.split()})
    right.sort(key=lambda what: not (what.startswith(f"a {most}") and _OTHERS in what))
    fact = (
        f"each tried alone: a write to a buffer overtakes {_first(wrong, 'and')}, but not "
        f"{_first(right[:_MOST_RIGHT], 'or', len(right) - _MOST_RIGHT)}"
    )
    return Told(facts=(fact,))


def _on_the_device(verdict: Verdict, at: int, traced: Traced) -> str:
    """Says that the device carried out a write before work that was submitted before the write.

    Empty if the calls of the runtime have another order.  Only asked if a write overtakes each of
    ``_WAITING``.
    """
    if not traced.is_known or traced.broken is not None:
        return ""
    made = [call for call in calls(verdict.execution.trace) if call.position == at]
    written = [call.number for call in made if call.event.kind == "write_buffer"]
    before = {
        place: number
        for number, places in traced.submits.items()
        for place, _ in places
        if written and number < written[0]
    }
    if not before:
        return ""
    last = max(before)
    return (
        f"op {at} ({write_op(verdict.execution.case.program[at])}), call {written[0]}, took effect "
        f"on the device before work that was submitted earlier: op {last}, call {before[last]}"
    )


def _first(what: list[str], word: str, left: int = 0) -> str:
    """The first of the commands ``what``, and how many are left out.

    ``left``: how many the caller left out already.
    """
    left = max(left, len(what) - _MOST_SAID)
    more = f" {word} {left} others" if left > 0 else ""
    return ", ".join(what[:_MOST_SAID]) + more


def _of_sizes(verdict: Verdict, again: Judge) -> str:
    """Says how long the writes are that overtake a dispatch.

    Only asked if a write of one word overtakes each of ``_WAITING``.
    """
    wrong = [size for size in _SIZES if _overtakes(verdict, _WAITS, 0, size, again)]
    right = [size for size in _SIZES if size not in wrong]
    if not right:
        return (
            "each tried alone: a write overtakes whatever waits, a read, a copy or a dispatch; a "
            f"dispatch also if the write is of {_either(wrong)} bytes"
        )
    return (
        f"each tried alone: a write of {WORD_BYTES} bytes overtakes whatever waits, a read, a copy "
        f"or a dispatch; a write of {_either(right)} bytes does not overtake a dispatch"
    )


def _of_words(verdict: Verdict, again: Judge) -> Told:
    """A long write may overtake a copy only if the copy writes some of its words; tells which."""
    wrong = [
        word
        for word, byte in _WORDS.items()
        if _overtakes(verdict, f"copy y 0 x {byte} 4", 0, _LONG_BYTES, again)
    ]
    right = [word for word in _WORDS if word not in wrong]
    if not wrong:
        return NOTHING
    but = f", and not one to {' or '.join(right)}" if right else ""
    return Told(
        facts=(
            f"each tried alone: a write of {_LONG_BYTES} bytes overtakes a copy to its "
            f"{' or '.join(wrong)} word{but}; a write of one word overtakes nothing",
        )
    )


def _read_between(verdict: Verdict, again: Judge) -> tuple[str, ...]:
    """What a read between two writes of a word gives, and what a read after a sync gives.

    Empty if both are right.
    """
    text = "alloc x 4\nwrite x 0 {}\nread x 0 4 -> r\nwrite x 0 {}\nsync\nread x 0 4 -> s\n"
    outcomes = instead_of(
        verdict, text.format(*_WRITTEN.values()), again
    ).execution.history.outcomes
    whose = {bytes.fromhex(data): f"the {nth} write's" for nth, data in _WRITTEN.items()}
    given = [whose.get(outcomes[at].data or b"", "older") for at in (2, 5)]
    if given == [*whose.values()]:
        return ()
    return (
        f"tried: a read between two writes of a word gives {given[0]} bytes, and a read after a "
        f"sync gives {given[1]}",
    )


def _either(sizes: list[int]) -> str:
    return " or ".join(map(str, sizes))


def _unstaged(verdict: Verdict, at: int, op: Write) -> tuple[str, ...]:
    """Says so if a write was short enough to go into the batch, and went to the queue at once."""
    policy = verdict.execution.case.policy
    if verdict.execution.case.follows_no_policy or len(op.data) > policy.staged_write_bytes:
        return ()
    for call in calls(verdict.execution.trace):
        is_write = call.event.kind == "write_buffer" and call.event["role"] == STORAGE
        if is_write and call.position == at:
            return (
                f"under staged_write_bytes={policy.staged_write_bytes} a short write that has to "
                f"wait goes into the batch as a copy; op {at}, of {len(op.data)} bytes, went to "
                f"the queue at once (call {call.number})",
            )
    return ()


def _overtakes(verdict: Verdict, commands: str, byte: int, size: int, again: Judge) -> bool:
    made, data = _MADE.format(ones=_ONES), (_OTHER * size)[: 2 * size]
    return fails(verdict, f"{made}{commands}\nwrite x {byte} {data}\n{_ENDS}", again)
