"""When each op reached its three clocks, read from a trace: recorded, submitted, done.

The calls on the device are counted from 1.  An op is recorded at the first call after the op
began.  A command is submitted with its batch, and a host write at its own call.  What was submitted
is done when a later fence or map has settled.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from struct import calcsize, unpack

from gpusim.trace import Event
from properties.explain.accused import Accused, stood_for
from properties.explain.argument import Reached
from properties.model.execution import Execution
from properties.model.failure import Failure
from properties.oracles.laws.catalogue import C9, LawContext
from properties.oracles.laws.checker import WATCHERS, Checker
from properties.oracles.laws.expected import (
    STAGING,
    STORAGE,
    Bytes,
    ExpectedOp,
    ExpectedRead,
)
from properties.oracles.laws.matching import blame, command_of, content_of, meets
from properties.oracles.laws.state import About, Handler, TraceState

Place = tuple[int, int]
"""The position of an op and, if it is a replay, the number of one of its commands; else -1."""
Submits = dict[int, tuple[Place, ...]]
"""What each submit carried out, in order, by the number of the submit's call."""
Fetched = dict[int, tuple[int, About]]
"""By a read's position: the submit that copied its bytes to staging memory, and that copy."""
MARKS = ("op", "outcome", "delivered", "close", "closed")


def is_call(event: Event) -> bool:
    """Whether an event is a call on the device: no mark, no failure, nothing in a pool or cache."""
    return event.kind not in MARKS and "." not in event.kind and event.kind != "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fed:
    """A dispatch whose uniform slot holds another payload than the op asks for."""

    position: int
    command: int
    slot: Bytes
    meant: bytes
    held: bytes
    scalars: tuple[tuple[str, str], ...]
    """The name and the value of each scalar that the op gave, in the order of the payload."""
    values: tuple[int | float, ...]
    """The scalars that stand in the slot."""
    submit: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Traced:
    """What the trace of an execution shows; empty if there is no trace."""

    reached: tuple[Reached, ...] = ()
    broken: Failure | None = None
    broken_at: int = 0
    submits: Submits = field(default_factory=dict)
    fetched: Fetched = field(default_factory=dict)
    accused: Accused | None = None
    overtaken: ExpectedOp | None = None
    """The first op that still waited when, for the first time, a submit ended with a broken law."""
    fed: tuple[Fed, ...] = ()
    has_left: bool = False
    """Whether something was accepted and never submitted, though a sync came after it."""
    is_known: bool = False

    def of(self, position: int) -> Reached | None:
        """When the op at ``position`` reached its clocks."""
        return next((each for each in self.reached if each.position == position), None)

    def was_submitted(self, position: int, command: int) -> bool:
        """Whether a submit carried out the command, or the whole op if ``command`` is -1.

        A host write counts as submitted from its own call on.
        """
        if command >= 0:
            return any((position, command) in places for places in self.submits.values())
        reached = self.of(position)
        return reached is not None and reached.submitted >= 0

    def never_submitted(self, position: int) -> bool:
        """Whether the trace shows that no submit carried out the op at ``position``."""
        reached = self.of(position)
        return reached is not None and reached.submitted < 0

    def was_left_out(self, position: int) -> bool:
        """Whether the op was never submitted, though a later submit carried out an op before it."""
        reached = self.of(position)
        if reached is None or reached.submitted >= 0:
            return False
        later = (places for number, places in self.submits.items() if number >= reached.recorded)
        return any(each < position for places in later for each, _ in places)


