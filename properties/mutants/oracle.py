"""What an oracle is to a mutant, and how long a program may take before it hangs."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gpusim.kernels import Kernels
from properties.model.case import Case
from properties.model.failure import Failure, FailureKind
from properties.mutants.mutant import Mutant

Judgement = Callable[[Case], Failure | None]

PATIENCE_SECONDS = 5.0
"""How long a program may take before it counts as hanging."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Oracle:
    """A way to find what is wrong, by name.

    It is opened once for a mutant, a device and kernels; what comes out is a
    function from a case to its failure.
    """

    name: str
    open: Callable[[Mutant, str, Kernels], Judgement]


class _Hang(BaseException):
    """No Exception, so that nothing in between takes it for a failing op."""


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    def ring(number: int, frame: Any) -> None:
        raise _Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def within(seconds: float, judgement: Judgement) -> Judgement:
    """``judgement``, with a hang as one more failure; for the main thread only."""

    def judged(case: Case) -> Failure | None:
        try:
            with _patience(seconds):
                return judgement(case)
        except _Hang:
            return Failure(kind=FailureKind.HANG, reason=f"no end after {seconds} seconds")

    return judged
