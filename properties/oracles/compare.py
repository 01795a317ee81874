"""Compares two histories of one program, down to the bytes of each read.

Exact bytes must be equal, and whole float words must agree within their error bound.  Bytes with an
infinite bound are not compared.  ``count_checked`` counts the compared bytes, because a judge that
compares nothing finds nothing.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gpusim import errors
from gpusim.errors import DeviceFault, ProgramError
from gpusim.history import ACCEPTED, CRASH, History, Outcome
from gpusim.limits import WORD_BYTES
from gpusim.ops import Op, Read, Sync
from gpusim.program import Program
from gpusim.text import write_op
from properties.model.capabilities import REFUSALS, Capabilities, Refusal
from properties.model.failure import Failure, FailureKind

_ENDED = f"{CRASH}TargetFailed"
"""The error of an op whose target has died; no promise allows that."""
_LATE_REASON = "an accepted read has its value by the next sync, and nothing changes it afterwards"


class _Late:
    """Remembers ops that the contract refuses and that raised nothing, until the next sync.

    The next sync may report them.  WebGPU itself reports an invalid command late, by an uncaptured
    error.
    """

    def __init__(self, capabilities: Capabilities) -> None:
        self._capabilities = capabilities
        self._may_tell = False
        self.untold: int | None = None
        """The first op since the last sync that the next sync must report."""

    def takes(self, position: int, meant: Outcome, shown: Outcome) -> bool:
        """Whether the contract refuses the op, and the target need not raise the exact error."""
        if meant.error is None or shown.error == _ENDED:
            return False
        refusal = self._capabilities.refusal(meant.error)
        if refusal is Refusal.EXACT:
            return False
        if shown.error is None:
            self._may_tell = True
            if refusal is Refusal.NEXT_SYNC and self.untold is None:
                self.untold = position
        return True

    def is_told_by(self, sync: Outcome) -> bool:
        """Whether the error of ``sync`` may report such ops; the sync is then not compared."""
        tells = self._may_tell and sync.error not in (None, _ENDED)
        self._may_tell = False
        if tells:
            self.untold = None
        return tells


@dataclass(frozen=True, kw_only=True, slots=True)
class _Verdict:
    """The part of a ``Failure`` that says what is wrong; the op is added later."""

    kind: FailureKind
    expected: str
    got: str
    reason: str
    trait: str = ""
    details: str = ""
    byte: int | None = None


def compare(
    program: Program, expected: History, got: History, capabilities: Capabilities
) -> Failure | None:
    """The first difference between what ``program`` means and what a target showed.

    For an op that the contract refuses, ``capabilities`` say what the target must do: they hold a
    promise for each class of error.  The order of deliveries counts only if the target promises it.

    Raises:
        ProgramError: a history does not belong to the program.
    """
    check_history(program, expected)
    check_history(program, got)
    outcomes = [*zip(program, expected.outcomes, got.outcomes, strict=True)]
    if expected.closing is not None and got.closing is not None:
        outcomes.append((Sync(), expected.closing, got.closing))
    late = _Late(capabilities)
    for position, (op, meant, shown) in enumerate(outcomes):
        if meant is shown is ACCEPTED or (isinstance(op, Sync) and late.is_told_by(shown)):
            continue
        if isinstance(op, Sync) and late.untold is not None and shown.error is None:
            verdict: _Verdict | None = _untold(program, late.untold)
        elif late.takes(position, meant, shown):
            continue
        else:
            verdict = _judge_op(op, meant, shown, capabilities)
        if verdict is not None:
            return _failure(position, _shown_op(program, position), verdict)
    verdict = _judge_deliveries(expected.deliveries, got.deliveries, capabilities)
    if verdict is None:
        return None
    return _failure(len(program), "the end of the program", verdict)


def unrefused_class(failure: Failure) -> str | None:
    """The error that the target promised to raise, if it accepted the op instead; else None."""
    error, _, shown = failure.trait.partition("/")
    is_accepted = failure.kind is FailureKind.ERROR and shown == "accepted"
    return error if is_accepted and error in REFUSALS else None


def _shown_op(program: Program, position: int) -> str:
    if position == len(program):
        return "sync (after the last op)"
    return write_op(program[position])


def _untold(program: Program, position: int) -> _Verdict:
    op = write_op(program[position])
    reason = f"the contract refuses op {position} ({op}), and the next sync must report that"
    return _Verdict(kind=FailureKind.ERROR, expected="an error", got="accepted", reason=reason)


def check_history(program: Program, history: History) -> None:
    """Raise ProgramError unless the history has an outcome for every op of the program."""
    ends_with_sync = len(program) > 0 and isinstance(program[-1], Sync)
    if len(history.outcomes) != len(program) or (history.closing is None) != ends_with_sync:
        raise ProgramError(
            f"cannot compare a history of {len(history.outcomes)} ops with a program of "
            f"{len(program)} because they do not belong together "
            "(probably the history of another program)"
        )


def _failure(position: int, op: str, verdict: _Verdict) -> Failure:
    return Failure(
        kind=verdict.kind,
        trait=verdict.trait,
        position=position,
        op=op,
        reason=verdict.reason,
        sides=(("expected", verdict.expected), ("got", verdict.got)),
        details=verdict.details,
        byte=verdict.byte,
    )


def _judge_op(
    op: Op, meant: Outcome, shown: Outcome, capabilities: Capabilities
) -> _Verdict | None:
    if shown.error != meant.error:
        names = f"{meant.error or 'accepted'}/{shown.error or 'accepted'}"
        return _judge_error(FailureKind.ERROR, names, _argue_error(meant, shown), meant, shown)
    if shown.late_error != meant.late_error:
        return _judge_error(FailureKind.LATE_ERROR, "", _LATE_REASON, meant, shown)
    if isinstance(op, Sync):
        return _judge_deliveries(_names(meant.data), _names(shown.data), capabilities)
    if isinstance(op, Read) and meant.data is not None:
        return _judge_value(op, meant, shown)
    return None


def _judge_error(
    kind: FailureKind, trait: str, reason: str, meant: Outcome, shown: Outcome
) -> _Verdict:
    """The verdict if errors differ; an error class that the contract lacks is always a crash."""
    name = shown.error or shown.late_error or ""
    if name.startswith(CRASH):
        kind, trait = FailureKind.CRASH, name.removeprefix(CRASH)
        reason = f"it ended with {trait}, which is no error of the contract"
    sound = "a value" if kind is FailureKind.LATE_ERROR else "accepted"
    return _Verdict(
        kind=kind,
        trait=trait,
        expected=meant.error or meant.late_error or sound,
        got=shown_as(shown, sound),
        reason=reason,
        details=details_of(shown),
    )


def shown_as(outcome: Outcome, sound: str) -> str:
    """How an op ended, in one line: its error and message, or ``sound`` if it raised nothing."""
    name = outcome.error or outcome.late_error
    if name is None:
        return sound
    lines = outcome.raised.message.splitlines() if outcome.raised is not None else []
    return ": ".join([name.removeprefix(CRASH), *lines[:1]])


def details_of(outcome: Outcome) -> str:
    """The traceback of an outcome's exception, or else its message if that has several lines."""
    if outcome.raised is None:
        return ""
    is_long = len(outcome.raised.message.splitlines()) > 1
    return outcome.raised.traceback or outcome.raised.message * is_long


