"""A session that would not have seen a mistake is invalid."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from gpusim.program import Program
from gpusim.runtime import PRESETS
from properties.fuzz.bugs import Bugs
from properties.fuzz.engine import Session, fuzz
from properties.fuzz.planted import MISTAKES, PlantedMistake, hunt_mistakes, with_mistake
from properties.fuzz.settings import Settings
from properties.fuzz.tally import PolicyTally, Tally
from properties.model.case import Case, DeviceSpec
from properties.model.failure import Failure, FailureKind
from properties.oracles.compare import Checked
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import AdapterFactory, RuntimeFactory, TargetFactory

PLANTED = Path(__file__).parent / "planted.py"
WRITE, DISPATCH = "write a 0 01020304\n", "dispatch affine a 3,5 1x1x1\n"
OVERTAKEN, DROPPED, DOUBLED = MISTAKES


def case_of(ops: str) -> Case:
    program = Program.parse(f"alloc a 4\n{ops}read a 0 4 -> r0\n")
    return Case(program=program, policy=PRESETS["lazy"], device=DeviceSpec(name="simulated"))


@pytest.mark.parametrize("kind", [RuntimeFactory, AdapterFactory])
@pytest.mark.parametrize(
    ("what", "shows", "hides"),
    [
        (OVERTAKEN, WRITE + DISPATCH, DISPATCH + WRITE),
        (DROPPED, WRITE + DISPATCH + WRITE + DISPATCH + WRITE, WRITE + DISPATCH + WRITE),
        (DOUBLED, DISPATCH * 3, DISPATCH * 2),
    ],
)
def test_a_planted_mistake_shows_in_the_target_that_is_judged(
    kind: type[RuntimeFactory] | type[AdapterFactory], what: str, shows: str, hides: str
) -> None:
    factory = with_mistake(kind("simulated"), what)
    failure = judge(case_of(shows), factory, MEANING_ONLY).failure
    assert failure is not None
    assert failure.kind == "value"
    assert judge(case_of(hides), factory, MEANING_ONLY).failure is None


def hunted(factory: TargetFactory, ops: Sequence[str]) -> list[tuple[int, bool]]:
    def numbered(number: int) -> Case:
        return case_of(ops[number % len(ops)])

    mistakes = hunt_mistakes(factory, "mine.py:Mine", numbered, lambda: None)
    assert [mistake.what for mistake in mistakes] == list(MISTAKES)
    assert {mistake.where for mistake in mistakes} == {"target mine.py:Mine"}
    return [(mistake.programs, mistake.seen) for mistake in mistakes]


def test_each_mistake_is_planted_until_it_is_seen() -> None:
    programs = [WRITE + DISPATCH, DISPATCH * 3, WRITE + DISPATCH + WRITE + DISPATCH + WRITE]
    assert hunted(AdapterFactory("simulated"), programs) == [(1, True), (3, True), (2, True)]
    assert hunted(AdapterFactory("simulated"), [DISPATCH]) == [(100, False)] * 3


def test_a_target_that_fails_anyway_shows_no_mistake() -> None:
    wrong = with_mistake(AdapterFactory("simulated"), DOUBLED)
    assert hunted(wrong, [DISPATCH * 3]) == [(10, False)] * 3


@pytest.mark.parametrize("target", ["runtime", "naive", f"{PLANTED}:submits_each"])
def test_a_session_plants_in_its_target_and_a_mutant_in_our_runtime_only(
    tmp_path: Path, target: str
) -> None:
    settings = Settings(device="simulated", target=target, programs=1, save=tmp_path, shrink=0.1)
    planted = fuzz(settings, lambda session: None).planted
    own = ["gpusim's own runtime on device simulated"] * (target != "naive")
    assert [mistake.where for mistake in planted] == [f"target {target}"] * len(MISTAKES) + own
    assert all(mistake.what.startswith("mutant ") for mistake in planted[len(MISTAKES) :])
    assert all(mistake.seen for mistake in planted)


def test_mistakes_that_a_bug_hid_are_planted_again_without_what_the_bug_takes(
    tmp_path: Path,
) -> None:
    target = f"{PLANTED}:RefusesOddSizes"
    settings = Settings(
        device="simulated", target=target, seed=1, programs=40, save=tmp_path, shrink=1.0
    )
    ended = fuzz(settings, lambda session: None)
    assert len(ended.bugs)
    assert not ended.unseen


def session(tmp_path: Path, *, programs: int, exact_bytes: int, seen: bool | None) -> Session:
    tally = Tally(
        policies={"lazy": PolicyTally(programs=programs)}, checked=Checked(exact_bytes=exact_bytes)
    )
    bugs = Bugs(tmp_path)
    mistake = PlantedMistake(what="a slip", where="target mine", programs=7, seen=bool(seen))
    planted = () if seen is None else (mistake,)
    return Session(settings=Settings(), tally=tally, bugs=bugs, planted=planted)


@pytest.mark.parametrize(
    ("programs", "exact_bytes", "seen", "reason"),
    [
        (0, 0, True, "no program ran"),
        (9, 0, True, "no byte was compared"),
        (9, 8, None, "no mistake could be planted, since the worker died"),
        (9, 8, False, "a slip, planted in target mine: not seen in 7 programs"),
        (9, 8, True, ""),
    ],
)
def test_a_session_that_shows_nothing_says_why(
    tmp_path: Path, programs: int, exact_bytes: int, seen: bool | None, reason: str
) -> None:
    done = session(tmp_path, programs=programs, exact_bytes=exact_bytes, seen=seen)
    assert done.invalid_because == reason
    assert done.is_valid == (not reason)


def test_how_often_programs_fail_at_most_follows_from_how_many_did_not(tmp_path: Path) -> None:
    assert session(tmp_path, programs=300, exact_bytes=8, seen=True).rate_bound == 0.01
    assert session(tmp_path, programs=2, exact_bytes=8, seen=True).rate_bound == 1.0
    failed = session(tmp_path, programs=300, exact_bytes=8, seen=True)
    case = Case(program=Program.parse("alloc a 4\n"), device=DeviceSpec(name="gl"))
    failed.bugs.add(case, Failure(kind=FailureKind.VALUE, reason="no"), reproduced=True)
    assert failed.rate_bound is None
