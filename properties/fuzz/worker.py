"""The worker: a process in which programs run, since what is judged may abort or hang a process.

Before a worker runs a program, it publishes the program's number in memory that outlives the
worker.  The engine, not the worker, decides how long to go on and what a failure means.
"""

import gc
import os
import signal
import time
import traceback
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from multiprocessing import parent_process
from threading import Thread

from gpusim.devices import find_adapter
from gpusim.errors import GpusimError, NoDevice, ProgramError
from gpusim.kernels import Kernels
from gpusim.runtime.policy import PRESETS
from gpusim.text import write_op
from properties.clients import FOREIGN_CLIENTS, not_asked
from properties.fuzz.loading import MakeFactory, load_kernels, load_target
from properties.fuzz.miscompiled import hunt_miscompiled
from properties.fuzz.planted import PlantedMistake, hunt_mistakes, hunt_mutant
from properties.fuzz.protocol import (
    Broken,
    CannotJudge,
    CannotRun,
    Explain,
    Explained,
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
)
from properties.fuzz.published import Published
from properties.fuzz.standing import show_on_request
from properties.fuzz.tally import Tally, is_measured
from properties.fuzz.variants import tries_without_faults, with_foreign_client, with_variants
from properties.generate.alone import alone
from properties.generate.cases import CaseSettings, case_for, draw_disturbance
from properties.generate.fitting import first_beyond
from properties.model.case import NO_POLICY, SCHEDULERS, Case, DeviceSpec
from properties.model.failure import Failure
from properties.oracles.aiming import with_aim
from properties.oracles.coverage import check_and_cover
from properties.oracles.goals import GOALS, Scope, why_unreachable
from properties.oracles.judge import Oracles, Verdict, judge, judge_beneath, judge_determinism
from properties.oracles.laws import check
from properties.oracles.laws.catalogue import H1
from properties.shrink.avoid import Avoided, left_out, without
from properties.targets.adapters import check_kernels

_DETERMINISM_EVERY = 64
"""A program whose number is a multiple of this runs twice more, and must leave equal traces."""
_REPORT_SECONDS = 0.1
_UNREPEATED = Oracles(growth=False)
"""Cases that are run to explain another case are not repeated to count their memory or cost."""


def work(
    setup: Setup,
    environment: Mapping[str, str],
    connection: "Pipe",
    published: Published,
    stderr: str,
) -> None:
    """Serve requests until the session closes the connection.

    ``environment`` is that of the session, and becomes the worker's.  The file ``stderr`` receives
    what native code prints as it dies.
    """
    os.environ.clear()
    os.environ.update(environment)
    with open(stderr, "ab") as file:
        os.dup2(file.fileno(), 2)
    show_on_request()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.name != "nt":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        # The processes that a target starts are killed with the worker's group.
        os.setpgrp()
        Thread(target=_end_with_session, daemon=True).start()
    # Warnings of buffers that are left alive, and warnings of libraries, are not findings.
    warnings.simplefilter("ignore")
    try:
        bench = Bench(setup, published)
    except ProgramError as error:
        connection.send(CannotJudge(error=type(error).__name__, reason=str(error)))
        return
    except (GpusimError, OSError) as error:
        connection.send(CannotRun(reason=str(error)))
        return
    except Exception as error:
        connection.send(CannotRun(reason=_unmade(setup.target, error)))
        return
    spare_collector()
    connection.send(
        Ready(
            device=bench.device,
            description=bench.description,
            is_ours=bench.is_ours,
            unreachable=bench.unreachable(),
            not_asked=bench.not_asked(),
        )
    )
    try:
        _serve(bench, connection)
    except (ProgramError, NoDevice) as error:
        # An error of a target goes into the history, so an error that arrives here is the user's,
        # in a kernel for instance.
        with suppress(ConnectionError):
            connection.send(CannotJudge(error=type(error).__name__, reason=str(error)))
    except Exception:
        # This error is the judge's own.
        with suppress(ConnectionError):
            connection.send(Broken(number=published.number, traceback=traceback.format_exc()))
    _end_group()


