"""Sessions find every defect of a foreign runtime under promises that its sound twin keeps."""

from pathlib import Path

import pytest

from properties.fuzz.engine import Session, fuzz
from properties.fuzz.settings import Settings
from tests.judge.foreign import DEFECTS

FOREIGN = Path(__file__).with_name("foreign.py")
TOGETHER = ("clears_late", "loses_batch", "pads", "stale_handles")
HIDING = ("overtakes", "shares_slots")
"""Nearly every program fails by the first, and the second is behind it."""
ENTRIES = {
    "clears_late": "alloc to any",
    "loses_batch": "accepts OutOfRange copy",
    "drops_commands": "raises at copy",
    "pads": "odd write",
    "stale_handles": "accepts InvalidHandle",
    "overtakes": "recorded to write",
    "reuses_early": "recorded to free",
    "forgets_reads": "read to read",
    "keeps_bindings": "dispatch",
    "shares_slots": "command to command",
}
"""What the findings of each defect take, which tells them from the others."""


def session(
    name: str, folder: Path, *, programs: int, findings: int, known: Path | None = None
) -> Session:
    settings = Settings(
        device="simulated",
        target=f"{FOREIGN}:{name}",
        programs=programs,
        seed=1,
        findings=findings,
        failures=1000,
        shrink=60.0,
        save=folder,
        known=known,
    )
    return fuzz(settings, lambda _: None)


def entries(found: Session) -> list[str]:
    """What each finding takes."""
    return sorted(signature[2] for signature in found.bugs.met)


def test_every_defect_has_its_entry() -> None:
    assert ENTRIES.keys() == DEFECTS.keys()


def test_the_sound_runtime_is_not_accused(tmp_path: Path) -> None:
    found = session("sound", tmp_path, programs=150, findings=1)
    assert entries(found) == []
    assert found.is_valid, found.invalid_because


@pytest.mark.parametrize("defect", [each for each in ENTRIES if each not in TOGETHER + HIDING])
def test_a_defect_alone_is_found_once(defect: str, tmp_path: Path) -> None:
    found = session(defect, tmp_path, programs=80, findings=9)
    assert entries(found) == [ENTRIES[defect]]


def test_one_session_finds_all_of_several_defects(tmp_path: Path) -> None:
    found = session("+".join(TOGETHER), tmp_path, programs=90, findings=9)
    assert entries(found) == sorted(ENTRIES[defect] for defect in TOGETHER)


def test_a_frequent_defect_hides_no_rare_one(tmp_path: Path) -> None:
    found = session("+".join(HIDING), tmp_path, programs=12, findings=9)
    assert entries(found) == sorted(ENTRIES[defect] for defect in HIDING)


def test_known_findings_leave_only_the_others(tmp_path: Path) -> None:
    known, new = tmp_path / "known", tmp_path / "new"
    session("+".join(TOGETHER), known, programs=30, findings=2)
    before = session("+".join(TOGETHER), new, programs=90, findings=9, known=known)
    again = {signature[2] for signature in before.bugs.met}
    shown = {one.signature[2] for one in before.bugs.known}
    assert len(shown) == 2
    assert len(before.bugs.met) == len(again)
    assert again == {ENTRIES[defect] for defect in TOGETHER} - shown
