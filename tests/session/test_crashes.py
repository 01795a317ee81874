"""A crash of a target is kept whole, on the terminal, in the file of its finding and in JSON."""

import io
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gpusim.kernels import BUILTIN
from gpusim.program import Program
from gpusim.runtime import PRESETS
from properties.finding_file import read
from properties.fuzz.bugs import Bugs
from properties.fuzz.details import show
from properties.fuzz.engine import Session, _Loop, fuzz
from properties.fuzz.report import as_json
from properties.fuzz.settings import Settings
from properties.model.case import Case, DeviceSpec
from properties.model.failure import Failure, FailureKind

STUMBLES = """
from properties.targets.naive_target import NaiveTarget

class Stumbles(NaiveTarget):
    def free(self, buffer):
        self.stumble(buffer)

    def stumble(self, buffer):
        return {}["no such\\nbuffer"]
"""


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("crashed")
    path = folder / "stumbles.py"
    path.write_text(STUMBLES, encoding="utf-8")
    asked = Settings(
        device="simulated", target=f"{path}:Stumbles", programs=40, findings=1, save=folder
    )
    return fuzz(asked, lambda _: None)


def test_a_crash_is_one_in_its_summary(crashed: Session) -> None:
    (bug,) = crashed.bugs.met.values()
    assert bug.failure.signature == ("crash", "KeyError")
    assert "crash: it ended with KeyError" in bug.summary
    assert "refused" not in bug.summary
    assert len(bug.case.program) == 2


def test_its_traceback_is_shown_saved_and_told(crashed: Session) -> None:
    (bug,) = crashed.bugs.met.values()
    printed = io.StringIO()
    show(crashed, Console(file=printed, width=200))
    (told,) = as_json(crashed)["findings"]
    assert told["kind"] == "crash"
    for text in (printed.getvalue(), read(bug.file).details, told["details"]):
        assert "Traceback (most recent call last):" in text
        assert "in stumble" in text
        assert "KeyError: 'no such\\nbuffer'" in text


def test_shrinking_takes_nothing_of_the_time_of_a_session(tmp_path: Path) -> None:
    settings = Settings(device="simulated", seconds=5.0, save=tmp_path)
    supervisors: list[Any] = []
    loop = _Loop(
        Session(settings=settings, bugs=Bugs(tmp_path, kernels=BUILTIN)),
        supervisors,
        lambda _: None,
    )
    loop._start = time.monotonic() - 100.0
    assert loop._is_over()
    loop._shrink_seconds = 99.0
    assert not loop._is_over()


class _Known:
    """Sorts failures of a bug that is known, or notes a new one."""

    def __init__(self, bugs: Bugs, *, is_new: bool) -> None:
        self._bugs, self._is_new = bugs, is_new

    def sort(self, shard: Any, case: Case, failure: Failure) -> None:
        if self._is_new:
            self._bugs.add(case, failure, reproduced=False)


@pytest.mark.parametrize("is_new", [True, False])
def test_only_a_new_finding_takes_nothing_of_the_time_of_a_session(
    tmp_path: Path, *, is_new: bool
) -> None:
    bugs = Bugs(tmp_path, kernels=BUILTIN)
    session = Session(settings=Settings(device="simulated", save=tmp_path), bugs=bugs)
    loop = _Loop(session, [], lambda _: None)
    sorter: Any = _Known(bugs, is_new=is_new)
    loop._sorter = sorter
    shard: Any = None
    device = DeviceSpec(name="simulated")
    failing = Case(program=Program.parse("alloc a 4\n"), policy=PRESETS["lazy"], device=device)
    loop._found(shard, failing, Failure(kind=FailureKind.VALUE, reason="wrong"))
    assert (loop._shrink_seconds > 0) is is_new
