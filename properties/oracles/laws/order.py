"""Laws of order: the queue gets what the ops asked for, once and in their order.

A host write, which acts on the queue at once, never overtakes a recorded command.
"""

from collections.abc import Mapping

from gpusim.limits import WORD_BYTES
from gpusim.ops import HOST_WRITES, Alloc, Flush, Replay, Sync
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import (
    STORAGE,
    ExpectedCopy,
    ExpectedDispatch,
    ExpectedIndirect,
    ExpectedOp,
    ExpectedRead,
    ExpectedWrite,
    least_piece_bytes,
)
from properties.oracles.laws.matching import (
    Command,
    ReadPiece,
    blame,
    command_of,
    inside_bytes,
    is_dispatch,
    meet,
    meets,
    resembles,
    write_fault,
)
from properties.oracles.laws.state import About, Handler, TraceState, accepted

_MOST_SHOWN = 8
"""The most bytes of a host write that are shown."""
UNASKED = "no op asked for it"
NOT_MEANT = "and is not what that op means"
"""Ends the report of a command that is a wrong part of its op."""
_LAW_OF = {
    ExpectedDispatch: laws.E5,
    ExpectedIndirect: laws.E5,
    ExpectedCopy: laws.A5,
    ExpectedWrite: laws.A3,
    ExpectedRead: laws.A1,
}
"""For each kind of expected op, the law that its commands are checked by."""


class Order:
    """Compares each submitted command with the first op that waits for one."""

    def __init__(self, state: TraceState) -> None:
        self._state = state
        self._index = 0
        """The index of the current command in the batch."""

    def handlers(self) -> Mapping[str, Handler]:
        """See ``Watcher``."""
        return {
            "dispatch": self._dispatch,
            "copy": self._copy,
            "submit": self._submit,
            "write_buffer": self._write,
            "raised": self._raised,
            **{accepted(kind): self._wrote for kind in HOST_WRITES},
            accepted(Flush): self._flushed,
            accepted(Sync): self._flushed,
        }

    def _dispatch(self, about: About) -> None:
        self._state.batch.append(("dispatch", about))

    def _copy(self, about: About) -> None:
        self._state.batch.append(("copy", about))

    def _submit(self, about: About) -> None:
        state = self._state
        state.runs, state.carried = [], []
        state.checked["C1"] += len(state.batch)
        for self._index, (kind, command) in enumerate(state.batch):
            if kind != "dispatch" or not self._meet_dispatch(command):
                self._meet(command_of(kind, command, state))

    def _meet_dispatch(self, about: About) -> bool:
        """Note the dispatch if it is what the first waiting op asks for; returns whether it is.

        This is the common case, so it is tried first.
        """
        state = self._state
        expected = state.open[0] if state.open else None
        if not isinstance(expected, ExpectedDispatch) or not is_dispatch(expected, about):
            return False
        expected.started = True
        state.open.popleft()
        state.runs.append((expected, about))
        state.carried.append((expected, self._index))
        state.checked["E5"] += 1
        return True

    def _meet(self, command: Command) -> None:
        state, waiting = self._state, self._state.open
        while waiting and waiting[0].optional and not meets(waiting[0], command, state):
            waiting.popleft()
        for expected in waiting:
            if not meets(expected, command, state):
                continue
            if expected is not waiting[0]:
                self._overtook(expected, command)
            elif expected.optional:
                self._excuse_alike(command)
            self._carry_out(expected, command)
            return
        if not self._is_fence(command):
            self._unasked(command)

    def _excuse_alike(self, command: Command) -> None:
        """Mark as optional each waiting op that may have recorded ``command``.

        The first of these ops failed half way, so the trace does not show which one recorded it.
        """
        for expected in self._state.open:
            expected.optional = expected.optional or meets(expected, command, self._state)

    def _carry_out(self, expected: ExpectedOp, command: Command) -> None:
        state = self._state
        expected.started = True
        state.checked[_LAW_OF[type(expected)].name] += 1
        if type(expected) is ExpectedRead:
            state.checked["A11"] += 1
        meet(expected, command, state)
        if expected.left <= 0:
            state.open.remove(expected)
            state.carried.append((expected, self._index))

    def _overtook(self, expected: ExpectedOp, command: Command) -> None:
        first = self._state.open[0]
        law = (
            laws.A1
            if type(expected) is ExpectedRead
            else laws.A3
            if type(first) is ExpectedWrite
            else laws.C1
        )
        self._state.report(
            law,
            f"{expected} was submitted before {first}, though {first} was issued before {expected}",
        )

    def _is_fence(self, command: Command) -> bool:
        """Whether the command is the fence of a sync: a read of a buffer that no program names."""
        state = self._state
        if not isinstance(command.piece, ReadPiece):
            return False
        source = state.buffers.get(command.piece.source)
        if source is None or source.role != STORAGE or source.user_bytes >= 0:
            return False
        return type(state.op) is Sync or state.is_closing or state.policy.debug_submit_each

    def _unasked(self, command: Command) -> None:
        """Report a command that no op waits for, with the first op that it resembles."""
        state = self._state
        waiting = state.open
        expected = next((expected for expected in waiting if resembles(expected, command)), None)
        if not state.violations:
            state.unasked = self._index, expected
        if expected is None:
            state.report(
                laws.C1,
                f"{command} was submitted, though {UNASKED}, or more often than ops asked for it",
            )
            return
        law = blame(expected, command)
        state.report(law, f"{command} was submitted for {expected}, {NOT_MEANT}")
        waiting.remove(expected)

    def _write(self, about: About) -> None:
        """Check that a host write to a program's buffer has the bytes of the current op."""
        state, expected = self._state, self._state.expected
        if about["role"] != STORAGE:
            return
        start, data = about["offset"], about["data"]
        if type(expected) is not ExpectedWrite or expected.target.number != about["buffer"]:
            name = state.name_of(about["buffer"])
            state.report(laws.A9, f"{len(data)} bytes were written to {name}, though no op did so")
            return
        state.checked["A8"] += 1
        state.checked["A9"] += 1
        law = write_fault(expected, start, data)
        if law is not None:
            first = f"{data[:_MOST_SHOWN].hex()}{'...' if len(data) > _MOST_SHOWN else ''}"
            told = f"{len(data)} bytes at {start}, {first}, are not those of {expected}"
            state.report(law, told)
        expected.left -= inside_bytes(expected, start, data)
        expected.wrote(start, start + len(data))
        expected.started = True

    def _raised(self, about: About) -> None:
        """Expect nothing of an op that raised; an op that met a fault may be half done."""
        state = self._state
        for expected in reversed(state.expected_ops):
            if not state.open or state.open[-1] is not expected:
                return
            # A replay that fails takes back what it has not submitted.
            whole = type(state.op) is Replay or not self._may_be_half_done(expected)
            if state.failed_verb and not whole:
                expected.optional = True
            else:
                state.open.pop()

    def _wrote(self, about: About) -> None:
        """Stop waiting for a write that has reached the queue."""
        state, expected = self._state, self._state.expected
        if (
            expected is not None
            and expected.left <= 0
            and state.open
            and state.open[-1] is expected
        ):
            state.open.pop()

    def _flushed(self, about: About) -> None:
        state = self._state
        state.checked["C9"] += 1
        left = [expected for expected in state.open if not expected.optional]
        if left and not state.is_lost:
            state.report(laws.C9, f"{left[0]} was accepted and is still not submitted")
        state.open.clear()

    def _may_be_half_done(self, expected: ExpectedOp) -> bool:
        """Whether a failed op may have recorded some of its commands; most ops have only one."""
        limits = self._state.context.limits
        if type(expected) is ExpectedCopy:
            return expected.source is expected.target or expected.op.size_bytes > least_piece_bytes(
                limits
            )
        if type(expected) is not ExpectedWrite:
            return False
        most = self._state.policy.queued_write_bytes
        in_pieces = most is not None and len(expected.op.data) + WORD_BYTES > most
        return in_pieces or expected.target.size_bytes > limits.max_binding_bytes


