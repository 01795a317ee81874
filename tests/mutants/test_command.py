"""The kill matrix from the command line: what it prints, writes, and exits with."""

import json
from pathlib import Path

import pytest

from properties.cli import main


def test_a_mutant_that_is_found_is_written_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values, page = tmp_path / "matrix.json", tmp_path / "mutants.md"
    words = ["mutants", "--only", "staging_reused_too_soon", "--only", "limit_zero_means_never"]
    # Either is found in 0.03 s of CPU; the sound runtime takes all it is given.
    assert main([*words, "--seconds", "0.3", "--json", str(values), "--page", str(page)]) == 0
    matrix = json.loads(values.read_text())
    assert [row["name"] for row in matrix["mutants"]] == [
        "staging_reused_too_soon",
        "limit_zero_means_never",
    ]
    assert matrix["false_alarms"] == []
    for row in matrix["mutants"]:
        assert row["killed"]
        assert row["replays"]
        assert row["programs"] >= 1
        assert 1 <= row["shrunk_ops"] <= 10
    assert [row["found_by"] for row in matrix["mutants"]] == ["reference", "laws"]
    assert "| staging_reused_too_soon | A buffer is free again as soon" in page.read_text()
    printed = capsys.readouterr().out
    assert "found on 1 of 1 seeds: 2" in printed
    assert "false alarms without a mutant: none" in printed


def test_a_mutant_that_lives_is_said_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mutants", "--only", "uniform_shared", "--seconds", "1e-9"]) == 1
    assert "not found on some seed: uniform_shared" in capsys.readouterr().out


def test_an_unknown_mutant_is_wrong_usage() -> None:
    assert main(["mutants", "--only", "nobody"]) == 2
