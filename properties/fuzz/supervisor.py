"""A worker process seen from the engine: it is started, asked, watched and ended here.

The death or hang of a worker becomes an answer like any other.  A shard is one worker with its
programs, every so many-th of the session.  The engine decides what an answer means; nothing here
does.
"""

import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from threading import current_thread, main_thread
from types import TracebackType
from typing import Any, Self

from gpusim.errors import InternalError, NoDevice
from gpusim.kernels import Kernels
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
    Progress,
    RanAll,
    Ready,
    Request,
    Setup,
    Stop,
)
from properties.fuzz.worker import work
from properties.model.case import Case
from properties.model.failure import Failure, FailureKind
from properties.shrink.reducer import shrink

_START_SECONDS = 120.0
TICK_SECONDS = 0.1
_LAST_WORDS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Gone:
    """The worker has ended: it died (``abort``), or was killed because it hung (``hang``).

    ``number``: the program that it had published.  ``trait``: how it ended.
    ``words``: the last lines that it printed.
    """

    kind: FailureKind
    trait: str
    number: int
    words: str

    def __str__(self) -> str:
        end = f"ended by {self.trait}" if self.trait else "stood still"
        return f"{end}: {self.words}" if self.words else end

    @property
    def failure(self) -> Failure:
        """The failure of the program that it ran."""
        return Failure(kind=self.kind, trait=self.trait, reason=f"the process that ran it {self}")


