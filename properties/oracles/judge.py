"""Judges one case: runs it, and asks every oracle about the execution.

``judge`` asks in this order.  Are the outcomes those that the program means?  Were the device's
faults reported?  Are the words of errors and the counters right, and does the policy save what it
should?  Does the close raise?  Does the driver make just the calls that it needs?  Does a second
runtime on the device do all this right?  Does memory grow, or an op cost too much?  Are the laws
kept?  Does the layer report a wrong call, or is a shader wrong?  Does the case show the same
without its faults, or transformed?

The first failure counts; ``_CONSEQUENCES`` has the exceptions.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from gpusim.history import CRASH, History
from gpusim.kernels import Kernel
from gpusim.layer import EMPTY_SUBMIT, Report
from gpusim.limits import Limits
from gpusim.program import Program
from gpusim.trace import Event
from properties.clients import shows_each_fault
from properties.clients.foreign import STALE
from properties.execute import execute, failed_with, name_of
from properties.model.capabilities import Capabilities
from properties.model.case import PLAIN, Case
from properties.model.execution import Execution
from properties.model.failure import Failure, FailureKind
from properties.model.marks import apart
from properties.model.refusals import refusals
from properties.oracles.blame import last_writer
from properties.oracles.calls import judge_calls
from properties.oracles.compare import compare, details_of, shown_as, unrefused_class
from properties.oracles.cost import judge_cost
from properties.oracles.coverage import Coverage, coverage_of
from properties.oracles.faulted import LOST, follow, judge_reported, met_faults
from properties.oracles.growth import judge_growth
from properties.oracles.injected import in_contract_terms, may_fail_close, shown_faults
from properties.oracles.laws import Checker, LawContext, check
from properties.oracles.laws.catalogue import compare_traces
from properties.oracles.metamorphic import judge_relations, judge_without_faults
from properties.oracles.planned import judge_planned
from properties.oracles.statistics import judge_ops, judge_statistics
from properties.oracles.thrift import judge_thrift
from properties.oracles.words import judge_fault_words, judge_words
from properties.targets.factory import TargetFactory
from reference import Reference as Executor
from reference import run as run_reference

Reference = Callable[[Program, Mapping[str, Kernel], Limits], History]
Comparison = Callable[[Program, History, History, Capabilities], Failure | None]
Laws = Callable[[Iterable[Event], LawContext], Checker]

_BESIDE = "of the runtime beside"
"""The end of ``op`` in a failure that a second runtime shows."""
_SUBMIT_FAILED = "SubmitFailed"
_CONSEQUENCES = (FailureKind.STATISTICS, FailureKind.COST)
"""If a law is broken too, the judge tells that law and not one of these failures, since the broken
law is more often the cause."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Oracles:
    """The oracles as values, so that a test can replace one by a broken one."""

    reference: Reference = run_reference
    compare: Comparison = compare
    laws: Laws | None = check
    """None: no law is checked."""
    without_faults: bool = True
    """Whether a case on a failing device is compared with the same case without faults."""
    growth: bool = True
    """Whether some cases are repeated, to see if memory and work grow."""
    shown_faults: frozenset[str] | None = None
    """The error classes that faults may cause; None: those of the case's device."""


SOUND = Oracles()
MEANING_ONLY = Oracles(laws=None, without_faults=False, growth=False)
"""Judges only the meaning of the program and the close of the target."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The result of judging one case."""

    execution: Execution
    expected: History
    failure: Failure | None
    held: Counter[str]
    """How often each law checked something."""
    reached: Coverage | None
    """What the trace reached; None if this was not measured."""


def judge(case: Case, factory: TargetFactory, oracles: Oracles = SOUND) -> Verdict:
    """Run ``case`` on a new target of ``factory``, and ask every oracle about it."""
    execution = execute(case, factory)
    faults = case.device.shown_faults if oracles.shown_faults is None else oracles.shown_faults
    expected, failure = _judge_meaning(execution, faults, oracles)
    failure = failure or _judge_close(execution, faults, expected)
    if execution.is_lawful:
        failure = failure or judge_calls(execution)
    if execution.beside is not None:
        failure = failure or _judge_beside(execution.beside, faults, oracles)
    if oracles.growth:
        failure = failure or judge_growth(case, factory) or judge_cost(case, factory)
    held: Counter[str] = Counter()
    reached: Coverage | None = None
    if oracles.laws is not None and execution.is_lawful:
        checker = oracles.laws(execution.trace, LawContext.of(execution))
        if failure is None or failure.kind in _CONSEQUENCES:
            failure = next(iter(checker.violations), failure)
        held, reached = checker.checked, coverage_of(checker)
    if oracles.laws is not None:
        failure = failure or _judge_reports(execution, expected)
    failure = failure or _judge_shaders(execution)
    return Verdict(
        execution=execution,
        expected=expected,
        failure=failure or _judge_variants(execution, faults, factory, oracles),
        held=held,
        reached=reached,
    )


