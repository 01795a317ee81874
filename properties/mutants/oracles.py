"""The oracles that hunt mutants, by name, with a limit of time and planned faults.

An oracle is opened once for a mutant, and gives a function from a case to its failure.  The oracles
are the reference, the laws over the trace, the relations, the contract under faults, the clients,
and the costs.  The seed of a case decides its faults and its client, so a saved case has them
again.  Of the judge's own parts, mutants break only the reference; tests check the others with
histories, traces and cases corrupted by hand.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from gpusim.errors import (
    DataLost,
    DeviceFault,
    DeviceLost,
    InvalidHandle,
    MapFailed,
    OutOfMemory,
    SubmitFailed,
)
from gpusim.history import History
from gpusim.kernels import Kernels
from gpusim.ops import Alloc, Dispatch, Op, Read, Sync, Write
from gpusim.program import Program
from gpusim.runtime import Driver
from gpusim.runtime.drivers.faulty import Fault, FaultyDriver
from properties.clients import BESIDE, draw_caller, draw_meeting
from properties.execute import LeftBehind, execute
from properties.generate.cases import draw_faults
from properties.generate.choices import SeededChoices, Weights
from properties.model.case import PLAIN, Case
from properties.model.execution import Execution
from properties.model.failure import Failure, FailureKind
from properties.mutants.mutant import SOUND, Mutant
from properties.oracles.aiming import with_aim
from properties.oracles.cost import count_cost
from properties.oracles.judge import MEANING_ONLY, Oracles, judge
from properties.oracles.laws import LawContext, check
from properties.oracles.metamorphic import draw_transformations, judge_relations, signature
from properties.targets.factory import RuntimeFactory

Judgement = Callable[[Case], Failure | None]

PATIENCE_SECONDS = 5.0
"""Seconds of work, or of waiting, after which a program counts as hanging."""
_IDLE_SHARE = 0.03
"""A process that uses less than this share of the time counts as waiting.  A process that works on
a busy machine still gets a larger share than this."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Oracle:
    """A way to find what is wrong, by name."""

    name: str
    open: Callable[[Mutant, str, Kernels], Judgement]


