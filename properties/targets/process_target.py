"""A target in another process: each op is a line to it.  Nothing here knows what an op means."""

from collections.abc import Callable

from gpusim.ops import Op, Read
from gpusim.text import write_op
from properties.model.target import Delivery
from properties.targets.target_process import TargetProcess
from properties.targets.wire import (
    AWAIT,
    CLOSE,
    OPEN,
    Failed,
    Ok,
    Raised,
    Ready,
    TargetFailed,
    Value,
    exception_of,
    parse_answer,
)


class ProcessTarget:
    """The target that ``process`` serves, from the opening of a program to its close.

    Raises what the process answers, and ``TargetFailed`` where that is no
    answer, or there is none.  It waits for an answer as long as it takes: what is
    too long is the session's to say.
    """

    def __init__(self, process: TargetProcess, ready: Ready) -> None:
        self.capabilities, self.limits = ready.capabilities, ready.limits
        self._process = process
        self._reads: dict[str, _Read] = {}
        self._is_open = False
        self._broken: TargetFailed | None = None
        """Why nothing that the process says is of use any more."""

    def perform(self, op: Op) -> Delivery | None:
        """Send the op, and take what it is answered."""
        if not isinstance(op, Read):
            self._ask(write_op(op))
            return None
        read = self._reads[op.result] = _Read(lambda: self._ask(f"{AWAIT} {op.result}"))
        self._ask(write_op(op))
        return read

    def close(self) -> None:
        self._ask(CLOSE)

    def _ask(self, line: str) -> None:
        """Send a line and take what it is answered, up to its own outcome.

        A program is opened by its first line, so that what goes wrong in that
        shows as what became of an op.
        """
        if not self._is_open:
            self._is_open = True
            self._ask(OPEN)
        raised = self._exchange(line)
        if raised is not None:
            raise exception_of(raised.error, raised.message)

    def _exchange(self, line: str) -> Raised | None:
        """The same; the error that the line was answered with.

        A process that gives no answer is ended, since nobody knows where it is then.
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
            raise TargetFailed(f"the target delivered {result}, which nobody has read")
        return read


class _Read:
    """A read on its way from the other process."""

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask
        self._outcome: bytes | Exception | None = None
        self._callbacks: list[Callable[[Delivery], None]] = []

    def settle(self, outcome: bytes | Exception) -> None:
        """It has arrived; once more where the target says so twice, for the judge to see."""
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
