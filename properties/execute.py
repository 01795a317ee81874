"""Runs a case: opens a target, drives it through the program, closes it, and records the execution.

Programs are run only here.  Nothing here judges (``properties.oracles`` does).
"""

import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from gpusim.errors import DeviceFault, GpusimError, InternalError, InvalidKernel, Refused
from gpusim.history import ACCEPTED, CRASH, History, Outcome, Raised
from gpusim.limits import Limits
from gpusim.ops import VERBS, Op, Read, Replay, Sync
from gpusim.program import Program, buffers_of
from gpusim.runtime import Stats, Ticket
from gpusim.trace import Trace
from properties.clients import (
    BesideClient,
    drive,
    keeps_to_program,
    other_policy,
    other_program,
    own_thread,
    tells_faults,
)
from properties.model.case import PLAIN, Case
from properties.model.execution import Execution
from properties.model.marks import Looking, Marks, apart, looked_at
from properties.model.target import Delivery, Target, TargetRaised
from properties.targets.factory import TargetFactory
from properties.targets.runtime_target import RuntimeTarget
from properties.targets.twins import with_twins


class LeftBehind(Exception):
    """A runtime keeps what nobody can use any more, or holds something after its close."""


CHANGED = "changed after delivery"
"""The late error of a read whose bytes changed after it was delivered."""


def execute(case: Case, factory: TargetFactory) -> Execution:
    """Run ``case`` on a new target of ``factory``, and close the target whatever it raises.

    ``case.transformations`` are not applied; an oracle does that.
    """
    opened = factory.open(case)
    is_plain, trace = case.client == PLAIN, opened.trace
    target = opened.target if is_plain else drive(opened.target, case)
    marks, at = Marks(trace), looked_at(case)
    if opened.stats is not None and at >= 0:
        marks = Looking(trace, opened.stats, at)
    beside = None
    if isinstance(target, BesideClient):
        beside = _Beside(case, target.target)
        beside.meet(target)
    history = run(case.program, target, marks, beside=beside)
    stats = None if opened.stats is None else opened.stats()
    ours = opened.target if isinstance(opened.target, RuntimeTarget) else None
    # A fault in ``trace.failures`` has a traceback, which keeps alive what its op used.
    lets_go = target is ours and opened.is_traced and not trace.failures
    left = ours.let_go() if ours is not None and lets_go else ""
    marks.closing()
    close_error = _closed(target)
    marks.closed()
    other = None if beside is None else beside.execution(factory.limits, trace)
    left = left or (ours.left_behind() if ours is not None else "")
    if left and isinstance(close_error, DeviceFault | None):
        close_error = LeftBehind(left)
    return Execution(
        case=case,
        history=history,
        capabilities=case.promises or target.capabilities,
        limits=case.limits(factory.limits),
        told_limits=None if ours is None else ours.limits,
        device_calls=getattr(ours.driver.device, "calls", None) if ours is not None else None,
        kernels=factory.kernels,
        trace=trace,
        is_lawful=opened.is_traced
        and case.policy.debug_dispatch_limit is None
        and (target is opened.target or keeps_to_program(case.client)),
        tells_faults=opened.is_traced and (target is opened.target or tells_faults(case.client)),
        reports=tuple(opened.reports),
        shaders=() if opened.shaders is None else opened.shaders.reports,
        stats=stats,
        looked=marks.looked,
        choices=opened.choices,
        close_error=close_error,
        shares_driver=beside is not None,
        beside=other,
    )


def _closed(target: Target) -> Exception | None:
    """Close ``target``.  Returns the error that the close raises."""
    try:
        target.close()
    except Exception as error:
        return error
    return None


class Watch(Protocol):
    """Is called when each op begins and ends, at every delivery, and at the close."""

    def began(self, position: int, op: Op) -> None: ...
    def ended(self, position: int, outcome: Outcome) -> None: ...
    def delivered(self, result: str) -> None: ...
    def closing(self) -> None: ...
    def closed(self) -> None: ...


class Unwatched:
    """A watch that does nothing."""

    def began(self, position: int, op: Op) -> None:
        """See ``Watch``."""

    def ended(self, position: int, outcome: Outcome) -> None:
        """See ``Watch``."""

    def delivered(self, result: str) -> None:
        """See ``Watch``."""

    def closing(self) -> None:
        """See ``Watch``."""

    def closed(self) -> None:
        """See ``Watch``."""


_UNWATCHED = Unwatched()