class Supervisor:
    """Owns one worker; the next ``ask`` after its death starts another."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        # A forked child that uses a real device hangs.
        self._context = multiprocessing.get_context("spawn")
        self._published: Any = self._context.RawArray("Q", 2)
        self._folder = tempfile.TemporaryDirectory(prefix="gpusim-session-")
        self._stderr = Path(self._folder.name) / "stderr"
        self._process: Any = None
        self._connection: Any = None
        self._begun = 0
        self._moved = 0.0

    def start(self) -> Ready:
        """A fresh worker with its device; raises as ``ready`` does."""
        self.launch()
        return self.ready()

    def launch(self) -> None:
        """Begin a fresh worker, without waiting until it has its device."""
        self.stop()
        self._stderr.write_bytes(b"")
        ours, theirs = self._context.Pipe()
        process: Any = self._context.Process(
            target=work,
            args=(self._setup, theirs, self._published, str(self._stderr)),
            daemon=True,
        )
        with _interrupts_held():
            process.start()
            self._process, self._connection = process, ours
        theirs.close()

    def ready(self) -> Ready:
        """Wait until a launched worker has its device; its answer.

        Raises:
            NoDevice: there is none, or the worker dies before it has one.
        """
        answer = self.wait(_START_SECONDS)
        if isinstance(answer, Ready):
            return answer
        self.stop()
        if isinstance(answer, CannotRun):
            raise NoDevice(answer.reason)
        raise NoDevice(
            f"cannot judge {self._setup.target!r} on device {self._setup.device!r} because the "
            f"process for that {answer} (probably the driver is broken, or what is judged)"
        )

    def ask(self, request: Request) -> None:
        """Send a request; start a worker where none runs."""
        if self._process is None:
            self.start()
        self._moved = time.monotonic()
        # A worker that has died answers with its death.
        with suppress(ConnectionError):
            self._connection.send(request)

    def wait(self, stall_seconds: float) -> Answer | Gone:
        """The next answer; it may take any time as long as programs make progress."""
        self._moved = time.monotonic()
        while (answer := self.tick(stall_seconds)) is None:
            pass
        return answer

    def tick(
        self, stall_seconds: float, wait_seconds: float = TICK_SECONDS
    ) -> Answer | Gone | None:
        """The next answer, or None where it does not come in ``wait_seconds``.

        A worker that has begun no program for ``stall_seconds`` is killed.

        Raises:
            InternalError: the judge failed in the worker.
        """
        try:
            if self._connection.poll(wait_seconds):
                answer: Answer = self._connection.recv()
                self._moved = time.monotonic()
                return _checked(answer)
        except (EOFError, ConnectionError):
            return self._bury()
        begun, now = self._published[1], time.monotonic()
        if begun != self._begun:
            self._begun, self._moved = begun, now
        if now - self._moved < stall_seconds:
            return None
        number = self._published[0]
        self.stop()
        return Gone(
            kind=FailureKind.HANG,
            trait="",
            number=number,
            words=f"no progress in {stall_seconds:g} s",
        )

    def judge(self, case: Case, stall_seconds: float) -> Failure | None:
        """The failure of one case in the worker; the worker's death is a failure too."""
        self.ask(JudgeCase(case=case))
        answer = self.wait(stall_seconds)
        if isinstance(answer, Gone):
            return answer.failure
        assert isinstance(answer, Judged)
        return answer.failure

    def stop(self) -> None:
        """Kill the worker, if there is one, and all processes that it started."""
        if self._process is None:
            return
        if os.name != "nt":
            # A new worker has no group yet; a dead one may have left processes in its group.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.join()
        self._connection.close()
        self._process = self._connection = None

    def close(self) -> None:
        """Kill the worker, and remove its files."""
        self.stop()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _bury(self) -> Gone:
        self._process.join()
        code, number = self._process.exitcode, self._published[0]
        self.stop()
        return Gone(
            kind=FailureKind.ABORT, trait=_cause(code), number=number, words=self._last_words()
        )

    def _last_words(self) -> str:
        text = self._stderr.read_text(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return " / ".join(lines[-_LAST_WORDS:])


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Delay an interrupt until the process that starts in the block can ignore its own.

    A process that is interrupted while it starts prints a traceback.  It inherits that
    interrupts are blocked.
    """
    if os.name == "nt" or current_thread() is not main_thread():
        yield
        return
    came: list[int] = []
    ends = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(number, lambda number, _: came.append(number)) for number in ends]
    # Its start unblocks interrupts, so it comes before they are blocked.
    resource_tracker.ensure_running()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in zip(ends, handlers, strict=True):
            signal.signal(number, handler)
    for each in came:
        signal.raise_signal(each)


def _checked(answer: Answer) -> Answer:
    if isinstance(answer, Broken):
        raise InternalError(
            f"cannot judge program {answer.number} because the judge itself failed (please report "
            f"it):\n{answer.traceback}"
        )
    return answer


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


_SHRINK_STALL_SECONDS = 5.0
"""Seconds without progress that make a candidate hang, while a failure is shrunk."""


class Shard:
    """Programs ``next``, ``next + step`` and so on, to before ``stop``, in one worker."""

    def __init__(self, supervisor: Supervisor, *, first: int, stop: int | None, step: int) -> None:
        self.next = first
        self.is_running = False
        self._supervisor = supervisor
        self._stop = stop
        self._step = step
        self._is_told_to_stop = False

    @property
    def has_programs(self) -> bool:
        """Whether any program is left."""
        return self._stop is None or self.next < self._stop

    def begin(self) -> None:
        """Start the worker, unless it runs already."""
        if not self.is_running:
            self._supervisor.ask(Fuzz(first=self.next, stop=self._stop, step=self._step))
            self.is_running, self._is_told_to_stop = True, False

    def end(self) -> None:
        """Stop the worker after its current program."""
        if self.is_running and not self._is_told_to_stop:
            self._supervisor.ask(Stop())
            self._is_told_to_stop = True

    def tick(self, stall_seconds: float, wait_seconds: float) -> Answer | Gone | None:
        """The worker's next answer; None where there is none yet."""
        answer = self._supervisor.tick(stall_seconds, wait_seconds)
        match answer:
            case Progress():
                self.next = answer.number
            case FailedProgram() | RanAll() | Gone():
                self.is_running = False
        return answer

    def pass_over(self, gone: Gone) -> int:
        """Continue after the program at which the worker died; gives how many are uncounted."""
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
        """The smallest case that fails in the same way; None where ``case`` passes when run again.

        A fresh worker runs it, since the device of the one that met it may be harmed.
        """
        self._supervisor.stop()
        patience_seconds = min(stall_seconds, _SHRINK_STALL_SECONDS)

        def judgement(candidate: Case) -> Failure | None:
            return self._supervisor.judge(candidate, patience_seconds)

        return shrink(case, failure, judgement, kernels=kernels, seconds=seconds)
