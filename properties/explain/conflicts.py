"""Tries which commands a host write overtakes, each in a program of its own.

A write acts at once.  So the runtime must know which bytes the waiting commands will use.  A
runtime that forgets one sort of use lets writes overtake commands with that use, and no others.
"""

from gpusim.limits import WORD_BYTES
from gpusim.ops import Write
from gpusim.text import write_op
from properties.explain.calls import calls_of
from properties.explain.told import NOTHING, Told, either, every, listed, told
from properties.explain.trials import Evidence, Trials, by_trial
from properties.explain.weighing import CROSSING
from properties.model.capabilities import Capabilities
from properties.model.failure import FailureKind
from properties.oracles.laws.catalogue import A2, A4
from properties.oracles.laws.expected import STORAGE

_ONES = "01000000" * 128
_MADE = f"alloc x 512\nalloc y 512\nalloc z 64\nwrite x 0 {_ONES}\nwrite y 0 {_ONES}\n"
_ENDS = "read x 0 512 -> rx\nread y 0 512 -> ry\nread z 0 64 -> rz\n"
_BETWEEN = (
    "alloc x 4\nwrite x 0 0a0a0a0a\nread x 0 4 -> r\nwrite x 0 0b0b0b0b\nsync\nread x 0 4 -> s\n"
)
_WHOSE = {b"\x0a" * 4: "the first write's", b"\x0b" * 4: "the second write's"}
_WAITS = "dispatch affine x 3,1 1x1x1"
_OVER_Z = "dispatch affine z 3,1 1x1x1"
_WAITING = {
    "a dispatch that reads it": ("dispatch fold x,y 1 1x1x1", 0),
    "a dispatch that writes it": (_WAITS, 0),
    "a dispatch over a part": ("dispatch affine x[256:320] 3,1 1x1x1", 256),
    "the grid of an indirect dispatch": ("dispatch_indirect affine z 3,1 x 16", 16),
    "the source of a copy": ("copy x 0 y 0 16", 0),
    "the last word of a copy's source": ("copy x 0 y 0 16", 12),
    "the target of a copy": ("copy y 0 x 0 16", 0),
    "the last word of a copy's target": ("copy y 0 x 0 16", 12),
    "the first of two copies from it": ("copy x 0 y 0 16\ncopy x 128 y 128 16", 0),
    "the first of two copies to it": ("copy y 0 x 0 16\ncopy y 128 x 128 16", 0),
    "a dispatch before a copy to it": ("dispatch affine x[0:64] 3,1 1x1x1\ncopy y 0 x 256 16", 0),
    "a copy after a dispatch over another buffer": (f"{_OVER_Z}\ncopy x 0 y 0 16", 0),
    "a copy within a buffer": ("copy x 64 x 0 16", 64),
    "a copy of odd bytes": ("copy x 1 y 0 7", 4),
    "a read": ("read x 0 16 -> rw", 0),
    "a dispatch before a copy over other buffers": (f"{_WAITS}\ncopy y 0 z 0 16", 0),
    "a dispatch before other commands": (f"{_WAITS}\n{_OVER_Z}\ncopy y 0 z 0 16", 0),
    "a replay after other commands": (f"{_OVER_Z}\ncapture g {_WAITS}\nreplay g * -", 0),
    "a replay": (f"capture g {_WAITS}\nreplay g * -", 0),
}
"""For each use of a buffer, commands that use x so, and the byte of x that is written next."""
_MOST_SAID = 3
_OTHERS = " over other buffers"
_SORTS = ("copy", "dispatch", "read", "replay")
_SIZES = (1, 4, 8, 64)
_LONG_BYTES = 16
_WORDS = {"first": 0, "second": 4, "third": 8, "last": 12}


def _text(commands: str, byte: int, size: int = WORD_BYTES) -> str:
    """A program that writes so many bytes at that byte of x, while ``commands`` wait."""
    # A read that waits shows by itself that it was overtaken.  Later reads could spoil its bytes.
    ends = "" if "read" in commands else _ENDS
    return f"{_MADE}{commands}\nwrite x {byte} {('02000000' * size)[: 2 * size]}\n{ends}"


@by_trial(FailureKind.VALUE, FailureKind.LAW)
def tell_conflicts(evidence: Evidence, trials: Trials) -> Told:
    """Tells which waiting commands a write overtakes, if the culprit seems to be such a write."""
    failure, fits, op = evidence.failure, evidence.fits, evidence.culprit
    is_law = failure.kind is FailureKind.LAW and failure.trait in (A2.name, A4.name)
    is_shown = failure.kind is FailureKind.VALUE and evidence.kind in CROSSING
    if not isinstance(op, Write) or not (is_law or is_shown):
        return NOTHING
    if not _can_try(fits) or trials.fails(_text("sync", 0)):
        return NOTHING
    is_own = not evidence.case.follows_no_policy
    wrong, right = trials.apart(
        {
            what: _text(commands, byte)
            for what, (commands, byte) in _WAITING.items()
            if _is_promised(commands, fits) and (is_own or _is_plain(what, commands))
        }
    )
    if not wrong:
        return _of_words(trials)
    if not right:
        facts = told(_of_sizes(evidence, trials), _between(trials), _unstaged(evidence, op)).facts
        return Told(
            sentence=_on_the_device(evidence), culprit=evidence.argument.culprit, facts=facts
        )
    # The right uses that tell most are listed first: one of the sort that is wrong most often, with
    # a command over other buffers beside it; then those of any sort that is wrong.
    near = {word for what in wrong for word in what.split()} & {*_SORTS}
    most = max(_SORTS, key=lambda sort: sum(sort in what for what in wrong))
    right.sort(key=lambda what: not near & {*what.split()})
    right.sort(key=lambda what: not (what.startswith(f"a {most}") and _OTHERS in what))
    return told(
        f"each tried alone: a write to a buffer overtakes {listed(wrong, _MOST_SAID)}, but not "
        f"{listed(right, _MOST_SAID, 'or')}"
    )