def run(
    program: Program,
    target: Target,
    watch: Watch = _UNWATCHED,
    *,
    beside: "_Beside | None" = None,
) -> History:
    """Drive ``target`` through ``program``; the caller closes the target.

    If the last op is no sync, a closing sync follows, at the position after that op.  ``watch`` is
    called for each op, with its position.  ``beside`` takes a step after each op.  An error of the
    target goes into the history with its message: under its name if it is a Refused or a
    DeviceFault, and as a crash otherwise.

    Raises:
        InvalidKernel: ``target`` is the reference, and the meaning of a kernel raised an error.
    """
    running = _Running(program, target, watch)
    while beside is not None and not running.is_over:
        running.step()
        beside.step()
    running.finish()
    return running.history()


class _Running:
    """A run of a program, op by op, with a sync at the end."""

    def __init__(self, program: Program, target: Target, watch: Watch) -> None:
        self._program = program
        self._recorder = _Recorder(target, watch)
        self._ops = [*program] if program and isinstance(program[-1], Sync) else [*program, Sync()]
        self._outcomes: list[Outcome] = []

    @property
    def is_over(self) -> bool:
        """Whether no op is left."""
        return len(self._outcomes) == len(self._ops)

    def step(self) -> None:
        """Issue the next op."""
        position = len(self._outcomes)
        self._outcomes.append(self._recorder.perform(position, self._ops[position]))

    def finish(self) -> None:
        """Issue every op that is left."""
        perform, note = self._recorder.perform, self._outcomes.append
        for position in range(len(self._outcomes), len(self._ops)):
            note(perform(position, self._ops[position]))

    def history(self) -> History:
        """What the run has shown.  Call this only once the run is over."""
        recorder, size = self._recorder, len(self._program)
        values = self._outcomes[:size]
        for position, (op, outcome) in enumerate(zip(self._program, values, strict=True)):
            if type(op) is Read and outcome.error is None:
                values[position] = recorder.value(op.result)
        closing = self._outcomes[size] if len(self._outcomes) > size else None
        return History(outcomes=tuple(values), deliveries=(*recorder.deliveries,), closing=closing)


class _Beside:
    """A second runtime on the driver of ``target``; its program runs in between, op by op.

    In some cases it has another policy, and in some a thread of its own.  It is closed after its
    own program if that has an even number of ops, and otherwise after the first runtime's program.
    """

    def __init__(self, case: Case, target: RuntimeTarget) -> None:
        self._kernels = with_twins(target.kernels)
        # If faults were planned, the second runtime could meet one during an op of the first.
        self._may_step = case.device.is_simulated and not case.device.shown_faults
        self._thread = own_thread(case) if self._may_step else None
        program, policy = other_program(case.program, self._kernels), other_policy(case)
        self._case = replace(case, program=program, policy=policy, client=PLAIN)
        self._target = self._do(partial(target.another, self._kernels, policy))
        self._running = _Running(program, self._target, _UNWATCHED)
        self._closes_early = len(program) % 2 == 0
        self._history: History | None = None
        self._stats: Stats | None = None
        self._close_error: Exception | None = None

    def _do(self, act: Callable[[], Any]) -> Any:
        return act() if self._thread is None else self._thread.do(act)

    def meet(self, client: BesideClient) -> None:
        """Give ``client`` the second runtime, and ``step`` if it may be called during an op."""
        known = self._target.runtime if self._thread is None else None
        client.meet(known, self.step if self._may_step else None)

    def step(self) -> None:
        """Issue the next op, if any is left."""
        if not self._running.is_over:
            self._do(self._running.step)
        elif self._history is None and self._closes_early:
            self._do(self._end)

    def execution(self, limits: Limits, trace: Trace) -> Execution:
        """Finish the second program, and close its runtime; ``trace`` is that of both."""
        self._do(self._running.finish)
        if self._history is None:
            self._do(self._end)
        if self._thread is not None:
            self._thread.end()
        assert self._history is not None
        return Execution(
            case=self._case,
            history=self._history,
            capabilities=self._target.capabilities,
            limits=self._case.limits(limits),
            kernels=self._kernels,
            trace=apart(trace)[1],
            tells_faults=bool(trace),
            shares_driver=True,
            stats=self._stats,
            close_error=self._close_error,
        )

    def _end(self) -> None:
        self._history = self._running.history()
        self._stats = self._target.runtime.stats()
        self._close_error = _closed(self._target)


