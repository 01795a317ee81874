"""Compares what each submit carried out, and when, with what the ops asked for.

A law names a command by its number in the trace.  Here the trace is searched for more about it: the
submit that has the command once more, or the op that no submit carried out.  Only a batch whose
submit fails, and a replay that is cut in two, are tried in small programs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice

from gpusim.history import CRASH
from gpusim.ops import AnyDispatch, Copy, Op, Read, Sync
from gpusim.program import Program
from gpusim.runtime.batch import FlushReason
from gpusim.text import write_op
from properties.explain.accused import step_of
from properties.explain.argument import Reached
from properties.explain.batches import OF_ORDER, Batch, batches, order_within, submitted
from properties.explain.calls import Call
from properties.explain.clocks import Traced
from properties.explain.experiments import shown_by
from properties.explain.hypothesis import Hypothesis, named, quoted
from properties.explain.losses import run_again
from properties.explain.scene import place_of
from properties.explain.told import NOTHING, Told, either, told
from properties.explain.trials import LIFTED, Evidence, Trials, by_trial
from properties.explain.weighing import CROSSING
from properties.model.failure import FailureKind
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import ExpectedOp, ExpectedWrite
from properties.oracles.laws.matching import Command
from properties.oracles.laws.order import UNASKED

REPEATED = "is the same call"
CUT = "submits of calls"
_MADE = (
    "alloc x 4\nalloc y 4\nalloc z 4\ncapture g dispatch affine x 3,1 1x1x1; dispatch affine x "
    "5,2 1x1x1\n"
)
_CUT, _WHOLE = "dispatch affine y 1,1 1x1x1\ncopy y 0 z 0 4\n", "dispatch affine y 1,1 1x1x1\n"
_SAME = {
    "the first": (_CUT, _WHOLE),
    "the second": (_WHOLE, _CUT),
}
_OTHER = {"the first": (_CUT, ""), "the second": ("", _CUT)}
"""For the replay that is cut, the ops before the first replay and those before the second.

