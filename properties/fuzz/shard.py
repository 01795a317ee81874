"""A shard: one worker of a session, and its programs: with n workers, every n-th program.

The engine, not the shard, decides what an answer means.
"""

from collections import Counter
from dataclasses import replace

from gpusim.kernels import Kernels
from gpusim.program import Program
from properties.fuzz.protocol import (
    Answer,
    FailedProgram,
    Fuzz,
    Made,
    MakeCase,
    Progress,
    RanAll,
    Stop,
)
from properties.fuzz.supervisor import MOST_KILLS, Gone, Supervisor
from properties.model.case import Case
from properties.model.failure import Failure, FailureKind
from properties.shrink.avoid import Avoided
from properties.shrink.reducer import Judgement, Shrunk, fails_like, shrink

_SHRINK_STALL_SECONDS = 3.0
"""A candidate of the shrinker that makes no progress for so many seconds counts as hanging."""
_DEATH_PATIENCE = 4
"""If each failing candidate kills a process, shrinking may take so many times as long."""


class Shard:
    """Programs ``next``, ``next + step`` and so on, to before ``stop``, in one worker."""

    def __init__(self, supervisor: Supervisor, *, first: int, stop: int | None, step: int) -> None:
        self.next = first
        self.is_running = False
        self.avoided: Avoided = frozenset()
        """What most programs leave out since the last ``begin``."""
        self.supervisor = supervisor
        self._stop = stop
        self._step = step
        self._is_told_to_stop = False
        self._kills: Counter[int] = Counter()
        """For each program, how often the worker was killed from outside while it ran."""

    @property
    def has_programs(self) -> bool:
        """Whether any program is left."""
        return self._stop is None or self.next < self._stop

    def begin(self, avoided: Avoided) -> None:
        """Start the worker, unless it runs already; most programs leave out what is ``avoided``."""
        if not self.is_running:
            self.avoided = avoided
            self.supervisor.ask(
                Fuzz(first=self.next, stop=self._stop, step=self._step, avoided=avoided)
            )
            self.is_running, self._is_told_to_stop = True, False

    def end(self) -> None:
        """Stop the worker after its current program."""
        if self.is_running and not self._is_told_to_stop:
            self.supervisor.ask(Stop())
            self._is_told_to_stop = True

    def tick(self, stall_seconds: float, wait_seconds: float) -> Answer | Gone | None:
        """The worker's next answer; None if there is none yet."""
        answer = self.supervisor.tick(stall_seconds, wait_seconds)
        match answer:
            case Progress():
                self.next = answer.number
            case FailedProgram():
                self.next, self.is_running = answer.number + self._step, False
            case RanAll() | Gone():
                self.is_running = False
        return answer

    def runs_again(self, gone: Gone) -> bool:
        """Whether to run the worker's last program again.

        True if the worker was killed from outside, unless that has happened several times at this
        program: then the program may be the reason.
        """
        self._kills[gone.number] += gone.was_killed
        return gone.was_killed and self._kills[gone.number] < MOST_KILLS

    def pass_over(self, gone: Gone) -> int:
        """Continue after the program at which the worker died.

        Returns how many programs are skipped: those that are in no tally.
        """
        passed = max(0, (gone.number - self.next) // self._step + 1)
        self.next += passed * self._step
        return passed

    def make(self, number: int, stall_seconds: float) -> Case:
        """The case of a program, without running it."""
        self.supervisor.ask(MakeCase(number=number, avoided=self.avoided))
        answer = self.supervisor.wait(stall_seconds)
        assert isinstance(answer, Made)
        return answer.case

    def judgement(
        self, stall_seconds: float, most_seconds: float = _SHRINK_STALL_SECONDS
    ) -> Judgement:
        """A function that judges a candidate in the worker.

        The candidate may stall for ``most_seconds`` only, and for no longer than ``stall_seconds``.
        """
        patience_seconds = min(stall_seconds, most_seconds)
        return lambda candidate: self.supervisor.judge(candidate, patience_seconds)

    def shrink(
        self,
        case: Case,
        failure: Failure,
        *,
        kernels: Kernels,
        seconds: float,
        stall_seconds: float,
    ) -> Shrunk | None:
        """The smallest case that fails in the same way; None if ``case`` passes when run again.

        A fresh worker runs the case, since the failure may have harmed the device of the worker
        that met it.  Shrinking an abort or a hang may take longer than ``seconds``.
        """
        self.supervisor.stop()
        judgement = self.judgement(stall_seconds)
        if failure.kind is FailureKind.COST:
            # Executed lines are counted, which is slow.
            judgement = self.judgement(stall_seconds, stall_seconds)
        if failure.kind in (FailureKind.ABORT, FailureKind.HANG):
            seconds *= _DEATH_PATIENCE
            case = _cut(case, failure, judgement)
        return shrink(case, failure, judgement, kernels=kernels, seconds=seconds)


def _cut(case: Case, failure: Failure, judgement: Judgement) -> Case:
    """``case`` without the ops after the one that ended the process, if it then fails as before."""
    if not 0 <= failure.position < len(case.program) - 1 or case.transformations:
        return case
    ops = case.program.ops[: failure.position + 1]
    cut = replace(case, program=Program(ops))
    return cut if fails_like(cut, failure, judgement) else case
