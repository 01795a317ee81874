"""The command that explains, and arguments in sessions."""

from pathlib import Path

import pytest

from gpusim.program import Program
from properties.cli import FOUND, NOTHING_FOUND, main
from properties.explain.explain import explain_unrun
from properties.finding_file import FindingFile, write
from properties.fuzz.engine import fuzz
from properties.fuzz.report import as_json
from properties.fuzz.settings import Settings
from properties.model.case import NO_POLICY, Case, DeviceSpec
from properties.model.failure import Failure, FailureKind

TARGET = "examples/overtaking_write.py:Overtaking"
FAILS = "alloc a 4\ndispatch affine a 1,1 1x1x1\nwrite a 0 01010101\nread a 0 4 -> r0\n"
SENTENCE = "op 2 (write a 0 01010101) overtook op 1 (dispatch affine a 1,1 1x1x1)"


def case_of(program: str) -> Case:
    device = DeviceSpec(name="simulated")
    return Case(program=Program.parse(program), device=device, policy=NO_POLICY, target=TARGET)


@pytest.fixture(name="finding")
def write_finding(tmp_path: Path) -> Path:
    path = tmp_path / "finding.txt"
    write(path, FindingFile(case=case_of(FAILS)))
    return path


def test_a_finding_is_explained_in_text_as_a_page_and_as_a_trace(
    finding: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    html, trace = tmp_path / "page.html", tmp_path / "trace.pftrace"
    words = ["explain", str(finding), "--target", TARGET, "--html", str(html)]
    assert main([*words, "--trace", str(trace)]) == FOUND
    printed = capsys.readouterr().out
    assert printed.startswith(SENTENCE)
    assert printed.endswith(FAILS + "\n")
    text = html.read_text(encoding="utf-8")
    assert f"gpusim replay {finding} --target {TARGET}" in text
    assert trace.stat().st_size > 0


def test_what_passes_needs_no_argument(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "passes.txt"
    write(path, FindingFile(case=case_of("alloc a 4\nread a 0 4 -> r0\n")))
    assert main(["explain", str(path), "--target", TARGET]) == NOTHING_FOUND
    assert capsys.readouterr().out == "passes: all 2 ops show what they mean\n"


def test_a_session_explains_what_it_finds(tmp_path: Path) -> None:
    settings = Settings(
        device="simulated", target=TARGET, programs=30, findings=1, save=tmp_path, shrink=20.0
    )
    session = fuzz(settings, lambda _: None)
    (bug,) = session.bugs.met.values()
    assert bug.argument is not None
    assert " overtook " in bug.argument.sentence
    (found,) = as_json(session)["findings"]
    assert found["argument"] == list(bug.argument.lines)


def test_what_ends_its_process_is_not_run_again() -> None:
    failure = Failure(kind=FailureKind.ABORT, position=1, op="read a 0 4 -> r0", reason="it died")
    argument = explain_unrun(case_of("alloc a 4\nread a 0 4 -> r0\n"), failure)
    assert argument.lines[0] == "op 1 (read a 0 4 -> r0): it died"
