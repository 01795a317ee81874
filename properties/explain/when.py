"""Says in words when the ops that a mistake involves were called and submitted.

The trace shows this; how far apart two dispatches are is read from the program.  Nothing here
decides which mistake was made.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from gpusim.ops import AnyDispatch, Copy, Read, Sync
from gpusim.program import Program
from gpusim.text import write_op
from properties.explain.accused import step_of
from properties.explain.argument import Reached
from properties.explain.calls import calls
from properties.explain.clocks import Traced
from properties.explain.experiments import Judge, fails
from properties.explain.hypothesis import Hypothesis, quoted
from properties.explain.told import NOTHING, Told
from properties.explain.trials import LIFTED
from properties.explain.weighing import CROSSING
from properties.model.case import PLAIN
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import ExpectedOp

REPEATED = "is the same call"
CUT = "submits of calls"
_MADE = (
    "alloc x 4\nalloc y 4\nalloc z 4\ncapture g dispatch affine x 3,1 1x1x1; dispatch affine x "
    "5,2 1x1x1\n"
)
_CUT, _WHOLE = "dispatch affine y 1,1 1x1x1\ncopy y 0 z 0 4\n", "dispatch affine y 1,1 1x1x1\n"
_SAME = {
    "cut, then whole": (_CUT, _WHOLE),
    "whole, then cut": (_WHOLE, _CUT),
}
_OTHER = {"cut, then whole": (_CUT, ""), "whole, then cut": ("", _CUT)}
"""What comes before each of two replays of two dispatches, where a batch holds three commands.

