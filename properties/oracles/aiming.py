"""Aims the faults of a case at calls whose failure is hard to put right.

If the number of the call that fails is drawn at random, little is usually under way at that call.
So some cases first run once without faults.  The trace of that run shows better calls: a map, a
call while a sync waits for reads, a call of a replay (best if a submit has just carried out the
first commands of the replay), the growth of a pool or a ring, and the calls of a drain.  One of
these calls then fails, and sometimes an earlier submit too.

If the call is in a replay that overwrites a whole buffer, the submit that fails is the last one
that writes this buffer before the replay, so the buffer is lost when the replay begins.  After the
submit has failed, ops may make fewer calls, and the number of the call in the replay may change.
So such a case runs a second time, in which only the submit fails, to find that number.

Faults are aimed only at our own runtime on a simulated device, where the trace counts calls in the
same way as a plan of faults.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gpusim.effects import written_by
from gpusim.kernels import Kernels
from gpusim.ops import Alloc, AnyDispatch, Command, Copy, Op, Read, Replay, Sync
from gpusim.program import Program, captures_of, replayed
from gpusim.runtime.commands import Role
from gpusim.simulated import NO_FAULTS, FaultPlan
from gpusim.trace import Event, Trace
from properties.clients import BESIDE
from properties.execute import execute
from properties.generate.choices import Choices, SeededChoices, Weights
from properties.model.case import FIELD_OF_CALL, PLAIN, Case
from properties.oracles.faulted import overwritten, used
from properties.oracles.metamorphic.rewrites import sizes_of
from properties.targets.factory import TargetFactory

_CALLS_OF_ITS_OWN = (BESIDE, "sharing")
"""Clients that make calls on the device themselves, which the trace does not count."""
_HEALING = "healing replay"
_HALF_WAY = "half way"
_OFTEN = {"sync": 4, "replay": 4, _HALF_WAY: 16, _HEALING: 24, "drain": 2}
"""The weights of kinds of calls; any other kind has weight 1."""
_AIMED, _AIMED_OFTEN = (1, 6), (3, 5)
"""The shares of cases whose faults are aimed; the second is for cases with a client other than the
plain one, or with a replay of several commands."""
_FIELDS_OF_MAP = ("failed_maps", "refused_maps")
"""The two ways in which a map fails: later, or at the call."""
_EARLIER = 4
"""If an earlier submit fails too, it is at most this many submits before the call."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Spot:
    """A call to aim at.

    ``kind`` says why its failure matters.  The calls of ``verb`` are counted from 0, and this call
    has the number ``number``.  ``submits`` submits come before it.
    """

    kind: str
    verb: str
    number: int
    submits: int
    loses: int
    """If the call is in a replay: the number of the submit whose failure loses a buffer that the
    replay overwrites whole.  -1 if there is no such submit."""


def with_aim(case: Case, factory: TargetFactory) -> Case:
    """``case`` with its faults replaced by aimed ones; in most cases unchanged.

    To aim, this runs the case once without faults, and at times once more.
    """
    is_fit = case.device.is_simulated and case.client not in _CALLS_OF_ITS_OWN
    if not is_fit or not case.device.shown_faults:
        return case
    choices, spotted = SeededChoices(f"aim {case.seed}"), _Spots(case.program, factory.kernels)
    is_often = case.client != PLAIN or spotted.has_replay
    if not choices.chance(*_AIMED_OFTEN if is_often else _AIMED):
        return case
    spots = [*spotted.of(execute(_failing(case, NO_FAULTS), factory).trace)]
    if not spots:
        return case
    kinds = {spot.kind for spot in spots}
    kind = choices.weighted(Weights(*((kind, _OFTEN.get(kind, 1)) for kind in sorted(kinds))))
    aim = choices.pick([spot for spot in spots if spot.kind == kind])
    if kind == _HEALING:
        lossy = _failing(case, FaultPlan(failed_submits=(aim.loses,)))
        again = _Spots(case.program, factory.kernels).of(execute(lossy, factory).trace)
        alike = [spot for spot in again if (spot.kind, spot.loses) == (kind, aim.loses)]
        aim = choices.pick(alike or [aim])
    return _failing(case, _plan(choices, aim))


def _failing(case: Case, faults: FaultPlan) -> Case:
    return replace(case, device=replace(case.device, faults=faults))


def _plan(choices: Choices, aim: _Spot) -> FaultPlan:
    field = choices.pick(_FIELDS_OF_MAP) if aim.verb == "map" else FIELD_OF_CALL[aim.verb]
    planned = {field: {aim.number}}
    if aim.kind == _HEALING:
        planned.setdefault("failed_submits", set()).add(aim.loses)
    elif aim.kind != _HALF_WAY and aim.submits and choices.chance(1, 2):
        back = choices.integer(1, min(_EARLIER, aim.submits))
        planned.setdefault("failed_submits", set()).add(aim.submits - back)
    values: dict[str, Any] = {name: tuple(sorted(numbers)) for name, numbers in planned.items()}
    return FaultPlan(**values)


