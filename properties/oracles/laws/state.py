"""The state of a trace so far: buffers, names, and ops that wait for their submit.

Every law reads the state.  The laws see an event before the state is updated with it.  Only when an
op or the close begins, and when a driver call fails, is the state updated first.  Nothing is judged
here.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from gpusim.errors import DeviceLost
from gpusim.ops import Alloc, Capture, Free, Op
from gpusim.runtime.commands import Role
from gpusim.runtime.policy import Uniforms
from gpusim.trace import Event
from properties.model.failure import Failure
from properties.oracles.laws.catalogue import LAWS, Law, LawContext, broken
from properties.oracles.laws.expected import (
    STORAGE,
    UNIFORM,
    ExpectedDispatch,
    ExpectedOp,
    Known,
    expect,
)

About = Mapping[str, Any]
Handler = Callable[[About], None]
_LAW_NAMES = tuple(law.name for law in LAWS)
MOST_VIOLATIONS = 16
"""The most violations that are reported; the first is the most telling."""


def accepted(kind: type[Op]) -> str:
    """The key under which a handler gets the outcomes of accepted ops of ``kind``."""
    return f"accepted {kind.__name__}"


class TraceState:
    """The state of one trace, and where violations are reported."""

    def __init__(self, context: LawContext) -> None:
        self.context = context
        self.policy = context.policy
        self.violations: list[Failure] = []
        self.checked = dict.fromkeys(_LAW_NAMES, 0)
        """How often each law checked something, by its name."""
        self.driver_events: list[Event] = []
        """The driver's events since the current op began."""
        self.position = -1
        self.op: Op | None = None
        self.expected_ops: tuple[ExpectedOp, ...] = ()
        """What the current op must do to the queue."""
        self.expected: ExpectedOp | None = None
        """The expected op of the current op; None if there is none, or if a replay has several."""
        self.is_closing = False
        self.buffers: dict[int, Known] = {}
        self.live: dict[int, Known] = {}
        self.names: dict[str, Known] = {}
        """The user's live buffers."""
        self.graphs: dict[str, Capture] = {}
        """The captures, by the name of their graph."""
        self.open: deque[ExpectedOp] = deque()
        """Expected ops that were not submitted yet."""
        self.batch: list[tuple[str, About]] = []
        """Commands of the open encoder: the kind and the details of each."""
        self.runs: list[tuple[ExpectedDispatch, About]] = []
        """Dispatches of the batch that is being submitted, with their ops."""
        self.carried: list[tuple[ExpectedOp, int]] = []
        """Expected ops that the current submit completes, and for each the index in the batch of
        the command that completes it."""
        self.unasked: tuple[int, ExpectedOp | None] | None = None
        """If the first violation is a command that no op asked for: the index of the command in
        its batch, and the op that the command resembles."""
        self.fetches: dict[str, int] = {}
        """The staging buffer of each read that was submitted, by result."""
        self.submits = 0
        self.owes_submit = False
        """Whether a queued host write waits for a submit to start it."""
        self._owed_submit = False
        """``owes_submit`` before the last write or submit, restored if that call fails."""
        self.failed_verb = ""
        """The verb of the driver that failed during the current op."""
        self.has_lost_batch = False
        """Whether the last failure lost the open batch."""
        self.failures = 0
        self.is_lost = self.was_lost = False
        """Whether the device is lost, and whether it was lost when the current op began."""
        self.made: Known | None = None
        """The storage buffer that was made last during the current op."""

    def first(self) -> Mapping[str, Handler]:
        """The handlers that run before the laws'."""
        return {"op": self._op, "failed": self._failed, "close": self._close}

    def last(self) -> Mapping[str, Handler]:
        """The handlers that run after the laws'."""
        return {
            "create_buffer": self._create,
            "destroy_buffer": self._destroy,
            "write_buffer": self._write,
            "submit": self._submit,
            "outcome": self._outcome,
        }

    def report(self, law: Law, argument: str) -> None:
        """Note that a law is broken."""
        if len(self.violations) < MOST_VIOLATIONS:
            self.violations.append(broken(law, self.position, self.op, argument))

    def name_of(self, number: int) -> str:
        """A buffer's name in the program, or its number on the device."""
        for name, known in self.names.items():
            if known.number == number:
                return name
        known_here = self.buffers.get(number)
        return f"{known_here.role} buffer {number}" if known_here else f"buffer {number}"

    def _op(self, about: About) -> None:
        self.driver_events.clear()
        self.position, self.op = about["position"], about["op"]
        self.failed_verb = ""
        self.was_lost = self.is_lost
        self.made = None
        self.expected_ops = expected_ops = expect(
            self.position, self.op, self.names, self.graphs, self.context.kernel
        )
        self.expected = expected_ops[0] if len(expected_ops) == 1 else None
        self.open += expected_ops

    def _close(self, about: About) -> None:
        self.position += 1
        self.op, self.expected_ops, self.expected = None, (), None
        self.failed_verb = ""
        self.is_closing = True

    def _failed(self, about: About) -> None:
        self.failed_verb = about["verb"]
        self.failures += 1
        if self.failed_verb in ("submit", "write_buffer"):
            self.owes_submit = self._owed_submit
        if about["error"] == DeviceLost.__name__:
            self.is_lost = True
        self.has_lost_batch = self.is_lost or self._loses_batch()
        if self.has_lost_batch:
            self.batch = []
            self.open.clear()

    def _loses_batch(self) -> bool:
        """Whether the failure lost the open batch.

        A batch's uniforms and uploads are written right before its submit, so the batch is lost if
        a write of uniforms or uploads fails.
        """
        if self.failed_verb != "write_buffer":
            return self.failed_verb in ("encode", "submit")
        driver_events = (
            event for event in reversed(self.driver_events) if event.kind == "write_buffer"
        )
        role = next((event["role"] for event in driver_events), STORAGE)
        is_ring = self.policy.uniforms is Uniforms.RING
        return role == Role.UPLOAD.value or (role == UNIFORM and is_ring)

    def _create(self, about: About) -> None:
        number = about["buffer"]
        known = Known(number, about["role"], about["size_bytes"], self.position)
        self.buffers[number] = self.live[number] = known
        if known.role == STORAGE:
            self.made = known

    def _destroy(self, about: About) -> None:
        known = self.live.pop(about["buffer"], None)
        if known is not None:
            known.is_alive = False

    def _write(self, about: About) -> None:
        self._owed_submit = self.owes_submit
        known = self.buffers.get(about["buffer"])
        if known is None:
            return
        if known.content is not None:
            offset, data = about["offset"], about["data"]
            known.content[offset : offset + len(data)] = data
        elif known.role == STORAGE:
            self.owes_submit = True

    def _submit(self, about: About) -> None:
        self.batch = []
        self.submits += 1
        self._owed_submit, self.owes_submit = self.owes_submit, False

    def _outcome(self, about: About) -> None:
        op, self.expected_ops, self.expected = self.op, (), None
        if about["error"] is not None:
            return
        if type(op) is Alloc:
            if self.made is not None:
                self.made.user_bytes = op.size_bytes
                self.names[op.buffer] = self.made
        elif type(op) is Free:
            self.names.pop(op.buffer, None)
        elif type(op) is Capture:
            self.graphs[op.graph] = op