Their uniforms begin at the same place, or at two.
"""
_MOST_COMMANDS = 3


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


def tell_left_out(verdict: Verdict, failure: Failure, sentence: str, traced: Traced) -> Told:
    """Names an accepted op that no submit carried out, if the failure itself does not name it.

    Nothing is told unless a count in the statistics is wrong or law C7 is broken.  ``sentence``
    is what was said of the failure so far.
    """
    is_counted = failure.kind is FailureKind.STATISTICS
    trait = traced.broken.trait if traced.broken is not None else ""
    is_consequence = failure.kind in (FailureKind.LAW, FailureKind.VALUE) and trait == laws.C7.name
    if not traced.has_left or not (is_counted or is_consequence):
        return NOTHING
    program, outcomes = verdict.execution.case.program, verdict.execution.history.outcomes
    for reached in traced.reached:
        at = reached.position
        is_command = at < len(program) and isinstance(program[at], AnyDispatch | Copy | Read)
        if not is_command or reached.submitted >= 0 or outcomes[at].error is not None:
            continue
        facts = tuple(_passed_by(verdict, reached, traced))
        return Told(
            sentence=f"op {at} ({write_op(program[at])}) was accepted, and no submit carried it "
            f"out, to the close: it is lost; so {sentence}",
            culprit=at,
            rule=laws.C1,
            facts=facts,
        )
    return NOTHING


def tell_cut(verdict: Verdict, facts: tuple[str, ...], again: Judge | None) -> Told:
    """Tries two replays in two batches, of which one is cut, if ``facts`` tell of a cut replay.

    They begin at the same place in the uniforms, or at two.
    """
    case = verdict.execution.case
    if again is None or not any(CUT in fact for fact in facts) or case.follows_no_policy:
        return NOTHING
    policy = replace(case.policy, **{**LIFTED, "batch_commands": _MOST_COMMANDS})
    case = replace(case, policy=policy, client=PLAIN)
    under = replace(verdict, execution=replace(verdict.execution, case=case))
    same, others = ([*_gone_wrong(under, pairs, again)] for pairs in (_SAME, _OTHER))
    if not (same or others):
        return NOTHING
    so = "" if others else "; likeliest a part is found by its start and offset, whatever its end"
    return Told(
        facts=(
            "tried two replays of a graph, one of them cut: with uniforms at one offset wrong "
            f"are: {'; '.join(same) or 'none'}; at two offsets: {'; '.join(others) or 'none'}{so}",
        )
    )


def _gone_wrong(
    under: Verdict, pairs: Mapping[str, tuple[str, str]], again: Judge
) -> Iterator[str]:
    for what, (one, other) in pairs.items():
        text = f"{_MADE}{one}replay g * -\nflush\n{other}replay g * -\nread x 0 4 -> r\n"
        if fails(under, text, again):
            yield what


def tell_waited(verdict: Verdict, failure: Failure, first: ExpectedOp, traced: Traced) -> Told:
    """Tells that ``first`` waited while a later op was submitted, and came in a later batch."""
    program, encoded = verdict.execution.case.program, None
    passed = [n for n, _ in traced.submits.get(traced.broken_at, ()) if n > first.position]
    if failure.kind is not FailureKind.LAW or not passed:
        return NOTHING
    for call in calls(verdict.execution.trace):
        if call.event.kind == "encode":
            encoded = call.event
        is_later = call.event.kind == "submit" and call.number > traced.broken_at
        if not is_later or encoded is None or encoded["reason"] == Sync.verb:
            continue
        known = traced.submits.get(call.number, ())
        if encoded["commands"] > len(known):
            return Told(
                sentence=f"op {passed[0]} ({write_op(program[passed[0]])}) overtook "
                f"{quoted(step_of(first, program))}, which was called before it: call "
                f"{traced.broken_at} submitted op {passed[0]} without what was recorded before",
                culprit=passed[0],
                facts=(
                    f"what was recorded before op {passed[0]} stayed in its batch: call "
                    f"{call.number}, in {call.place} (reason: {encoded['reason']}), submitted "
                    f"{encoded['commands'] - len(known)} commands of no later op",
                ),
            )
    return NOTHING


def _passed_by(verdict: Verdict, reached: Reached, traced: Traced) -> Iterator[str]:
    """Tells of the first submit after an op was called, which did not carry out that op."""
    reason = ""
    for call in calls(verdict.execution.trace):
        if call.event.kind == "encode" and not call.failed:
            reason = call.event["reason"]
        elif call.event.kind == "submit" and call.number >= reached.recorded:
            held = ", ".join(f"op {n}" for n, _ in traced.submits.get(call.number, ()))
            place = call.place.partition(" (")[0]
            itself = " itself" if call.position == reached.position else ""
            yield (
                f"the first submit after op {reached.position} began, call {call.number}, made in "
                f"{place}{itself} with the reason {reason!r}, carried out "
                f"{f'{held} alone' if held else 'no op'}"
            )
            return


def _apart(best: Hypothesis, program: Program) -> tuple[str, ...]:
    """The op to blame ran with the scalars of a later op.  Says how many dispatches are between."""
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
    submitted = f"reached the queue at call {reached.submitted}"
    if reached.submitted < 0:
        submitted = "never reached the queue"
    return (
        f"op {reached.position} was called {order}, before call {reached.recorded}, and {submitted}"
    )


def _never(program: Program, at: int) -> str:
    """Says that no submit carried out an op, and whether an earlier op is the same call."""
    alike = next((n for n in reversed(range(at)) if program[n] == program[at]), None)
    same = f"op {at} {REPEATED} as op {alike}; " if alike is not None else ""
    return f"{same}no submit carried out op {at}: it was not recorded, or was dropped afterwards"


def cut_before(at: int, command: int, traced: Traced) -> tuple[str, ...]:
    """Finds another op of which one submit ended before the command numbered ``command``.

    Op ``at`` lacks its own command of that number.
    """
    cuts = {
        position: (number, later)
        for number, places in traced.submits.items()
        for later, others in traced.submits.items()
        for position, last in places
        if number < later and last == command - 1 and (position, command) in others
    }
    cuts.pop(at, None)
    if not cuts:
        return ()
    position, (number, later) = next(iter(cuts.items()))
    return (
        f"op {position} was cut between its commands {command - 1} and {command}, which are in the "
        f"{CUT} {number} and {later}: so likeliest op {at} used what was kept of op "
        f"{position}'s first part, and ended where that part ended",
    )
