"""The mutants of the project's own source: the sample is fair, and every survivor is written up."""

from collections import Counter
from pathlib import Path

import pytest

from tools.mutation.mutant import Mutant, draw
from tools.mutation.page import Note, interval, page, read_notes
from tools.mutation.results import Result, Sample, digest_of_files, read, write

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("runtime", "reference", "checkers")
SAMPLES = {part: read(ROOT / "docs" / "data" / f"mutation-{part}.json") for part in PARTS}


def mutants(**sizes: int) -> list[Mutant]:
    """As many mutants of each module as is said."""
    return [
        Mutant(
            path=f"{module}.py",
            operator="number",
            number=number,
            function="f",
            first_line=number,
            last_line=number,
        )
        for module, size in sizes.items()
        for number in range(size)
    ]


def result(change: str, killer: str | None) -> Result:
    return Result(
        name="a.py:number:1",
        function="f",
        line=1,
        change=change,
        digest=change,
        killer=killer,
        seconds=0.1,
    )


@pytest.mark.parametrize("seed", range(20))
def test_every_module_has_its_share_of_the_sample(seed: int) -> None:
    drawn = draw(mutants(a=500, b=300, c=30, d=170), 100, seed)
    shares = Counter(mutant.path for mutant in drawn)
    assert len(drawn) == len(set(drawn)) == 100
    assert all(abs(shares[f"{m}.py"] - s) <= 1 for m, s in dict(a=50, b=30, c=3, d=17).items())


def test_a_seed_draws_the_same_again_and_another_draws_others() -> None:
    population = mutants(a=500, b=300)
    assert draw(population, 50, 1) == draw(population, 50, 1) != draw(population, 50, 2)
    assert draw(population, 1_000, 1) == population


def test_the_interval_of_a_share_is_wilsons() -> None:
    assert [round(bound, 4) for bound in interval(90, 100)] == [0.8256, 0.9448]
    assert interval(0, 0) == (0.0, 1.0)


def test_a_survivor_is_shown_with_its_reason_or_as_not_written_up() -> None:
    sample = Sample(
        population=9,
        seed=1,
        killed_at_first=0,
        results=(result("- a\n+ b", None), result("- a\n+ c", None), result("- a\n+ d", "test: t")),
    )
    notes = {"a.py: f\n- a\n+ b": Note(kind="equivalent", reason="Both are the same.")}
    text = page({"part": sample}, notes)
    assert "| part | 9 | 3 | 0.0% | 0 | 1 | 0 | 2 | **33.3%** | 6.1% to 79.2% | 50.0% |" in text
    written, _, unwritten = text.partition("### Not written up")
    assert "Both are the same." in written
    assert "+ b" in written
    assert "+ c" in unwritten
    assert "+ d" not in text


def test_what_was_tried_is_kept(tmp_path: Path) -> None:
    tried = (result("- a\n+ b", None), result("+ c", "died"))
    sample = Sample(population=9, seed=1, killed_at_first=0, results=tried)
    write(tmp_path / "kept.json", sample)
    assert read(tmp_path / "kept.json") == sample
    assert read(tmp_path / "none.json").results == ()


def test_every_survivor_is_written_up() -> None:
    assert all(sample.results for sample in SAMPLES.values())
    notes = read_notes()
    alive = [r.key for sample in SAMPLES.values() for r in sample.results if r.killer is None]
    assert [key for key in alive if key not in notes] == []


def test_the_page_is_that_of_the_samples() -> None:
    text = (ROOT / "docs" / "mutation.md").read_text(encoding="utf-8")
    assert text == page(SAMPLES, read_notes())


def test_what_tests_reach_is_looked_for_anew_after_a_change(tmp_path: Path) -> None:
    source, test = tmp_path / "source.py", tmp_path / "test.py"
    source.write_text("x = 1\n")
    test.write_text("")
    before = digest_of_files([source, test])
    assert digest_of_files([source, test]) == before != digest_of_files([source])
    test.write_text("\n")
    assert digest_of_files([source, test]) != before
