"""A session that would not have seen a mistake is invalid."""

from pathlib import Path

import pytest

from gpusim.program import Program
from gpusim.runtime import PRESETS
from properties.fuzz.bugs import Bugs
from properties.fuzz.engine import Session
from properties.fuzz.protocol import PolicyTally, Tally
from properties.fuzz.settings import Settings
from properties.fuzz.worker import with_mistake
from properties.model.case import Case, DeviceSpec
from properties.model.failure import Failure, FailureKind
from properties.oracles.compare import Checked
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import AdapterFactory, RuntimeFactory, TargetFactory

OVERTAKEN = "alloc a 4\nwrite a 0 01020304\ndispatch affine a 3,5 1x1x1\nread a 0 4 -> r0\n"
FLUSHED = "alloc a 4\ndispatch affine a 3,5 1x1x1\nwrite a 0 01020304\nread a 0 4 -> r0\n"


def failure_of(text: str, factory: TargetFactory) -> Failure | None:
    device = DeviceSpec(name="simulated")
    case = Case(program=Program.parse(text), policy=PRESETS["lazy"], device=device)
    return judge(case, with_mistake(factory), MEANING_ONLY).failure


@pytest.mark.parametrize("kind", [RuntimeFactory, AdapterFactory])
def test_the_planted_mistake_shows_where_a_dispatch_follows_a_write(
    kind: type[RuntimeFactory] | type[AdapterFactory],
) -> None:
    factory = kind("simulated")
    failure = failure_of(OVERTAKEN, factory)
    assert failure is not None
    assert failure.kind == "value"
    assert failure_of(FLUSHED, factory) is None


def session(tmp_path: Path, *, programs: int, exact_bytes: int, seen: int | None) -> Session:
    tally = Tally(
        policies={"lazy": PolicyTally(programs=programs)}, checked=Checked(exact_bytes=exact_bytes)
    )
    bugs = Bugs(tmp_path, kernels="")
    return Session(settings=Settings(), tally=tally, bugs=bugs, planted_seen=seen)


@pytest.mark.parametrize(
    ("programs", "exact_bytes", "seen", "reason"),
    [
        (0, 0, 3, "no program ran"),
        (9, 0, 3, "no byte was compared"),
        (9, 8, None, "a mistake planted on purpose was not seen"),
        (9, 8, 3, ""),
    ],
)
def test_a_session_that_shows_nothing_says_why(
    tmp_path: Path, programs: int, exact_bytes: int, seen: int | None, reason: str
) -> None:
    done = session(tmp_path, programs=programs, exact_bytes=exact_bytes, seen=seen)
    assert done.invalid_because == reason
    assert done.is_valid == (not reason)


def test_how_often_programs_fail_at_most_follows_from_how_many_did_not(tmp_path: Path) -> None:
    assert session(tmp_path, programs=300, exact_bytes=8, seen=1).rate_bound == 0.01
    assert session(tmp_path, programs=2, exact_bytes=8, seen=1).rate_bound == 1.0
    failed = session(tmp_path, programs=300, exact_bytes=8, seen=1)
    case = Case(program=Program.parse("alloc a 4\n"), device=DeviceSpec(name="gl"))
    failed.bugs.add(case, Failure(kind=FailureKind.VALUE, reason="no"), reproduced=True)
    assert failed.rate_bound is None