class _Recorder:
    """The state of one run: deliveries, in order, and their values."""

    def __init__(self, target: Target, watch: Watch) -> None:
        self._target = target
        self._watch = watch
        self._unmade: set[str] = set()
        """Names of buffers and graphs whose alloc or capture failed."""
        self._reads: dict[str, _Value] = {}
        self._waiting: list[_Value] = []
        self.deliveries: list[str] = []

    def perform(self, position: int, op: Op) -> Outcome:
        """Issue one op, and call the watch."""
        self._watch.began(position, op)
        outcome = self._perform(op)
        self._watch.ended(position, outcome)
        return outcome

    def _perform(self, op: Op) -> Outcome:
        """Issue one op; refuse it here if it names something that was never made."""
        if self._unmade and self._names_nothing(op):
            self._unmake(op)
            return Outcome(error="InvalidHandle")
        try:
            delivery = self._target.perform(op)
            if delivery is not None and isinstance(op, Read):
                self._expect(op.result, delivery)
        except InvalidKernel:
            # Only the reference raises InvalidKernel, so no target is to blame.
            raise
        except Exception as error:
            self._unmake(op)
            failed = failed_with(error)
            return replace(failed, data=self._delivered_names()) if type(op) is Sync else failed
        return self._after_sync() if type(op) is Sync else ACCEPTED

    def _names_nothing(self, op: Op) -> bool:
        """Whether the op names something whose alloc or capture failed."""
        if isinstance(op, Replay) and f"graph {op.graph}" in self._unmade:
            return True
        return any(name in self._unmade for name in buffers_of(op))

    def _unmake(self, op: Op) -> None:
        """Note the name that a failed alloc or capture did not make."""
        field = VERBS[type(op)].makes
        if field and not isinstance(op, Read):
            kind = "graph " if field == "graph" else ""
            self._unmade.add(kind + getattr(op, field))

    def value(self, result: str) -> Outcome:
        """The outcome of the accepted read ``result``; ask at the end, when it has its value."""
        return self._reads[result].outcome()

    def _expect(self, result: str, delivery: Delivery) -> None:
        value = _Value(delivery)
        self._reads[result] = value
        self._waiting.append(value)
        delivery.add_done_callback(lambda _: self._delivered(result, value))

    def _delivered(self, result: str, value: "_Value") -> None:
        self.deliveries.append(result)
        self._watch.delivered(result)
        value.take()

    def _after_sync(self) -> Outcome:
        """What was delivered when the sync returned; the values are asked for only after that."""
        delivered = self._delivered_names()
        for value in self._waiting:
            value.take()
        self._waiting.clear()
        return Outcome(data=delivered)

    def _delivered_names(self) -> bytes:
        return ",".join(self.deliveries).encode()


class _Value:
    """A read's value when first seen, to be compared with the value at the end."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._kept: bytes | None = None
        self._first: Outcome | None = None

    def take(self) -> Outcome:
        """The value as it was when this was first called."""
        if self._first is None:
            self._first = self._ask()
        return self._first

    def outcome(self) -> Outcome:
        """The first value, with the late error CHANGED if it has changed since.

        It has changed if the delivery now gives another one, or if the object that the delivery
        gave first now holds other bytes.
        """
        first = self.take()
        kept_as_it_was = self._kept is None or bytes(self._kept) == first.data
        if kept_as_it_was and self._ask() == first:
            return first
        return Outcome(data=first.data, late_error=CHANGED)

    def _ask(self) -> Outcome:
        try:
            data = self._delivery.result()
            if type(data) is not bytes and isinstance(self._delivery, Ticket):
                raise TypeError(f"a read without a dtype gives {type(data).__name__}, and no bytes")
            outcome = Outcome(data=bytes(data))
        except Exception as error:
            return Outcome(late_error=name_of(error), raised=said_by(error))
        self._kept = data if self._kept is None else self._kept
        return outcome


def name_of(error: Exception) -> str:
    """The name of the class of ``error`` in a history, marked as a crash if it is no class of the
    contract."""
    if isinstance(error, Refused | DeviceFault):
        return type(error).__name__
    return CRASH + (error.name if isinstance(error, TargetRaised) else type(error).__name__)


def failed_with(error: Exception) -> Outcome:
    """The outcome of an op that raised ``error``."""
    return Outcome(error=name_of(error), raised=said_by(error))


def said_by(error: Exception) -> Raised:
    """The message of an exception, and its traceback unless gpusim raised it on purpose."""
    if isinstance(error, GpusimError) and not isinstance(error, InternalError):
        return Raised(str(error))
    if isinstance(error, TargetRaised):
        return Raised(str(error), error.traceback)
    raised_at = error.__traceback__
    while raised_at is not None and raised_at.tb_frame.f_code.co_filename == __file__:
        raised_at = raised_at.tb_next
    lines = traceback.format_exception(type(error), error, raised_at)
    return Raised(str(error), "".join(lines).rstrip())
