"""A process that serves a target: started, spoken to, ended.  What is said means nothing here."""

import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread

from properties.targets.wire import TargetFailed

_LAST_WORDS = 3
_END_SECONDS = 2.0
"""How long it may take to end by itself, once nobody speaks to it or it does not listen."""
_LOOK_SECONDS = 1.0
"""How often it is seen to that it lives while it is waited for."""


class TargetProcess:
    """The process of a command, line by line.

    A thread of its own reads the lines, since not every system can wait for a
    pipe for a limited time.
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
        """Whether it has not ended."""
        return self._process.poll() is None

    def tell(self, line: str) -> None:
        """Send one line; TargetFailed where nobody is there to read it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._gone() from None

    def hear(self, patience_seconds: float | None = None) -> str:
        """The next line, without its newline, however long it takes or for so long.

        Raises:
            TargetFailed: there is none, or none comes in time, and then it is killed.
        """
        line = self._next_line(patience_seconds)
        if line is None:
            raise self._gone()
        self._last_line = line.decode(errors="replace").rstrip("\r\n")
        return self._last_line

    def end(self) -> None:
        """Let it end by itself, now that nobody speaks to it, and see that it does; once."""
        if self._stderr.closed:
            return
        assert self._process.stdin is not None
        with suppress(OSError):
            # What it was told last may never have been read.
            self._process.stdin.close()
        self._wait_for_end()
        # What it has started may hold its output open, and the reader waits for that.
        self._reader.join(_END_SECONDS)
        self._stderr.close()

    def _pump(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self._lines.put(line)
        self._lines.put(None)

    def _next_line(self, patience_seconds: float | None) -> bytes | None:
        """The next line, or None where none will come."""
        until = None if patience_seconds is None else time.monotonic() + patience_seconds
        while True:
            left = _LOOK_SECONDS if until is None else until - time.monotonic()
            # What it has started may hold its output open, so that it has no end.
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
        """Whether it ends by itself; it has ended after that, one way or the other."""
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
        """What it said last: on its output, then on its errors."""
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").splitlines()
        said = [line.strip() for line in lines if line.strip()][-_LAST_WORDS:]
        words = [f"its last line was {self._last_line!r}"] if self._last_line else []
        return "".join(f"; {one}" for one in [*words, " / ".join(said)] if one)
