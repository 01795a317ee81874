"""Real traces to corrupt: one rich program under policies that differ in every decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from gpusim.kernels import BUILTIN
from gpusim.program import Program
from gpusim.runtime import Parts, TracedDriver, WgpuDriver, traced_parts
from gpusim.runtime.drivers.faulty import Fault, FaultyDriver
from gpusim.runtime.policy import Policy, parse_policy
from gpusim.trace import Event, Trace
from properties.execute import run
from properties.model.case import DeviceSpec
from properties.model.marks import Marks
from properties.oracles.laws import Checker, LawContext, check
from properties.targets.factory import open_case_device
from properties.targets.runtime_target import RuntimeTarget

RICH = """\
alloc a 64
alloc b 64
alloc c 30
write a 0 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
write b 0 202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f
dispatch affine a 3,5 1x1x1
dispatch affine a 7,9 1x1x1
dispatch fold b,a 7 1x1x1
copy a 0 b 16 32
copy a 1 b 3 9
copy b 8 b 0 24
write b 4 a0a1a2a3a4a5a6a7
write a 2 b0b1b2b3b4
dispatch affine b 7,9 1x1x1
write a 60 c0c1c2c3c4c5c6c7
read a 0 64 -> r0
read b 3 5 -> r1
read b 0 0 -> r2
dispatch scramble a - 1x1x1
flush
dispatch affine a 11,13 1x1x1
dispatch affine b 15,17 1x1x1
free b
sync
free b
alloc d 16
write d 0 d0d1d2d3d4d5d6d7
dispatch affine d 3,5 2x1x1
dispatch fold a,d 9 1x1x1
read d 0 16 -> r3
write d 8 e0e1e2e3
dispatch affine d 1,2 1x1x1
copy d 0 c 0 16
sync
read a 0 64 -> r4
read c 0 30 -> r5
free a
sync
"""

_SIMULATED = DeviceSpec(name="simulated")
POLICIES = (
    "eager",
    "lazy",
    "pooled",
    "cached",
    "ring",
    "lazy batch_commands=3",
    "pooled uniform_slots=2 batch_commands=7",
    "cached uniform_cache=1 bind_group_cache=2 shape_cache=1 staging_buffers=1",
    "cached uniform_cache=2 bind_group_cache=1 batch_bytes=64",
    "ring uniform_ring_bytes=512 staging_buffers=1 bind_group_cache=2",
    "ring join_reads=False staged_write_bytes=0 batch_commands=2",
    "pooled uniform_slots=1 cache_bind_groups=True bind_group_cache=2",
    "cached staging_buffers=2 batch_commands=5",
    "lazy cache_bind_groups=True bind_group_cache=3",
    "cached bind_group_cache=3 uniform_cache=3",
    "lazy batch_groups=5",
    "ring queued_write_bytes=16 staged_write_bytes=0",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Real:
    """What a sound runtime left behind."""

    events: tuple[Event, ...]
    context: LawContext

    def judged(self, events: Sequence[Event] | None = None) -> Checker:
        """The laws over these events, or over a corruption of them."""
        return check(self.events if events is None else events, self.context)


@cache
def record(text: str, policy: str, *faults: Fault) -> Real:
    """Run a program under a policy, traced, on the simulated device; ``faults`` go with it."""
    chosen = parse_policy(policy)
    driver = FaultyDriver(WgpuDriver(open_case_device(_SIMULATED)), *faults)
    trace = Trace()
    parts = traced_parts(Parts(), trace)
    target = RuntimeTarget(TracedDriver(driver, trace), chosen, kernels=BUILTIN, parts=parts)
    marks = Marks(trace)
    run(Program.parse(text), target, marks)
    marks.closing()
    target.close()
    marks.closed()
    context = LawContext(policy=chosen, kernels=BUILTIN, limits=driver.limits)
    return Real(events=tuple(trace.events), context=context)


def reals() -> list[Real]:
    """The rich program under every policy."""
    return [record(RICH, policy) for policy in POLICIES]


class Cut:
    """A trace to be corrupted; an edit returns a new list of events."""

    def __init__(self, real: Real) -> None:
        self.policy: Policy = real.context.policy
        self.events = list(real.events)

    def all(self, kind: str, **about: Any) -> list[int]:
        """Where the events of a kind are that say just so."""
        return [
            at
            for at, event in enumerate(self.events)
            if event.kind == kind
            and all(event.about.get(key) == value for key, value in about.items())
        ]

    def changed(self, at: int, **about: Any) -> list[Event]:
        """One event says something else."""
        old = self.events[at]
        event = Event(old.kind, {**old.about, **about})
        return [*self.events[:at], event, *self.events[at + 1 :]]

    def without(self, *places: int) -> list[Event]:
        """Some events never happened."""
        return [event for at, event in enumerate(self.events) if at not in places]

    def inserted(self, at: int, *events: Event) -> list[Event]:
        """Events before the one at ``at`` that never happened."""
        return [*self.events[:at], *events, *self.events[at:]]

    def moved(self, at: int, to: int) -> list[Event]:
        """The event at ``at`` happened before the one at ``to``."""
        rest = self.without(at)
        place = to if to < at else to - 1
        return [*rest[:place], self.events[at], *rest[place:]]

    def swapped(self, one: int, other: int) -> list[Event]:
        """Two events happened each in the place of the other."""
        events = list(self.events)
        events[one], events[other] = events[other], events[one]
        return events

    def op_of(self, at: int) -> int:
        """Where the op began in which the event at ``at`` happened."""
        return max(place for place in self.all("op") if place <= at)