def _judge_value(op: Read, meant: Outcome, shown: Outcome) -> _Verdict | None:
    difference = first_difference(op, meant.data or b"", shown.data or b"", meant.error_bound)
    if difference is None:
        return None
    return _Verdict(
        kind=FailureKind.VALUE,
        expected=difference.expected,
        got=difference.got,
        reason=difference.reason,
        byte=difference.byte,
    )


def _judge_deliveries(
    expected: tuple[str, ...], got: tuple[str, ...], capabilities: Capabilities
) -> _Verdict | None:
    if got != expected and not capabilities.is_exact:
        got = tuple(name for name in got if name in expected)
    if not capabilities.orders_deliveries or got == expected:
        return None
    return _Verdict(
        kind=FailureKind.DELIVERY_ORDER,
        expected=", ".join(expected),
        got=", ".join(got),
        reason=_argue_deliveries(expected, got),
    )


def _argue_error(meant: Outcome, shown: Outcome) -> str:
    if meant.error is None:
        is_fault = issubclass(getattr(errors, shown.error or "", Exception), DeviceFault)
        ends = "it failed" if is_fault else "it was refused"
        return f"nothing in the contract refuses this op, yet {ends}"
    if shown.error is None:
        return "the contract refuses this op, yet it was accepted"
    return "the contract refuses this op, but for another reason"


def _argue_deliveries(expected: tuple[str, ...], got: tuple[str, ...]) -> str:
    for name in expected:
        if name not in got:
            return f"{name} was read before the sync, yet not delivered when it returned"
    for name in got:
        if name not in expected:
            return f"{name} was delivered, yet no read of that name was accepted before"
        if got.count(name) > 1:
            return f"{name} was delivered {got.count(name)} times"
    at = next(n for n, (e, g) in enumerate(zip(expected, got, strict=True)) if e != g)
    return f"{expected[at]} was read before {got[at]}, yet {got[at]} was delivered first"


def _names(data: bytes | None) -> tuple[str, ...]:
    return tuple(data.decode().split(",")) if data else ()


_AROUND_BYTES = 8
"""How many bytes are shown before and after the first wrong one."""

