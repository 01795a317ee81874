"""A cured program lacks what known bugs take, and a pair is what a sync between two ops heals."""

from dataclasses import replace

import pytest

from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from gpusim.program import Program
from properties.model.capabilities import CONTRACT
from properties.model.case import NO_POLICY, Case, DeviceSpec
from properties.model.failure import Failure, FailureKind
from properties.shrink.avoid import avoidable, cured
from properties.shrink.together import together

pytestmark = pytest.mark.unit
WRONG = Failure(kind=FailureKind.VALUE, reason="4 bytes are wrong")


def case(text: str) -> Case:
    program = Program.parse(text.replace(" | ", "\n"))
    device = DeviceSpec(name="simulated")
    return Case(program=program, device=device, policy=NO_POLICY, promises=CONTRACT)


def judged_by(text: str) -> list[str]:
    return str(case(text).program).splitlines()


@pytest.mark.parametrize(
    ("text", "bugs", "left"),
    [
        ("alloc a 4 | write a 0 0102", ["recorded to write"], "alloc a 4 | sync | write a 0 0102"),
        ("alloc a 4 | free a", ["alloc to any"], "alloc a 4 | sync | free a"),
        ("alloc a 4 | free a | free a", ["refuses InvalidHandle"], "alloc a 4 | free a"),
        ("alloc a 4 | write a 0 01", ["odd write"], "alloc a 4 | write a 0 01202020"),
        ("alloc a 8 | copy a 0 a 4 4", ["copy within"], "alloc a 8"),
        ("alloc a 4 | free a", ["free"], "alloc a 4 | free a"),
    ],
)
def test_what_a_known_bug_takes_is_gone(text: str, bugs: list[str], left: str) -> None:
    program = cured(case(text), bugs, avoidable(bugs, ()), BUILTIN, Limits()).program
    assert str(program).splitlines() == judged_by(left)


def test_a_pair_is_what_a_sync_between_heals() -> None:
    text = (
        "alloc a 4 | alloc b 4 | copy a 0 b 0 4 | alloc c 4 | write a 0 01020304 | read b 0 4 -> r"
    )

    def overtakes(each: Case) -> Failure | None:
        verbs = [op.verb for op in each.program]
        between = verbs[verbs.index("copy") : verbs.index("write")]
        return None if "sync" in between else WRONG

    assert together(case(text), WRONG, overtakes) == ("recorded", "write")
    assert together(case(text), WRONG, lambda each: WRONG) == ()


def test_what_ends_its_process_is_not_run_again() -> None:
    ended = replace(WRONG, kind=FailureKind.ABORT)
    assert together(case("alloc a 4 | free a"), ended, lambda each: None) == ()
