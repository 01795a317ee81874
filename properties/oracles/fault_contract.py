"""What must hold when the device fails: judged from a history and from what failed.

A history under faults is not that of the reference, since an op that fails is
not done.  It must be that of a reference which leaves out the ops that failed;
what a failed batch would have written may be lost until it is overwritten
whole, and nothing else may.  Nothing here runs a target.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gpusim.errors import DeviceFault, GpusimError
from gpusim.history import History, Outcome
from gpusim.kernels import Kernel
from gpusim.limits import Limits
from gpusim.program import (
    Alloc,
    Copy,
    Dispatch,
    Flush,
    Free,
    Op,
    Program,
    Read,
    Sync,
    Write,
    buffers_of,
)
from gpusim.text import write_op
from properties.oracles.values import first_difference
from reference.executor import Reference

_LOST, _DATA_LOST = "DeviceLost", "DataLost"
_FAULTS = ("MapFailed", "SubmitFailed", "OutOfMemory", _LOST)
_LOSING = ("SubmitFailed", _LOST)


@dataclass(frozen=True, kw_only=True, slots=True)
class Breach:
    """The first op that broke the contract under faults; ``rule`` names what it broke."""

    position: int
    op: str
    rule: str
    reason: str

    def __str__(self) -> str:
        return f"op {self.position}: {self.op}\n  {self.rule}: {self.reason}"


class _Broken(Exception):
    def __init__(self, rule: str, reason: str) -> None:
        self.rule = rule
        self.reason = reason


def judge_faults(
    program: Program,
    history: History,
    raised: Sequence[type[DeviceFault]],
    *,
    kernels: Mapping[str, Kernel],
    limits: Limits,
    reads_share: bool,
) -> Breach | None:
    """The first breach of ``history``, made while the device failed as ``raised`` says.

    ``reads_share``: one failed map may fail several reads.
    """
    follower = _Follower(kernels, limits)
    position = -1
    try:
        for op, shown in zip(program, history.outcomes, strict=True):
            position += 1
            follower.follow(op, shown)
        position = len(program)
        if history.closing is not None:
            follower.follow(Sync(), history.closing)
        _judge_whole(follower, history, raised, reads_share)
    except _Broken as broken:
        at_end = position == len(program)
        op_text = "the end of the program" if at_end else write_op(program[position])
        return Breach(position=position, op=op_text, rule=broken.rule, reason=broken.reason)
    return None


class _Follower:
    """The reference without the ops that failed, and what may be lost by them."""

    def __init__(self, kernels: Mapping[str, Kernel], limits: Limits) -> None:
        self.reads: list[str] = []
        self.errors: list[str] = []
        self.failed_reads: list[str] = []
        self._reference = Reference(kernels, limits)
        self._kernels = kernels
        self._sizes: dict[str, int] = {}
        self._unbound: dict[str, None] = {}
        self._recorded: dict[str, None] = {}
        self._lost: dict[str, None] = {}
        self._gone = False

    def follow(self, op: Op, shown: Outcome) -> None:
        """Judge one op by its outcome; _Broken."""
        error = shown.error
        if any(name in self._unbound for name in buffers_of(op)):
            return
        if error is not None and error.startswith("crash"):
            raise _Broken("no crash", error)
        if self._gone and not isinstance(op, Free):
            if error != _LOST:
                raise _Broken("a lost device stays lost", f"the op showed {error or 'success'}")
            self._note_alloc(op)
        elif error == _DATA_LOST:
            self._may_be_lost(op)
        elif error in _FAULTS and not self._is_refused(op, error):
            self._failed(op, error)
        else:
            self._done(op, shown)

    def _is_refused(self, op: Op, error: str) -> bool:
        """Whether it is the budget that was exceeded, and no fault."""
        if not isinstance(op, Alloc) or error != "OutOfMemory":
            return False
        try:
            self._reference.alloc(op.buffer, op.size_bytes)
        except GpusimError:
            self._reference._unbound.discard(op.buffer)
            return True
        self._reference.free(op.buffer)
        return False

    def _failed(self, op: Op, error: str) -> None:
        self.errors.append(error)
        self._note_alloc(op)
        self._gone = error == _LOST
        if error in _LOSING:
            self._lost.update(self._recorded)
            self._lost.update(dict.fromkeys(self._written(op)))
            self._recorded.clear()

    def _note_alloc(self, op: Op) -> None:
        if isinstance(op, Alloc):
            self._unbound[op.buffer] = None

    def _may_be_lost(self, op: Op) -> None:
        if not any(name in self._lost for name in buffers_of(op)):
            raise _Broken("nothing is lost that need not be", "no failed batch wrote its buffers")

    def _done(self, op: Op, shown: Outcome) -> None:
        """An op without a fault is what the reference says it is."""
        try:
            meant = _perform(self._reference, op)
            error = None
        except GpusimError as refusal:
            error = type(refusal).__name__
        if shown.error != error:
            raise _Broken("refusals are the contract's", f"{shown.error} instead of {error}")
        if error is not None:
            self._note_alloc(op)
            return
        if isinstance(op, Read):
            self._judge_read(op, shown, meant)
        self._note(op, shown)

    def _judge_read(self, op: Read, shown: Outcome, meant: Outcome) -> None:
        self.reads.append(op.result)
        if shown.late_error is not None:
            if shown.late_error not in _FAULTS:
                raise _Broken("a ticket has its value or a fault", shown.late_error)
            self.failed_reads.append(shown.late_error)
            return
        wrong = first_difference(op, meant.data or b"", shown.data or b"", meant.slack)
        if wrong is not None:
            raise _Broken("no wrong bytes", wrong.reason)

    def _note(self, op: Op, shown: Outcome) -> None:
        """What an accepted op leaves recorded, and what it makes whole again."""
        match op:
            case Alloc():
                self._sizes[op.buffer] = op.size_bytes
            case Write() if len(op.data) == self._sizes[op.buffer]:
                self._lost.pop(op.buffer, None)
            case Copy() if op.size_bytes == self._sizes[op.target]:
                self._lost.pop(op.target, None)
            case Sync():
                names = shown.data.decode().split(",") if shown.data else []
                if names != self.reads:
                    because = f"{names} and not {self.reads} when the sync returned"
                    raise _Broken("a sync delivers every read before it, in order", because)
                self._recorded.clear()
            case Flush():
                self._recorded.clear()
        self._recorded.update(dict.fromkeys(self._written(op)))

    def _written(self, op: Op) -> list[str]:
        match op:
            case Write():
                return [op.buffer]
            case Copy():
                return [op.target]
            case Dispatch() if op.kernel in self._kernels:
                bindings = self._kernels[op.kernel].buffers
                pairs = zip(bindings, op.buffers, strict=False)
                return [name for binding, name in pairs if binding.access == "read_write"]
        return []


def _judge_whole(
    follower: _Follower,
    history: History,
    raised: Sequence[type[DeviceFault]],
    reads_share: bool,
) -> None:
    told = [error for error in follower.errors if error != _LOST]
    if len(told) > len(raised):
        raise _Broken("an error is raised once", f"{len(raised)} faults and {len(told)} raised")
    if raised and not follower.errors:
        raise _Broken("an error is raised once", f"{raised[0].__name__} was never raised")
    maps = [error for error in follower.failed_reads if error == "MapFailed"]
    if len(maps) > len(raised) and not reads_share:
        because = f"{len(maps)} reads failed by {len(raised)} faults"
        raise _Broken("a failed map fails its own read", because)
    if len(dict.fromkeys(history.deliveries)) != len(history.deliveries):
        raise _Broken("a read is delivered once", ", ".join(history.deliveries))


def _perform(reference: Reference, op: Op) -> Outcome:
    match op:
        case Alloc():
            reference.alloc(op.buffer, op.size_bytes)
        case Write():
            reference.write(op.buffer, op.offset, op.data)
        case Dispatch():
            reference.dispatch(op.kernel, op.buffers, op.scalars, op.grid)
        case Copy():
            reference.copy(op.source, op.source_offset, op.target, op.target_offset, op.size_bytes)
        case Free():
            reference.free(op.buffer)
        case Read():
            delivery = reference.read(op.buffer, op.offset, op.size_bytes)
            return Outcome(data=delivery.data, slack=delivery.slack)
    return Outcome()
