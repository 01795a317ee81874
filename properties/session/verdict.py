"""One case judged: run on a target, and held against what its program means."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gpusim.history import History
from gpusim.kernels import Kernels
from gpusim.limits import Limits
from gpusim.program import Program
from gpusim.trace import Trace
from properties.case import Case
from properties.oracles.compare import Mismatch, compare
from properties.oracles.coverage import Coverage, coverage_of
from properties.oracles.faulted import follow, judge_told, met_faults
from properties.oracles.laws import Checker, Marks, Setting, Violation
from properties.oracles.values import Checked, count_checked
from properties.runner import run
from properties.session.devices import shown_faults
from properties.session.limits import case_limits
from properties.session.seen import Seen, count_seen
from properties.session.subject import Subject
from properties.target import Capabilities
from reference import run as run_reference


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why a case failed: ``kind`` and ``trait`` tell failures apart, ``text`` shows this one."""

    kind: str
    """A mismatch's kind, ``law``, ``crash``, ``abort`` or ``hang``."""
    trait: str
    """What else must stay the same while the case shrinks: the error, the law, or nothing."""
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What judging one case showed."""

    failure: Failure | None
    history: History
    checked: Checked
    seen: Seen
    held: Counter[str]
    """How often each law was held against something."""
    reached: Coverage | None
    """What the trace reached, where ``laws`` looked for that too."""


Reference = Callable[[Program, Kernels, Limits], History]
Laws = Callable[[Trace, Setting], Checker]
Comparison = Callable[[Program, History, History, Capabilities], Mismatch | None]


def judge(
    case: Case,
    subject: Subject,
    kernels: Kernels,
    *,
    reference: Reference = run_reference,
    compare: Comparison = compare,
    laws: Laws | None = None,
    faults: frozenset[str] | None = None,
) -> Verdict:
    """Run ``case`` on a new target of ``subject``, and compare it with what it means.

    ``reference`` says what that is and ``compare`` whether it is shown; they
    are arguments so that it can be seen what a broken one lets pass.  With
    ``laws`` the trace is held against them as well, where there is one.
    """
    limits = case_limits(subject.limits, case)
    faults = shown_faults(case.device) if faults is None else faults
    opened = subject.open(case)
    target = opened.target
    marks = Marks(opened.trace)
    got = run(case.program, target, watch=marks)
    told: Sequence[str] = ()
    if faults:
        followed = follow(case.program, got, kernels, limits, faults)
        expected, told = followed.expected, followed.told
    else:
        expected = reference(case.program, kernels, limits)
    mismatch = compare(case.program, expected, got, target.capabilities)
    if mismatch is None and opened.traced:
        met, shared = met_faults(opened.trace), case.policy.join_reads
        mismatch = judge_told(case.program, got, told, met, reads_share=shared)
    failure = _failure(mismatch)
    marks.closing()
    try:
        target.close()
    except Exception as error:
        if type(error).__name__ not in faults:
            failure = failure or crash(case.program, error)
    marks.closed()
    held: Counter[str] = Counter()
    reached: Coverage | None = None
    if laws is not None and opened.traced:
        setting = Setting(policy=case.policy, kernels=kernels, limits=limits)
        checker = laws(opened.trace, setting)
        reached = coverage_of(checker)
        if checker.violations:
            failure = failure or broken_law(checker.violations[0])
        held = checker.checked
    return Verdict(
        failure=failure,
        history=got,
        checked=count_checked(case.program, expected),
        seen=count_seen(opened.trace, case.policy),
        held=held,
        reached=reached,
    )


def crash(program: Program, error: Exception) -> Failure:
    """The failure of a target that raised where no op was under way."""
    name = type(error).__name__
    return Failure(
        kind="crash",
        trait=name,
        text=f"op {len(program)}: close\n  crash: {name}: {error}",
    )


def broken_law(violation: Violation) -> Failure:
    """The failure of a trace that breaks a law."""
    return Failure(kind="law", trait=violation.law.name, text=str(violation))


def _failure(mismatch: Mismatch | None) -> Failure | None:
    if mismatch is None:
        return None
    # A crash shows its message after its class, and the message may well change.
    shown = " ".join(mismatch.got.split()[:2]) if mismatch.got.startswith("crash:") else ""
    errors = f"{mismatch.expected}/{mismatch.got}" if mismatch.kind == "error" else ""
    return Failure(kind=str(mismatch.kind), trait=shown or errors, text=str(mismatch))
