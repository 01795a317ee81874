"""One failure is one finding, however many programs show it."""

from pathlib import Path

from gpusim.program import Program
from gpusim.runtime import PRESETS
from properties.finding_file import read
from properties.fuzz.bugs import Bugs, signature_of
from properties.model.case import Case, DeviceSpec
from properties.model.failure import Failure, FailureKind

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


def test_programs_of_the_same_ops_that_fail_alike_are_one_bug(tmp_path: Path) -> None:
    bugs = Bugs(tmp_path / "new" / "folder", kernels="")
    first = bugs.add(case("alloc a 4\nread a 0 4 -> r0\n"), LATE, reproduced=True)
    again = bugs.add(case("alloc b 8\nread b 4 4 -> r9\n", "0/2"), LATE, reproduced=True)
    assert again is first
    assert (len(bugs), bugs.failures, first.count) == (1, 2, 2)
    assert [path.name for path in first.file.parent.iterdir()] == ["vulkan-1-value-0-1.txt"]


def test_other_ops_or_another_failure_are_another_bug(tmp_path: Path) -> None:
    bugs = Bugs(tmp_path, kernels="")
    bugs.add(case("alloc a 4\nread a 0 4 -> r0\n"), LATE, reproduced=True)
    bugs.add(case("alloc a 4\nflush\nread a 0 4 -> r0\n", "0/2"), LATE, reproduced=True)
    bugs.add(case("alloc a 4\nread a 0 4 -> r0\n", "0/3"), REFUSED, reproduced=True)
    assert len(bugs) == bugs.failures == len(list(tmp_path.iterdir())) == 3
    program = Program.parse("alloc a 4\n")
    other = Failure(kind=FailureKind.ERROR, trait="accepted/OutOfRange", reason="no")
    assert signature_of(program, other) != signature_of(program, REFUSED)


def test_the_file_holds_the_case_and_the_argument_in_one_line(tmp_path: Path) -> None:
    failing = case("alloc a 4\nread a 0 4 -> r0\n")
    bug = Bugs(tmp_path, kernels="own.py").add(failing, LATE, reproduced=False)
    finding = read(bug.file)
    assert finding.case == failing
    assert finding.kernels == "own.py"
    assert finding.versions.startswith("gpusim ")
    assert finding.summary == (
        "op 2: read a 0 4 -> r0; value: 4 bytes are wrong (it did not fail again by itself)"
    )
