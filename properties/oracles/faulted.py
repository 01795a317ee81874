"""What a program means on a device that fails: an op that raised a fault did not happen.

The reference follows the execution.  Where the target raised a fault that the device may show,
the op is left out.  All else must be as if the program lacked those ops, and every delivered byte
must be right.  A sync delivers every read before it, whether or not it raises.  Bytes may be lost
only where a failed batch, or an op that failed half way, would have written them, and only until
their buffer is overwritten whole.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf
from typing import NoReturn

from gpusim import errors
from gpusim.effects import written_by
from gpusim.history import History, Outcome
from gpusim.kernels import Kernel
from gpusim.limits import WORD_BYTES, Limits
from gpusim.ops import (
    HOST_WRITES,
    VERBS,
    AnyDispatch,
    Copy,
    Op,
    Read,
    Replay,
    Scalars,
    arguments_of,
    name_of,
)
from gpusim.program import Program, captures_of, replayed
from gpusim.trace import Trace
from properties.execute import Unwatched, run
from properties.model.capabilities import CONTRACT
from properties.model.failure import Failure, FailureKind
from properties.model.target import Arrived, Delivery
from properties.oracles.compare import ErrorBounds
from properties.oracles.laws.expected import least_piece_bytes
from reference import Reference

LOST = errors.DeviceLost.__name__
DATA_LOST = errors.DataLost.__name__
_OUT_OF_MEMORY = errors.OutOfMemory.__name__
_MAP_FAILED = errors.MapFailed.__name__
_LOSING = (errors.SubmitFailed.__name__, LOST)
"""Faults by which a batch is lost, and with it the bytes that it would have written."""
_AS_SHOWN = ""
"""The message of a fault is left empty, since only the device knows it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Followed:
    """The expected history under the faults, and the faults that ops reported."""

    expected: History
    reported: tuple[str, ...]
    """The error classes of the faults, in order.  A refusal of the memory budget is no fault."""


def follow(
    program: Program,
    got: History,
    kernels: Mapping[str, Kernel],
    limits: Limits,
    faults: frozenset[str],
    *,
    piece_bytes: int | None = None,
    hides_losses: bool = False,
) -> Followed:
    """What ``program`` means if the ops that met one of ``faults`` in ``got`` do not happen.

    ``faults`` are names of error classes.  A lost device stays lost.  A host write longer
    than ``piece_bytes`` takes several commands; None is no limit.  ``hides_losses``: whether the
    client may have met a failed batch that no op shows.  Then whatever was written may be lost.
    """
    follower = _Follower(program, kernels, limits, got, faults, piece_bytes, hides_losses)
    shown = run(program, follower, follower)
    outcomes = zip(shown.outcomes, follower.error_bound, strict=True)
    expected = replace(
        shown,
        outcomes=tuple(
            replace(outcome, error_bound=error_bound) for outcome, error_bound in outcomes
        ),
    )
    return Followed(expected=expected, reported=tuple(follower.reported))


def met_faults(trace: Trace) -> list[str]:
    """The error classes of the faults in the trace, but of several DeviceLost only the first."""
    failed = [str(event["error"]) for event in trace if event.kind == "failed"]
    return [error for at, error in enumerate(failed) if error != LOST or LOST not in failed[:at]]


def judge_reported(
    program: Program,
    got: History,
    reported: Sequence[str],
    met: Sequence[str],
    *,
    reads_share: bool,
    planned: Counter[str] | None = None,
    closing: str = "",
    each: bool = True,
) -> Failure | None:
    """The failure if a fault of ``met`` was not reported exactly once, by the op it belongs to.

    ``reads_share``: whether one failed map may fail several reads.  ``planned``: how many
    faults of each class the device can have shown; None if nobody knows.  ``closing``: the
    class of the error that the close raised.  ``each``: whether the client's ops show each fault
    that they meet; False if one op makes several calls, since then only one of the faults shows.

    A failed map is reported by the reads that wait for it, and by no op.  After a loss of the
    device, earlier faults that nothing reported need not be reported any more.
    """
    failed_maps = [outcome.late_error for outcome in got.outcomes].count(_MAP_FAILED)
    if not (met or reported or failed_maps):
        return None
    unplanned = Counter() if planned is None else Counter(met) - planned
    unmet = Counter(error for error in reported if error != LOST) - Counter(met)
    # A fault that no call waited for is raised by a later op.  That op may be one that the memory
    # budget would refuse with OutOfMemory.  So each OutOfMemory may have reported such a fault.
    refused = [outcome.error for outcome in got.outcomes if outcome.error == _OUT_OF_MEMORY]
    told = Counter([*reported, closing]) | Counter(refused)
    untold = Counter(error for error in met if error != _MAP_FAILED) - told
    unshown = bool(met) and not reported and told.keys().isdisjoint(met)
    reason = ""
    if unplanned:
        reason = "the driver reported a fault that the device did not have"
    elif unmet or unshown or (each and untold and LOST not in met):
        reason = "a fault was not raised by exactly one call"
    elif (failed_maps > len(met) and not reads_share) or _fails_of_nothing(program, got):
        reason = "a failed map failed reads that it does not belong to"
    if not reason:
        return None
    if planned is not None and unplanned:
        expected, shown = ", ".join(planned.elements()), ", ".join(met)
    else:
        expected = ", ".join(met)
        shown = f"{', '.join(reported) or 'nothing'}, and {failed_maps} reads with {_MAP_FAILED}"
    return Failure(
        kind=FailureKind.FAULTS,
        position=len(program),
        op="the end of the program",
        reason=reason,
        sides=(("expected", expected or "no fault"), ("got", shown)),
    )


