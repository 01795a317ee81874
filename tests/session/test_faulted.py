"""What a program means where its device fails: faults are allowed, wrong bytes are not."""

from dataclasses import replace

import pytest

from gpusim.history import History, Outcome
from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from gpusim.program import Program
from properties.model.capabilities import CONTRACT
from properties.model.case import parse_device
from properties.model.failure import Failure
from properties.oracles.compare import compare
from properties.oracles.faulted import follow
from reference import run as run_reference

PROGRAM = Program.parse(
    "alloc a 4\nwrite a 0 01000000\ndispatch affine a 3,5 1x1x1\nread a 0 4 -> r0\nfree a\nsync\n"
)
DISPATCH, READ, FREE, SYNC = 2, 3, 4, 5
LOSES_BATCHES = frozenset({"SubmitFailed", "DataLost"})
RIGHT = run_reference(PROGRAM)


def judge(got: History, faults: frozenset[str], program: Program = PROGRAM) -> Failure | None:
    expected = follow(program, got, BUILTIN, Limits(), faults).expected
    return compare(program, expected, got, CONTRACT)


def shown(changes: dict[int, Outcome], deliveries: tuple[str, ...] = ("r0",)) -> History:
    outcomes = [changes.get(at, outcome) for at, outcome in enumerate(RIGHT.outcomes)]
    if SYNC not in changes:
        outcomes[SYNC] = Outcome(data=",".join(deliveries).encode())
    return replace(RIGHT, outcomes=tuple(outcomes), deliveries=deliveries)


UNDONE = Outcome(data=bytes([1, 0, 0, 0]))
DONE = Outcome(data=bytes([8, 0, 0, 0]))


@pytest.mark.parametrize(
    ("changes", "deliveries"),
    [
        ({}, ("r0",)),
        ({DISPATCH: Outcome(error="SubmitFailed"), READ: UNDONE}, ("r0",)),
        ({DISPATCH: Outcome(error="SubmitFailed"), READ: Outcome(error="DataLost")}, ()),
        ({READ: Outcome(late_error="SubmitFailed")}, ("r0",)),
        ({SYNC: Outcome(error="SubmitFailed", data=b"r0")}, ("r0",)),
    ],
)
def test_what_faults_may_do_is_followed(
    changes: dict[int, Outcome], deliveries: tuple[str, ...]
) -> None:
    assert judge(shown(changes, deliveries), LOSES_BATCHES) is None


@pytest.mark.parametrize(
    ("changes", "deliveries", "position"),
    [
        # A dispatch that raised must not have happened, and one that did not must have.
        ({DISPATCH: Outcome(error="SubmitFailed"), READ: DONE}, ("r0",), READ),
        ({READ: UNDONE}, ("r0",), READ),
        # A fault that no plan holds is no excuse, early or late.
        ({DISPATCH: Outcome(error="OutOfMemory")}, ("r0",), DISPATCH),
        ({READ: Outcome(late_error="MapFailed")}, ("r0",), READ),
        # A refusal is none either, and a failed read is still delivered.
        ({READ: Outcome(error="OutOfRange")}, (), READ),
        ({READ: Outcome(late_error="SubmitFailed")}, (), SYNC),
        # Nor is a sync that raises excused from delivering.
        ({SYNC: Outcome(error="SubmitFailed", data=b"")}, (), SYNC),
    ],
)
def test_what_faults_may_not_do_is_seen(
    changes: dict[int, Outcome], deliveries: tuple[str, ...], position: int
) -> None:
    mismatch = judge(shown(changes, deliveries), LOSES_BATCHES)
    assert mismatch is not None
    assert mismatch.position == position


def test_a_lost_device_stays_lost_but_frees() -> None:
    lost = Outcome(error="DeviceLost")
    faults = frozenset({"DeviceLost"})
    gone = {DISPATCH: lost, READ: lost, SYNC: lost}
    assert judge(shown(gone, ()), faults) is None
    alive_again = judge(shown({DISPATCH: lost, SYNC: lost}, ("r0",)), faults)
    assert alive_again is not None
    assert (alive_again.position, dict(alive_again.sides)["expected"]) == (READ, "DeviceLost")
    refused = judge(shown({**gone, FREE: lost}, ()), faults)
    assert refused is not None
    assert refused.position == FREE


@pytest.mark.parametrize(
    ("device", "shown_as"),
    [
        ("simulated", ()),
        ("simulated failed_maps=1", ("DataLost", "MapFailed")),
        ("simulated internal_errors=1", ("DataLost", "DeviceFault")),
        ("vulkan failed_bind_groups=1", ("DataLost", "OutOfMemory")),
        ("simulated failed_submits=0,2 lost_at_map=9", ("DataLost", "DeviceLost", "SubmitFailed")),
    ],
)
def test_a_plan_says_which_errors_it_may_show_as(device: str, shown_as: tuple[str, ...]) -> None:
    assert sorted(parse_device(device).shown_faults) == list(shown_as)
