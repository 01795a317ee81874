"""A session drives a foreign target as it promises, and says what it could not ask for."""

import io
import json
import math
from pathlib import Path

import pytest
from rich.console import Console

from properties.clients import FOREIGN_CLIENTS
from properties.finding_file import read
from properties.fuzz.coverage import coverage
from properties.fuzz.details import show
from properties.fuzz.engine import Session, fuzz
from properties.fuzz.replay import NothingToShow, Replay, plan_replay, replay
from properties.fuzz.report import as_json
from properties.fuzz.settings import ReplaySettings, Settings

KEEPING = Path(__file__).parent / "keeping.py"


def run(save: Path, target: str) -> Session:
    settings = Settings(
        device="simulated",
        target=f"{KEEPING}:{target}",
        save=save,
        programs=120,
        findings=1,
        shrink=math.inf,
        stall=60.0,
    )
    return fuzz(settings, lambda session: None)


def shown(session: Session) -> str:
    printed = io.StringIO()
    show(session, Console(file=printed, width=200))
    return printed.getvalue()


def again(path: Path, target: str) -> Replay:
    settings = ReplaySettings(target=f"{KEEPING}:{target}")
    return replay(plan_replay(path, settings), settings.stall)


def test_a_client_is_in_the_finding_and_in_its_replay(tmp_path: Path) -> None:
    session = run(tmp_path, "Keeping")
    (bug,) = session.bugs.met.values()
    assert bug.case.client == "spoiling"
    assert len(bug.case.program) <= 4
    assert bug.file is not None
    assert read(bug.file).case.client == "spoiling"
    assert again(bug.file, "Keeping").failure is not None


def test_what_is_not_promised_is_not_asked_and_named(tmp_path: Path) -> None:
    session = run(tmp_path, "Reticent")
    assert len(session.bugs) == 0
    assert len(session.not_asked) == len(FOREIGN_CLIENTS)
    assert "not asked, since not promised: a host array that is spoilt" in shown(session)
    assert json.loads(json.dumps(as_json(session)))["not_asked"] == [*session.not_asked]
    assert coverage(session.tally)["variants"]["clients"] == {"plain": 120}


def test_a_session_of_our_runtime_has_nothing_to_name(tmp_path: Path) -> None:
    settings = Settings(device="simulated", programs=10, save=tmp_path)
    session = fuzz(settings, lambda session: None)
    assert not session.not_asked
    assert "not asked" not in shown(session)


def test_a_finding_whose_client_asks_for_more_than_is_promised_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "finding.txt"
    path.write_text(
        f"gpusim finding 2\ntarget: {KEEPING}:Reticent\ndevice: simulated\nclient: spoiling\n\n"
        "alloc a 4\nwrite a 0 01020304\nread a 0 4 -> r0\n",
        encoding="utf-8",
    )
    with pytest.raises(NothingToShow, match="client spoiling asks for a host array that is spoilt"):
        again(path, "Reticent")
