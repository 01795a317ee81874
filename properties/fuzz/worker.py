"""The process in which programs run, because what is judged may abort or hang it.

A worker publishes the number of each program before it runs it, in memory that outlives it.  The
engine decides how long to go on and what a failure means; nothing here does.

A session must also show that it would have found a mistake.  ``with_mistake`` plants one between
the judge and the target, so that it is tried with the programs, device and comparison of the
session.

A program's client and transformations are drawn here, apart from the program, so that they do
not change it.  Most programs have neither, and none has both, because a transformation costs an
execution, and a client makes one slower.
"""

import gc
import os
import signal
import time
import traceback
import warnings
from contextlib import suppress
from dataclasses import replace
from multiprocessing import parent_process
from threading import Thread
from typing import Any

from gpusim.devices import find_adapter
from gpusim.errors import GpusimError
from gpusim.kernels import Kernels
from gpusim.ops import Dispatch, Free, Op, Write
from gpusim.runtime.policy import PRESETS
from properties.clients import CLIENTS
from properties.fuzz.loading import MakeFactory, load_kernels, load_target
from properties.fuzz.protocol import (
    Answer,
    Broken,
    CannotRun,
    FailedProgram,
    Fuzz,
    JudgeCase,
    Judged,
    Made,
    MakeCase,
    Pipe,
    Plant,
    Planted,
    Progress,
    RanAll,
    Ready,
    Request,
    Setup,
    Stop,
    Tally,
    is_measured,
)
from properties.generate.cases import Setting, case_for
from properties.generate.choices import Choices, SeededChoices, Weights
from properties.generate.words import is_within_capabilities
from properties.model.case import NO_POLICY, PLAIN, Case
from properties.model.failure import Failure, FailureKind
from properties.model.target import Delivery, Target
from properties.mutants.hunt import PlantedMutant, hunt_planted
from properties.oracles.coverage import check_and_cover
from properties.oracles.goals import GOALS, Scope, why_unreachable
from properties.oracles.judge import MEANING_ONLY, Oracles, judge, judge_determinism
from properties.oracles.laws import check
from properties.oracles.laws.catalogue import H1
from properties.oracles.metamorphic import draw_transformations
from properties.targets.factory import TargetFactory, Wrapping

_IN_EIGHT = {"client": 2, "relations": 2, "without faults": 2}
_CLIENTS = Weights((PLAIN, len(CLIENTS)), *((name, 1) for name in CLIENTS if name != PLAIN))


def draw_client(choices: Choices) -> str:
    """The name of a client; the plain one in about half of the cases."""
    return choices.weighted(_CLIENTS)


def with_variants(case: Case, kernels: Kernels, *, refuses: bool, clients: bool = True) -> Case:
    """``case`` with a drawn client, if ``clients``, or with drawn transformations.

    A case with planned faults gets neither: both would move the faults to other ops,
    because a fault is planned for a call by its number.  It is tried without faults instead.
    """
    choices = SeededChoices(f"drawn {case.seed}")
    turn = choices.integer(0, 7)
    if case.device.shown_faults:
        return case
    if turn < _IN_EIGHT["client"]:
        return replace(case, client=draw_client(choices)) if clients else case
    if turn < _IN_EIGHT["client"] + _IN_EIGHT["relations"]:
        drawn = draw_transformations(choices, case, refuses=refuses, kernels=kernels)
        return replace(case, transformations=drawn)
    return case


def tries_without_faults(case: Case) -> bool:
    """Whether a session compares ``case``, on a failing device, with the same without faults."""
    turn = SeededChoices(f"drawn {case.seed}").integer(0, 7)
    return bool(case.device.shown_faults) and turn < _IN_EIGHT["without faults"]


MOST_PROGRAMS = 100
"""The mistake must show within this many programs; a few are usually enough."""


def with_mistake(factory: TargetFactory) -> TargetFactory:
    """A factory of targets in which a dispatch overtakes the write before it."""
    return Wrapping(factory, _Overtaken)


