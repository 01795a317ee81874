"""``gpusim repro``: the test and the script that it writes run, fail, and pass once mended."""

import runpy
from dataclasses import replace
from pathlib import Path

import pytest

import gpusim
from gpusim.program import Program
from gpusim.testing import TargetFailed
from properties.cli import main
from properties.finding_file import FindingFile, write
from properties.model.case import NO_POLICY, Case, DeviceSpec
from properties.model.results import MOST_LINES, Finding, cut_hex

ROOT = Path(gpusim.__file__).parents[1]
SHOWS_IT = "alloc a 4\ndispatch affine a 1,1 1x1x1\nwrite a 0 01010101\nread a 0 4 -> r0\n"
CASE = Case(
    program=Program.parse(SHOWS_IT),
    policy=NO_POLICY,
    device=DeviceSpec(name="simulated"),
    seed="0/1",
    target=f"{ROOT}/examples/overtaking_write.py:Overtaking",
)
DETAILS = 'raised "it" in C:\\new\n"""'


def written(form: str, case: Case, folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The source that the command writes for a finding of ``case``, in a file."""
    finding, source = folder / "simulated-value-0-1.txt", folder / f"source{form}.py"
    write(finding, FindingFile(case=case, summary='op 3: it\'s wrong\\"""', details=DETAILS))
    assert main(["repro", str(finding), form]) == 0
    source.write_text(capsys.readouterr().out, encoding="utf-8")
    return source


def test_the_test_fails_until_the_target_is_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = runpy.run_path(str(written("--pytest", CASE, tmp_path, capsys)))
    with pytest.raises(TargetFailed, match="op 3: read a 0 4 -> r0"):
        shown["test_simulated_value_0_1"]()
    right = runpy.run_path(
        str(written("--pytest", replace(CASE, target="naive"), tmp_path, capsys))
    )
    right["test_simulated_value_0_1"]()


def test_the_script_exits_with_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="op 3: read a 0 4 -> r0"):
        runpy.run_path(str(written("--script", CASE, tmp_path, capsys)), run_name="__main__")
    right = written("--script", replace(CASE, target="naive"), tmp_path, capsys)
    runpy.run_path(str(right), run_name="__main__")
    assert capsys.readouterr().out == "passes\n"


@pytest.mark.parametrize("form", ["--pytest", "--script"])
def test_the_source_says_where_it_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    said = "Run it in the folder from which here/mine.py is found."
    relative = written(form, replace(CASE, target="here/mine.py:Mine"), tmp_path, capsys)
    assert said in relative.read_text(encoding="utf-8")
    for target in (CASE.target, "naive", "package.module:Mine", "exec:python mine.py"):
        source = written(form, replace(CASE, target=target), tmp_path, capsys)
        assert "Run it in" not in source.read_text(encoding="utf-8")


def test_a_file_of_version_1_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "old.txt"
    path.write_text(f"gpusim finding 1\ndevice: simulated\npolicy: ring\n\n{SHOWS_IT}")
    assert main(["repro", str(path), "--pytest"]) == 2
    assert "a file of version 1 names no target" in capsys.readouterr().err
    assert main(["repro", str(path)]) == 2


def test_a_finding_is_said_in_few_lines_however_long_it_is() -> None:
    program = Program.parse("alloc a 400\n" + f"write a 0 {'ab' * 400}\n" * 30)
    told = Finding(
        program=program,
        failure="\n".join(map(str, range(40))),
        replay="gpusim replay it",
        reproduced=False,
        is_cut_short=True,
    )
    lines = str(told).splitlines()
    assert len(lines) == MOST_LINES
    assert "(31 ops)" in lines[-4]
    assert max(map(len, lines)) < 265
    assert cut_hex(f"got {'0f' * 20}.") == "got 0f0f0f0f0f0f0f0f...(20 bytes)."


def test_an_unsaved_finding_is_explained_and_whole() -> None:
    program = Program.parse("alloc a 4\nread a 0 4 -> r0\n")
    told = Finding(program=program, failure="4 wrong", unsaved="it is full", argument=("a", "  b"))
    expected = f"a\n  b\n\n{program}\n4 wrong\n  It could not be saved: it is full"
    assert str(told) == expected