def judge_beneath(verdict: Verdict) -> tuple[Capabilities, Failure] | None:
    """A further failure, if ops were accepted that the target promised to refuse.

    Such ops would hide later failures.  So for the error class that they should have raised, the
    promise is lowered to ``Refusal.CONTAINED``, and the execution is compared again.  Returns the
    lowered promises, and the failure that breaks even those.
    """
    execution, failure = verdict.execution, verdict.failure
    promises = execution.capabilities
    while failure is not None and (error := unrefused_class(failure)) is not None:
        promises = promises.contained(error)
        failure = compare(execution.case.program, verdict.expected, execution.history, promises)
    if failure is None or promises == execution.capabilities:
        return None
    failure = _with_writer(failure, execution, verdict.expected)
    refused = refusals(
        execution.case.program, verdict.expected, execution.history, execution.kernels
    )
    return promises, replace(failure, refused=refused)


def _with_writer(failure: Failure, execution: Execution, expected: History) -> Failure:
    """The failure, with a note on the op that should have written the first wrong byte."""
    if failure.byte is None:
        return failure
    program, at = execution.case.program, failure.position
    kernels, limits = execution.kernels, execution.limits
    writer = last_writer(program, at, failure.byte, expected, kernels, limits)
    return replace(failure, reason=f"{failure.reason}; {writer}")


def judge_determinism(case: Case, factory: TargetFactory) -> Failure | None:
    """The failure if a second run of ``case`` leaves another trace than the first."""
    case = replace(case, client=PLAIN)
    first, second = execute(case, factory), execute(case, factory)
    return compare_traces(first.trace, second.trace)


def _judge_meaning(
    execution: Execution, faults: frozenset[str], oracles: Oracles
) -> tuple[History, Failure | None]:
    """What the program means, and the first difference of the execution from it."""
    program, got = execution.case.program, execution.history
    if injected := execution.case.injected:
        got, faults = in_contract_terms(program, got, injected), shown_faults(injected)
    reported: tuple[str, ...] = ()
    if faults:
        followed = follow(
            program,
            got,
            execution.kernels,
            execution.limits,
            faults,
            piece_bytes=execution.case.policy.queued_write_bytes,
            hides_losses=_hides_losses(execution),
        )
        expected, reported = followed.expected, followed.reported
    else:
        expected = _meant(execution, oracles)
    failure = oracles.compare(program, expected, got, execution.capabilities)
    met = _met_by(execution)
    if failure is not None:
        failure = _with_writer(failure, execution, expected)
        failure = replace(failure, refused=refusals(program, expected, got, execution.kernels))
    elif execution.tells_faults and not (execution.shares_driver and LOST in (*met, *reported)):
        # A loss on a shared device is not judged here: either runtime may be the first to notice.
        # A device may fail without a plan too, and the target must report that.
        device = execution.case.device
        # The number of faults is known only of a simulated device, which fails just as it is
        # planned, and only if ``oracles`` name no further faults.
        is_known = device.is_simulated and oracles.shown_faults is None
        failure = judge_reported(
            program,
            got,
            reported,
            met,
            reads_share=execution.case.policy.join_reads,
            planned=device.planned_faults if is_known else None,
            closing=type(execution.close_error).__name__ if execution.close_error else "",
            each=shows_each_fault(execution.case.client),
        )
        if failure is None and is_known and not execution.shares_driver:
            failure = judge_planned(execution)
    if failure is None and execution.stats is not None:
        # Only our runtime has counters, and only its messages are checked.
        failure = judge_words(program, expected, got, met)
        failure = failure or judge_fault_words(program, got, execution.trace)
    if failure is None and (execution.shares_driver or _drops_dispatches(execution.case)):
        failure = judge_ops(execution)
    if failure is None and execution.is_lawful:
        failure = judge_statistics(execution) or judge_thrift(execution)
    return expected, failure


def _drops_dispatches(case: Case) -> bool:
    return case.policy.debug_dispatch_limit is not None and case.client == PLAIN


def _met_by(execution: Execution) -> list[str]:
    """The faults that the runtime of ``execution`` met."""
    trace = execution.trace
    return met_faults(trace if execution.beside is None else apart(trace)[0])


