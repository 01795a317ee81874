"""One failure is one finding, however many programs show it."""

from dataclasses import replace
from pathlib import Path

import pytest

from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from gpusim.program import Program
from gpusim.runtime import PRESETS
from properties.finding_file import read
from properties.fuzz.bugs import Bugs
from properties.fuzz.signatures import signature_of
from properties.model.case import Case, DeviceSpec
from properties.model.disturbance import Disturbance, parse_disturbance
from properties.model.failure import Failure, FailureKind
from properties.model.refusals import refusals
from properties.shrink.reducer import Shrunk
from reference import run

LATE = Failure(
    kind=FailureKind.VALUE, position=2, op="read a 0 4 -> r0", reason="4 bytes are wrong"
)
REFUSED = Failure(
    kind=FailureKind.ERROR,
    trait="accepted/InvalidHandle",
    position=1,
    op="free a",
    reason="no",
)


def case(text: str, seed: str = "0/1") -> Case:
    program = Program.parse(text)
    return Case(
        program=program, policy=PRESETS["lazy"], device=DeviceSpec(name="vulkan:1"), seed=seed
    )


def shrunk(small: Case, *, is_cut_short: bool) -> Shrunk:
    return Shrunk(case=small, failure=LATE, is_cut_short=is_cut_short, candidates=1)


def test_programs_of_the_same_ops_that_fail_alike_are_one_bug(tmp_path: Path) -> None:
    bugs = Bugs(tmp_path / "new" / "folder")
    first = bugs.add(case("alloc a 4\nread a 0 4 -> r0\n"), LATE, reproduced=True)
    again = bugs.add(case("alloc b 8\nread b 4 4 -> r9\n", "0/2"), LATE, reproduced=True)
    assert first is not None
    assert again is first
    assert (len(bugs), bugs.failures, first.count) == (1, 2, 2)
    assert [path.name for path in first.file.parent.iterdir()] == ["vulkan-1-value-0-1.txt"]


def test_other_ops_or_another_failure_are_another_bug(tmp_path: Path) -> None:
    bugs = Bugs(tmp_path)
    bugs.add(case("alloc a 4\nread a 0 4 -> r0\n"), LATE, reproduced=True)
    written = "alloc a 4\nwrite a 0 01020304\nread a 0 4 -> r0\n"
    bugs.add(case(written, "0/2"), LATE, reproduced=True)
    bugs.add(case("alloc a 4\nread a 0 4 -> r0\n", "0/3"), REFUSED, reproduced=True)
    assert len(bugs) == bugs.failures == len(list(tmp_path.iterdir())) == 3
    failing = case("alloc a 4\n")
    other = Failure(kind=FailureKind.ERROR, trait="accepted/OutOfRange", reason="no")
    assert signature_of(failing, other, BUILTIN) != signature_of(failing, REFUSED, BUILTIN)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("flush", "sync", True),
        ("free a\nwrite a 0 01020304", "free a\ncopy a 0 a 0 4", True),
        ("write a 0 01020304", "write a 0 01", False),
        ("write a 0 01020304", "free a\nwrite a 0 01020304", False),
        ("free a\nfree a", "write a 0 0102030405", False),
        ("copy a 0 a 0 4", "copy a 0 b 0 4", False),
    ],
)
def test_failures_are_told_apart_by_what_they_take(one: str, other: str, same: bool) -> None:
    texts = [f"alloc a 4\nalloc b 4\n{each}\nread b 0 4 -> r0\n" for each in (one, other)]
    failures = [replace(LATE, position=text.count("\n") - 1) for text in texts]
    signatures = [
        signature_of(case(text), failure, BUILTIN)
        for text, failure in zip(texts, failures, strict=True)
    ]
    assert (signatures[0] == signatures[1]) is same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("InvalidHandle dispatch raised", "InvalidBinding dispatch twice raised", True),
        ("InvalidHandle free accepted", "InvalidHandle write accepted", True),
        ("OutOfRange copy accepted", "OutOfRange write accepted", False),
        ("InvalidBinding dispatch accepted", "InvalidBinding dispatch twice accepted", False),
        ("InvalidBinding dispatch accepted", "InvalidBinding dispatch raised", False),
    ],
)
def test_harm_is_told_apart_by_what_the_target_did(one: str, other: str, same: bool) -> None:
    failing = case("alloc a 4\nfree a\nfree a\nalloc b 4\nread b 0 4 -> r0\n")
    signatures = [
        signature_of(failing, replace(LATE, position=4, refused=frozenset({each})), BUILTIN)
        for each in (one, other)
    ]
    assert (signatures[0] == signatures[1]) is same


def test_an_op_that_a_fault_made_raise_is_of_no_sort() -> None:
    program = Program.parse("alloc a 4\nread a 0 4 -> r0\nsync\nfree a\nfree a\n")
    meant = run(program, BUILTIN, Limits())
    raised = replace(meant.outcomes[2], error="MapFailed")
    meant = replace(meant, outcomes=(*meant.outcomes[:2], raised, *meant.outcomes[3:]))
    assert refusals(program, meant, meant, BUILTIN) == {"InvalidHandle free raised"}