class _Hang(BaseException):
    """Raised in a program that hangs.  It is no Exception, so nothing takes it for a failing op."""


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Raise _Hang in the block after so many seconds of work, or of waiting.

    Work is CPU time of the process.  The process counts as waiting if it used almost no CPU time in
    the last ``seconds``.  Clock time alone would blame a sound program on a busy machine.
    """
    begun = last = time.process_time()

    def ring(number: int, frame: Any) -> None:
        nonlocal last
        now = time.process_time()
        if now - begun >= seconds or now - last < _IDLE_SHARE * seconds:
            raise _Hang
        last = now

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def within(seconds: float, judgement: Judgement) -> Judgement:
    """``judgement``, but a program that hangs is ended and fails.  For the main thread only."""

    def judged(case: Case) -> Failure | None:
        try:
            with _patience(seconds):
                return judgement(case)
        except _Hang:
            return Failure(kind=FailureKind.HANG, reason=f"no end after {seconds} seconds")

    return judged


_FAILING_CASES = 4
"""Of the cases that the laws check, one in this many is run on a driver that fails."""


def factory_of(mutant: Mutant, device: str, kernels: Kernels) -> RuntimeFactory:
    """Returns the factory of targets that are our runtime with the broken parts of ``mutant``."""
    return RuntimeFactory(
        device,
        kernels,
        parts=mutant.parts,
        make_driver=mutant.make_driver,
        make_runtime=mutant.make_runtime,
    )


def _open_reference(mutant: Mutant, device: str, kernels: Kernels) -> Judgement:
    factory = factory_of(mutant, device, kernels)
    oracles = replace(MEANING_ONLY, reference=mutant.reference)
    return lambda case: judge(case, factory, oracles).failure


def _open_laws(mutant: Mutant, device: str, kernels: Kernels) -> Judgement:
    failing = _Failing(mutant, device, kernels)

    def judged(case: Case) -> Failure | None:
        # Some laws can be broken only where a call on the driver fails.
        fails = SeededChoices(f"laws {case.seed}").chance(1, _FAILING_CASES)
        failing.plan = _draw_faults(case.seed) if fails else ()
        execution = execute(case, failing.factory)
        if not isinstance(execution.close_error, LeftBehind | None):
            # The reference judges what a close raises.
            return None
        violations = check(execution.trace, LawContext.of(execution)).violations
        return violations[0] if violations else None

    return judged


def _open_relations(mutant: Mutant, device: str, kernels: Kernels) -> Judgement:
    factory = factory_of(mutant, device, kernels)

    def again(case: Case) -> Execution:
        return execute(case, factory)

    def judged(case: Case) -> Failure | None:
        choices = SeededChoices(f"relations {case.seed}")
        drawn = draw_transformations(choices, case, kernels=kernels)
        if not drawn:
            return None
        original = execute(replace(case, transformations=drawn), factory)
        failure = judge_relations(original, again)
        if failure is None:
            return None
        return replace(failure, trait="/".join(signature(drawn, failure)))

    return judged


def _open_clients(mutant: Mutant, device: str, kernels: Kernels) -> Judgement:
    factory = factory_of(mutant, device, kernels)

    def judged(case: Case) -> Failure | None:
        return judge(with_caller(case), factory, MEANING_ONLY).failure

    return judged


def with_caller(case: Case) -> Case:
    """``case`` with the client that its seed draws."""
    return replace(case, client=draw_caller(SeededChoices(f"clients {case.seed}")))


def _open_costs(mutant: Mutant, device: str, kernels: Kernels) -> Judgement:
    factory = factory_of(mutant, device, kernels)
    return lambda case: count_cost(case, factory)


_VERBS: Weights[tuple[str, type[DeviceFault]]] = Weights(
    (("submit", SubmitFailed), 5),
    (("map", MapFailed), 4),
    (("take", MapFailed), 4),
    (("encode", SubmitFailed), 2),
    (("create_buffer", OutOfMemory), 4),
    (("write_buffer", SubmitFailed), 2),
    (("create_bind_group", OutOfMemory), 2),
    (("submit", DeviceLost), 1),
    (("wait", DeviceLost), 1),
    (("create_buffer", DeviceLost), 1),
    (("compile", DeviceFault), 1),
    (("destroy_buffer", DeviceLost), 1),
)
_CALLS = Weights((0, 3), (1, 3), (2, 3), (3, 2), (5, 2), (8, 2), (13, 1), (21, 1))
_PROBE_BYTES = 8


def _draw_faults(seed: str) -> tuple[Fault, ...]:
    """One or two faults; the seed of a case decides them."""
    choices = SeededChoices(f"faults {seed}")
    faults = []
    for _ in range(choices.integer(1, 2)):
        verb, error = choices.weighted(_VERBS)
        faults.append(Fault(verb=verb, call=choices.weighted(_CALLS), error=error))
    return tuple(faults)


class _Failing:
    """A mutant's runtime on a driver that fails by a plan, which is set before a case is opened."""

    def __init__(self, mutant: Mutant, device: str, kernels: Kernels) -> None:
        self.plan: tuple[Fault, ...] = ()
        self._mutant = mutant
        self.factory = factory_of(replace(mutant, make_driver=self._make_driver), device, kernels)

    def _make_driver(self, native: Any) -> Driver:
        return FaultyDriver(self._mutant.make_driver(native), *self.plan)