def _hides_losses(execution: Execution) -> bool:
    """Whether a submit failed, and the op that met the failure need not show it."""
    if not execution.tells_faults:
        # Any failed submit may be hidden.  A foreign target's trace has no such events, so of its
        # losses none counts as hidden.
        return any(
            event.kind == "failed" and event["verb"] == "submit" for event in execution.trace
        )
    if shows_each_fault(execution.case.client):
        return False
    # An op that makes several calls shows one of their faults; a later op may show another one.
    met = met_faults(execution.trace)
    return len(met) > 1 and _SUBMIT_FAILED in met


def _judge_beside(beside: Execution, faults: frozenset[str], oracles: Oracles) -> Failure | None:
    """The failure of a second runtime on the same driver, judged by its own program."""
    expected, failure = _judge_meaning(beside, faults, oracles)
    failure = failure or _judge_close(beside, faults, expected)
    if failure is None:
        return None
    return replace(
        failure,
        op=f"{failure.op}, {_BESIDE}",
        notes=(*failure.notes, "the runtime beside runs:", *str(beside.case.program).splitlines()),
    )


def is_beside(failure: Failure) -> bool:
    """Whether a failure shows in a second runtime, which ran its program beside the first."""
    return failure.op.endswith(_BESIDE)


def _meant(execution: Execution, oracles: Oracles) -> History:
    program, kernels, limits = execution.case.program, execution.kernels, execution.limits
    most = execution.case.policy.debug_dispatch_limit
    if most is None:
        return oracles.reference(program, kernels, limits)
    make = partial(Executor, dispatch_limit=most)
    return run_reference(program, kernels, limits, make=make)


def _judge_close(execution: Execution, faults: frozenset[str], expected: History) -> Failure | None:
    """The failure if the target's close raises, and no fault explains it."""
    error = execution.close_error
    if error is None or type(error).__name__ in faults:
        return None
    if may_fail_close(execution.case.injected):
        return None
    ended = failed_with(error)
    return Failure(
        kind=FailureKind.CRASH,
        trait=name_of(error).removeprefix(CRASH),
        position=len(execution.case.program),
        op="close",
        reason=shown_as(ended, ""),
        details=details_of(ended),
        refused=refusals(execution.case.program, expected, execution.history, execution.kernels),
    )


def _judge_reports(execution: Execution, expected: History) -> Failure | None:
    """The first mistake with WebGPU that the layer's rules see in the calls of the target.

    If the program has an invalid op, or its client makes one, or a fault was injected, no report
    counts: the wrong call may follow from that op or fault.
    """
    case = execution.case
    if not execution.reports:
        return None
    is_provoked = (
        case.injected or case.client == STALE or any(each.error for each in expected.outcomes)
    )
    if is_provoked or not len(case.program):
        return None  # A finding's file cannot hold a program without ops.
    report = next(filter(_counts(execution), execution.reports), None)
    if report is None:
        return None
    return Failure(
        kind=FailureKind.LAW,
        trait=report.rule,
        position=len(execution.case.program),
        op="the calls on the device",
        reason=report.finding,
        notes=(*map(str, report.places), f"what to do: {report.remedy}"),
    )


def _judge_shaders(execution: Execution) -> Failure | None:
    """The first mistake in a shader that the device saw; a warning is none."""
    errors = [each for each in execution.shaders if each.severity == "error"]
    if not errors or not len(execution.case.program):
        return None
    report = errors[0]
    order = (f"in another order of workgroups and atomics: {report.order}",) if report.order else ()
    return Failure(
        kind=FailureKind.SHADER,
        trait=f"{report.kind} in {report.entry_point}",
        position=len(execution.case.program),
        op="the shaders",
        what=report.kind,
        reason=report.what,
        notes=(*map(str, report.acts), *order, f"what to do: {report.remedy}"),
    )


def _counts(execution: Execution) -> Callable[[Report], bool]:
    """A test of a report: whether it is a failure, given the target's promises."""
    promised = execution.capabilities.no_empty_submits
    return lambda report: promised or report.rule != EMPTY_SUBMIT.name


def _judge_variants(
    execution: Execution, faults: frozenset[str], factory: TargetFactory, oracles: Oracles
) -> Failure | None:
    """The failure that shows in the case without its faults, or under its transformations."""

    def again(case: Case) -> Execution:
        return execute(case, factory)

    if execution.case.device.shown_faults and faults:
        return judge_without_faults(execution, again) if oracles.without_faults else None
    if execution.case.transformations:
        return judge_relations(execution, again)
    return None