class _Overtaken:
    """Makes a host write once more after the dispatch that follows it."""

    def __init__(self, target: Target) -> None:
        self.capabilities, self.limits = target.capabilities, target.limits
        self.close = target.close
        self._target = target
        self._write: Write | None = None

    def perform(self, op: Op) -> Delivery | None:
        """See ``Target``."""
        delivery = self._target.perform(op)
        if isinstance(op, Write):
            self._write = op
        elif isinstance(op, Dispatch) and self._write is not None:
            write, self._write = self._write, None
            self._target.perform(write)
        elif isinstance(op, Free):
            self._write = None
        return delivery


_DETERMINISM_EVERY = 64
"""One in so many programs is run twice more, to check that its trace is the same."""
_REPORT_SECONDS = 0.1


def work(setup: Setup, connection: "Pipe", published: Any, stderr: str) -> None:
    """Serve requests until the session closes the connection.

    ``published`` is shared memory: the number of the current program, then how many runs
    were begun.  The file ``stderr`` receives what native code prints as it dies.
    """
    with open(stderr, "ab") as file:
        os.dup2(file.fileno(), 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.name != "nt":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        # The processes that a target starts are killed with the worker's group.
        os.setpgrp()
        Thread(target=_end_with_session, daemon=True).start()
    # Buffers left alive and warnings of libraries are not findings.
    warnings.simplefilter("ignore")
    try:
        bench = Bench(setup, published)
    except (GpusimError, OSError) as error:
        connection.send(CannotRun(reason=str(error)))
        return
    spare_collector()
    connection.send(
        Ready(
            device=bench.device,
            description=bench.description,
            is_ours=bench.is_ours,
            unreachable=bench.unreachable(),
        )
    )
    try:
        _serve(bench, connection)
    except Exception:
        # An error of the target would be in a history; this is one of the judge.
        with suppress(ConnectionError):
            connection.send(Broken(number=published[0], traceback=traceback.format_exc()))
    _end_group()


def _end_with_session() -> None:
    """End the worker's group when the session dies, which cannot do it any more."""
    session = parent_process()
    if session is not None:
        session.join()
        _end_group()


def _end_group() -> None:
    if os.name != "nt":
        os.killpg(0, signal.SIGKILL)


def _serve(bench: "Bench", connection: Pipe) -> None:
    while True:
        try:
            request: Request = connection.recv()
        except EOFError:
            return
        match request:
            case Fuzz():
                bench.fuzz(request, connection)
            case JudgeCase():
                connection.send(Judged(failure=bench.judge(request.case)))
            case MakeCase():
                connection.send(Made(case=bench.case(request.number)))
            case Plant():
                mutant = bench.plant_mutant(request.hard)
                connection.send(Planted(programs=bench.plant(), mutant=mutant))
            case Stop():
                # The fuzzing had ended already when the session sent it.
                pass


class Bench:
    """A device, and what is judged on it: by default what ``setup`` names."""

    def __init__(
        self,
        setup: Setup,
        published: Any,
        *,
        make_factory: MakeFactory | None = None,
        kernels: Kernels | None = None,
    ) -> None:
        adapter = find_adapter(setup.device)
        self.device = adapter.name
        self._setup = setup
        self._published = published
        self._kernels: Kernels = load_kernels(setup.kernels) if kernels is None else kernels
        make_factory = make_factory or load_target(setup.target)
        self._factory = make_factory(adapter.name, self._kernels)
        self.description = self._factory.description or adapter.description
        self.is_ours = self._factory.is_ours
        self._setting = Setting(
            device=adapter.name,
            limits=self._factory.limits,
            kernels=self._kernels,
            small=self._factory.small,
            presets=setup.presets,
            schedulers=setup.schedulers,
            faults=setup.faults,
            target=setup.target,
            promises=self._factory.capabilities,
        )

    def close(self) -> None:
        """Give back what is judged."""
        self._factory.close()

    @property
    def _checks_determinism(self) -> bool:
        """Whether a second run must leave the same trace; a foreign target need not."""
        return self.is_ours and not self._setup.faults

    def unreachable(self) -> dict[str, str]:
        """The rare events that no program of the session can reach, each with the reason.

        Empty for other targets: the events are those of our runtime.
        """
        if not self.is_ours:
            return {}
        limits = [
            replace(self._factory.limits, **dict(asked)) for asked in self._factory.small or ((),)
        ]
        scope = Scope(
            uniforms=frozenset(PRESETS[name].uniforms for name in self._setup.presets),
            limits=tuple(limits),
            payload_bytes=max(kernel.uniform_bytes for kernel in self._kernels.values()),
            replays=self._factory.capabilities.replays,
        )
        reasons = {name: why_unreachable(name, scope) for name in GOALS}
        return {name: reason for name, reason in reasons.items() if reason}

    def judge(self, case: Case) -> Failure | None:
        """The failure of one case; None where it passes, or asks for more than is promised."""
        self._published[1] += 1
        promises, limits = case.promises or self._factory.capabilities, self._factory.limits
        if not is_within_capabilities(case.program, promises, self._kernels, case.limits(limits)):
            return None
        return judge(case, self._factory).failure

    def plant(self) -> int | None:
        """The number of programs until the planted mistake shows in a value; None if never."""
        factory = with_mistake(self._factory)
        for number in range(MOST_PROGRAMS):
            self._published[1] += 1
            failure = judge(self.case(number).plain, factory, MEANING_ONLY).failure
            if failure is not None and failure.kind == FailureKind.VALUE:
                return number + 1
            if failure is not None and failure.trait.startswith("crash:"):
                # It will crash without the mistake as well, and is reported then.
                return None
        return None

    def plant_mutant(self, hard: bool) -> PlantedMutant:
        """Plant the mutant that the session's seed chooses, and hunt it."""
        return hunt_planted(self._setup.seed, self._kernels, hard=hard, tick=self._tick)

    def _tick(self) -> None:
        self._published[1] += 1

    def fuzz(self, request: Fuzz, connection: "Pipe") -> None:
        """Run programs until one fails, the last has run, or the session says stop."""
        number, tally, reported = request.first, Tally(), time.monotonic()
        end: Answer = RanAll()
        while request.stop is None or number < request.stop:
            failed = self.run(number, tally)
            number += request.step
            if failed is not None:
                end = failed
                break
            if time.monotonic() - reported >= _REPORT_SECONDS:
                connection.send(Progress(tally=tally, number=number))
                tally, reported = Tally(), time.monotonic()
                if connection.poll():
                    break
        connection.send(Progress(tally=tally, number=number))
        connection.send(end)

    def run(self, number: int, tally: Tally) -> FailedProgram | None:
        """Judge program ``number`` of the session, and count it in ``tally``."""
        self._published[0] = number
        self._published[1] += 1
        start = time.perf_counter()
        case = self.case(number)
        measured = is_measured(number)
        oracles = Oracles(
            laws=check_and_cover if measured else check, without_faults=tries_without_faults(case)
        )
        verdict = judge(case, self._factory, oracles)
        seconds = time.perf_counter() - start
        tally.note(case, verdict, seconds, self._kernels, measured=measured)
        failure = verdict.failure
        if failure is None and number % _DETERMINISM_EVERY == 0 and self._checks_determinism:
            failure = judge_determinism(case, self._factory)
            tally.held[H1.name] += 1
        if failure is None:
            return None
        return FailedProgram(number=number, case=case, failure=failure)

    def case(self, number: int) -> Case:
        """Program ``number`` of the session, with its client and transformations."""
        case = case_for(self._setup.seed, number, self._setting)
        if not self.is_ours:
            case = replace(case, policy=NO_POLICY)
        return with_variants(
            case,
            self._kernels,
            refuses=self._factory.capabilities.refuses,
            clients=self.is_ours,
        )


_MOST_NEW_OBJECTS = 50_000


def spare_collector() -> None:
    """Make Python's garbage collector scan only new objects, and less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_MOST_NEW_OBJECTS)