def _fails_of_nothing(program: Program, got: History) -> bool:
    """Whether a failed map failed a read of no bytes, for which nothing is mapped."""
    return any(
        outcome.late_error == _MAP_FAILED and isinstance(op, Read) and not op.size_bytes
        for op, outcome in zip(program, got.outcomes, strict=True)
    )


@dataclass(frozen=True, slots=True)
class _Failed:
    """An accepted read whose value never came."""

    error: str

    def result(self) -> NoReturn:
        raise getattr(errors, self.error)(_AS_SHOWN)

    def add_done_callback(self, callback: Callable[[Delivery], None]) -> None:
        callback(self)


class _Follower(Unwatched):
    """The reference as a target; it leaves out the ops that met a fault."""

    capabilities = CONTRACT

    def __init__(
        self,
        program: Program,
        kernels: Mapping[str, Kernel],
        limits: Limits,
        got: History,
        faults: frozenset[str],
        piece_bytes: int | None,
        hides_losses: bool,
    ) -> None:
        self.limits = limits
        self.reported: list[str] = []
        self.error_bound: list[ErrorBounds | None] = [None] * len(program)
        """The error bound of each op's value; only a read has one."""
        self._program = program
        self._kernels = kernels
        self._reference = Reference(kernels, limits)
        self._faults = faults
        self._piece_bytes = inf if piece_bytes is None else piece_bytes
        self._shown = [*got.outcomes, got.closing or Outcome()]
        self._position = 0
        self._gone = False
        self._sizes: dict[str, int] = {}
        self._recorded: dict[str, None] = {}
        """The buffers written since the last flush; a failing batch may lose their bytes."""
        self._lost: dict[str, None] = {}
        self._hides_losses = hides_losses
        self._written: dict[str, None] = {}
        """The buffers that any op wrote; noted only if losses are hidden."""
        self._captures = captures_of(program)

    def perform(self, op: Op) -> Delivery | None:
        """See ``Target``: calls the method with the op's verb as its name, if there is one."""
        special = getattr(self, op.verb, None)
        if special is not None:
            delivery: Delivery | None = special(*arguments_of(op))
            return delivery
        self._meet_fault(*used([op], self._sizes))
        self._reference.perform(op)
        self._overwrite(op)
        return None

    def ended(self, position: int, outcome: Outcome) -> None:
        """Note that op ``position`` has ended."""
        self._position = position + 1
        if self._shown[position].error is None and position < len(self._program):
            written = written_by(self._program[position], self._kernels, self._captures)
            self._recorded.update(dict.fromkeys(written))
            if self._hides_losses:
                self._written.update(dict.fromkeys(written))

    def alloc(self, buffer: str, size_bytes: int) -> None:
        if self._shown[self._position].error == _OUT_OF_MEMORY and not self._gone:
            # If the memory budget refused the alloc, which is no fault, the reference raises
            # OutOfMemory as well.  Any other refusal of the reference is ignored: before the
            # runtime checks this alloc, it raises a fault that an earlier op left, if there is one.
            with suppress(errors.Refused):
                self._reference.alloc(buffer, size_bytes)
                self._reference.free(buffer)
        self._meet_fault()
        self._reference.alloc(buffer, size_bytes)
        self._sizes[buffer] = size_bytes

    def read(self, buffer: str, offset: int, size_bytes: int) -> Delivery:
        self._meet_fault(buffer)
        read = self._reference.read(buffer, offset, size_bytes)
        late = self._shown[self._position].late_error
        if late in self._faults and late != DATA_LOST:
            return _Failed(late)
        self.error_bound[self._position] = read.error_bound
        return Arrived(read.data)

    def free(self, buffer: str) -> None:
        if not self._gone:
            self._meet_fault()
        self._reference.free(buffer)

    def flush(self) -> None:
        self._meet_fault()
        self._recorded.clear()

    def sync(self) -> None:
        self._meet_fault()
        self._recorded.clear()

    def replay(
        self,
        graph: str,
        scalars: Sequence[Scalars | None] | None,
        bindings: Sequence[tuple[str, str]],
    ) -> None:
        op = self._program[self._position]
        assert isinstance(op, Replay)
        commands = replayed(self._captures[graph], op)
        self._meet_fault(*used(commands, self._sizes))
        self._reference.replay(graph, scalars, bindings)
        for command in commands:
            self._overwrite(command)

    def close(self) -> None:
        """Nothing to close."""

    def _meet_fault(self, *needed: str) -> None:
        """Raise the fault that the op showed, if any; on a lost device, DeviceLost.

        DataLost is raised only if the bytes of one of the ``needed`` buffers may be lost.
        """
        shown = self._shown[self._position].error
        if self._gone:
            raise errors.DeviceLost(_AS_SHOWN)
        if shown not in self._faults:
            return
        if shown != DATA_LOST:
            self._fail(shown)
        elif lost := [
            f"<{buffer}>" for buffer in needed if buffer in self._lost or buffer in self._written
        ]:
            raise errors.DataLost(f"cannot use {', '.join(lost)} because a batch failed")
        else:
            return
        raise getattr(errors, shown)(_AS_SHOWN)

    def _fail(self, shown: str) -> None:
        self.reported.append(shown)
        self._gone = shown == LOST
        for op in self._program.ops[self._position : self._position + 1]:
            if self._may_end_half_way(op):
                self._lost.update(dict.fromkeys(written_by(op, self._kernels, self._captures)))
            if shown in _LOSING:
                self._recorded.update(dict.fromkeys(written_by(op, self._kernels, self._captures)))
        if shown in _LOSING:
            self._lost.update(self._recorded)
            self._recorded.clear()

    def _may_end_half_way(self, op: Op) -> bool:
        """Whether the op takes several commands, and so can fail half way."""
        if isinstance(op, HOST_WRITES):
            (buffer, offset, size_bytes), *_ = [span.of(op) for span in VERBS[type(op)].writes]
            is_wide = self._sizes[buffer] > self.limits.max_binding_bytes
            return size_bytes + WORD_BYTES > self._piece_bytes or (
                is_wide and not _is_one_command(offset, size_bytes)
            )
        if isinstance(op, Copy):
            return op.size_bytes > least_piece_bytes(self.limits)
        return isinstance(op, Replay)

    def _overwrite(self, op: Op) -> None:
        """Note the buffers that the op overwrites whole: they are no longer lost."""
        for buffer in overwritten(op, self._sizes):
            self._lost.pop(buffer, None)


def _is_one_command(offset: int, size_bytes: int) -> bool:
    """Whether a write is of whole words, or within one word, so that it cannot fail half way."""
    is_words = offset % WORD_BYTES == size_bytes % WORD_BYTES == 0
    return is_words or offset // WORD_BYTES == (offset + size_bytes - 1) // WORD_BYTES


def overwritten(op: Op, sizes: Mapping[str, int]) -> list[str]:
    """The buffers that an op overwrites whole."""
    written = [span.of(op) for span in VERBS[type(op)].writes]
    return [buffer for buffer, _, size_bytes in written if size_bytes == sizes[buffer]]


def used(ops: Sequence[Op], sizes: Mapping[str, int]) -> list[str]:
    """The buffers whose old bytes ``ops`` may use.

    Each is read or bound by an op, and no earlier one of ``ops`` has overwritten it whole.
    """
    filled: set[str] = set()
    needed: list[str] = []
    for op in ops:
        read = [getattr(op, span.buffer) for span in VERBS[type(op)].reads]
        bound = [*map(name_of, op.buffers), *read] if isinstance(op, AnyDispatch) else read
        needed += [name for name in bound if name not in filled]
        filled.update(overwritten(op, sizes))
    return needed