Each replay has two dispatches, and a batch holds three commands, so two commands before a replay
cut it.  In ``_SAME`` one dispatch comes before each replay, so that the uniforms of both begin at
one offset.  In ``_OTHER`` they begin at two.
"""
_MOST_COMMANDS = 3


def tell_carried(evidence: Evidence) -> Told:
    """Tells what the trace shows of the first broken law, if it is about order or deliveries."""
    if evidence.broken == laws.D2.name:
        return _undelivered(evidence)
    if evidence.broken not in OF_ORDER:
        return NOTHING
    if evidence.traced.accused is not None:
        return _same_call(evidence)
    return _twice(evidence) or _same_call(evidence) or _left_out(evidence)


def _undelivered(evidence: Evidence) -> Told:
    """Which reads were delivered, in order, and which never were."""
    accepted = [
        op.result
        for op, outcome in zip(evidence.program, evidence.ends, strict=False)
        if isinstance(op, Read) and (outcome.error is None or outcome.error.startswith(CRASH))
    ]
    came = [event["result"] for event in evidence.trace if event.kind == "delivered"]
    never = ", ".join(name for name in accepted if name not in came)
    if not never:
        return told(*_delivered_early(evidence))
    return told(f"delivered in this order: {', '.join(came) or 'none'}; never delivered: {never}")


def _delivered_early(evidence: Evidence) -> Iterator[str]:
    """Names a read that was delivered by its own call, while an earlier read still waited."""
    waiting: list[str] = []
    op: Op | None = None
    for event in evidence.trace:
        if event.kind == "op":
            op = event["op"]
            waiting += [op.result] if isinstance(op, Read) else []
        elif event.kind == "delivered" and event["result"] in waiting:
            name, first = event["result"], waiting[0]
            if isinstance(op, Read) and op.result == name != first:
                yield (
                    f"{name} was delivered by its own call ({write_op(op)}), and not by a sync, "
                    f"while {first} still waited"
                )
                return
            waiting.remove(name)


def _left_out(evidence: Evidence) -> Told:
    """Tells which command was left out, or came late, though later commands were submitted.

    Or tells that the submit that broke the law has its commands in another order than the ops.
    """
    traced = evidence.traced
    first, places = traced.overtaken, traced.submits.get(traced.broken_at, ())
    if evidence.failure.kind is FailureKind.LAW and list(places) != sorted(places):
        return told(order_within(traced.broken_at, places))
    if first is None or traced.was_submitted(first.position, first.command):
        return NOTHING
    is_begun = isinstance(first, ExpectedWrite) and first.started
    if is_begun or _has_unknown(evidence, first.position):
        return NOTHING
    return _waited(evidence, first) or _never_submitted(evidence, first)


def _never_submitted(evidence: Evidence, first: ExpectedOp) -> Told:
    at, command = first.position, first.command
    facts = [*_submitting(evidence, at)] if command < 0 else []
    if command > 0:
        facts += cut_before(at, command, evidence.traced)
    # What was found so far tells more than that an earlier op is the same call.
    facts = facts or [*_alike(at, command, evidence)]
    own = quoted(step_of(first, evidence.program))
    sentence = f"{own} was left out: no submit carried it out, and commands after it were submitted"
    if evidence.failure.kind is FailureKind.LAW:
        return Told(sentence=sentence, culprit=at, rule=laws.C1, facts=tuple(facts))
    return told(*(*facts, sentence)[:1])


def _has_unknown(evidence: Evidence, at: int) -> bool:
    """Whether a batch that the op at ``at`` submitted itself has commands of no known op.

    They may be the op's own, carried out wrongly.
    """
    made = submitted(evidence.trace)
    return any(each[1].position == at and _unknown(evidence, *each) > 0 for each in made)


def _submitting(evidence: Evidence, at: int) -> Iterator[str]:
    """Says so if the op at ``at`` submitted earlier commands, and was recorded in no batch."""
    submits = evidence.traced.submits
    for call in [call for call in evidence.calls("encode") if call.position == at][:1]:
        held = submits.get(min((n for n in submits if n > call.number), default=0), ())
        if held and at not in {position for position, _ in held}:
            yield (
                f"op {at} itself submitted the commands before it (call {call.number}, reason: "
                f"{call.event['reason']}), and was recorded in no batch"
            )


def _alike(at: int, command: int, evidence: Evidence) -> Iterator[str]:
    """Names an earlier step that asks for the same call as ``command`` of op ``at``."""
    steps = shown_by(evidence.verdict).scene.steps
    own = next((n for n, step in enumerate(steps) if place_of(step) == (at, command)), 0)
    for each in reversed(steps[:own]):
        if _is_alike(each.op, steps[own].op):
            yield (
                f"{named(each)}, earlier, {REPEATED}: likeliest {named(steps[own])} was taken for "
                "a repetition of it"
            )
            return


def _is_alike(one: Op, other: Op) -> bool:
    """Whether two ops are the same call; the name of a read's result is not compared."""
    if isinstance(one, Read) and isinstance(other, Read):
        return one == replace(other, result=one.result)
    return one == other


def _twice(evidence: Evidence) -> Told:
    """Tells of a command that is the last of one batch, and that the next batch has again."""
    last: tuple[Batch, Call] | None = None
    for batch in batches(evidence.trace) if UNASKED in evidence.said else ():
        for call in batch.commands if last is not None else ():
            is_early = call.number <= evidence.traced.broken_at
            if last is not None and is_early and _is_same(last[0].commands[-1], call):
                return _said_twice(evidence, *last, call)
        if batch.submit is not None and batch.commands:
            last = batch, batch.submit
    return NOTHING


def _same_call(evidence: Evidence) -> Told:
    """Tells of two equal commands, if the broken law says that nobody asked for such a command."""
    same = [
        call
        for call in evidence.calls("dispatch", "copy")
        if UNASKED in evidence.said
        and evidence.said.startswith(str(Command(call.event.kind, call.event.about, None)))
    ]
    if len(same) < 2:
        return NOTHING
    first, again = same[:2]
    return told(
        f"call {again.number}, encoded in {again.place}, is the same {again.event.kind} as call "
        f"{first.number}, encoded in {first.place}: one call was submitted twice"
    )


def _is_same(one: Call, other: Call) -> bool:
    """Whether two calls are the same command.

    Of dispatches only the group and the grid are compared, since with a uniform ring each batch
    binds other bytes.
    """
    if one.event.kind != "dispatch" or other.event.kind != "dispatch":
        return one.event == other.event
    return all(one.event[name] == other.event[name] for name in ("group", "groups"))


