"""Targets in another process, for runtimes in any language.

A target process is started, asked line by line, and ended.  Each op is a line.  Nothing here knows
what an op means.
"""

import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread

from gpusim.errors import GpusimError, NoDevice
from gpusim.kernels import BUILTIN, Kernels
from gpusim.ops import Op, Read
from gpusim.text import write_op
from gpusim.trace import Trace
from properties.model.case import Case
from properties.model.target import Delivery
from properties.targets.factory import Opened, TargetFactory
from properties.targets.wire import (
    AWAIT,
    CLOSE,
    OPEN,
    READY,
    Failed,
    Ok,
    Raised,
    Ready,
    TargetFailed,
    Value,
    exception_of,
    parse_answer,
    parse_ready,
    write_hello,
)

_LAST_WORDS = 3
_END_SECONDS = 2.0
"""How long a process may take to end by itself, once its input is closed or it failed."""
_LOOK_SECONDS = 1.0
"""How often a process that is waited for is checked to be alive."""


class TargetProcess:
    """The process of a command, line by line.

    A thread reads its lines, since not every system can wait for a pipe with a timeout.
    """

    def __init__(self, command: Sequence[str]) -> None:
        pipe = subprocess.PIPE
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by ``end``
        try:
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self._stderr)
        except OSError:
            self._stderr.close()
            raise
        self._last_line = ""
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._reader = Thread(target=self._pump, daemon=True)
        self._reader.start()

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def tell(self, line: str) -> None:
        """Send one line; TargetFailed where the process no longer reads."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._gone() from None

    def hear(self, patience_seconds: float | None = None) -> str:
        """The next line, without its newline; waits for ``patience_seconds``, or for ever.

        Raises:
            TargetFailed: no line comes, or none in time; a process that is late is killed.
        """
        line = self._next_line(patience_seconds)
        if line is None:
            raise self._gone()
        self._last_line = line.decode(errors="replace").rstrip("\r\n")
        return self._last_line

    def end(self) -> None:
        """Close the input, let the process end by itself, or kill it; later calls do nothing."""
        if self._stderr.closed:
            return
        assert self._process.stdin is not None
        with suppress(OSError):
            # The process may never have read the last lines.
            self._process.stdin.close()
        self._wait_for_end()
        # Its child processes may hold its output open, for which the reader waits.
        self._reader.join(_END_SECONDS)
        self._stderr.close()

    def _pump(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self._lines.put(line)
        self._lines.put(None)

    def _next_line(self, patience_seconds: float | None) -> bytes | None:
        """The next line; None where none will come."""
        until = None if patience_seconds is None else time.monotonic() + patience_seconds
        while True:
            left = _LOOK_SECONDS if until is None else until - time.monotonic()
            # Its child processes may hold its output open, so that it never ends.
            has_ended = not self.is_alive
            try:
                return self._lines.get(timeout=max(0.0, min(left, _LOOK_SECONDS)))
            except Empty:
                if has_ended:
                    return None
                if left <= 0.0:
                    break
        self._process.kill()
        raise TargetFailed(
            f"no line came from the target for {patience_seconds:.2g} s{self._last_words()}"
        )

    def _wait_for_end(self) -> bool:
        """Whether the process ends by itself; otherwise it is killed."""
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return False
        return True

    def _gone(self) -> TargetFailed:
        if not self._wait_for_end():
            return TargetFailed(f"the target closed its input or output{self._last_words()}")
        code = self._process.returncode
        cause = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return TargetFailed(f"the process of the target ended by {cause}{self._last_words()}")

    def _last_words(self) -> str:
        """The last that it printed, to its output and then to its errors."""
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").splitlines()
        said = [line.strip() for line in lines if line.strip()][-_LAST_WORDS:]
        words = [f"its last line was {self._last_line!r}"] if self._last_line else []
        return "".join(f"; {one}" for one in [*words, " / ".join(said)] if one)


class ProcessTarget:
    """The target that ``process`` serves, for one program.

    Raises the errors that the process answers, and ``TargetFailed`` where there is no
    answer, or none that can be read.  It waits without a limit; the session ends a
    target that hangs.
    """

    def __init__(self, process: TargetProcess, ready: Ready) -> None:
        self.capabilities, self.limits = ready.capabilities, ready.limits
        self._process = process
        self._reads: dict[str, _Read] = {}
        self._is_open = False
        self._broken: TargetFailed | None = None
        """Why the process can no longer be used; None while it can."""

    def perform(self, op: Op) -> Delivery | None:
        """Send the op, and take its answer."""
        if not isinstance(op, Read):
            self._ask(write_op(op))
            return None
        read = self._reads[op.result] = _Read(lambda: self._ask(f"{AWAIT} {op.result}"))
        self._ask(write_op(op))
        return read

    def close(self) -> None:
        self._ask(CLOSE)

    def _ask(self, line: str) -> None:
        """Send a line, and take its answers up to its own outcome.

        The first line of a program opens it, so that an error in that becomes the
        outcome of an op.
        """
        if not self._is_open:
            self._is_open = True
            self._ask(OPEN)
        raised = self._exchange(line)
        if raised is not None:
            raise exception_of(raised.error, raised.message)

    def _exchange(self, line: str) -> Raised | None:
        """Send a line, and take its answers; gives the error that it was answered with.

        A process that fails to answer is ended, since its state is unknown.
        """
        if self._broken is not None:
            raise self._broken
        try:
            self._process.tell(line)
            while True:
                match parse_answer(self._process.hear()):
                    case Value(result, data):
                        self._read_of(result).settle(data)
                    case Failed(result, error, message):
                        self._read_of(result).settle(exception_of(error, message))
                    case Raised() as raised:
                        return raised
                    case Ok():
                        return None
        except TargetFailed as failure:
            self._broken = failure
            self._process.end()
            raise

    def _read_of(self, result: str) -> "_Read":
        read = self._reads.get(result)
        if read is None:
            raise TargetFailed(f"the target delivered {result}, but no read of that name was sent")
        return read


class _Read:
    """A pending read of the other process."""

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask
        self._outcome: bytes | Exception | None = None
        self._callbacks: list[Callable[[Delivery], None]] = []

    def settle(self, outcome: bytes | Exception) -> None:
        """Take the value; a second value is delivered again, so that the judge sees it."""
        self._outcome = outcome
        for callback in self._callbacks:
            callback(self)

    def result(self) -> bytes:
        """See ``Delivery``."""
        if self._outcome is None:
            self._ask()
        if self._outcome is None:
            raise TargetFailed("the target answered a wait for a read without its value")
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    def add_done_callback(self, callback: Callable[[Delivery], None]) -> None:
        """See ``Delivery``."""
        self._callbacks.append(callback)
        if self._outcome is not None:
            callback(self)


START_SECONDS = 60.0
"""How long a process may take to get ready."""


class ProcessFactory(TargetFactory):
    """The targets that the process of ``command`` serves, one for each program.

    A process that died or went silent is replaced by a new one for the next program.

    Raises:
        NoDevice: the command does not start, or does not get ready.
    """

    def __init__(self, device: str, kernels: Kernels = BUILTIN, *, command: str) -> None:
        self.kernels = kernels
        self._hello = write_hello(device, kernels.values())
        self._command = command
        self._process, self._ready = self._start()
        self.limits, self.capabilities = self._ready.limits, self._ready.capabilities
        self.description = self._ready.description or command

    def open(self, case: Case) -> Opened:
        """The target of a new program, without a trace."""
        if not self._process.is_alive:
            self._process.end()
            self._process, self._ready = self._start()
        return Opened(target=ProcessTarget(self._process, self._ready), trace=Trace())

    def close(self) -> None:
        """End the process; without it, it ends with the session's process."""
        self._process.end()

    def _start(self) -> tuple[TargetProcess, Ready]:
        try:
            process = TargetProcess(shlex.split(self._command))
        except (OSError, ValueError) as error:
            raise self._useless(error) from None
        try:
            process.tell(self._hello)
            return process, parse_ready(_ready_line(process))
        except (GpusimError, TargetFailed) as error:
            process.end()
            raise self._useless(error) from None

    def _useless(self, error: Exception) -> NoDevice:
        return NoDevice(
            f"cannot judge {self._command!r} because it does not get ready (probably it is to be "
            f"started in another way): {error}"
        )


def _ready_line(process: TargetProcess) -> str:
    """The line that says that the process is ready; other output does not extend the time."""
    until = time.monotonic() + START_SECONDS
    while (line := process.hear(max(0.0, until - time.monotonic()))).split()[:1] != [READY]:
        if time.monotonic() > until:
            raise TargetFailed(f"it printed other lines, but in {START_SECONDS:g} s no {READY!r}")
    return line
