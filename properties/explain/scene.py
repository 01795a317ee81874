"""A program as steps that can be run in another way, and what each step leaves behind.

A step is one op, or one command of a replay.  A variant is a changed list of steps: another order,
a step left out or twice, other operands.  The reference carries the steps of a variant out, and
gives the history that a target would show if it made just this change.  Nothing here knows which
mistakes there are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from gpusim.effects import Access, accesses
from gpusim.errors import DeviceFault, InvalidKernel, ProgramError, Refused
from gpusim.history import History, Outcome
from gpusim.kernels import Kernel
from gpusim.limits import Limits
from gpusim.ops import Alloc, Capture, Free, Op, Read, Replay, Sync
from gpusim.program import Program, captures_of, replayed
from properties.model.case import PLAIN
from reference import Reference

NOBODY = -1
"""The position of a step that belongs to no op."""
_ACCEPTED = Outcome()


class Step(NamedTuple):
    """An op, or a command of a replay, at its place in a list of steps.

    ``command`` is the number of a command in its replay; -1 for an op that is no replay.
    ``position`` counts in the program that runs, ``number`` in the program shown to the reader.
    ``position`` is larger if ops were inserted before this one.
    """

    position: int
    op: Op
    command: int
    number: int


def place_of(step: Step) -> tuple[int, int]:
    """The position of a step's op, and the number of its command."""
    return step.position, step.command


def by_nobody(op: Op) -> Step:
    """A step that belongs to no op of the program."""
    return Step(NOBODY, op, NOBODY, NOBODY)


Steps = tuple[Step, ...]
Contents = Mapping[str, bytes]
"""The bytes of each live buffer."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A program, its meaning, and all that is needed to run it in another way.

    ``numbers``: the number of each op for a reader, by default its position; NOBODY for an op that
    was inserted.  ``expected``: the expected history.  If the expected outcome of an op is not the
    reference's, for instance because the device failed, the op is no step, and always shows the
    expected outcome.  ``client``: who called the target.
    """

    program: Program
    expected: History
    kernels: Mapping[str, Kernel]
    limits: Limits
    numbers: tuple[int, ...] = ()
    client: str = PLAIN

    def number(self, position: int) -> int:
        """The number of an op for a reader."""
        return self.numbers[position] if self.numbers else position

    @cached_property
    def steps(self) -> Steps:
        """The steps of the unchanged program."""
        reference = Reference(self.kernels, self.limits)
        steps: list[Step] = []
        for position, op in enumerate(self.program):
            meant = self.expected.outcomes[position].error
            # An op that should end in another way than in the reference is no step.
            if meant not in _FAULTS and _perform(reference, op).error == meant:
                steps += self._steps_of(position, op)
        return tuple(steps)

    @cached_property
    def states(self) -> tuple[Contents, ...]:
        """The contents of buffers before each step, and at the end."""
        reference, sizes = Reference(self.kernels, self.limits), dict[str, int]()
        states: list[dict[str, bytes]] = [{}]
        for step in self.steps:
            _perform(reference, step.op)
            now = dict(states[-1])
            if isinstance(step.op, Alloc):
                sizes[step.op.buffer] = step.op.size_bytes
            for name in dict.fromkeys(each.buffer for each in _touches(step.op, self.kernels)):
                try:
                    now[name] = reference.read(name, 0, sizes.get(name, 0)).data
                except (Refused, DeviceFault):
                    now.pop(name, None)
            states.append(now)
        return tuple(states)

    def run(self, steps: Sequence[Step]) -> History | None:
        """What the program shows if ``steps`` take effect in the place of its own steps.

        None if the reference cannot run a step, for instance because its kernel raises.
        """
        reference = Reference(self.kernels, self.limits)
        outcomes: dict[int, Outcome] = {}
        for step in steps:
            try:
                outcome = _perform(reference, step.op)
            except (InvalidKernel, ProgramError):
                return None
            before = outcomes.get(step.position)
            if before is None or before.error is None:
                outcomes[step.position] = outcome
        return self.history(outcomes)

    def history(self, outcomes: Mapping[int, Outcome]) -> History:
        """The history with these outcomes; each sync that is accepted lists the deliveries so far.

        An op that has steps, but no outcome among ``outcomes``, is accepted without data.  An op
        that is no step has its expected outcome.
        """
        shown: list[Outcome] = []
        delivered: list[str] = []
        for position, op in enumerate(self.program):
            meant = self.expected.outcomes[position]
            outcome = meant if position not in self._stepped else outcomes.get(position, _ACCEPTED)
            if isinstance(op, Read) and outcome.error is None:
                delivered.append(op.result)
            if isinstance(op, Sync) and meant.error is None:
                outcome = Outcome(data=",".join(delivered).encode())
            shown.append(outcome)
        closing = self.expected.closing
        if closing is not None and closing.error is None:
            closing = Outcome(data=",".join(delivered).encode())
        return History(outcomes=tuple(shown), deliveries=tuple(delivered), closing=closing)

    def touches(self, step: Step) -> list[Access]:
        """The bytes that a step reads and writes; an alloc or free writes the whole buffer."""
        return _touches(step.op, self.kernels)

    def meets(self, one: Step, other: Step) -> bool:
        """Whether the order of two steps may matter: both touch some byte, and one writes it."""
        return any(
            (a.writes or b.writes) and a.overlaps(b)
            for a in self.touches(one)
            for b in self.touches(other)
        )

    def is_refused(self, step: Step) -> bool:
        """Whether the contract refuses the op of a step, so that it has no effect."""
        return self.expected.outcomes[step.position].error is not None

    @cached_property
    def _stepped(self) -> frozenset[int]:
        return frozenset(step.position for step in self.steps)

    def _steps_of(self, position: int, op: Op) -> Iterator[Step]:
        if isinstance(op, Replay) and self.expected.outcomes[position].error is None:
            for number, command in enumerate(replayed(self.captures[op.graph], op)):
                yield Step(position, command, number, self.number(position))
        else:
            yield Step(position, op, NOBODY, self.number(position))

    @cached_property
    def captures(self) -> Mapping[str, Capture]:
        """The captures of the program by their graph."""
        return captures_of(self.program)


_FAULTS = frozenset({"SubmitFailed", "MapFailed", "DeviceLost", "DeviceFault", "DataLost"})
"""Errors that only a device causes, so that the reference alone never gives them."""


def _touches(op: Op, kernels: Mapping[str, Kernel]) -> list[Access]:
    if isinstance(op, Alloc | Free):
        return [Access(op.buffer, 0, 2**62, True)]
    if isinstance(op, Capture | Replay):
        return []
    return accesses(op, kernels)


def _perform(reference: Reference, op: Op) -> Outcome:
    try:
        delivery = reference.perform(op)
    except (Refused, DeviceFault) as error:
        return Outcome(error=type(error).__name__)
    if delivery is None:
        return _ACCEPTED
    return Outcome(data=delivery.data, error_bound=delivery.error_bound)