def _said_twice(evidence: Evidence, batch: Batch, submit: Call, again: Call) -> Told:
    ended, places = batch.commands[-1], evidence.traced.submits.get(submit.number, ())
    steps = shown_by(evidence.verdict).scene.steps
    own = [step for step in steps if place_of(step) in places[-1:]]
    whose = quoted(own[0]) if own else f"the last command of {ended.place}"
    count = batch.begun.event["commands"]
    facts: tuple[str, ...] = ()
    where = f"the batch of call {batch.begun.number} (reason: {batch.reason}"
    same = f"calls {ended.number} and {again.number} are the same command"
    failed = [call.number for call in evidence.calls("failed") if call.event["verb"] == "submit"]
    if any(submit.number <= number < again.number for number in failed):
        held = f"the last of {count} commands" if count > 1 else "its only command"
        where = f"in {where}; {held}), whose submit failed"
        same += "; if a submit fails, its batch is lost, and must not run later"
        if evidence.trials is not None and not evidence.case.follows_no_policy:
            facts = run_again(evidence.trials)
    else:
        where = f"at the end of {where})"
    return Told(
        sentence=f"{whose} was submitted twice: {where}, and again in the next batch, in "
        f"{again.place}",
        culprit=own[0].position if own else -1,
        rule=laws.C1,
        facts=(*facts, same),
    )


def _waited(evidence: Evidence, first: ExpectedOp) -> Told:
    """Tells that ``first`` waited while a later op was submitted, and came in a later batch."""
    traced = evidence.traced
    passed = [n for n, _ in traced.submits.get(traced.broken_at, ()) if n > first.position]
    if evidence.failure.kind is not FailureKind.LAW or not passed:
        return NOTHING
    for batch, submit in submitted(evidence.trace):
        rest = _unknown(evidence, batch, submit)
        if submit.number > traced.broken_at and batch.reason != Sync.verb and rest > 0:
            return Told(
                sentence=f"{evidence.place(passed[0])} overtook "
                f"{quoted(step_of(first, evidence.program))}, which was called before it: call "
                f"{traced.broken_at} submitted op {passed[0]} without what was recorded before",
                culprit=passed[0],
                facts=(
                    f"what was recorded before op {passed[0]} stayed in its batch: call "
                    f"{submit.number}, in {submit.place} (reason: {batch.reason}), submitted "
                    f"{rest} commands that no later op asked for",
                ),
            )
    return NOTHING


def _unknown(evidence: Evidence, batch: Batch, submit: Call) -> int:
    """How many commands of a batch are those of no known op."""
    return int(batch.begun.event["commands"]) - len(evidence.traced.submits.get(submit.number, ()))


def tell_left_out(evidence: Evidence) -> Told:
    """Names an accepted op that no submit carried out.

    Nothing is told unless a count in the statistics is wrong or law C7 is broken.
    """
    kind, traced, program = evidence.failure.kind, evidence.traced, evidence.program
    is_consequence = (
        kind in (FailureKind.LAW, FailureKind.VALUE) and evidence.broken == laws.C7.name
    )
    if not traced.has_left or not (kind is FailureKind.STATISTICS or is_consequence):
        return NOTHING
    for reached in traced.reached:
        at = reached.position
        is_command = at < len(program) and isinstance(program[at], AnyDispatch | Copy | Read)
        if is_command and reached.submitted < 0 and evidence.ends[at].error is None:
            return Told(
                sentence=f"{evidence.place(at)} was accepted, and no submit up to the close "
                f"carried it out: it is lost; so {evidence.argument.sentence}",
                culprit=at,
                rule=laws.C1,
                facts=tuple(_passed_by(evidence, reached)),
            )
    return NOTHING


def _passed_by(evidence: Evidence, reached: Reached) -> Iterator[str]:
    """Tells of the first submit after an op was called, which did not carry out that op."""
    made = submitted(evidence.trace)
    later = ((batch, each) for batch, each in made if each.number >= reached.recorded)
    for batch, submit in islice(later, 1):
        places = evidence.traced.submits.get(submit.number, ())
        held = ", ".join(f"op {n}" for n, _ in places)
        if batch.reason == FlushReason.UNIFORMS:
            # The op only made room for itself, and should have come into the next batch.
            yield from _submitting(evidence, reached.position)
            return
        itself = " itself" if submit.position == reached.position else ""
        yield (
            f"the first submit after op {reached.position} began, call {submit.number}, made in "
            f"{submit.place.partition(' (')[0]}{itself} with the reason {batch.reason!r}, "
            f"carried out {f'{held} alone' if held else 'no op'}"
        )


