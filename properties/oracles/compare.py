"""Two histories of one program held against each other.

The verdict is the first op, in program order, that one execution shows
differently from what the program means.  Nothing here runs anything, and bytes
are compared in ``properties.oracles.values``.
"""

from gpusim.errors import ProgramError
from gpusim.history import History, Outcome
from gpusim.ops import Op, Read, Sync
from gpusim.program import Program, buffers_of
from gpusim.text import write_op
from properties.model.failure import Failure, FailureKind
from properties.model.target import Capabilities
from properties.oracles.values import first_difference

_LATE_REASON = "an accepted read has its value by the next sync, and nothing changes it afterwards"


_Verdict = tuple[FailureKind, str, str, str]
"""The kind, what was expected, what was shown, and the argument."""


def compare(
    program: Program, expected: History, got: History, capabilities: Capabilities
) -> Failure | None:
    """The first difference between what ``program`` means and what a target showed.

    A target that does not refuse is not asked about the ops that are refused;
    one that does not order its deliveries, not about their order.

    Raises:
        ProgramError: where a history does not belong to the program.
    """
    check_history(program, expected)
    check_history(program, got)
    outcomes = zip(program, expected.outcomes, got.outcomes, strict=True)
    for position, (op, meant, shown) in enumerate(outcomes):
        verdict = _judge_op(program, position, op, meant, shown, capabilities)
        if verdict is not None:
            return _failure(position, write_op(op), verdict)
    if expected.closing is not None and got.closing is not None:
        end = len(program)
        verdict = _judge_op(program, end, Sync(), expected.closing, got.closing, capabilities)
        if verdict is not None:
            return _failure(end, "sync (after the last op)", verdict)
    verdict = _judge_deliveries(expected.deliveries, got.deliveries, capabilities)
    return verdict and _failure(len(program), "the end of the program", verdict)


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
    kind, expected, got, reason = verdict
    trait = f"{expected}/{got}" if kind is FailureKind.ERROR else ""
    if got.startswith("crash:"):
        # A crash shows its message after its class, and the message may well change.
        trait = " ".join(got.split()[:2])
    return Failure(
        kind=kind,
        trait=trait,
        position=position,
        op=op,
        reason=reason,
        sides=(("expected", expected), ("got", got)),
    )


def _judge_op(
    program: Program,
    position: int,
    op: Op,
    meant: Outcome,
    shown: Outcome,
    capabilities: Capabilities,
) -> _Verdict | None:
    if meant.error is not None and not capabilities.refuses:
        return None
    if shown.error != meant.error:
        expected, got = meant.error or "accepted", shown.error or "accepted"
        return FailureKind.ERROR, expected, got, _argue_error(meant, shown)
    if shown.late_error != meant.late_error:
        expected, got = (outcome.late_error or "a value" for outcome in (meant, shown))
        return FailureKind.LATE_ERROR, expected, got, _LATE_REASON
    if isinstance(op, Sync):
        return _judge_deliveries(_names(meant.data), _names(shown.data), capabilities)
    if isinstance(op, Read) and meant.data is not None:
        return _judge_value(program, position, op, meant, shown)
    return None


def _judge_value(
    program: Program, position: int, op: Read, meant: Outcome, shown: Outcome
) -> _Verdict | None:
    difference = first_difference(op, meant.data or b"", shown.data or b"", meant.slack)
    if difference is None:
        return None
    reason = f"{difference.reason}; {_last_use(program, position, op.buffer)}"
    return FailureKind.VALUE, difference.expected, difference.got, reason


def _judge_deliveries(
    expected: tuple[str, ...], got: tuple[str, ...], capabilities: Capabilities
) -> _Verdict | None:
    if not capabilities.refuses:
        got = tuple(name for name in got if name in expected)
    if not capabilities.orders_deliveries or got == expected:
        return None
    reason = _argue_deliveries(expected, got)
    return FailureKind.DELIVERY_ORDER, ", ".join(expected), ", ".join(got), reason


def _argue_error(meant: Outcome, shown: Outcome) -> str:
    if meant.error is None:
        return "nothing in the contract refuses this op, yet it was refused"
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


def _last_use(program: Program, position: int, buffer: str) -> str:
    """The op that a wrong value most likely starts from."""
    before = [n for n in range(position) if buffer in buffers_of(program[n])]
    at = next((n for n in reversed(before) if not isinstance(program[n], Read)), before[0])
    return f"before it, op {at} is the last to change or use {buffer}: {write_op(program[at])}"
