"""Pictures are drawn where matplotlib is installed; elsewhere the error says what to install."""

import sys
from pathlib import Path

import pytest

from gpusim.errors import ProgramError
from properties.bench.plot import load_drawing
from properties.bench.timing import Report, Row


def report(**more: float) -> Report:
    rows = [
        Row(
            workload=workload,
            arm=arm,
            median_us=median_us,
            low_us=median_us - 1,
            high_us=median_us + 1,
            record_us=2.0,
            cpu_us=1.0,
            more=more,
        )
        for workload in ("chain", "gpu-bound")
        for arm, median_us in (("eager", 150.0), ("ring", 5.0))
    ]
    return Report(
        benchmark="dispatch", device="vulkan", description="an adapter", command="", rows=rows
    )


def test_without_matplotlib_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ProgramError, match=r"pip install 'gpusim\[plot\]'"):
        load_drawing()


@pytest.mark.parametrize("suffix", ["png", "svg"])
@pytest.mark.parametrize(
    "more", [{}, {"reached": 100.0, "resident_mib": 3.0}], ids=["bars", "lines"]
)
def test_a_picture_is_drawn(tmp_path: Path, suffix: str, more: dict[str, float]) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / f"plot.{suffix}"
    load_drawing()(report(**more), file)
    start = file.read_bytes()[:200]
    assert b"PNG" in start if suffix == "png" else b"<svg" in start or b"<?xml" in start
