"""The page of a session in blocks: what it says, and that it needs nothing and fits a window."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from properties.fuzz.blocks import fuzz_shard
from properties.fuzz.status import Machine, status, write_status
from properties.fuzz.union import Step, Union
from tests.session.test_blocks import asked, ignore
from tests.windows import needs_chromium, widths_of

MACHINES = [
    Machine(name="one (10.0.0.1)", is_alive=True, places=8, blocks=5),
    Machine(name="two (10.0.0.2)", is_alive=False, places=1, blocks=7),
]


@pytest.fixture(scope="module", name="whole")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Union:
    return fuzz_shard(asked(tmp_path_factory.mktemp("status")), ignore)


def test_it_says_what_was_done_found_and_by_whom(whole: Union) -> None:
    text = status(whole, MACHINES)
    (bug,) = whole.session.bugs.met.values()
    for said in ("12 of 12 blocks done: 1 found in 120 programs", bug.file.name, "two (10.0.0.2)"):
        assert said in text
    assert "<td>gone</td><td>1</td><td>7</td>" in text
    assert text.count("<figcaption>") == text.count("<figcaption>programs a second;") == 1


def test_it_is_loaded_again_until_the_session_has_ended(whole: Union) -> None:
    assert 'http-equiv="refresh"' in status(whole, is_over=False)
    assert 'http-equiv="refresh"' not in status(whole, is_over=True)


def test_it_needs_nothing_else(whole: Union) -> None:
    text = status(whole, MACHINES)
    assert not re.search(r"https?:|<script|<link|src=|@import|url\(", text)
    assert "prefers-color-scheme:dark" in text
    assert text.count('role="img"') == text.count("<svg") == 1


def test_a_curve_leaves_out_the_time_in_which_nothing_ran(whole: Union) -> None:
    steps = [
        Step(began=0.0, ended=10.0, programs=100, cells=3, novelty=0.5),
        Step(began=5000.0, ended=5010.0, programs=300, cells=7, novelty=0.25),
    ]
    text = status(replace(whole, steps=steps))
    assert "programs a second; the last: 30" in text
    assert "pairs of ops met, of 365; the last: 7" in text
    assert "novelty: the chance that a batch is of a new shape; the last: 25.0%" in text
    assert ">20 s</text>" in text


def test_a_long_session_has_a_small_page(whole: Union) -> None:
    steps = [
        Step(began=n, ended=n + 1.5, programs=500, cells=n, novelty=1 / (n + 1))
        for n in range(5000)
    ]
    text = status(replace(whole, steps=steps))
    assert len(text) < 50_000
    assert "of a new shape; the last: 0.0%" in text


def test_it_takes_the_place_of_the_page_before(whole: Union, tmp_path: Path) -> None:
    for is_over in (False, True):
        write_status(tmp_path / "status.html", whole, MACHINES, is_over=is_over)
    (page,) = tmp_path.iterdir()
    assert "The head has ended." in page.read_text(encoding="utf-8")


@needs_chromium
def test_it_is_no_wider_than_its_window(whole: Union, tmp_path: Path) -> None:
    steps = [
        Step(began=n, ended=n + 1.5, programs=5, cells=n, novelty=1 / (n + 1)) for n in range(90)
    ]
    page = status(replace(whole, steps=steps), MACHINES)
    assert page.count("<figure>") == 3
    for window, width in widths_of(page, tmp_path).items():
        assert width <= window