def test_ops_say_nothing_of_a_client_in_another_order_of_promises() -> None:
    texts = ("alloc a 4\nread a 0 4 -> r0\n", "alloc a 4\nwrite a 0 01020304\nread a 0 4 -> r0\n")
    cases = [replace(case(text), client="one_array", disturbance=Disturbance()) for text in texts]
    assert len({signature_of(each, LATE, BUILTIN) for each in cases}) == 1
    alone = [replace(each, client="plain") for each in cases]
    assert len({signature_of(each, LATE, BUILTIN) for each in alone}) == 2
    failing = parse_disturbance("seed=0 failed_maps=0")
    faulty = [replace(each, disturbance=failing) for each in alone]
    assert len({signature_of(each, LATE, BUILTIN) for each in faulty}) == 1


def test_a_client_shows_one_bug_whether_promises_settle_late_or_fail(tmp_path: Path) -> None:
    bugs, plain = Bugs(tmp_path), case("alloc a 4\nread a 0 4 -> r0\n")
    late = replace(plain, client="overlapping", disturbance=Disturbance())
    failing = replace(late, disturbance=parse_disturbance("seed=0 failed_maps=0"))
    found = bugs.add(failing, LATE, reproduced=True, shrunk=shrunk(failing, is_cut_short=False))
    assert bugs.avoided == {"overlapping with failed_maps"}
    assert bugs.add(late, LATE, reproduced=True, shrunk=shrunk(late, is_cut_short=False)) is found
    assert bugs.avoided == {"overlapping with failed_maps", "overlapping"}
    alone = [replace(each, client="plain") for each in (late, failing)]
    assert len({signature_of(each, LATE, BUILTIN) for each in alone}) == 2


ODD = "alloc a 8\nwrite a 0 01\ncopy a 0 a 4 4\nread a 0 4 -> r0\n"


def test_a_smaller_case_takes_the_place_of_one_that_was_cut_short(tmp_path: Path) -> None:
    bugs = Bugs(tmp_path)
    large, small = case(ODD), case(ODD.replace("copy a 0 a 4 4\n", ""))
    cut = bugs.add(large, LATE, reproduced=True, shrunk=shrunk(large, is_cut_short=True))
    assert (cut is not None, bugs.avoided) == (True, frozenset())
    assert bugs.add(small, LATE, reproduced=True, shrunk=shrunk(small, is_cut_short=False)) is cut
    assert [(bug.case, bug.count) for bug in bugs.met.values()] == [(small, 2)]
    assert bugs.avoided == {"odd write"}
    assert cut is not None
    assert read(cut.file).case == small
    assert bugs.add(large, LATE, reproduced=True, shrunk=shrunk(large, is_cut_short=True)) is cut
    assert (len(bugs), cut.count, cut.case) == (1, 3, small)


def test_what_is_made_small_at_last_may_show_another_bug(tmp_path: Path) -> None:
    bugs = Bugs(tmp_path)
    within, odd = (case(ODD.replace(line, "")) for line in ("write a 0 01\n", "copy a 0 a 4 4\n"))
    large = case(ODD, "0/2")
    cut = bugs.add(large, LATE, reproduced=True, shrunk=shrunk(large, is_cut_short=True))
    assert cut is not None
    assert bugs.resume(cut, shrunk(within, is_cut_short=False), ()) is cut
    assert (read(cut.file).case, bugs.avoided) == (within, frozenset({"copy within"}))
    again = bugs.add(odd, LATE, reproduced=True, shrunk=shrunk(odd, is_cut_short=True))
    assert again is not None
    assert bugs.resume(again, shrunk(within, is_cut_short=False), ()) is None
    assert ([*bugs.met.values()], cut.count, again.file.exists()) == ([cut], 2, False)


def test_a_client_with_faults_is_another_condition_than_the_client(tmp_path: Path) -> None:
    bugs = Bugs(tmp_path)
    plain = case("alloc a 4\nread a 0 4 -> r0\n")
    client = replace(plain, client="one_array", disturbance=Disturbance())
    faulty = replace(client, disturbance=parse_disturbance("seed=0 failed_maps=0"))
    bugs.add(client, LATE, reproduced=True, shrunk=shrunk(client, is_cut_short=False))
    assert [bugs.is_new_condition(each) for each in (plain, client, faulty)] == [False, False, True]


def test_what_is_known_is_not_reported_again(tmp_path: Path) -> None:
    bugs = Bugs(tmp_path / "new")
    failing = case("alloc a 4\nread a 0 4 -> r0\n")
    bugs.know(Path("old.txt"), failing, LATE, "")
    bugs.know(Path("mended.txt"), failing, None, "")
    bugs.know(Path("other.txt"), failing, None, "it was found on device gl")
    assert bugs.add(replace(failing, seed="0/9"), LATE, reproduced=True) is None
    assert (len(bugs), bugs.failures, bugs.known_failures) == (0, 0, 1)
    assert bugs.add(failing, REFUSED, reproduced=True) is not None
    assert [str(known) for known in bugs.known] == [
        "still fails",
        "does not fail any more",
        "not run because it was found on device gl",
    ]


def test_the_file_holds_the_case_and_the_argument_in_one_line(tmp_path: Path) -> None:
    failing = case("alloc a 4\nread a 0 4 -> r0\n")
    bug = Bugs(tmp_path, place="own.py").add(failing, LATE, reproduced=False)
    assert bug is not None
    finding = read(bug.file)
    assert finding.case == failing
    assert finding.kernels == "own.py"
    assert finding.versions.startswith("gpusim ")
    assert finding.summary == (
        "op 2: read a 0 4 -> r0; value: 4 bytes are wrong (it did not fail again by itself)"
    )
