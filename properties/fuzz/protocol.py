"""The messages between a session and its worker processes, and their tallies.  Data only.

A worker answers with plain values: findings, and a Tally of what it did.  A session's tally is
the sum of its workers' tallies.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gpusim.kernels import Kernel
from gpusim.ops import VERBS
from gpusim.runtime.commands import Role
from gpusim.runtime.policy import Policy
from gpusim.trace import Trace
from properties.fuzz.explaining import Explain, Explained
from properties.fuzz.planted import PlantedMistake
from properties.fuzz.reach import Reach
from properties.fuzz.settings import Settings
from properties.generate.measure import writers_of_reads
from properties.model.case import Case
from properties.model.failure import Failure
from properties.oracles.compare import Checked, count_checked
from properties.oracles.coverage import Coverage
from properties.oracles.judge import Verdict
from properties.shrink.avoid import Avoided

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
"""The field of an event that tells the kind of its op, by the kind of the event."""
_OPS = {"dispatch": "dispatch", "take": "read"}
_DETAILED_OPS = {
    ("create_buffer", Role.STORAGE): "alloc",
    ("destroy_buffer", Role.STORAGE): "free",
    ("write_buffer", Role.STORAGE): "write",
    ("copy", Role.STORAGE): "copy",
    ("encode", "asked"): "flush",
    ("encode", "sync"): "sync",
}
"""The op that a driver event shows; other events belong to no single op."""


def count_events(trace: Trace, policy: Policy) -> EventCounts:
    """Count the events of a run; ``policy`` decides the names of its parts."""
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

At least 18 of 1,200 programs meet each event.  So 1,000 programs miss an event by chance in three
of ten million sessions.
"""
MEASURED_FIRST = 1200
"""The first programs of a seed, all of which are measured."""
_KINDS = {kind: kind.__name__.lower() for kind in VERBS}
_MEASURE_EVERY = 8
"""One in so many later programs is measured; measuring costs more than making a program."""


def is_measured(number: int) -> bool:
    """Whether the coverage of program ``number`` of a seed is measured."""
    return number % (8 * MEASURED_FIRST) < MEASURED_FIRST or not number % _MEASURE_EVERY


@dataclass(kw_only=True, slots=True)
class PolicyTally:
    """Programs and ops under one preset and the policies drawn around it."""

    programs: int = 0
    ops: int = 0
    seconds: float = 0.0


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
    """How far the traces went."""
    variants: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Programs by client, and by kind of transformation where they have any."""
    accepted: Counter[str] = field(default_factory=Counter)
    """Accepted ops by kind."""
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Refused ops by kind and error class."""
    accepted_lengths: Counter[int] = field(default_factory=Counter)
    """Programs by their number of accepted ops."""
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
            # An op that is only contained may be accepted, and then means nothing.
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
        """Bytes of reads that were compared with the oracle's."""
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


class Pipe(Protocol):
    """The worker's end of a ``multiprocessing`` connection."""

    def send(self, message: "Answer", /) -> None: ...
    def recv(self) -> "Request": ...
    def poll(self) -> bool: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """Everything a worker needs to run any program of a session."""

    device: str
    kernels: str
    target: str
    presets: tuple[str, ...]
    schedulers: tuple[str, ...] = ()
    faults: bool = False
    adversary: bool = False
    """Whether a layer between the targets and their device disturbs each program."""
    seed: int = 0


def setup_of(settings: Settings) -> Setup:
    """What the workers of a session with these settings need."""
    return Setup(
        device=settings.device,
        presets=settings.presets,
        schedulers=settings.schedulers,
        faults=settings.faults,
        adversary=settings.adversary,
        seed=settings.seed,
        kernels=settings.kernels,
        target=settings.target,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Fuzz:
    """Run every ``step``-th program from ``first`` to before ``stop``, until one fails."""

    first: int
    stop: int | None
    step: int = 1
    avoided: Avoided = frozenset()
    """What most programs of a foreign target leave out, since bugs that take it were found."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeCase:
    """Judge one case and answer with ``Judged``."""

    case: Case
    is_replay: bool = False
    """Whether to say so where it asks for more than the target promises; otherwise it passes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MakeCase:
    """Make program ``number`` without running it, and answer with ``Made``."""

    number: int
    avoided: Avoided = frozenset()
    """As in the ``Fuzz`` that ran it."""


@dataclass(frozen=True, slots=True)
class Plant:
    """Run programs with planted mistakes until they show, and answer with ``Planted``."""

    hard: bool
    """Whether the mutant may be one that takes long to find."""
    avoided: Avoided = frozenset()
    """What the programs leave out."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End a ``Fuzz`` before its last program."""


Request = Fuzz | JudgeCase | MakeCase | Plant | Explain | Stop


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """The worker has its device: its name and its description."""

    device: str
    description: str
    is_ours: bool
    """Whether our runtime is judged, which follows the policy of a case."""
    unreachable: Mapping[str, str]
    """Why no program of the session reaches a rare event, by the event."""
    not_asked: Sequence[str] = ()
    """What no client asks of a foreign target, each with the promise that it would need."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CannotRun:
    """The worker has no device, or nothing to judge on it."""

    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CannotJudge:
    """A case cannot be judged: a kernel of the user's is at fault, for instance."""

    error: str
    """The class in ``gpusim.errors``."""
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Broken:
    """The judge itself failed, while it ran program ``number`` or near it."""

    number: int
    traceback: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """What was done since the last message of its kind; program ``number`` comes next."""

    tally: Tally
    number: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedProgram:
    """Program ``number`` failed, and the worker waits."""

    number: int
    case: Case
    failure: Failure
    beneath: tuple[Case, Failure] | None = None
    """A further failure, where the failure is an op that was wrongly accepted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RanAll:
    """The last program of a ``Fuzz`` has run, or it was stopped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """The failure of a judged case, None where it passed or was not run."""

    failure: Failure | None
    beyond_promises: str = ""
    """The part of the case that the target does not promise; then the case was not run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """The case of a ``MakeCase``."""

    case: Case


@dataclass(frozen=True, kw_only=True, slots=True)
class Planted:
    """The planted mistakes, and whether each was seen."""

    mistakes: tuple[PlantedMistake, ...]


Answer = (
    Ready
    | CannotRun
    | CannotJudge
    | Broken
    | Progress
    | FailedProgram
    | RanAll
    | Judged
    | Explained
    | Made
    | Planted
)
