"""The command ``gpusim bench``: what it measures, what it writes, and its exit status."""

import json
from pathlib import Path

import pytest

from properties.bench.command import announcement
from properties.cli import main as gpusim


def main(words: list[str]) -> int:
    return gpusim(["bench", *words])


def test_a_run_prints_a_table_and_writes_the_json(
    device_name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "readback.json"
    words = ["readback", "--device", device_name, "--small", "--rounds", "1", "--json", str(file)]
    assert main(words) == 0
    printed = capsys.readouterr()
    assert "16 small reads" in printed.out
    assert "÷ read_buffer  the median, divided by that of wgpu's own" in printed.out
    assert printed.err.startswith("readback, 1 round: about 3 seconds on a software adapter")
    data = json.loads(file.read_text())
    assert data["device"] == device_name
    assert data["command"] == f"gpusim bench readback --device {device_name} --rounds 1 --small"
    arms = [row["arm"] for row in data["rows"] if row["workload"] == "16 small reads"]
    assert arms == ["eager", "lazy", "pooled", "cached", "ring", "read_buffer", "bare"]


def test_how_long_it_takes_is_said_in_a_fitting_unit() -> None:
    assert " about 9 minutes " in announcement("dispatch", 3, small=False)
    assert "scale, 1 round: about 6 seconds " in announcement("scale", 1, small=True)
    assert " about 1 minute " in announcement("fuzz", 15, small=False)


@pytest.mark.parametrize("words", [["nothing"], ["fuzz", "--rounds", "0"], ["--rounds"]])
def test_wrong_words_are_refused(words: list[str]) -> None:
    assert main(words) == 2


def test_an_unknown_device_ends_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["readback", "--device", "vulkan:99"]) == 3
    assert "cannot open device 'vulkan:99'" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_ends_the_run_before_it_starts(
    device_name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "missing" / "readback.json"
    assert main(["readback", "--device", device_name, "--json", str(file)]) == 2
    assert "16 small reads" not in capsys.readouterr().out
