"""A fuzzing session: runs programs until a limit of programs, time or findings is reached.

The engine gives programs to worker processes and decides what their answers mean.  Programs run
in the workers, never here, because a program may kill its process.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gpusim.devices import SIMULATED
from gpusim.errors import GpusimError
from gpusim.kernels import BUILTIN, Kernels
from gpusim.runtime.policy import PRESETS, Uniforms
from properties.finding_file import read
from properties.fuzz.bugs import Bugs
from properties.fuzz.coverage import warnings
from properties.fuzz.loading import is_ours, load_kernels, load_target
from properties.fuzz.planted import PlantedMistake
from properties.fuzz.protocol import (
    FailedProgram,
    Plant,
    Planted,
    Progress,
    setup_of,
)
from properties.fuzz.settings import Settings
from properties.fuzz.shard import Shard
from properties.fuzz.sorting import Sorter
from properties.fuzz.supervisor import TICK_SECONDS, Gone, Supervisor
from properties.fuzz.tally import ENOUGH_TRACES, Tally
from properties.model.case import Case
from properties.model.failure import Failure
from properties.oracles.goals import GOALS
from properties.shrink.avoid import Avoided
from properties.shrink.together import Together, together

_LONG_SECONDS, _LONG_PROGRAMS = 120.0, 5000
"""A session of so many seconds, or so many programs, may plant mutants that take long to find."""


@dataclass(kw_only=True)
class Session:
    """A session's settings, and its results so far."""

    settings: Settings
    device: str = ""
    description: str = ""
    kernels: Kernels = field(default_factory=lambda: BUILTIN)
    is_ours: bool = True
    """Whether our own runtime is judged; other targets follow no policy."""
    tally: Tally = field(default_factory=Tally)
    bugs: Bugs
    seconds: float = 0.0
    fuzz_seconds: float = 0.0
    """The seconds of the session, without those for shrinking new findings."""
    planted: tuple[PlantedMistake, ...] = ()
    """The planted mistakes, and whether each was seen; empty if the worker died over them."""
    unreachable: Mapping[str, str] = field(default_factory=dict)
    """The rare events that no program can reach, each with the reason."""
    not_asked: Sequence[str] = ()
    """What is not tested on a foreign target, because the target does not promise it."""
    deaths: int = 0
    uncounted: int = 0
    """How many programs ran and are missing in the tally, because their worker died."""
    interrupted: bool = False
    has_failed_enough: bool = False
    """Whether it stopped because ``Settings.failures`` programs failed."""

    @property
    def programs(self) -> int:
        """How many programs ran."""
        return self.tally.programs + self.uncounted

    @property
    def rate_bound(self) -> float | None:
        """The upper bound, with 95 percent confidence, of the share of programs that fail.

        After N programs it is 3 / N, by the "rule of three" for N independent trials without a
        failure.  None after a failure, or before the first program.
        """
        if len(self.bugs) or not self.programs:
            return None
        return min(1.0, 3 / self.programs)

    @property
    def is_valid(self) -> bool:
        """Whether finding nothing means something."""
        return not self.invalid_because

    @property
    def invalid_because(self) -> str:
        """Why the session is invalid; empty if it is valid."""
        if not self.programs:
            return "no program ran"
        if not self.tally.compared_bytes:
            return "no byte was compared"
        if not self.planted:
            return "no mistake could be planted, since the worker died"
        if self.unseen:
            return "; ".join(map(str, self.unseen))
        if self.missed_goals:
            return f"no program reached: {', '.join(self.missed_goals)}"
        return ""

    @property
    def unseen(self) -> list[PlantedMistake]:
        """Planted mistakes that were missed, unless ``blind``, and blind ones that were seen."""
        return [mistake for mistake in self.planted if not mistake.is_as_known]

    @property
    def has_enough(self) -> bool:
        """Whether the limit of findings or of failures is reached."""
        bugs, settings = self.bugs, self.settings
        return len(bugs) >= settings.findings or bugs.failures >= settings.failures

    @property
    def avoided(self) -> Avoided:
        """What programs leave out; nothing if our own runtime is judged."""
        return frozenset() if self.is_ours else self.bugs.avoided

    @property
    def uniforms(self) -> frozenset[Uniforms]:
        """The kinds of uniforms under the policies of the session."""
        return frozenset(PRESETS[name].uniforms for name in self.settings.presets)

    @property
    def warnings(self) -> list[str]:
        """Why the session's coverage is weak, as sentences."""
        return warnings(self.tally, self.uniforms, faults=self.settings.faults)

    @property
    def blind_spots(self) -> list[str]:
        """What such a session can never see, as sentences."""
        bare = [kernel.name for kernel in self.kernels.values() if kernel.varied is not None]
        if self.device != SIMULATED or not bare:
            return []
        return [
            f"{', '.join(bare)} means what its WGSL says: the simulated device and the reference "
            "run the same NumPy, so the order of commands is judged, but no arithmetic (a real "
            "device would show mistakes in it)"
        ]

    @property
    def missed_goals(self) -> list[str]:
        """Rare events that no program reached, though enough programs were measured."""
        reached = self.tally.reached
        if reached.programs < ENOUGH_TRACES:
            return []
        return [name for name in GOALS if not reached.goals[name] and name not in self.unreachable]