def _can_try(fits: Capabilities) -> bool:
    """Whether the target promises what each of the programs here uses."""
    units = (
        *(fits.buffer_size_bytes, fits.write_offset_bytes, fits.write_size_bytes),
        *(fits.copy_offset_bytes, fits.copy_size_bytes, fits.read_size_bytes),
    )
    kernels = {*fits.kernels} or {"affine", "fold"}
    return max(units) <= WORD_BYTES and {"affine", "fold"} <= kernels


def _is_promised(commands: str, fits: Capabilities) -> bool:
    """Whether the target promises all that ``commands`` use."""
    return (
        (fits.indirect or "_indirect" not in commands)
        and (fits.replays or "capture" not in commands)
        and (fits.parts or "[" not in commands)
        and (fits.copies_within or "copy x 64 x" not in commands)
        and (max(fits.copy_offset_bytes, fits.copy_size_bytes) == 1 or "y 0 7" not in commands)
    )


def _is_plain(what: str, commands: str) -> bool:
    """Whether a use has a single command, and is not tried at the last word of its bytes.

    A foreign runtime may submit what waits at any command, so several commands tell nothing of it.
    """
    return "\n" not in commands and "last word" not in what


def _on_the_device(evidence: Evidence) -> str:
    """Says that the device carried out a write before work that was submitted before the write.

    Empty if the calls of the runtime have another order.  Only asked if a write overtakes each of
    ``_WAITING``.
    """
    if not evidence.traced.is_known or evidence.broken:
        return ""
    at = evidence.argument.culprit
    writes = calls_of(evidence.trace, "write_buffer")
    written = next((call.number for call in writes if call.position == at), 0)
    submits = evidence.traced.submits.items()
    before = {
        place: number for number, places in submits if number < written for place, _ in places
    }
    if not before:
        return ""
    last = max(before)
    return (
        f"op {at} ({write_op(evidence.program[at])}), call {written}, took effect on the device "
        f"before work that was submitted earlier: op {last}, call {before[last]}"
    )


def _of_sizes(evidence: Evidence, trials: Trials) -> str:
    """Says how long the writes are that overtake a dispatch.

    Only asked if a write of one word overtakes each of ``_WAITING``.
    """
    sizes = [size for size in _SIZES if not size % evidence.fits.write_size_bytes]
    wrong, right = trials.apart({size: _text(_WAITS, 0, size) for size in sizes})
    if not right:
        return (
            "each tried alone: a write overtakes whatever waits: a read, a copy or a dispatch; "
            f"writes of {every(wrong)} bytes overtake a dispatch, so no write waits for anything"
        )
    return (
        f"each tried alone: a write of {WORD_BYTES} bytes overtakes whatever waits: a read, a copy "
        f"or a dispatch; a write of {either(right)} bytes does not overtake a dispatch"
    )


def _of_words(trials: Trials) -> Told:
    """Tells if a long write overtakes copies to some of the words that it writes, and to which."""
    wrong, right = trials.apart(
        {word: _text(f"copy y 0 x {byte} 4", 0, _LONG_BYTES) for word, byte in _WORDS.items()}
    )
    if not wrong:
        return NOTHING
    but = f", but not a copy to its {either(right)} word" if right else ""
    return told(
        f"each tried alone: a write of {_LONG_BYTES} bytes overtakes a copy to its {either(wrong)} "
        f"word{but}; a write of one word overtakes nothing"
    )


def _between(trials: Trials) -> str:
    """What a read between two writes of a word gives, and what a read after a sync gives.

    Empty if both are right.
    """
    outcomes = trials.run(_BETWEEN).execution.history.outcomes
    given = [_WHOSE.get(outcomes[at].data or b"", "older") for at in (2, 5)]
    if given == [*_WHOSE.values()]:
        return ""
    return (
        f"tried: a read between two writes of a word gives {given[0]} bytes, and a read after a "
        f"sync gives {given[1]} bytes"
    )


def _unstaged(evidence: Evidence, op: Write) -> str:
    """Says so if a write was short enough to go into the batch, and went to the queue at once."""
    at, most = evidence.argument.culprit, evidence.case.policy.staged_write_bytes
    writes = calls_of(evidence.trace, "write_buffer", role=STORAGE)
    number = next((call.number for call in writes if call.position == at), 0)
    if evidence.case.follows_no_policy or len(op.data) > most or not number:
        return ""
    return (
        f"under staged_write_bytes={most} a short write that has to wait goes into the batch as a "
        f"copy; op {at}, of {len(op.data)} bytes, went to the queue at once (call {number})"
    )