_CALLS_OF_A_DRAIN = ("create_buffer", "create_buffer", "encode", "submit", "map")
"""The calls that a drain makes on the device; they leave no events."""


class _Spots:
    """Finds the calls to aim at."""

    def __init__(self, program: Program, kernels: Kernels) -> None:
        self._program = program
        self._kernels = kernels
        self._carried: dict[str, int] = {}
        """For each buffer, the submit that carries the last command that wrote it."""
        self._submits_before, self._loses = 0, -1
        self._captures = captures_of(program)
        self._sizes = sizes_of(program)
        self._calls: Counter[str] = Counter()
        self._made: set[Role] = set()
        """The roles in which buffers were made so far."""

    @property
    def has_replay(self) -> bool:
        """Whether the program replays several commands as one op, which may fail half way."""
        replays = [op for op in self._program if isinstance(op, Replay)]
        return any(len(self._commands_of(op)) > 1 for op in replays)

    def of(self, trace: Trace) -> Iterator[_Spot]:
        """Find the calls in ``trace`` at which a fault may be aimed."""
        op: Op | None = None
        pending: deque[str] = deque()
        for event in trace:
            if event.kind == "op":
                op = event["op"]
                self._submits_before, self._loses = self._calls["submit"], self._loses_of(op)
            elif event.kind == "outcome" and event["error"] is None:
                self._note(op)
                if isinstance(op, Read):
                    pending.append(op.result)
            elif event.kind == "delivered" and event["result"] in pending:
                pending.remove(event["result"])
            elif event.kind == "drain":
                for verb in _CALLS_OF_A_DRAIN:
                    yield self._spot("drain", verb)
                    self._calls[verb] += 1
            elif event.kind in FIELD_OF_CALL and event.about.get("commands") != 0:
                # A plan of faults does not count an encode without commands.
                kind = self._kind_of(event, op, bool(pending))
                if kind:
                    yield self._spot(kind, event.kind)
                self._calls[event.kind] += 1

    def _spot(self, kind: str, verb: str) -> _Spot:
        calls = self._calls
        submits = calls["submit"]
        return _Spot(kind=kind, verb=verb, number=calls[verb], submits=submits, loses=self._loses)

    def _note(self, op: Op | None) -> None:
        """Note, for each buffer that an op wrote, which submit carries the command that did so."""
        if not isinstance(op, AnyDispatch | Copy | Replay):
            return
        submits = self._calls["submit"]
        carrying = submits - (submits > self._submits_before)
        for buffer in written_by(op, self._kernels, self._captures):
            self._carried[buffer] = carrying

    def _loses_of(self, op: Op) -> int:
        """The last submit that wrote a buffer which the replay ``op`` overwrites whole; -1 if none.

        A submit that also wrote what the replay reads does not count: if those bytes are lost, the
        replay is refused.
        """
        if not isinstance(op, Replay):
            return -1
        needed = {self._carried.get(buffer) for buffer in used(self._commands_of(op), self._sizes)}
        healed = [self._carried.get(buffer, -1) for buffer in self._healed_by(op)]
        submits = self._calls["submit"]
        return max([each for each in healed if each < submits and each not in needed], default=-1)

    def _kind_of(self, event: Event, op: Op | None, reads_wait: bool) -> str:
        """Why a call is worth a fault; empty if it is not."""
        if isinstance(op, Replay) and event.kind.startswith("create") and self._loses >= 0:
            return _HEALING
        if event.kind == "create_buffer" and not isinstance(op, Alloc):
            role = event["role"]
            if role in self._made and role is not Role.STORAGE:
                return f"another {role} buffer"
            self._made.add(role)
        if event.kind == "map":
            return "map"
        if isinstance(op, Replay) and self._calls["submit"] > self._submits_before:
            return _HALF_WAY
        if isinstance(op, Sync) and reads_wait:
            return "sync"
        return "replay" if isinstance(op, Replay) else ""

    def _commands_of(self, op: Replay) -> Sequence[Command]:
        captured = self._captures.get(op.graph)
        return () if captured is None else replayed(captured, op)

    def _healed_by(self, op: Replay) -> list[str]:
        """The buffers that a replay overwrites whole."""
        copies = [each for each in self._commands_of(op) if isinstance(each, Copy)]
        return [buffer for each in copies for buffer in overwritten(each, self._sizes)]
