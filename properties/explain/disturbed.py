"""Finds out by trial what became of a fault that the layer planned.

The layer stands between a target and its device, and makes the call with the planned number fail.
No trace tells which call that was.  So the program runs with more reads, with a flush, and without
the fault.
"""

from collections.abc import Iterator
from dataclasses import replace

from gpusim.ops import Alloc, Capture, Flush, Read
from gpusim.program import Program
from gpusim.simulated import NO_FAULTS
from properties.explain import rules
from properties.explain.neighbours import instead
from properties.explain.told import NOTHING, Told
from properties.explain.trials import Evidence, Judge
from properties.model.disturbance import Disturbance
from properties.model.failure import FailureKind
from properties.oracles.judge import Verdict

_SHOWN_BYTES = 8
_VALUES = (FailureKind.VALUE, FailureKind.LATE_ERROR)


def tell_disturbed(evidence: Evidence, disturbance: Disturbance) -> Told:
    """Tells if the planned fault was swallowed, took earlier ops along, or went to a wrong op."""
    again, at = evidence.again, evidence.at
    reads = _reads_told(evidence)
    if evidence.failure.kind is FailureKind.CRASH:
        said = _raised_again(evidence, disturbance)
        return replace(said, facts=(*said.facts, reads))
    if evidence.failure.kind not in _VALUES or again is None:
        return NOTHING
    sound = replace(evidence.case, disturbance=replace(disturbance, faults=NO_FAULTS))
    if again(sound).failure is not None:
        return NOTHING
    place, given = evidence.place(at), _given(evidence.verdict, at)
    facts = [f"the layer made a call fail as planned ({disturbance.faults}; calls count from 0)"]
    other, error = next(_raised(evidence), (-1, ""))
    if other < 0:
        facts += [reads, "without the planned fault it passes"]
        sentence = (
            f"the planned fault ({disturbance.faults}) was swallowed: {place} was given {given}, "
            "and no op raised an error"
        )
    elif _took_along(evidence, other, again):
        facts += [reads, f"with a flush before op {other} nothing is lost"]
        sentence = (
            f"{evidence.place(other)} met the planned fault ({disturbance.faults}) and raised "
            f"{error}, and what was recorded before it was lost: {place} was given {given}, as if "
            "the batch before the fault was thrown away"
        )
    else:
        facts = [_with_three(evidence, again), *facts, reads, "without the planned fault it passes"]
        sentence = (
            f"the error of a planned fault ({disturbance.faults}) went to the wrong op: "
            f"{evidence.place(other)} raised {error}, and {place}, to which the error belongs, was "
            f"given {given}"
        )
    return Told(sentence=sentence, culprit=at, rule=rules.OWN_ERROR, facts=tuple(facts))


def _raised_again(evidence: Evidence, disturbance: Disturbance) -> Told:
    """Tells if the failing op raised the planned fault's error again, after an earlier op."""
    at, program, again = evidence.at, evidence.program, evidence.again
    mine = evidence.ends[at].raised if 0 <= at < len(program) else None
    if mine is None or len(disturbance.faults) != 1:
        return NOTHING
    earlier = (each.raised for each in evidence.ends[:at])
    met = [n for n, each in enumerate(earlier) if each and each.message == mine.message]
    if not met:
        return NOTHING
    facts = []
    if again is not None and not isinstance(program[at], Alloc | Read | Capture):
        twice = instead(program, at, program[at], program[at])
        second = again(replace(evidence.case, program=twice)).execution.history
        is_once = second.outcomes[at + 1].raised is None
        end = "the first alone raises it, so it was kept for one more call"
        facts = [f"tried op {at} twice: {end if is_once else 'both raise it, so it stays'}"]
    return Told(
        sentence=f"{evidence.place(at)} once more raised the error that {evidence.place(met[0])} "
        f"had raised already: the planned fault ({disturbance.faults}), {mine.message}",
        culprit=at,
        rule=rules.REPORTED,
        facts=tuple(facts),
    )


def _with_three(evidence: Evidence, again: Judge) -> str:
    """What three reads equal to the failing one get, with the same planned faults."""
    ops, read = [op for op in evidence.program if not isinstance(op, Read)], evidence.op
    assert isinstance(read, Read)
    three = [replace(read, result=f"equal{n}") for n in range(3)]
    judged = again(replace(evidence.case, program=Program((*ops, *three))))
    got = ", ".join(_given(judged, len(ops) + n) for n in range(3))
    return f"three reads like op {evidence.at}, with the same planned fault, got in order: {got}"


def _took_along(evidence: Evidence, other: int, again: Judge) -> bool:
    """Whether the fault that op ``other`` met also lost what the earlier, failing op needs.

    If so, a flush right before ``other`` makes the case pass.  A flush neither asks for a map nor
    makes a buffer, so the fault meets the same call as before.
    """
    program = evidence.program
    if not evidence.at < other < len(program):
        return False
    flushed = instead(program, other, Flush(), program[other])
    return again(replace(evidence.case, program=flushed)).failure is None


def _raised(evidence: Evidence) -> Iterator[tuple[int, str]]:
    """Each op with an unexpected error, at once or when its value was taken; and that error."""
    refused = [each.error for each in evidence.verdict.expected.outcomes]
    for at, outcome in enumerate(evidence.ends):
        error = outcome.error or outcome.late_error
        if error and not (at < len(refused) and refused[at] == error):
            yield at, error.removeprefix("crash: ")


def _given(verdict: Verdict, at: int) -> str:
    """What a read was given, for a reader."""
    outcome = verdict.execution.history.outcomes[at]
    error, data = outcome.error or outcome.late_error, outcome.data or b""
    if error:
        return error.removeprefix("crash: ")
    if data and not any(data):
        return "zeros"
    more = "..." if len(data) > _SHOWN_BYTES else ""
    return f"{data[:_SHOWN_BYTES].hex()}{more}" or "no bytes"


def _reads_told(evidence: Evidence) -> str:
    """Says what each of the first six reads got, in their order."""
    reads = [n for n, op in enumerate(evidence.program) if isinstance(op, Read)]
    got = ", ".join(f"op {n} got {_given(evidence.verdict, n)}" for n in reads[:6])
    return f"the reads in order (each maps once): {got}"
