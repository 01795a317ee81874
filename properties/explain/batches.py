"""Batches: the commands that a command encoder was given, from its first call to the submit.

A batch may have been encoded twice, may repeat an earlier batch, or may have its commands in
another order than the ops.  Longer batches, and batches of other sorts of commands, are tried.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from gpusim.limits import WORD_BYTES
from gpusim.ops import Alloc
from gpusim.trace import Event
from properties.explain.calls import Call, calls
from properties.explain.clocks import Place, read_clocks
from properties.explain.kinds import refusal_of
from properties.explain.told import NOTHING, Told, told
from properties.explain.trials import LIFTED, Evidence, Trials, by_trial, edge
from properties.model.failure import FailureKind
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import STORAGE

OF_ORDER = (laws.A1.name, laws.A3.name, laws.C1.name)
_COUNTS = range(1, 10)
_MOST_COMMANDS, _MOST_SHOWN = 256, 8
_ENDING = ("flush", "sync")
_SUBMITTED = "command buffer"
"""Words in which a device refuses a command buffer that was submitted before."""
_MADE = "alloc x 64\nalloc y 64\nalloc z 64\n"
_DISPATCH, _READ = "dispatch affine x 3,1 1x1x1", "read y 0 4 -> r"
_FIRST, _SECOND = "copy y 0 z 0 4", "copy y 4 z 4 4"
_ORDERS = {
    "dispatch, copy": (_DISPATCH, _FIRST),
    "dispatch, read": (_DISPATCH, _READ),
    "dispatch, read of it": (_DISPATCH, "read x 0 4 -> r"),
    "copy, dispatch, other": (_FIRST, _DISPATCH, _SECOND),
    "copy, read": (_FIRST, _READ),
    "read, dispatch": (_READ, _DISPATCH),
    "copies 1, 2, 3, 4, 5": tuple(f"copy y {4 * n} z {4 * n} 4" for n in range(5)),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """The call that began a batch, its commands, and the call that submitted it, if one did."""

    begun: Call
    commands: tuple[Call, ...]
    submit: Call | None = None

    @property
    def reason(self) -> str:
        """Why the runtime ended the batch."""
        return str(self.begun.event["reason"])

    @property
    def content(self) -> tuple[str, ...]:
        """The commands as text."""
        return tuple(str(call.event) for call in self.commands)


def batches(trace: Iterable[Event]) -> Iterator[Batch]:
    """The batches of a trace, in the order in which they were begun."""
    begun: Call | None = None
    commands: list[Call] = []
    for call in calls(trace):
        kind = call.event.kind
        if kind in ("encode", "submit"):
            if begun is not None:
                submit = call if kind == "submit" else None
                yield Batch(begun=begun, commands=tuple(commands), submit=submit)
            begun, commands = (call if kind == "encode" else None), []
        elif kind in ("dispatch", "copy"):
            commands.append(call)
    if begun is not None:
        yield Batch(begun=begun, commands=tuple(commands))


def submitted(trace: Iterable[Event]) -> Iterator[tuple[Batch, Call]]:
    """The batches that were submitted, each with its submit."""
    return ((batch, batch.submit) for batch in batches(trace) if batch.submit is not None)


def writes_apart(trace: Iterable[Event], role: str) -> list[list[Call]]:
    """The writes to buffers of ``role``: one list before each submit, and one after the last."""
    apart: list[list[Call]] = [[]]
    for call in calls(trace):
        if call.event.kind == "submit":
            apart.append([])
        elif call.event.kind == "write_buffer" and call.event["role"] == role:
            apart[-1].append(call)
    return apart


def most_waiting(trace: Iterable[Event]) -> list[Call]:
    """The longest series of host writes without a submit between them."""
    return max(writes_apart(trace, STORAGE), key=len)


def tell_waiting(evidence: Evidence) -> Told:
    """Lists the longest series of host writes without a submit; says if no submit follows it."""
    written = most_waiting(evidence.trace)
    is_broken = evidence.failure.kind is FailureKind.LAW and evidence.failure.trait == laws.C4.name
    if not is_broken or len(written) < 2:
        return NOTHING
    each = ", ".join(f"{len(call.event['data'])} at call {call.number}" for call in written[:4])
    unknown = (
        "; the sync at the end makes no submit either, so the runtime does not know that these "
        "writes wait"
    )
    is_known = any(call.position > written[-1].position for call in evidence.calls("submit"))
    return told(f"bytes written with no submit in between: {each}{'' if is_known else unknown}")


def tell_order(evidence: Evidence) -> Told:
    """Tells the order within one submit, if two ops changed places inside it."""
    crossing, traced = evidence.argument.crossing, evidence.traced
    if crossing is None:
        return NOTHING
    pair, law = {crossing.earlier, crossing.later}, evidence.broken
    for number, places in traced.submits.items():
        if pair <= {position for position, _ in places} and list(places) != sorted(places):
            law = law and f"{law} is broken first, within the submit of call {number}"
            return Told(facts=(order_within(number, places),), law=law)
    return NOTHING


def order_within(number: int, places: tuple[Place, ...]) -> str:
    """In which order ops were issued, and in which order one submit has them."""
    issued, came = _in_words(sorted(places)), _in_words(places)
    return (
        f"the submit of call {number} has its commands in another order: issued as {issued}; "
        f"submitted as {came}"
    )


def _in_words(places: Sequence[Place]) -> str:
    ops = [f"op {n}" if command < 0 else f"op {n} command {command}" for n, command in places]
    return ", ".join(ops[:_MOST_SHOWN]) + (", ..." if len(ops) > _MOST_SHOWN else "")


@by_trial(FailureKind.LAW, FailureKind.VALUE, follows_policy=True, without_faults=True)
def tell_within(evidence: Evidence, trials: Trials) -> Told:
    """If a submit had its commands in another order: tells which sorts change places."""
    is_mixed = any(list(each) != sorted(each) for each in evidence.traced.submits.values())
    if evidence.broken not in OF_ORDER or not is_mixed:
        return NOTHING
    orders = {words: _submitted(trials, words, ops) for words, ops in _ORDERS.items()}
    moved = [f"{words} -> {came}" for words, came in orders.items() if came not in ("", words)]
    kept = [words for words, came in orders.items() if came == words]
    rest = f"; as issued: {' / '.join(kept)}" if kept else ""
    return told(f"tried, issued -> submitted: {'; '.join(moved)}{rest}") if moved else NOTHING


def _submitted(trials: Trials, words: str, ops: tuple[str, ...]) -> str:
    """The order in which one submit has ``ops``, in words; "" if no submit has all of them."""
    execution = trials.under(**LIFTED).run(_MADE + "\n".join(ops) + "\n").execution
    first = sum(isinstance(op, Alloc) for op in execution.case.program)
    for places in read_clocks(execution).submits.values():
        at = [position - first for position, _ in places]
        if sorted(at) == [*range(len(ops))]:
            return ", ".join(words.split(", ")[n] for n in at)
    return ""


def tell_encoded(evidence: Evidence) -> Told:
    """Tells of a batch that was encoded twice, that is empty, or that loses a command."""
    trials, failure = evidence.trials, evidence.failure
    if evidence.broken == laws.C5.name:
        return _encoded_twice(evidence, trials)
    if trials is None:
        return NOTHING
    if failure.kind is FailureKind.LAW and failure.trait == laws.C2.name:
        return _of_nothing(trials)
    return _of_many(evidence, trials)


def _encoded_twice(evidence: Evidence, trials: Trials | None) -> Told:
    """Tells of two encoders with the same commands, of which the first was never submitted."""
    for one, other in pairwise(batches(evidence.trace)):
        if one.commands and one.content == other.content and one.submit is None:
            return Told(
                sentence=f"a batch was encoded twice: the command encoder of call "
                f"{one.begun.number} was given {len(one.commands)} commands and never submitted, "
                f"and that of call {other.begun.number} was given the same ones, in "
                f"{other.begun.place}",
                rule=laws.C5,
                facts=() if trials is None else tuple(_by_count(trials)),
            )
    return NOTHING


def _by_count(trials: Trials) -> Iterator[str]:
    """Says how many dispatches a batch must have in order to go wrong."""
    if trials.case.follows_no_policy or len(trials.case.device.faults):
        return
    programs = {str(n): "\n".join(("alloc x 4", *[_DISPATCH] * n, "flush")) for n in _COUNTS}
    wrong, right = trials.under(**LIFTED).apart(programs)
    said = f"those of {', '.join(wrong)} go wrong" if wrong else "none goes wrong"
    passing = f"; right are those of {', '.join(right)}" if wrong and right else ""
    yield (
        f"tried batches of 1 to {_COUNTS[-1]} dispatches, with no write and no read: "
        f"{said}{passing}"
    )


def _of_many(evidence: Evidence, trials: Trials) -> Told:
    """Finds the shortest batch of copies that loses one, and says which copies have no effect.

    Only tried if the runtime's calls are right, so that the device lost a command.
    """
    case, made = evidence.case, batches(evidence.trace)
    longest = max((len(batch.commands) for batch in made), default=0)
    is_long = _COUNTS[-1] < longest <= _MOST_COMMANDS
    is_fit = evidence.failure.kind is FailureKind.VALUE and is_long and not evidence.broken
    if not is_fit or case.follows_no_policy or len(case.device.faults):
        return NOTHING
    low, high = 1, 2 * longest
    if _lost(trials, low) or not _lost(trials, high):
        return NOTHING
    low, high = edge(low, high, lambda count: not _lost(trials, count))
    lost = [f"of {n} commands {_lost(trials, n)} has no effect" for n in (high, 2 * high)]
    return told(
        f"tried batches of copies alone: of {low} commands all are right; {'; '.join(lost)}"
    )


def _lost(trials: Trials, count: int) -> str:
    """Which copies of a batch of ``count`` copies have no effect; empty if all have one."""
    size = WORD_BYTES * count
    copies = "".join(f"copy x {at} y {at} {WORD_BYTES}\n" for at in range(0, size, WORD_BYTES))
    data = (
        trials.under(**LIFTED)
        .plainly()
        .last_data(
            f"alloc x {size}\nalloc y {size}\nwrite x 0 {'01' * size}\nflush\n{copies}flush\n"
            f"read y 0 {size} -> r\n"
        )
    )
    lost = [f"number {at // WORD_BYTES + 1}" for at in range(0, size, WORD_BYTES) if not data[at]]
    return " and ".join(lost[:2]) + (f" and {len(lost) - 2} others" if len(lost) > 2 else "")


def _of_nothing(trials: Trials) -> Told:
    """Tells whether a flush and whether a sync submits an empty batch if nothing waits."""
    empty = [verb for verb in _ENDING if _submits_nothing(trials, verb)]
    said = [f"a {verb} of nothing submits an empty batch too" for verb in empty]
    said += [f"a {verb} of nothing submits none" for verb in _ENDING if verb not in empty]
    return told(f"each tried alone, {'; '.join(said)}")


def _submits_nothing(trials: Trials, verb: str) -> bool:
    made = calls(trials.run(f"alloc x 4\n{verb}\n").execution.trace)
    return any(
        call.event.kind == "encode" and call.position == 1 and not call.event["commands"]
        for call in made
    )


def tell_like_batch(evidence: Evidence) -> Told:
    """Tells which earlier batch has the commands of the batch whose submit was refused.

    WebGPU refuses a command buffer that is submitted a second time.
    """
    failed = [call for call in evidence.calls() if call.failed]
    is_refused = evidence.failure.kind in (FailureKind.ERROR, FailureKind.LATE_ERROR)
    is_refused = is_refused and _SUBMITTED in refusal_of(evidence.failure)
    if not is_refused or len(evidence.case.device.faults):
        return NOTHING
    if not failed or failed[0].event["verb"] != "submit":
        return NOTHING
    made = batches(evidence.trace)
    begun = [each for each in made if each.begun.number < failed[0].number]
    for each in begun[:-1]:
        last = begun[-1]
        if each.content == last.content and each.submit is not None:
            return told(
                f"the batch of call {last.begun.number} ({last.begun.place}) has the same commands "
                f"as that of call {each.begun.number} ({each.begun.place}), which was submitted: "
                "likeliest the earlier command buffer was kept for the later batch"
            )
    return NOTHING
