"""Material for a blind reading: drawn by the seed alone, and without the names of the mistakes."""

from pathlib import Path

from properties.mutants.mistakes import find
from tests.judge.foreign import DEFECTS
from tests.layer.hidden import PAIRS
from tools import blind, gallery


def test_the_seed_alone_draws_and_every_family_takes_part() -> None:
    drawn = blind.mutants(1)
    assert drawn == blind.mutants(1)
    assert [each.name for each in drawn[0]] != [each.name for each in blind.mutants(2)[0]]
    families = {*gallery.SHOWN, *gallery.UNSHOWN} - {"reference"}
    assert [members[0].family for members in drawn] == sorted(families)
    assert all(len(members) >= 2 for members in drawn)
    assert sorted(each.name for each in blind.foreign(1)) == sorted({*DEFECTS, *PAIRS})


def test_a_reading_has_the_lines_the_page_and_the_answer(tmp_path: Path) -> None:
    reading = blind.collect(tmp_path, mutant_count=1, foreign_count=0, seed=1)
    ((number, answer),) = reading.answers.items()
    assert number == "01"
    lines = (tmp_path / "lines" / "01.txt").read_text(encoding="utf-8")
    page = (tmp_path / "pages" / "01.html").read_text(encoding="utf-8")
    assert len(lines.splitlines()) <= 10
    assert "01.py:Target" in lines
    assert page.startswith("<!doctype html>")
    assert answer["name"] not in lines + page
    assert answer["family"] == "batches"
    assert answer["wrong"] == find(answer["name"]).description
