"""What is known of a failing case, and trials: programs that are run as the case was run.

A trial is a program made for one question.  It runs on the device of the case, under its policy and
by its client, or with one of these changed.  Nothing here says what the outcome of a trial means.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, TypeVar

from gpusim.history import Outcome
from gpusim.ops import Op
from gpusim.program import Program
from gpusim.runtime.policy import ENDLESS_BATCHES
from gpusim.text import write_op
from gpusim.trace import Trace
from properties.explain.argument import Argument
from properties.explain.calls import Call, calls
from properties.explain.clocks import Traced
from properties.explain.hypothesis import Hypothesis
from properties.explain.told import NOTHING, Told
from properties.model.capabilities import Capabilities
from properties.model.case import PLAIN, Case
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict

Judge = Callable[[Case], Verdict]
Argue = Callable[[Verdict], Argument]
LIFTED: Mapping[str, Any] = {**ENDLESS_BATCHES, "join_reads": False}
"""Settings under which no limit makes the runtime submit a batch.

Each read has a staging buffer of its own.
"""
_What = TypeVar("_What")


@dataclass(frozen=True, slots=True)
class Trials:
    """Runs programs in the place of the program of ``case``; ``again`` judges each."""

    case: Case
    again: Judge

    def plainly(self) -> "Trials":
        """The same trials, but the target is called plainly."""
        return self.having(client=PLAIN)

    def under(self, **settings: Any) -> "Trials":
        """The same trials, under a policy with these settings changed."""
        return self.having(policy=replace(self.case.policy, **settings))

    def having(self, **changes: Any) -> "Trials":
        """The same trials, with these fields of the case changed."""
        return replace(self, case=replace(self.case, **changes))

    def run(self, program: Program | str) -> Verdict:
        """The verdict on a program, which may be given as its text."""
        parsed = Program.parse(program) if isinstance(program, str) else program
        return self.again(replace(self.case, program=parsed, transformations=()))

    def fails(self, program: Program | str) -> bool:
        """Whether a program fails."""
        return self.run(program).failure is not None

    def apart(self, programs: Mapping[_What, Program | str]) -> tuple[list[_What], list[_What]]:
        """The keys of the programs that fail, and the keys of those that pass."""
        failed = {what: self.fails(program) for what, program in programs.items()}
        return (
            [what for what, is_wrong in failed.items() if is_wrong],
            [what for what, is_wrong in failed.items() if not is_wrong],
        )

    def last_data(self, program: Program | str) -> bytes:
        """What the last op of a program gives; empty if it gives nothing."""
        return self.run(program).execution.history.outcomes[-1].data or b""


def sides(verdict: Verdict) -> list[tuple[bytes | None, bytes | None]]:
    """For each op, the data that it should give, and the data that it gave."""
    pairs = zip(verdict.expected.outcomes, verdict.execution.history.outcomes, strict=True)
    return [(meant.data, got.data) for meant, got in pairs]


def edge(low: int, high: int, is_right: Callable[[int], bool]) -> tuple[int, int]:
    """A number that is right and the next one, which is not.

    ``low`` must be right, and ``high`` must be larger and wrong.
    """
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_right(middle) else (low, middle)
    return low, high


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What is known of a failing case.

    ``best``: the likeliest mistake that explains the bytes, if one does.  ``again``: runs a case;
    None if nothing may be run.  ``argue``: explains a failing verdict by itself, without trials.
    """

    verdict: Verdict
    failure: Failure
    traced: Traced
    argument: Argument
    argue: Argue
    best: Hypothesis | None = None
    again: Judge | None = None

    @property
    def case(self) -> Case:
        """The case that fails."""
        return self.verdict.execution.case

    @property
    def program(self) -> Program:
        """The program that fails."""
        return self.case.program

    @property
    def trace(self) -> Trace:
        """The events of the execution."""
        return self.verdict.execution.trace

    @property
    def fits(self) -> Capabilities:
        """What the target promises."""
        return self.verdict.execution.capabilities

    @property
    def op(self) -> Op | None:
        """The op that shows the failure; None if the failure shows at no op."""
        return self._op(self.failure.position)

    @property
    def culprit(self) -> Op | None:
        """The op that went wrong; None if no op is known to have gone wrong."""
        return self._op(self.argument.culprit)

    @property
    def kind(self) -> str:
        """The kind of the mistake that explains the bytes; empty if none does."""
        return self.best.kind if self.best is not None else ""

    @property
    def broken(self) -> str:
        """The name of the law that is broken first; empty if none is."""
        return self.traced.broken.trait if self.traced.broken is not None else ""

    @property
    def at(self) -> int:
        """The position of the op that shows the failure."""
        return self.failure.position

    @property
    def said(self) -> str:
        """What the law that is broken first says; empty if none is."""
        return "" if self.traced.broken is None else self.traced.broken.said

    @property
    def trials(self) -> Trials | None:
        """Runs of other programs; None if nothing may be run."""
        return None if self.again is None else Trials(self.case, self.again)

    @property
    def failed(self) -> list[Call]:
        """The calls of the program's runtime that failed."""
        return [call for call in self.calls() if call.failed and call.is_own]

    @property
    def ends(self) -> list[Outcome]:
        """The outcome of each op, and that of the last sync."""
        history = self.verdict.execution.history
        return [*history.outcomes, history.closing or Outcome()]

    @property
    def meant(self) -> bytes | None:
        """The bytes that the failing read should give, if it should give any."""
        return self.verdict.expected.outcomes[self.at].data

    @property
    def got(self) -> bytes | None:
        """The bytes that the failing read gave, if it gave any."""
        return self.verdict.execution.history.outcomes[self.at].data

    def calls(self, *kinds: str, role: str = "") -> list[Call]:
        """The calls on the device: all, or those of some kinds, or on buffers of a role."""
        return [
            call
            for call in calls(self.trace)
            if (not kinds or call.event.kind in kinds)
            and (not role or call.event.about.get("role") == role)
        ]

    def evicting(self, cache: str) -> list[int]:
        """The ops during which a cache gave up an entry."""
        found, at = [], -1
        for event in self.trace:
            if event.kind == "op":
                at = event["position"]
            elif event.kind == f"{cache}.evicted":
                found.append(at)
        return found

    def place(self, at: int) -> str:
        """An op with its text, or the last sync, for a reader."""
        program = self.program
        return f"op {at} ({write_op(program[at])})" if at < len(program) else "the last sync"

    def with_more(self, told: Told) -> "Evidence":
        """The evidence, with ``told`` added to its argument."""
        return replace(self, argument=told.added_to(self.argument))

    def _op(self, at: int) -> Op | None:
        return self.program[at] if 0 <= at < len(self.program) else None


Teller = Callable[[Evidence], Told]
"""Looks at a failing case in one way, and tells what it found out."""


def by_trial(
    *kinds: FailureKind, follows_policy: bool = False, without_faults: bool = False
) -> Callable[[Callable[[Evidence, Trials], Told]], Teller]:
    """Declares for which failures a function makes trials; for others it tells nothing.

    Nor does it tell anything if no case may be run.  ``kinds``: the kinds of failures; all if none
    is given.  ``follows_policy``: only if the target follows a policy.  ``without_faults``: only if
    the device has no planned faults.
    """

    def declared(tell: Callable[[Evidence, Trials], Told]) -> Teller:
        @wraps(tell)
        def asked(evidence: Evidence) -> Told:
            case, again = evidence.case, evidence.again
            is_fit = (
                (not kinds or evidence.failure.kind in kinds)
                and not (follows_policy and case.follows_no_policy)
                and not (without_faults and len(case.device.faults))
            )
            return tell(evidence, Trials(case, again)) if is_fit and again is not None else NOTHING

        return asked

    return declared