class Clocks:
    """Watches when ops are submitted and done.

    The laws' own watchers find out which command belongs to which op.
    """

    def __init__(self, state: TraceState) -> None:
        self._state = state
        self.now = 1
        """The number of the next call."""
        self.recorded: dict[int, int] = {}
        self.submitted: dict[int, int] = {}
        self.done: dict[int, int] = {}
        self.submits: Submits = {}
        self.fetched: Fetched = {}
        self.accused: Accused | None = None
        self.overtaken: ExpectedOp | None = None
        self.fed: list[Fed] = []
        self._issued: list[ExpectedOp] = []
        self._names: dict[int, str] = {}
        self._copied: dict[int, int] = {}
        """The submit that last copied to each staging buffer."""
        self._batch: set[int] = set()
        self._was_broken = False
        """Whether a law was broken by the end of the last submit."""

    def handlers(self) -> Mapping[str, Handler]:
        """See ``Watcher``."""
        return {
            "op": self._op,
            "write_buffer": self._write,
            "copy": self._copy,
            "submit": self._submit,
            "drain": self._drain,
            "wait": self._wait,
        }

    def _op(self, about: About) -> None:
        self.recorded[about["position"]] = self.now
        self._issued += self._state.expected_ops
        self._names |= {known.number: name for name, known in self._state.names.items()}

    def _write(self, about: About) -> None:
        if about["role"] == STORAGE and self._state.position >= 0:
            self.submitted[self._state.position] = self.now

    def _copy(self, about: About) -> None:
        if about["target_role"] == STAGING:
            self._batch.add(about["target"])

    def _submit(self, about: About) -> None:
        carried = sorted(self._state.carried, key=itemgetter(1))
        self.submits[self.now] = tuple((each.position, each.command) for each, _ in carried)
        for expected, index in self._state.carried:
            kind, details = self._state.batch[index]
            if type(expected) is ExpectedRead and kind == "copy":
                self.fetched[expected.position] = self.now, details
            self.submitted[expected.position] = self.now
        if self._state.violations and not self._was_broken:
            self.overtaken = next(iter(self._state.open), None)
        self._was_broken = bool(self._state.violations)
        if self._state.unasked is not None and self.accused is None:
            self.accused = self._accuse(*self._state.unasked)
            self._state.unasked = None
        self.fed += self._misfed()
        for staging in self._batch:
            self._copied[staging] = self.now
        self._batch.clear()

    def _misfed(self) -> Iterator[Fed]:
        """The dispatches of the batch whose slots hold another payload than their ops ask for."""
        for run, about in self._state.runs:
            slot, form = about["ranges"][-1], f"<{run.kernel.uniform_format}"
            meant = run.payload() if run.kernel.uniform_bytes else b""
            held = content_of(slot, self._state) if meant else None
            if held is not None and len(held) == len(meant) and held != meant:
                names = [scalar.name for scalar in run.kernel.scalars]
                yield Fed(
                    position=run.position,
                    command=run.command,
                    slot=slot,
                    meant=meant,
                    held=held,
                    scalars=tuple(zip(names, map(str, run.scalars), strict=False)),
                    values=unpack(form, held[: calcsize(form)]),
                    submit=self.now,
                )

    def _accuse(self, index: int, resembled: ExpectedOp | None) -> Accused | None:
        """The wrong command at ``index`` of the batch.

        None if the right command still follows in the batch, or if no op of its kind waits.
        """
        state = self._state
        command, *later = [command_of(*each, state) for each in state.batch[index:]]
        expected = stood_for(command, (resembled,) if resembled else tuple(state.open))
        if expected is None or any(meets(expected, each, state) for each in later):
            return None
        made = {
            number: f"buffer {number}, which op {known.made_by} made"
            for number, known in state.buffers.items()
        }
        return Accused(
            command=command,
            expected=expected,
            issued=tuple(self._issued),
            names=made | self._names,
            law=blame(expected, command),
        )

    def _drain(self, about: About) -> None:
        self._settle(self.now)

    def _wait(self, about: About) -> None:
        self._settle(self._copied.get(about["buffer"], 0))

    def _settle(self, until: int) -> None:
        for position, submitted in self.submitted.items():
            if submitted <= until:
                self.done.setdefault(position, self.now)


def read_clocks(execution: Execution) -> Traced:
    """Reads from a trace when each op reached its clocks, and which law is broken first.

    What is read is empty if the execution has no trace.
    """
    if not execution.is_lawful:
        return Traced()
    checker = Checker(LawContext.of(execution), (*WATCHERS, Clocks))
    clocks = checker.watcher(Clocks)
    assert clocks is not None
    broken_at = 0
    for event in execution.trace:
        checker.feed([event])
        if checker.violations and not broken_at:
            broken_at = clocks.now
        clocks.now += is_call(event)
    reached = tuple(
        Reached(
            position=position,
            recorded=recorded,
            submitted=clocks.submitted.get(position, -1),
            done=clocks.done.get(position, -1),
        )
        for position, recorded in sorted(clocks.recorded.items())
    )
    first = checker.violations[0] if checker.violations else None
    return Traced(
        reached=reached,
        broken=first,
        broken_at=broken_at,
        submits=clocks.submits,
        fetched=clocks.fetched,
        accused=clocks.accused,
        overtaken=clocks.overtaken,
        fed=tuple(clocks.fed),
        has_left=any(each.trait == C9.name for each in checker.violations),
        is_known=True,
    )