class Visibility:
    """Checks each host write against the expected ops that wait for a submit."""

    def __init__(self, state: TraceState) -> None:
        self._state = state

    def handlers(self) -> Mapping[str, Handler]:
        """See ``Watcher``."""
        return {
            "write_buffer": self._write,
            accepted(Alloc): self._allocated,
        }

    def _write(self, about: About) -> None:
        if about["role"] != STORAGE:
            return
        state, number = self._state, about["buffer"]
        start, end = about["offset"], about["offset"] + len(about["data"])
        state.checked["A2"] += 1
        state.checked["A4"] += 1
        for expected in state.open:
            if expected is state.expected or expected.optional:
                continue
            for touched, low, high, writes in expected.touches:
                if expected.has_read and not writes:
                    continue
                if touched == number and low < end and start < high:
                    name, verb = state.name_of(number), "writes" if writes else "reads"
                    state.report(
                        laws.A4 if writes else laws.A2,
                        f"write to {name} reached the queue before {expected}, which {verb} "
                        f"{name}, was submitted",
                    )

    def _allocated(self, about: About) -> None:
        """Check that an accepted alloc made a new buffer of the device."""
        state = self._state
        op = state.op
        assert isinstance(op, Alloc)
        state.checked["A12"] += 1
        made = state.made
        if made is None or made.size_bytes < op.size_bytes:
            state.report(laws.A12, f"{op.buffer} was given no new buffer of {op.size_bytes} bytes")
