"""A process that is driven line by line: starts it, sends lines, reads lines, and ends it.

Lines that are no answers are printed; the last of them is shown again if the target stops
answering.  Nothing here knows which lines are sent, or what an answer is for.
"""

import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread

from properties.targets.wire import Answer, Detail, TargetFailed, Told, parse_answer, parse_glued

_LAST_WORDS, _KEPT_LINES = 3, 60
"""How many of the last lines of the process's error output are shown, and how many are kept to be
searched for the name of an error."""
_NAMES_ERROR = re.compile(r"\b\w*(?:Error|Exception)\b.*:")
_END_SECONDS = 2.0
"""How long a process may take to end by itself, once its input is closed or it failed."""
_LOOK_SECONDS = 1.0
"""How often a wait checks that the process is alive, and how long ``is_silent`` waits."""


class TargetProcess:
    """A process, started by ``command``, to which lines are sent and whose lines are read.

    Threads read its lines, since not every system can wait for a pipe with a timeout.  Its
    error output, and output that is no answer, go to our error output too.
    """

    def __init__(self, command: Sequence[str]) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        self._last_line, self._last_stray = "", ""
        self._has_ended = False
        self._begun: set[str] = set()
        """Texts that were printed without a newline, so that an answer came on the same line."""
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._ahead: list[bytes | None] = []
        """The line, if any, that ``is_silent`` has read ahead; None stands for the end."""
        self._errors: deque[str] = deque(maxlen=_KEPT_LINES)
        self._readers = [Thread(target=read, daemon=True) for read in (self._pump, self._listen)]
        for reader in self._readers:
            reader.start()

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def tell(self, line: str) -> None:
        """Send one line; TargetFailed if the process no longer reads."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._gone() from None

    def hear(self, patience_seconds: float | None = None) -> str:
        """The next line, without its newline; with ``patience_seconds``, wait no longer than that.

        Raises:
            TargetFailed: no line will come, or none comes in time; then the process is killed.
        """
        line = self._next_line(patience_seconds)
        if line is None:
            raise self._gone()
        self._last_line = line.decode(errors="replace").rstrip("\r\n")
        return self._last_line

    def hear_answer(self) -> Answer | Detail | Told | None:
        """The next line as an answer; None if the line is no answer.

        A line may hold an answer after text that a library printed without a newline.  If it may
        just as well be text that only ends like an answer, it counts as an answer in two cases:
        an answer has followed the same text in an earlier line, or no further line comes soon.
        """
        line = self.hear()
        answer = parse_answer(line)
        glued = parse_glued(line) if answer is None else None
        if glued is None:
            if answer is None:
                self.leave(line)
            return answer
        if glued.is_certain or glued.before in self._begun or self.is_silent():
            self._begun.add(glued.before)
            return glued.answer
        self.leave(line)
        return None

    def is_silent(self) -> bool:
        """Whether no line comes for a short time."""
        with suppress(Empty):
            self._ahead = self._ahead or [self._lines.get(timeout=_LOOK_SECONDS)]
        return self._ahead in ([], [None])

    def leave(self, stray: str) -> None:
        """Print a line that is no answer; the last one is shown if the target stops answering."""
        if stray.strip():
            self._last_stray = stray
            print(f"output of the target: {stray}", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Close the input, and kill the process if it does not end by itself.

        Later calls do nothing.
        """
        if self._has_ended:
            return
        self._has_ended = True
        assert self._process.stdin is not None
        with suppress(OSError):
            # The last lines sent may never have been read.
            self._process.stdin.close()
        self._wait_for_end()
        # The readers wait for the end of its output, which its child processes may hold open.
        for reader in self._readers:
            reader.join(_END_SECONDS)

    def _pump(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self._lines.put(line)
        self._lines.put(None)

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as errors:
            for line in errors:
                text = line.decode(errors="replace").rstrip()
                if text:
                    self._errors.append(text.strip())
                    print(text, file=sys.stderr, flush=True)

    def _next_line(self, patience_seconds: float | None) -> bytes | None:
        """The next line; None if none will come, TargetFailed if none comes in time."""
        if self._ahead:
            return self._ahead.pop()
        until = None if patience_seconds is None else time.monotonic() + patience_seconds
        while True:
            left = _LOOK_SECONDS if until is None else until - time.monotonic()
            # Child processes of the target may hold its output open, so that the end of the output
            # never comes.  So the end of the process counts.
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
        """Wait for the end, or kill the process.  Returns whether it ended by itself."""
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
        """The last lines that the process printed, to its output and then to its error output."""
        self._readers[1].join(_END_SECONDS)
        errors = list(self._errors)
        # The line above a stack trace, which names the error, says more than the trace's end.
        named = [line for line in errors[:-_LAST_WORDS] if _NAMES_ERROR.search(line)][-1:]
        words = [f"its last line was {self._last_line[:200]!r}"] if self._last_line else []
        if self._last_stray not in ("", self._last_line):
            words.append(f"before that it printed {self._last_stray[:200]!r}, which is no answer")
        said = " / ".join([*named, *errors[-_LAST_WORDS:]])
        return "".join(f"; {one}" for one in [*words, said] if one)