Watch = Callable[[Session], None]


def fuzz(settings: Settings, watch: Watch) -> Session:
    """Run a session; ``watch`` is called with it every tenth of a second or more often.

    While a failing program is shrunk, ``watch`` is not called.

    Raises:
        NoDevice: there is no device of that name, or the target cannot be made on it.
        ProgramError: the kernels, or what is judged, cannot be loaded.
        UsageError: a setting would be ignored, or nothing can be saved.
    """
    with opened(settings) as (session, supervisors):
        try:
            prepare(session, supervisors[0])
            run_programs(session, supervisors, watch)
            _finish(session, supervisors[0])
        except KeyboardInterrupt:
            session.interrupted = True
    return session


@contextmanager
def opened(settings: Settings) -> Iterator[tuple[Session, list[Supervisor]]]:
    """A session that has run nothing yet, and its workers with their devices.

    The workers end with the ``with`` block.  Raises what ``fuzz`` raises.
    """
    kernels = load_kernels(settings.kernels)
    if not is_ours(load_target(settings.target)):
        settings.refuse_ignored()
    bugs = Bugs(settings.save, place=settings.kernels, kernels=kernels)
    session = Session(settings=settings, bugs=bugs, kernels=kernels)
    with ExitStack() as stack:
        supervisors = [
            stack.enter_context(Supervisor(setup_of(settings))) for _ in range(settings.workers)
        ]
        for supervisor in supervisors:
            supervisor.launch()
        ready, *_ = [supervisor.ready() for supervisor in supervisors]
        session.device, session.description = ready.device, ready.description
        session.is_ours = ready.is_ours
        session.unreachable, session.not_asked = ready.unreachable, ready.not_asked
        yield session, supervisors


def prepare(session: Session, supervisor: Supervisor) -> None:
    """Run the known findings and plant the mistakes, before the session's programs."""
    settings = session.settings
    if settings.known is not None:
        run_known(session.bugs, settings, session.device, supervisor)
    _plant(session, supervisor)


def run_programs(session: Session, supervisors: Sequence[Supervisor], watch: Watch) -> bool:
    """Run the programs of the session's settings; True if all ran before another limit came."""
    has_run_all = _Loop(session, supervisors, watch).run()
    if session.unseen and session.avoided:
        # The target's own bugs may have hidden the planted mistakes.  By now programs can leave
        # out what these bugs need.
        _plant(session, supervisors[0])
    return has_run_all


def _finish(session: Session, supervisor: Supervisor) -> None:
    """Go on shrinking what was cut short; the limit of time does not count any more."""
    start = time.monotonic()
    _sorter(session).finish(Shard(supervisor, first=0, stop=0, step=1))
    session.seconds += time.monotonic() - start


def _sorter(session: Session) -> Sorter:
    return Sorter(
        settings=session.settings,
        kernels=session.kernels,
        bugs=session.bugs,
        is_ours=session.is_ours,
    )


def run_known(bugs: Bugs, settings: Settings, device: str, supervisor: Supervisor) -> None:
    """Run the findings of the folder ``known``, so that their bugs are not reported again.

    Only the session's own target runs.  A finding of another target or device is reported as not
    run.
    """
    for path in sorted((settings.known or Path()).glob("*.txt")):
        finding, reason = read(path), ""
        case = finding.case
        if finding.names_target and case.target != settings.target:
            reason = f"it was found on target {case.target}"
        elif case.device.name != device:
            reason = f"it was found on device {case.device.name}"
        failure = None if reason else supervisor.judge(case, settings.stall)
        pair: Together = ()
        if failure is not None:
            pair = together(case, failure, lambda each: supervisor.judge(each, settings.stall))
        bugs.know(path, case, failure, reason, pair)