def _open_faults(mutant: Mutant, device: str, kernels: Kernels) -> Judgement:
    """In half of the cases the driver fails, in the others the device.

    Some of the device's faults are aimed: ``with_aim`` puts them at calls that the case really
    makes.  The client is drawn too.
    """
    failing = _Failing(mutant, device, kernels)

    def judged(case: Case) -> Failure | None:
        choices = SeededChoices(f"failing {case.seed}")
        case = replace(case, client=choices.pick((PLAIN, draw_meeting(choices))))
        if choices.chance(1, 2):
            # The client ``beside`` runs a second runtime on the same driver, in part during ops of
            # the first runtime.  If the second meets a fault then, the first must not raise it.
            case = replace(case, client=PLAIN) if case.client == BESIDE else case
            failing.plan = _draw_faults(case.seed)
            shown = _shown_as(failing.plan)
            oracles = replace(MEANING_ONLY, shown_faults=shown)
            return _judge_under_faults(case, failing.factory, len(failing.plan), oracles)
        failing.plan, plan = (), draw_faults(choices)
        case = with_aim(replace(case, device=replace(case.device, faults=plan)), failing.factory)
        oracles = replace(MEANING_ONLY, laws=check)
        return _judge_under_faults(case, failing.factory, len(case.device.faults), oracles)

    return judged


def _judge_under_faults(
    case: Case, factory: RuntimeFactory, faults: int, oracles: Oracles
) -> Failure | None:
    program = Program((*case.program.ops, *_probes(2 * faults + 1)))
    verdict = judge(replace(case, program=program), factory, oracles)
    return verdict.failure or _usable_again(verdict.execution.history, len(case.program))


def _shown_as(plan: tuple[Fault, ...]) -> frozenset[str]:
    """The error classes that the faults of a plan may cause.

    DataLost is among them: a fault in the middle of a replay loses what the replay writes.
    """
    return frozenset(error.__name__ for error in ({fault.error for fault in plan} | {DataLost}))


def _usable_again(history: History, size: int) -> Failure | None:
    """A failure if every round of probes after ``size`` ops fails, and no device was lost.

    A round also counts as working if its only errors come from a full memory budget.
    """
    rounds, each = history.outcomes[size:], len(_probes(1))
    errors = [{one.error for one in rounds[at : at + each]} for at in range(0, len(rounds), each)]
    budget = {OutOfMemory.__name__, InvalidHandle.__name__, None}
    lost = any(outcome.error == DeviceLost.__name__ for outcome in history.outcomes)
    if lost or any(kinds <= budget for kinds in errors):
        return None
    return Failure(
        kind=FailureKind.FAULTS,
        trait="usable again",
        position=size,
        op="afterwards",
        what="usable again",
        reason=f"every probe failed: {errors}",
    )


def _probes(rounds: int) -> list[Op]:
    """Rounds of small ops after the program; at least one round must work."""
    ops: list[Op] = []
    for number in range(rounds):
        name = f"probe{number}"
        ops += [
            Alloc(buffer=name, size_bytes=_PROBE_BYTES),
            Write(buffer=name, offset=0, data=bytes([number + 1]) * _PROBE_BYTES),
            Dispatch(kernel="affine", buffers=(name,), scalars=(3, 5), grid=(1, 1, 1)),
            Read(buffer=name, offset=0, size_bytes=_PROBE_BYTES, result=f"{name}_r"),
            Sync(),
        ]
    return ops


REFERENCE = Oracle(name="reference", open=_open_reference)
LAWS = Oracle(name="laws", open=_open_laws)
RELATIONS = Oracle(name="relations", open=_open_relations)
FAULTS = Oracle(name="faults", open=_open_faults)
CALLERS = Oracle(name="clients", open=_open_clients)
COSTS = Oracle(name="costs", open=_open_costs)
ORACLES = (REFERENCE, LAWS, RELATIONS, FAULTS, CALLERS, COSTS)


def oracles_for(mutant: Mutant) -> tuple[Oracle, ...]:
    """The oracles that look at the mutant's part; first the one that is sure to find the mutant.

    Only the oracle ``reference`` looks at a mutant of the reference.
    """
    looking = ORACLES if mutant.reference is SOUND.reference else (REFERENCE,)
    return tuple(sorted(looking, key=lambda oracle: oracle.name != mutant.found_by))
