"""What a session says: ten lines with the finding first, or for other tools."""

import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from gpusim.program import Program
from properties.cli import main
from properties.explain.argument import Argument
from properties.fuzz.bugs import Bugs
from properties.fuzz.engine import Session
from properties.fuzz.exports import as_sarif, write_junit, write_sarif
from properties.fuzz.planted import PlantedMistake
from properties.fuzz.report import as_json, findings, live, say
from properties.fuzz.settings import Settings
from properties.fuzz.tally import PolicyTally, Tally
from properties.model.case import NO_POLICY, Case, DeviceSpec
from properties.model.failure import Failure, FailureKind
from properties.oracles.compare import Checked

SHOWS_IT = "alloc a 4\ndispatch affine a 1,1 1x1x1\nwrite a 0 01010101\nread a 0 4 -> r0\n"
WRONG = Failure(
    kind=FailureKind.VALUE,
    position=3,
    op="read a 0 4 -> r0",
    reason="1 of 4 bytes is wrong \x07",
    sides=(("expected", "01010101"), ("got", "02010101")),
)
CASE = Case(
    program=Program.parse(SHOWS_IT),
    policy=NO_POLICY,
    device=DeviceSpec(name="simulated"),
    seed="0/1",
    target="mine.py:Mine",
)


def ran(folder: Path, *failures: Failure) -> Session:
    """A valid session, with bugs that are explained at length."""
    settings = Settings(device="simulated", target="mine.py:Mine", save=folder)
    bugs = Bugs(folder)
    for failure in failures:
        bug = bugs.add(CASE, failure, reproduced=True)
        assert bug is not None
        bug.argument = Argument(
            failure=failure,
            case=CASE,
            sentence="op 2 overtook op 1",
            facts=("one fact", "another"),
            first_broken="A2 is broken first",
            passes=("with a flush before op 2",),
            clock="submitted",
            others=("something else",),
        )
    tally = Tally(policies={"": PolicyTally(programs=7)}, checked=Checked(exact_bytes=8))
    planted = (PlantedMistake(what="a slip", where="here", programs=1, seen=True),)
    return Session(
        settings=settings, bugs=bugs, tally=tally, planted=planted, device="simulated", seconds=1.0
    )


def test_one_finding_is_ten_lines_and_comes_first(tmp_path: Path) -> None:
    session = ran(tmp_path, WRONG)
    lines = say(session).splitlines()
    assert len(lines) <= 10
    assert lines[0] == "op 2 overtook op 1"
    assert lines[2:4] == ["  fact: one fact", "  fact: another"]
    assert not [line for line in lines if "something else" in line]
    assert lines[-3].startswith("replay: gpusim replay ")
    assert lines[-2] == "1 found in 7 programs"
    assert lines[-1].endswith("--details shows the tables")


def test_a_quiet_session_says_findings_and_why_it_is_invalid(tmp_path: Path) -> None:
    found = ran(tmp_path, WRONG)
    assert say(found, quiet=True) == str(findings(found)[0])
    assert say(ran(tmp_path), quiet=True) == ""
    invalid = ran(tmp_path)
    invalid.planted = ()
    assert say(invalid, quiet=True).startswith("invalid: no mistake could be planted")


def test_junit_has_a_case_for_the_session_and_for_each_finding(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    write_junit(ran(tmp_path, WRONG), path)
    suite = ElementTree.parse(path).getroot()
    assert suite.attrib.items() >= {"tests": "2", "failures": "1", "errors": "0"}.items()
    whole, failed = suite.findall("testcase")
    assert whole.find("failure") is None
    assert failed.get("name") == "simulated-value-0-1"
    failure = failed.find("failure")
    assert failure is not None
    assert failure.get("message") == "op 2 overtook op 1"
    assert "replay: gpusim replay" in str(failure.text)
    session = ran(tmp_path)
    session.planted = ()
    write_junit(session, path)
    error = ElementTree.parse(path).getroot().find("testcase/error")
    assert error is not None
    assert "no mistake could be planted" in str(error.get("message"))


def test_sarif_points_at_the_file_of_each_finding(tmp_path: Path) -> None:
    session = ran(tmp_path, WRONG)
    path = tmp_path / "log.sarif"
    write_sarif(session, path)
    log = json.loads(path.read_text(encoding="utf-8"))
    assert log == as_sarif(session)
    (run,) = log["runs"]
    (result,) = run["results"]
    assert result["ruleId"] == "value"
    assert result["ruleId"] in {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    (place,) = result["locations"]
    uri = place["physicalLocation"]["artifactLocation"]["uri"]
    assert Path(uri).is_file()
    assert result["message"]["text"] == str(findings(session)[0])
    assert as_sarif(ran(tmp_path))["runs"][0]["results"] == []


def test_where_nobody_sees_a_live_line_one_is_told_every_ten_seconds(tmp_path: Path) -> None:
    session, told = ran(tmp_path), list[str]()
    session.tally.reached.batches.update({"one": 1, "two": 3})
    with live(Console(file=io.StringIO()), told.append) as watch:
        for seconds in (1.0, 9.9, 10.0, 15.0, 20.1):
            session.seconds = seconds
            watch(session)
    assert told == [
        "simulated: 7 programs, 1 a second, novelty 25.0%, 0 found",
        "simulated: 7 programs, 0 a second, novelty 25.0%, 0 found",
    ]


def test_the_json_has_the_whole_argument(tmp_path: Path) -> None:
    (found,) = as_json(ran(tmp_path, WRONG))["findings"]
    assert "or: something else" in found["argument"]


@pytest.mark.parametrize("words", [("--quiet", "--details"), ("--junit", "no-folder/x.xml")])
def test_wrong_options_are_wrong_usage(words: tuple[str, str]) -> None:
    assert main(["fuzz", *words]) == 2