def _plant(session: Session, supervisor: Supervisor) -> None:
    """Plant the mistakes, in programs that leave out what the target's known bugs need."""
    settings = session.settings
    seconds, programs = settings.most_seconds or 0.0, settings.programs or 0
    hard = seconds >= _LONG_SECONDS or programs >= _LONG_PROGRAMS
    supervisor.ask(Plant(hard=hard, avoided=session.avoided))
    answer = supervisor.wait(settings.stall)
    # A target that dies here will die in the session, which reports it.
    if isinstance(answer, Planted):
        session.planted = answer.mistakes


class _Loop:
    """The course of one session."""

    def __init__(self, session: Session, supervisors: Sequence[Supervisor], watch: Watch) -> None:
        settings = session.settings
        first, step = settings.first, len(supervisors)
        stop = None if settings.programs is None else first + settings.programs
        self._session = session
        self._shards = [
            Shard(supervisor, first=first + number, stop=stop, step=step)
            for number, supervisor in enumerate(supervisors)
        ]
        self._sorter = _sorter(session)
        self._watch = watch
        self._start = time.monotonic()
        self._shrink_seconds = 0.0

    def run(self) -> bool:
        """Fuzz until a limit of programs, time or findings is reached; True if all programs ran."""
        while self._goes_on():
            for shard in self._shards:
                if shard.is_running:
                    self._listen(shard)
        self._tick()
        bugs, settings = self._session.bugs, self._session.settings
        is_few = len(bugs) < settings.findings
        self._session.has_failed_enough = is_few and bugs.failures >= settings.failures
        is_left = any(shard.has_programs for shard in self._shards)
        return not self._session.has_enough and not is_left

    def _goes_on(self) -> bool:
        """Start the idle shards, or stop the running shards; True if any shard still runs."""
        is_over = self._is_over()
        for shard in self._shards:
            if is_over:
                shard.end()
            elif shard.has_programs:
                shard.begin(self._session.avoided)
        return any(shard.is_running for shard in self._shards)

    def _is_over(self) -> bool:
        seconds = self._session.settings.most_seconds
        spent = time.monotonic() - self._start - self._shrink_seconds
        is_late = seconds is not None and spent >= seconds
        return is_late or self._session.has_enough

    def _listen(self, shard: Shard) -> None:
        """Take a shard's answer, if there is one."""
        session, stall = self._session, self._session.settings.stall
        answer = shard.tick(stall, TICK_SECONDS / len(self._shards))
        match answer:
            case Progress():
                session.tally.add(answer.tally)
            case FailedProgram():
                session.tally.add(answer.tally)
                self._failed(shard, answer)
            case Gone() if shard.runs_again(answer):
                session.deaths += 1
            case Gone():
                session.deaths += 1
                session.uncounted += shard.pass_over(answer)
                case = shard.make(answer.number, stall)
                failure: Failure | None = answer.failure(case)
                if answer.was_killed:
                    # A long program may be killed several times by chance.
                    failure = shard.supervisor.judge(case, stall)
                if failure is not None:
                    self._found(shard, case, failure)
        self._tick()

    def _failed(self, shard: Shard, failed: FailedProgram) -> None:
        if shard.avoided != self._session.avoided:
            # Another worker may have found this bug in the meantime.  So the program runs again,
            # and leaves out what the found bugs need.
            shard.next = failed.number
            return
        for case, failure in filter(None, ((failed.case, failed.failure), failed.beneath)):
            if not self._session.has_enough:
                self._found(shard, case, failure)

    def _found(self, shard: Shard, case: Case, failure: Failure) -> None:
        start, found = time.monotonic(), len(self._session.bugs)
        try:
            self._sorter.sort(shard, case, failure)
        except (KeyboardInterrupt, GpusimError):
            self._session.bugs.add(case, failure, reproduced=None)
            raise
        if len(self._session.bugs) > found:
            # Only the time for a new bug is taken off the time of the session.  Otherwise the
            # session of a target that always fails would never end.
            self._shrink_seconds += time.monotonic() - start

    def _tick(self) -> None:
        session = self._session
        session.seconds = time.monotonic() - self._start
        session.fuzz_seconds = session.seconds - self._shrink_seconds
        self._watch(session)
