"""One worker of a session, and the programs that are its own: every so many-th of them.

A lane runs programs and says what came of them.  What that means for the
session is the session's business.
"""

from gpusim.kernels import Kernels
from properties.model.case import Case
from properties.model.failure import Failure
from properties.session.messages import (
    Answer,
    FailedProgram,
    Fuzz,
    Made,
    MakeCase,
    Progress,
    RanAll,
    Stop,
)
from properties.session.supervisor import Gone, Supervisor
from properties.shrinking import shrink

_SHRINK_STALL_SECONDS = 5.0
"""How long a candidate may stand still; what a hang is was decided before."""


class Lane:
    """Programs ``next``, ``next + step`` and so on, up to but not ``stop``, in one worker."""

    def __init__(self, supervisor: Supervisor, *, first: int, stop: int | None, step: int) -> None:
        self.next = first
        self.is_running = False
        self._supervisor = supervisor
        self._stop = stop
        self._step = step
        self._is_told_to_stop = False

    @property
    def has_programs(self) -> bool:
        """Whether one is left that was not run."""
        return self._stop is None or self.next < self._stop

    def begin(self) -> None:
        """Let the worker run on, where it does not already."""
        if not self.is_running:
            self._supervisor.ask(Fuzz(first=self.next, stop=self._stop, step=self._step))
            self.is_running, self._is_told_to_stop = True, False

    def end(self) -> None:
        """Have it stop after the program that it runs."""
        if self.is_running and not self._is_told_to_stop:
            self._supervisor.ask(Stop())
            self._is_told_to_stop = True

    def tick(self, stall_seconds: float, wait_seconds: float) -> Answer | Gone | None:
        """What the worker says next, or None for now."""
        answer = self._supervisor.tick(stall_seconds, wait_seconds)
        match answer:
            case Progress():
                self.next = answer.number
            case FailedProgram() | RanAll() | Gone():
                self.is_running = False
        return answer

    def pass_over(self, gone: Gone) -> int:
        """Go on behind the program that the worker died of; how many were not told of before."""
        passed = max(0, (gone.number - self.next) // self._step + 1)
        self.next += passed * self._step
        return passed

    def make(self, number: int, stall_seconds: float) -> Case:
        """The case of a program, without running it."""
        self._supervisor.ask(MakeCase(number=number))
        answer = self._supervisor.wait(stall_seconds)
        assert isinstance(answer, Made)
        return answer.case

    def shrink(
        self,
        case: Case,
        failure: Failure,
        *,
        kernels: Kernels,
        seconds: float,
        stall_seconds: float,
    ) -> tuple[Case, Failure] | None:
        """The smallest case that fails in the same way; None where ``case`` does not again.

        The worker that met it is not asked: its device may have been harmed.
        """
        self._supervisor.stop()
        patience_seconds = min(stall_seconds, _SHRINK_STALL_SECONDS)

        def judgement(candidate: Case) -> Failure | None:
            return self._supervisor.judge(candidate, patience_seconds)

        return shrink(case, failure, judgement, kernels=kernels, seconds=seconds)
