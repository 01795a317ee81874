"""The contract under faults: histories made by hand that it rejects, and near misses."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from gpusim import errors
from gpusim.errors import DeviceFault, DeviceLost, MapFailed, OutOfMemory, SubmitFailed
from gpusim.history import History, Outcome
from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from gpusim.program import Program
from gpusim.trace import Trace
from properties.model.capabilities import CONTRACT
from properties.model.failure import Failure, FailureKind
from properties.oracles.compare import compare
from properties.oracles.faulted import follow, judge_reported, met_faults

PROGRAM = Program.parse(
    "alloc a 4\nwrite a 0 01020304\ndispatch affine a 1,1 1x1x1\nread a 0 4 -> r0\nsync\n"
)
AFTER = bytes((2, 2, 3, 4))
SHOWN = frozenset({"MapFailed", "SubmitFailed", "OutOfMemory", "DeviceLost", "DataLost"})
ONCE = "a fault was not raised by exactly one call"


def history(*outcomes: Outcome, deliveries: Sequence[str] = ("r0",)) -> History:
    return History(outcomes=outcomes, deliveries=tuple(deliveries))


OK = Outcome()
READ = Outcome(data=AFTER)
SYNCED = Outcome(data=b"r0")
SOUND = history(OK, OK, OK, READ, SYNCED)
FAILED = Outcome(error="SubmitFailed")


def breach(
    shown: History,
    *raised: type[DeviceFault],
    program: Program = PROGRAM,
    reads_share: bool = False,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Failure | None:
    followed = follow(program, shown, BUILTIN, limits, SHOWN)
    met = [error.__name__ for error in raised]
    return compare(program, followed.expected, shown, CONTRACT) or judge_reported(
        program, shown, followed.reported, met, reads_share=reads_share
    )


def test_a_run_without_faults_is_that_of_the_reference() -> None:
    assert breach(SOUND) is None


def test_an_op_that_failed_did_not_happen() -> None:
    unchanged = Outcome(data=bytes((1, 2, 3, 4)))
    assert breach(history(OK, OK, FAILED, unchanged, SYNCED), SubmitFailed) is None
    wrong = breach(history(OK, OK, FAILED, READ, SYNCED), SubmitFailed)
    assert wrong is not None
    assert (wrong.kind, wrong.position) == (FailureKind.VALUE, 3)


def test_what_a_failed_batch_would_have_written_may_be_lost_and_nothing_else() -> None:
    lost = Outcome(error="DataLost")
    nothing = Outcome(data=b"")
    assert breach(history(OK, OK, FAILED, lost, nothing, deliveries=()), SubmitFailed) is None
    early = breach(history(OK, OK, OK, lost, nothing, deliveries=()))
    assert early is not None
    assert (early.kind, early.position, dict(early.sides)["got"]) == (
        FailureKind.ERROR,
        3,
        "DataLost",
    )


def test_a_whole_write_makes_a_lost_buffer_whole_again() -> None:
    program = Program.parse(
        "alloc a 4\ndispatch affine a 1,1 1x1x1\nflush\nwrite a 0 01020304\nsync\n"
        "read a 0 4 -> r0\nsync\n"
    )
    lost = Outcome(error="DataLost")
    start = (OK, OK, FAILED, OK, Outcome(data=b""))
    kept = history(*start, Outcome(data=bytes((1, 2, 3, 4))), SYNCED)
    assert breach(kept, SubmitFailed, program=program) is None
    forgotten = history(*start, lost, Outcome(data=b""), deliveries=())
    found = breach(forgotten, SubmitFailed, program=program)
    assert found is not None
    assert (found.kind, found.position, dict(found.sides)["got"]) == (
        FailureKind.ERROR,
        5,
        "DataLost",
    )


def test_a_read_has_its_value_or_a_fault() -> None:
    failed = Outcome(late_error="MapFailed")
    reported = Outcome(error="MapFailed", data=b"r0")
    assert breach(history(OK, OK, OK, failed, reported), MapFailed) is None
    odd = breach(history(OK, OK, OK, Outcome(late_error="changed after delivery"), SYNCED))
    assert odd is not None
    assert odd.kind == FailureKind.LATE_ERROR


def test_an_error_is_raised_once() -> None:
    never = breach(history(OK, OK, OK, Outcome(late_error="MapFailed"), SYNCED), MapFailed)
    assert never is not None
    assert never.reason == ONCE
    twice = breach(history(OK, FAILED, FAILED, Outcome(data=bytes(4)), SYNCED), SubmitFailed)
    assert twice is not None
    assert twice.reason == ONCE


def test_a_sync_delivers_every_read_in_order_and_once() -> None:
    late = breach(history(OK, OK, OK, READ, Outcome(data=b"")))
    assert late is not None
    assert (late.kind, late.position) == (FailureKind.DELIVERY_ORDER, 4)
    double = breach(replace(SOUND, deliveries=("r0", "r0")))
    assert double is not None
    assert (double.kind, double.position) == (FailureKind.DELIVERY_ORDER, 5)


@pytest.mark.parametrize("error", ["SubmitFailed", "DeviceLost"])
def test_a_sync_that_raises_delivers_as_well(error: str) -> None:
    raised = getattr(errors, error)
    assert breach(history(OK, OK, OK, READ, Outcome(error=error, data=b"r0")), raised) is None
    late = breach(history(OK, OK, OK, READ, Outcome(error=error, data=b"")), raised)
    assert late is not None
    assert (late.kind, late.position) == (FailureKind.DELIVERY_ORDER, 4)


def test_an_error_is_raised_under_its_own_name() -> None:
    other = breach(history(OK, OK, FAILED, Outcome(error="DataLost"), Outcome(data=b"")), MapFailed)
    assert other is not None


def test_a_lost_device_stays_lost() -> None:
    gone = Outcome(error="DeviceLost")
    assert breach(history(OK, OK, gone, gone, gone, deliveries=()), DeviceLost) is None
    back = breach(history(OK, OK, gone, READ, SYNCED), DeviceLost)
    assert back is not None
    assert (back.kind, back.position, dict(back.sides)["expected"]) == (
        FailureKind.ERROR,
        3,
        "DeviceLost",
    )


def test_refusals_are_those_of_the_contract() -> None:
    refused = breach(history(OK, Outcome(error="OutOfRange"), OK, READ, SYNCED))
    assert refused is not None
    assert (refused.kind, refused.position) == (FailureKind.ERROR, 1)


def test_a_buffer_whose_alloc_failed_stands_for_nothing() -> None:
    unbound = Outcome(error="InvalidHandle")
    full = Outcome(error="OutOfMemory")
    shown = history(full, unbound, unbound, unbound, Outcome(data=b""), deliveries=())
    assert breach(shown, OutOfMemory) is None


def test_a_crash_is_none_of_the_faults() -> None:
    crashed = breach(history(OK, Outcome(error="crash: TypeError"), OK, READ, SYNCED))
    assert crashed is not None
    assert (crashed.kind, crashed.position) == (FailureKind.CRASH, 1)


@pytest.mark.parametrize("reads_share", [False, True])
def test_a_failed_map_fails_its_own_read_unless_reads_share(reads_share: bool) -> None:
    program = Program.parse("alloc a 4\nread a 0 4 -> r0\nread a 0 4 -> r1\nsync\n")
    failed = Outcome(late_error="MapFailed")
    reported = Outcome(error="MapFailed", data=b"r0,r1")
    shown = history(OK, failed, failed, reported, deliveries=("r0", "r1"))
    found = breach(shown, MapFailed, program=program, reads_share=reads_share)
    assert (found is None) == reads_share


def test_what_the_budget_refuses_is_no_fault() -> None:
    full = Outcome(error="OutOfMemory")
    unbound = Outcome(error="InvalidHandle")
    shown = history(full, unbound, unbound, unbound, Outcome(data=b""), deliveries=())
    assert breach(shown, limits=Limits(memory_budget_bytes=3)) is None
    never = breach(shown, limits=Limits(memory_budget_bytes=4))
    assert never is not None
    assert never.reason == ONCE


def test_only_what_an_op_needs_excuses_it() -> None:
    program = Program.parse(
        "alloc a 4\nalloc b 4\ndispatch affine a 1,1 1x1x1\nflush\ncopy b 0 a 0 2\nsync\n"
    )
    shown = history(OK, OK, OK, FAILED, Outcome(error="DataLost"), Outcome(data=b""), deliveries=())
    found = breach(shown, SubmitFailed, program=program)
    assert found is not None
    assert (found.kind, found.position) == (FailureKind.ERROR, 4)


def test_a_driver_that_met_a_loss_met_it_once() -> None:
    trace = Trace()
    for verb, error in (("map", "MapFailed"), ("lost", "DeviceLost"), ("submit", "DeviceLost")):
        trace.emit("failed", verb=verb, error=error)
    assert met_faults(trace) == ["MapFailed", "DeviceLost"]


TWICE = Program.parse("alloc a 4\nalloc b 4\nflush\nflush\nsync\n")


def told(met: Sequence[str], *reported: str, closing: str = "", each: bool = True) -> bool:
    """Whether the faults that were met count as told."""
    shown = history(OK, OK, OK, OK, SYNCED)
    return not judge_reported(
        TWICE, shown, reported, met, reads_share=True, closing=closing, each=each
    )


def test_each_of_several_faults_is_told() -> None:
    two = ["SubmitFailed", "SubmitFailed"]
    assert told(two, *two)
    assert not told(two, "SubmitFailed")
    assert not told(["SubmitFailed", "OutOfMemory"], "OutOfMemory")


def test_a_read_of_no_bytes_meets_no_failed_map() -> None:
    program = Program.parse("alloc a 4\nread a 0 4 -> r0\nread a 4 0 -> r1\nsync\n")
    late = Outcome(late_error="MapFailed")
    for empty, is_told in ((Outcome(data=b""), True), (late, False)):
        shown = history(OK, late, empty, SYNCED)
        failure = judge_reported(program, shown, ["MapFailed"], ["MapFailed"], reads_share=True)
        assert (failure is None) is is_told


def test_a_close_may_tell_the_last_one() -> None:
    assert told(["OutOfMemory", "SubmitFailed"], "OutOfMemory", closing="SubmitFailed")


def test_a_client_that_makes_several_calls_tells_one_of_their_faults() -> None:
    assert told(["SubmitFailed", "SubmitFailed"], "SubmitFailed", each=False)
    assert not told(["SubmitFailed"], each=False)


def test_a_loss_and_a_failed_map_need_no_further_word() -> None:
    assert told(["SubmitFailed", "DeviceLost"], "DeviceLost")
    assert told(["MapFailed", "OutOfMemory"], "OutOfMemory")