ErrorBounds = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """Where two values differ: the bytes of both around the first wrong one, and the argument."""

    expected: str
    got: str
    reason: str
    byte: int | None = None
    """The first wrong byte of the buffer; None if the sizes differ."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """How many bytes of reads are compared exactly, within a tolerance, or not at all."""

    exact_bytes: int = 0
    tolerant_bytes: int = 0
    skipped_bytes: int = 0
    reads: int = 0
    """Reads of two bytes or more."""
    constant_reads: int = 0
    """How many of these should give one repeated byte, and so show little."""

    def __add__(self, other: "Checked") -> "Checked":
        return Checked(
            exact_bytes=self.exact_bytes + other.exact_bytes,
            tolerant_bytes=self.tolerant_bytes + other.tolerant_bytes,
            skipped_bytes=self.skipped_bytes + other.skipped_bytes,
            reads=self.reads + other.reads,
            constant_reads=self.constant_reads + other.constant_reads,
        )


def count_checked(program: Program, expected: History) -> Checked:
    """How many bytes of the reads of ``program`` are compared, given its expected history."""
    exact = tolerant = skipped = reads = constant = 0
    for op, outcome in zip(program, expected.outcomes, strict=True):
        if type(op) is not Read or outcome.data is None:
            continue
        data, error_bound = outcome.data, outcome.error_bound
        size = len(data)
        reads += size > 1
        constant += size > 1 and data.count(data[:1]) == size
        if error_bound is None:
            exact += size
        else:
            exact_here, skipped_here = (
                int((error_bound == 0).sum()),
                int(np.isinf(error_bound).sum()),
            )
            exact += exact_here
            skipped += skipped_here
            tolerant += size - exact_here - skipped_here
    return Checked(
        exact_bytes=exact,
        tolerant_bytes=tolerant,
        skipped_bytes=skipped,
        reads=reads,
        constant_reads=constant,
    )


def first_difference(
    op: Read, expected: bytes, got: bytes, error_bound: ErrorBounds | None
) -> Difference | None:
    """The first byte of ``got`` that is not what ``op`` should have read."""
    if got == expected:
        return None
    if len(got) != len(expected):
        return Difference(
            expected=f"{len(expected)} bytes",
            got=f"{len(got)} bytes",
            reason="a read gives exactly the bytes that were asked for",
        )
    meant, shown = (np.frombuffer(data, dtype=np.uint8) for data in (expected, got))
    wrong = _wrong_bytes(meant, shown, error_bound, -op.offset % WORD_BYTES)
    (at,) = np.nonzero(wrong)
    if not len(at):
        return None
    first, last = int(at[0]), int(at[-1])
    return Difference(
        expected=_show(expected, op.offset, first),
        got=_show(got, op.offset, first),
        reason=_argue(op, first, last, len(at), error_bound),
        byte=op.offset + first,
    )


def _wrong_bytes(
    meant: npt.NDArray[np.uint8],
    shown: npt.NDArray[np.uint8],
    error_bound: ErrorBounds | None,
    phase: int,
) -> Flags:
    """Which bytes differ by more than is allowed; the first whole word starts at ``phase``."""
    wrong: Flags = meant != shown
    if error_bound is None:
        return wrong
    wrong &= error_bound == 0
    end = phase + (len(meant) - phase) // WORD_BYTES * WORD_BYTES
    if end <= phase:
        return wrong
    tolerance = error_bound[phase:end:WORD_BYTES].astype(np.float64)
    tolerant = (tolerance > 0) & np.isfinite(tolerance)
    # Bytes that are no float may look like a signalling NaN, and NumPy would warn of it.
    with np.errstate(invalid="ignore", over="ignore"):
        a, b = (side[phase:end].copy().view("<f4").astype(np.float64) for side in (meant, shown))
        near = (np.abs(b - a) <= tolerance * np.abs(a)) | (a == b) | (np.isnan(a) & np.isnan(b))
    wrong[phase:end].reshape(-1, WORD_BYTES)[tolerant & ~near] = True
    return wrong


def _argue(op: Read, first: int, last: int, count: int, error_bound: ErrorBounds | None) -> str:
    kind = "byte"
    if error_bound is not None and error_bound[first] > 0:
        kind = f"float (may be off by {error_bound[first]:.3g} of its value) at byte"
    return (
        f"{count} of {op.size_bytes} bytes of {op.result} are wrong, the first is {kind} "
        f"{op.offset + first} of {op.buffer} and the last byte {op.offset + last}"
    )


def _show(data: bytes, offset: int, first: int) -> str:
    """The words around byte ``first`` of a read at ``offset``, as bytes and as u32."""
    start_word = (offset + first - _AROUND_BYTES) // WORD_BYTES * WORD_BYTES
    start = max(0, start_word - offset)
    stop = min(len(data), first + _AROUND_BYTES + 1)
    phase = -(offset + start) % WORD_BYTES
    pieces = [data[start : start + phase]] if phase else []
    pieces += [data[at : min(at + WORD_BYTES, stop)] for at in range(start + phase, stop, 4)]
    whole = [piece for piece in pieces if len(piece) == WORD_BYTES]
    words = " ".join(f"{int.from_bytes(piece, 'little'):#010x}" for piece in whole)
    shown = " ".join(piece.hex() for piece in pieces)
    return f"from byte {offset + start}: {shown}" + (f" (u32 {words})" if words else "")