def _unmade(target: str, error: Exception) -> str:
    return (
        f"cannot judge {target!r} because making it raised {type(error).__name__}: {error} "
        f"(probably a mistake in it):\n{''.join(traceback.format_exception(error)).rstrip()}"
    )


def _end_with_session() -> None:
    """End the worker's group when the session dies, since a dead session cannot end it."""
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
                beyond = bench.beyond_promises(request.case) if request.is_replay else ""
                failure = None if beyond else bench.judge(request.case)
                connection.send(Judged(failure=failure, beyond_promises=beyond))
            case Explain():
                connection.send(bench.explained(request))
            case MakeCase():
                connection.send(Made(case=bench.case(request.number, request.avoided)))
            case Plant():
                mistakes = bench.plant(hard=request.hard, avoided=request.avoided)
                connection.send(Planted(mistakes=mistakes))
            case Stop():
                # Nothing is left to do: ``fuzz`` has returned already.  It returns when this
                # request comes, or earlier by itself.
                pass


class Bench:
    """A device and the target that is judged on it; by default the target that ``setup`` names."""

    def __init__(
        self,
        setup: Setup,
        published: Published,
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
        self._remake = partial(make_factory, adapter.name)
        self._factory = self._remake(self._kernels)
        check_kernels(self._factory.capabilities, self._kernels)
        if setup.adversary and not self._factory.disturbs:
            raise ProgramError(
                f"cannot disturb target {setup.target} because no layer fits between it and its "
                "device (probably --adversary is to be left out)"
            )
        self._factory.make_trace = published.trace
        self.description = self._factory.description or adapter.description
        self.is_ours = self._factory.is_ours
        self._setting = CaseSettings(
            device=adapter.name,
            limits=self._factory.limits,
            kernels=self._kernels,
            small=self._factory.small,
            presets=setup.presets,
            schedulers=setup.schedulers if self.is_ours else SCHEDULERS[:1],
            faults=setup.faults,
            check_shaders=setup.check_shaders,
            target=setup.target,
            promises=self._factory.capabilities,
        )

        self._alone = alone(
            setup.seed, self._kernels, self._factory.limits, self._factory.capabilities
        )

    def close(self) -> None:
        """Close the target's factory."""
        self._factory.close()

    @property
    def _checks_determinism(self) -> bool:
        """Whether a second run must leave the same trace: our runtime must, if no device fails."""
        return self.is_ours and not self._setup.faults

    def unreachable(self) -> dict[str, str]:
        """The rare events that no program of the session can reach, each with the reason.

        Empty for a foreign target: the events are those of our runtime.
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

    def not_asked(self) -> list[str]:
        """What the session does not test, because the target does not promise it."""
        return [] if self.is_ours else not_asked(self._factory.capabilities)

    def judge(self, case: Case) -> Failure | None:
        """The failure of one case; None if the case passes, or asks for more than is promised."""
        self._published.begin()
        self._factory.make_trace = self._published.trace_of_calls
        if self._first_beyond(case) is not None:
            return None
        return judge(case, self._factory).failure

    def explained(self, request: Explain) -> Explained:
        """Why a case fails."""
        # Most workers never explain a case, so they do not load this.
        from properties.explain.explain import explain

        def again(case: Case) -> Verdict:
            self._published.begin()
            return judge(case, self._factory, _UNREPEATED)

        self._factory.make_trace = self._published.trace_of_calls
        self._published.begin()
        verdict = judge(request.case, self._factory)
        if verdict.failure is None:
            return Explained(argument=None)
        return Explained(argument=explain(verdict, again if request.tries else None))

    def beyond_promises(self, case: Case) -> str:
        """What ``case`` asks for beyond the target's promises, in words; empty if nothing."""
        position = self._first_beyond(case)
        promises = case.promises or self._factory.capabilities
        if position is None:
            caller = None if self.is_ours else FOREIGN_CLIENTS.get(case.client)
            if caller is None or caller.suits(promises):
                return ""
            return f"client {case.client} asks for {caller.asks_for}, which is not promised"
        op = write_op(case.program[position])
        return f"op {position}, {op}, asks for more than the target promises ({promises})"

    def _first_beyond(self, case: Case) -> int | None:
        promises, limits = case.promises or self._factory.capabilities, self._factory.limits
        return first_beyond(case.program, promises, self._kernels, case.limits(limits))

    def plant(self, *, hard: bool, avoided: Avoided = frozenset()) -> tuple[PlantedMistake, ...]:
        """Plant the session's mistakes and, if our own runtime is judged, a mutant.

        Returns each mistake, with whether it was seen.  Most programs leave out what is
        ``avoided``.  The session's seed chooses the mutant.
        """
        tick, case_of = self._published.begin, partial(self.case, avoided=avoided)
        mistakes = hunt_mistakes(self._factory, self._setup.target, case_of, tick)
        compiler = hunt_miscompiled(self._factory, self.device, self._remake, case_of, tick)
        mistakes += (compiler,) if compiler is not None else ()
        if not self.is_ours:
            return mistakes
        return *mistakes, hunt_mutant(self._setup.seed, self._kernels, hard=hard, tick=tick)

    def fuzz(self, request: Fuzz, connection: "Pipe") -> None:
        """Run programs until one fails, the last has run, or the session says stop."""
        number, tally, reported = request.first, Tally(), time.monotonic()
        while request.stop is None or number < request.stop:
            failed = self.run(number, tally, request.avoided)
            if failed is not None:
                # Everything goes in one message, since a worker may be killed between two messages.
                connection.send(failed)
                return
            number += request.step
            if time.monotonic() - reported >= _REPORT_SECONDS:
                connection.send(Progress(tally=tally, number=number))
                tally, reported = Tally(), time.monotonic()
                if connection.poll():
                    break
        connection.send(Progress(tally=tally, number=number))
        connection.send(RanAll())

    def run(
        self, number: int, tally: Tally, avoided: Avoided = frozenset()
    ) -> FailedProgram | None:
        """Judge program ``number`` of the session, and count it in ``tally``."""
        self._published.begin(number)
        self._factory.make_trace = self._published.trace
        start = time.perf_counter()
        case = self.case(number, avoided)
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
        beneath = None if self.is_ours else judge_beneath(verdict)
        return FailedProgram(
            number=number,
            tally=tally,
            case=case,
            failure=failure,
            beneath=beneath and (replace(case, promises=beneath[0]), beneath[1]),
        )

    def case(self, number: int, avoided: Avoided = frozenset()) -> Case:
        """Program ``number`` of the session, with its client and transformations."""
        case = self._drawn(number)
        gone = left_out(case, avoided)
        return without(case, gone, self._kernels, case.limits(self._factory.limits))

    def _drawn(self, number: int) -> Case:
        """The program before anything is left out.

        The first programs run the user's kernels one by one, to compare each with its meaning.
        """
        case = case_for(self._setup.seed, number, self._setting)
        if not self.is_ours:
            case = replace(case, policy=NO_POLICY)
        if number < len(self._alone):
            return replace(case, program=self._alone[number], device=DeviceSpec(name=self.device))
        promises = self._factory.capabilities
        if not self.is_ours:
            limits = case.limits(self._factory.limits)
            case = with_foreign_client(case, promises, self._kernels, limits)
        if self._setup.adversary:
            case = replace(case, disturbance=draw_disturbance(case.seed, promises))
        if promises.is_loose or case.injected:
            # A transformation changes the ops around an invalid op or a fault, and so may change
            # the error that the op raises.
            return case
        case = with_variants(case, self._kernels, refuses=promises.is_exact, clients=self.is_ours)
        return with_aim(case, self._factory) if self.is_ours else case


_MOST_NEW_OBJECTS = 50_000


def spare_collector() -> None:
    """Make Python's garbage collector scan only new objects, and less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_MOST_NEW_OBJECTS)