@by_trial(follows_policy=True)
def tell_cut(evidence: Evidence, trials: Trials) -> Told:
    """If a fact tells of a cut replay, tries two replays of a graph; one of the two is cut."""
    if not any(CUT in fact for fact in evidence.argument.facts):
        return NOTHING
    under = trials.under(**{**LIFTED, "batch_commands": _MOST_COMMANDS}).plainly()
    same, others = (under.apart(_replays(pairs))[0] for pairs in (_SAME, _OTHER))
    if not (same or others):
        return NOTHING
    cause = "; likeliest a part of one is found by its start and offset, whatever its end"
    return told(
        "tried two replays of a graph, one cut: with the uniforms of both at one offset, "
        f"{_wrong_if_cut(same)}; at two offsets, {_wrong_if_cut(others)}{'' if others else cause}"
    )


def _wrong_if_cut(replays: list[str]) -> str:
    return f"it goes wrong if {either(replays)} is cut" if replays else "nothing goes wrong"


def _replays(pairs: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    return {
        what: f"{_MADE}{one}replay g * -\nflush\n{other}replay g * -\nread x 0 4 -> r\n"
        for what, (one, other) in pairs.items()
    }


def tell_when(best: Hypothesis, program: Program, traced: Traced) -> tuple[str, ...]:
    """Says when the ops of the mistake ``best`` took effect; empty if nothing shows that."""
    if best.kind in CROSSING:
        return _crossed(best, traced)
    if best.kind == "scalars" and best.other > best.culprit:
        return _apart(best, program)
    if best.kind == "omitted" and int(best.detail) > 0:
        return cut_before(best.culprit, int(best.detail), traced)
    if best.kind == "omitted" and traced.never_submitted(best.culprit):
        return (_never(program, best.culprit),)
    return ()


def _apart(best: Hypothesis, program: Program) -> tuple[str, ...]:
    """Counts the dispatches after the op to blame, up to the later op whose scalars it used."""
    between = program.ops[best.culprit + 1 : best.other + 1]
    count = sum(isinstance(op, AnyDispatch) for op in between)
    if count < 2:
        return ()
    return (
        f"op {best.other} is {count} dispatches after op {best.culprit}: probably both use the "
        f"same slot, as if there were only {count} slots",
    )


def _crossed(best: Hypothesis, traced: Traced) -> tuple[str, ...]:
    one, other = traced.of(best.culprit), traced.of(best.other)
    if one is None or other is None:
        return (f"op {best.culprit} was called before op {best.other}, but took effect after it",)
    return _when(one, "first"), _when(other, "later")


def _when(reached: Reached, order: str) -> str:
    never = reached.submitted < 0
    end = "never reached the queue" if never else f"reached the queue at call {reached.submitted}"
    return f"op {reached.position} was called {order}, before call {reached.recorded}, and {end}"


def _never(program: Program, at: int) -> str:
    """Says that no submit carried out an op, and whether an earlier op is the same call."""
    alike = next((n for n in reversed(range(at)) if program[n] == program[at]), None)
    same = f"op {at} {REPEATED} as op {alike}; " if alike is not None else ""
    return f"{same}no submit carried out op {at}: it was not recorded, or was dropped afterwards"


def cut_before(at: int, command: int, traced: Traced) -> tuple[str, ...]:
    """Names another op that was cut: one submit ended before ``command``, and a later one has it.

    Op ``at`` lacks its command of the same number.
    """
    for number, places in traced.submits.items():
        for later, others in traced.submits.items():
            for position, last in places:
                is_cut = last == command - 1 and (position, command) in others
                if number < later and position != at and is_cut:
                    return (
                        f"op {position} was cut between its commands {last} and {command}, which "
                        f"are in the {CUT} {number} and {later}: so likeliest op {at} used what "
                        f"was kept of op {position}'s first part, and ended where that part ended",
                    )
    return ()
