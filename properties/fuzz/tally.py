"""Tallies: counts of what programs did, and how far they went, in a session or a part of one.

The tally of a session is the sum of its workers' tallies.  Nothing here judges.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field

from gpusim.kernels import Kernel
from gpusim.ops import VERBS, Read
from gpusim.runtime.commands import Role
from gpusim.runtime.policy import Policy
from gpusim.trace import Trace
from properties.generate.measure import writers_of_reads
from properties.model.case import Case
from properties.oracles.compare import Checked, count_checked
from properties.oracles.coverage import Coverage
from properties.oracles.judge import Verdict

OP, FLUSH = "op", "flush"
EventCounts = Counter[tuple[str, str]]
"""Counts of ``(OP, kind)``, ``(FLUSH, reason)``, or ``(part, event)``."""

_DETAILS: Mapping[str, str] = {
    "create_buffer": "role",
    "destroy_buffer": "role",
    "write_buffer": "role",
    "copy": "target_role",
    "encode": "reason",
}
"""For each kind of event, the field that tells which op it shows, or why a batch was flushed."""
_OPS = {"dispatch": "dispatch", "take": "read"}
_DETAILED_OPS = {
    ("create_buffer", Role.STORAGE): "alloc",
    ("destroy_buffer", Role.STORAGE): "free",
    ("write_buffer", Role.STORAGE): "write",
    ("copy", Role.STORAGE): "copy",
    ("encode", "asked"): "flush",
    ("encode", "sync"): "sync",
}
"""The op that a driver event shows, by the kind of the event and the value of its field in
``_DETAILS``."""


def count_events(trace: Trace, policy: Policy) -> EventCounts:
    """Count the events of a run; ``policy`` decides the names of the parts."""
    parts = {
        "uniforms": f"{policy.uniforms} uniforms",
        "bind_groups": "cached bind groups" if policy.cache_bind_groups else "fresh bind groups",
        "staging": "pooled staging" if policy.staging_buffers else "fresh staging",
    }
    counts: EventCounts = Counter()
    for kind, count in trace.kinds().items():
        part, dot, what = kind.partition(".")
        if dot:
            counts[parts.get(part, part), what] += count
        elif kind in _OPS:
            counts[OP, _OPS[kind]] += count
    details = Counter(
        [
            (event.kind, event.about[_DETAILS[event.kind]])
            for event in trace.events
            if event.kind in _DETAILS
        ]
    )
    for (kind, detail), count in details.items():
        if kind == "encode":
            counts[FLUSH, detail] += count
        if (kind, detail) in _DETAILED_OPS:
            counts[OP, _DETAILED_OPS[kind, detail]] += count
    return counts


ENOUGH_TRACES = 1000
"""After this many traces a session should have met every rare event within its reach.

Each event is met by at least 18 of 1,200 programs.  So 1,000 programs miss an event by chance in
three of ten million sessions.
"""
MEASURED_FIRST = 1200
"""The first 1,200 of every 9,600 programs of a seed are all measured."""
_KINDS = {kind: kind.__name__.lower() for kind in VERBS}
_MEASURE_EVERY = 8
"""Of the other programs, those whose number is a multiple of this are measured.

Measuring costs more than making a program.
"""


def is_measured(number: int) -> bool:
    """Whether the coverage of program ``number`` of a seed is measured."""
    return number % (8 * MEASURED_FIRST) < MEASURED_FIRST or not number % _MEASURE_EVERY


@dataclass(kw_only=True, slots=True)
class PolicyTally:
    """Programs and ops under one preset, or under a policy that differs from it in some fields."""

    programs: int = 0
    ops: int = 0
    seconds: float = 0.0


@dataclass(kw_only=True, slots=True)
class Reach:
    """The largest figures of one or more traces; without a driver's calls, only the reads count.

    A mistake past a threshold shows only where a program went past it.
    """

    range_bytes: int = 0
    """The largest range that a dispatch bound."""
    batch_commands: int = 0
    """The commands of the longest batch."""
    reads_in_flight: int = 0
    """The most reads that were issued and not delivered."""

    def note(self, trace: Trace) -> None:
        """Count one trace."""
        waiting = 0
        for event in trace.events:
            match event.kind:
                case "dispatch":
                    largest = max([size for _, _, size in event["ranges"]], default=0)
                    self.range_bytes = max(self.range_bytes, largest)
                case "encode":
                    self.batch_commands = max(self.batch_commands, event["commands"])
                case "op":
                    waiting += type(event["op"]) is Read
                    self.reads_in_flight = max(self.reads_in_flight, waiting)
                case "delivered":
                    waiting -= 1

    def add(self, other: "Reach") -> None:
        """Keep the larger of each figure."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        self.range_bytes, self.batch_commands, self.reads_in_flight = map(max, pairs)

    def __str__(self) -> str:
        bound = f"a dispatch bound at most {self.range_bytes} bytes, a batch had at most "
        traced = f"{bound}{self.batch_commands} commands, and " if self.batch_commands else ""
        return f"{traced}at most {self.reads_in_flight} reads were in flight"


@dataclass(kw_only=True, slots=True)
class Tally:
    """Counts of a session, or of a part of one."""

    policies: dict[str, PolicyTally] = field(default_factory=dict)
    events: EventCounts = field(default_factory=Counter)
    """The events of the traces."""
    held: Counter[str] = field(default_factory=Counter)
    """How often each law checked something."""
    reached: Coverage = field(default_factory=Coverage)
    """What the measured traces reached."""
    reach: Reach = field(default_factory=Reach)
    """The largest figures of the traces."""
    variants: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Programs by client and, if they have any, by kind of transformation."""
    accepted: Counter[str] = field(default_factory=Counter)
    """Accepted ops by kind."""
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Refused ops by kind and error class."""
    accepted_lengths: Counter[int] = field(default_factory=Counter)
    """How many programs had each number of accepted ops."""
    measured_reads: int = 0
    deep_reads: int = 0
    """The measured reads that depend on at least two earlier writers."""
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
        """Count one judged program; with ``measured``, also what it reached."""
        policy = self.policies.setdefault(case.policy.name, PolicyTally())
        policy.programs += 1
        policy.ops += len(case.program)
        policy.seconds += seconds
        execution, program = verdict.execution, case.program
        self.events.update(count_events(execution.trace, case.policy))
        self.reach.note(execution.trace)
        self.held.update(verdict.held)
        self.variants["clients", case.client] += 1
        self.variants.update(("relations", each.name) for each in case.transformations)
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
            # The reference says which ops have a meaning: if a refusal is only promised to be
            # contained, the target may accept an invalid op, which has none.
            meant = [outcome.error is None for outcome in verdict.expected.outcomes]
            writers = writers_of_reads(program, meant, kernels)
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
        self.reach.add(other.reach)
        self.variants.update(other.variants)
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
        """Bytes of reads that were compared with the expected bytes."""
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
