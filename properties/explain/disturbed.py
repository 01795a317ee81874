"""Finds out by trial what became of a fault that the layer planned.

The layer stands between a target and its device, and makes the call with the planned number fail.
No trace tells which call that was.  So the program runs with more reads, with a flush, and without
the fault.
"""

from collections.abc import Iterator
from dataclasses import replace

from gpusim.history import Outcome
from gpusim.ops import Alloc, Capture, Flush, Read
from gpusim.program import Program
from gpusim.simulated import NO_FAULTS
from gpusim.text import write_op
from properties.explain import rules
from properties.explain.experiments import Judge
from properties.explain.neighbours import instead
from properties.explain.told import NOTHING, Told
from properties.model.case import Case
from properties.model.disturbance import Disturbance
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict

_SHOWN_BYTES = 8
_VALUES = (FailureKind.VALUE, FailureKind.LATE_ERROR)


def tell_disturbed(
    verdict: Verdict, failure: Failure, disturbance: Disturbance, again: Judge | None
) -> Told:
    """Tells if the planned fault was swallowed, took earlier ops along, or went to a wrong op."""
    case = verdict.execution.case
    if failure.kind is FailureKind.CRASH:
        told = _raised_again(verdict, failure.position, disturbance, again)
        return replace(told, facts=(*told.facts, _reads_told(verdict)))
    if failure.kind not in _VALUES or again is None:
        return NOTHING
    sound = replace(case, disturbance=replace(disturbance, faults=NO_FAULTS))
    if again(sound).failure is not None:
        return NOTHING
    planned = f"the layer made a call fail as planned ({disturbance.faults}; calls count from 0)"
    program, at = case.program, failure.position
    raised = list(_raised(verdict))
    given = _given(verdict, at)
    place = f"op {at} ({failure.op})"
    facts = [planned, _reads_told(verdict), "without the planned fault it passes"]
    if not raised:
        sentence = (
            f"the planned fault ({disturbance.faults}) was swallowed: {place} was given {given}, "
            "and no op raised an error"
        )
    elif _took_along(case, at, raised[0][0], again):
        other, error = raised[0]
        sentence = (
            f"op {other} ({write_op(program[other])}) met the planned fault "
            f"({disturbance.faults}) and raised {error}, and what was recorded before it was lost: "
            f"{place} was given {given}, as if the batch before the fault was thrown away"
        )
        facts[2:] = [f"with a flush before op {other} nothing is lost"]
    else:
        other, error = raised[0]
        by = f"op {other} ({write_op(program[other])})" if other < len(program) else "the last sync"
        sentence = (
            f"the error of a planned fault ({disturbance.faults}) went to the wrong op: {by} "
            f"raised {error}, and {place}, to which the error belongs, was given {given}"
        )
        facts.insert(0, _with_three(verdict, at, again))
    return Told(sentence=sentence, culprit=at, rule=rules.OWN_ERROR, facts=tuple(facts))


def _raised_again(verdict: Verdict, at: int, disturbance: Disturbance, again: Judge | None) -> Told:
    """Tells if the op at ``at`` raised the only planned fault, which an op before it had met."""
    outcomes, program = verdict.execution.history.outcomes, verdict.execution.case.program
    mine = outcomes[at].raised if 0 <= at < len(program) else None
    if mine is None or len(disturbance.faults) != 1:
        return NOTHING
    met = [
        n for n in range(at) if (raised := outcomes[n].raised) and raised.message == mine.message
    ]
    if not met:
        return NOTHING
    op, other = (f"op {n} ({write_op(program[n])})" for n in (at, met[0]))
    facts = []
    if again is not None and not isinstance(program[at], Alloc | Read | Capture):
        twice = instead(program, at, program[at], program[at])
        second = again(replace(verdict.execution.case, program=twice)).execution.history
        is_once = second.outcomes[at + 1].raised is None
        end = "the first alone raises it, so it was kept for one more call"
        facts = [f"tried op {at} twice: {end if is_once else 'both raise it, so it stays'}"]
    return Told(
        sentence=f"{op} raised the error that {other} had raised already, once more: the planned "
        f"fault ({disturbance.faults}), {mine.message}",
        culprit=at,
        rule=rules.REPORTED,
        facts=tuple(facts),
    )


def _with_three(verdict: Verdict, at: int, again: Judge) -> str:
    """What three reads equal to the failing one get, under the same plan."""
    case = verdict.execution.case
    ops = [op for op in case.program if not isinstance(op, Read)]
    read = case.program[at]
    assert isinstance(read, Read)
    three = [replace(read, result=f"equal{n}") for n in range(3)]
    program = Program((*ops, *three))
    judged = again(replace(case, program=program))
    got = [_given(judged, len(ops) + n) for n in range(3)]
    return f"three reads like op {at}, under the same plan, got in order: {', '.join(got)}"


def _took_along(case: Case, at: int, other: int, again: Judge) -> bool:
    """Whether op ``other``, which met the fault, lost with it what the earlier op ``at`` needs.

    If so, a flush right before ``other`` makes the case pass.  A flush neither asks for a map nor
    makes a buffer, so the fault meets the same call as before.
    """
    if not at < other < len(case.program):
        return False
    flushed = instead(case.program, other, Flush(), case.program[other])
    return again(replace(case, program=flushed)).failure is None


def _raised(verdict: Verdict) -> Iterator[tuple[int, str]]:
    """Each op that raised an error, or whose value did, with the error; not expected refusals."""
    history = verdict.execution.history
    outcomes = [*history.outcomes, history.closing or Outcome()]
    refused = [each.error for each in verdict.expected.outcomes]
    for at, outcome in enumerate(outcomes):
        error = outcome.error or outcome.late_error
        if error and not (at < len(refused) and refused[at] == error):
            yield at, error.removeprefix("crash: ")


def _given(verdict: Verdict, at: int) -> str:
    """What a read was given, for a reader."""
    outcome = verdict.execution.history.outcomes[at]
    error = outcome.error or outcome.late_error
    if error:
        return error.removeprefix("crash: ")
    data = outcome.data or b""
    if data and not any(data):
        return "zeros"
    more = "..." if len(data) > _SHOWN_BYTES else ""
    return f"{data[:_SHOWN_BYTES].hex()}{more}" or "no bytes"


def _reads_told(verdict: Verdict) -> str:
    """Says what each of the first six reads got, in their order."""
    reads = [n for n, op in enumerate(verdict.execution.case.program) if isinstance(op, Read)]
    told = [f"op {n} got {_given(verdict, n)}" for n in reads[:6]]
    return f"the reads in order (each maps once): {', '.join(told)}"
