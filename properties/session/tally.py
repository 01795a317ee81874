"""What a session has done, as numbers that add up."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from gpusim.kernels import Kernel
from gpusim.ops import VERBS
from properties.model.case import Case
from properties.oracles.coverage import Coverage
from properties.oracles.judge import Verdict
from properties.oracles.values import Checked, count_checked
from properties.programs.measure import writers_of_reads
from properties.session.event_counts import EventCounts, count_events

ENOUGH_TRACES = 1000
"""After so many traces a session should have met every rare event that it can meet.

Each is met by 18 programs of 1,200 or more, so that 1,000 miss one by chance in
three sessions of ten million.
"""
MEASURED_FIRST = 1200
"""Programs at the start of a seed that are measured one and all."""
_KINDS = {kind: kind.__name__.lower() for kind in VERBS}
_MEASURE_EVERY = 8
"""Of later programs one in so many is measured, since that costs more than making one."""


def is_measured(number: int) -> bool:
    """Whether it is followed what program ``number`` of a seed reached."""
    return number % (8 * MEASURED_FIRST) < MEASURED_FIRST or not number % _MEASURE_EVERY


@dataclass(kw_only=True, slots=True)
class PolicyTally:
    """What was run with one preset, and policies drawn around it."""

    programs: int = 0
    ops: int = 0
    seconds: float = 0.0


@dataclass(kw_only=True, slots=True)
class Tally:
    """Counts of a session, or of a part of one."""

    policies: dict[str, PolicyTally] = field(default_factory=dict)
    events: EventCounts = field(default_factory=Counter)
    """What happened on the driver."""
    held: Counter[str] = field(default_factory=Counter)
    """How often each law was held against something."""
    reached: Coverage = field(default_factory=Coverage)
    """What a sample of the traces reached."""
    drawn: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Programs by client and, those that have any, by kind of transformation."""
    accepted: Counter[str] = field(default_factory=Counter)
    """Accepted ops by kind."""
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Refused ops by kind and error class."""
    accepted_lengths: Counter[int] = field(default_factory=Counter)
    """Programs by their number of accepted ops."""
    measured_reads: int = 0
    deep_reads: int = 0
    """Of the measured reads, those that depend on two earlier writers or more."""
    checked: Checked = field(default_factory=Checked)

    def note(
        self,
        case: Case,
        verdict: Verdict,
        seconds: float,
        kernels: Mapping[str, Kernel],
        *,
        measured: bool,
    ) -> None:
        """Count one judged program, and what it reached where that is to be ``measured``."""
        policy = self.policies.setdefault(case.policy.name, PolicyTally())
        policy.programs += 1
        policy.ops += len(case.program)
        policy.seconds += seconds
        execution, program = verdict.execution, case.program
        self.events.update(count_events(execution.trace, case.policy))
        self.held.update(verdict.held)
        self.drawn["clients", case.client] += 1
        self.drawn.update(("relations", each.name) for each in case.transformations)
        self.checked += count_checked(program, verdict.expected)
        taken = [outcome.error is None for outcome in execution.history.outcomes]
        self.accepted_lengths[sum(taken)] += 1
        for op, outcome in zip(program, execution.history.outcomes, strict=True):
            if outcome.error is None:
                self.accepted[_KINDS[type(op)]] += 1
            else:
                self.refused[_KINDS[type(op)], outcome.error] += 1
        if measured and verdict.failure is None:
            if verdict.reached is not None:
                self.reached.add(verdict.reached)
            writers = writers_of_reads(program, taken, kernels)
            self.measured_reads += len(writers)
            self.deep_reads += sum(count >= 2 for count in writers)

    def add(self, other: "Tally") -> None:
        """Add what another part of the session counted."""
        for name, part in other.policies.items():
            policy = self.policies.setdefault(name, PolicyTally())
            policy.programs += part.programs
            policy.ops += part.ops
            policy.seconds += part.seconds
        self.events.update(other.events)
        self.held.update(other.held)
        self.reached.add(other.reached)
        self.drawn.update(other.drawn)
        self.accepted.update(other.accepted)
        self.refused.update(other.refused)
        self.accepted_lengths.update(other.accepted_lengths)
        self.measured_reads += other.measured_reads
        self.deep_reads += other.deep_reads
        self.checked += other.checked

    @property
    def programs(self) -> int:
        return sum(policy.programs for policy in self.policies.values())

    @property
    def ops(self) -> int:
        return sum(policy.ops for policy in self.policies.values())

    @property
    def compared_bytes(self) -> int:
        """Bytes of reads that were held against what they should be."""
        return self.checked.exact_bytes + self.checked.tolerant_bytes

    @property
    def median_accepted(self) -> int:
        """The median number of accepted ops of a program."""
        left = (self.accepted_lengths.total() + 1) // 2
        for length in sorted(self.accepted_lengths):
            left -= self.accepted_lengths[length]
            if left <= 0:
                return length
        return 0

    @property
    def deep_share(self) -> float:
        """The share of measured reads that depend on two earlier writers or more."""
        return self.deep_reads / self.measured_reads if self.measured_reads else 0.0
