"""What a sync may raise for a refused op before it, under each promise of refusals."""

import pytest

from gpusim.history import CRASH, History, Outcome
from gpusim.ops import Op
from gpusim.program import Program
from properties.model.capabilities import Capabilities, Refusal
from properties.model.case import NO_POLICY, Case, DeviceSpec
from properties.model.failure import FailureKind
from properties.model.target import Delivery
from properties.oracles.compare import compare
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import AdapterFactory
from tests.judge.promising import Small

PROGRAM = Program.parse("alloc a 4\nwrite a 4 00000000\nsync\nsync\n")
REFUSED = Outcome(error="OutOfRange")
OK, LATE, ENDED = (
    Outcome(),
    Outcome(error=f"{CRASH}GPUValidationError"),
    Outcome(error=f"{CRASH}TargetFailed"),
)
SYNCED = Outcome(data=b"")


def kind_of(refusal: Refusal, *shown: Outcome, program: Program = PROGRAM) -> FailureKind | None:
    expected = History(outcomes=(OK, REFUSED, SYNCED, SYNCED), deliveries=())
    got = History(outcomes=(OK, *shown), deliveries=())
    failure = compare(program, expected, got, Capabilities(out_of_range=refusal))
    return failure.kind if failure is not None else None


LATE_LEVELS = (Refusal.CONTAINED, Refusal.NEXT_SYNC)


@pytest.mark.parametrize("refusal", LATE_LEVELS)
def test_the_next_sync_may_tell_of_an_op_that_raised_nothing(refusal: Refusal) -> None:
    assert kind_of(refusal, OK, LATE, SYNCED) is None


@pytest.mark.parametrize("refusal", LATE_LEVELS)
def test_the_sync_after_that_may_not(refusal: Refusal) -> None:
    assert kind_of(refusal, OK, LATE, LATE) is FailureKind.CRASH


@pytest.mark.parametrize("refusal", LATE_LEVELS)
def test_no_sync_may_tell_again_of_an_op_that_raised(refusal: Refusal) -> None:
    assert kind_of(refusal, LATE, LATE, SYNCED) is FailureKind.CRASH


@pytest.mark.parametrize("refusal", LATE_LEVELS)
@pytest.mark.parametrize("shown", [(ENDED, ENDED, ENDED), (OK, ENDED, ENDED)])
def test_the_end_of_the_target_is_a_failure(refusal: Refusal, shown: tuple[Outcome, ...]) -> None:
    assert kind_of(refusal, *shown) is FailureKind.CRASH


def test_only_a_contained_op_may_stay_untold() -> None:
    assert kind_of(Refusal.CONTAINED, OK, SYNCED, SYNCED) is None
    assert kind_of(Refusal.NEXT_SYNC, OK, SYNCED, SYNCED) is FailureKind.ERROR


class _TellsAtTheEnd(Small):
    """Accepts what is out of range, and tells of it when it is closed."""

    def __init__(self, device: object, kernels: object) -> None:
        super().__init__(Capabilities(out_of_range=Refusal.CONTAINED), raises=False)

    def perform(self, op: Op) -> Delivery | None:
        self._owes = False
        return super().perform(op)

    def close(self) -> None:
        raise KeyError("something went wrong before")


def test_a_close_that_raises_is_told_with_the_refused_ops() -> None:
    factory = AdapterFactory("simulated", make_target=_TellsAtTheEnd)
    device = DeviceSpec(name="simulated")
    case = Case(program=PROGRAM, policy=NO_POLICY, device=device, promises=factory.capabilities)
    failure = judge(case, factory, MEANING_ONLY).failure
    assert failure is not None
    assert (failure.kind, failure.op) == (FailureKind.CRASH, "close")
    assert failure.refused == {"OutOfRange write accepted"}
