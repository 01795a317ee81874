"""The workflow for GitHub Actions: its steps that judge run as they stand in the file."""

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
STEP = re.compile(r"name: ([^\n]+)\n.*run: \|\n((?: {10}[^\n]*\n?)+)", re.DOTALL)
"""The name and the shell of a step."""


def test_yesterdays_findings_run_first_and_new_ones_are_kept(tmp_path: Path) -> None:
    text = (ROOT / "examples" / "github" / "judge.yml").read_text(encoding="utf-8")
    found = [STEP.match(step) for step in text.split("\n      - ")[1:]]
    steps = {step[1]: dedent(step[2]) for step in found if step is not None}
    assert [*steps] == [
        "Install software adapters",
        "Install gpusim",
        "Replay yesterday's findings",
        "Judge new programs",
    ]
    (tmp_path / "gpusim").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gpusim "$@"\n')
    (tmp_path / "gpusim").chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TARGET": f"{ROOT}/examples/overtaking_write.py:Overtaking",
        "DEVICE": "simulated",
        "DURATION": "1",
        "SEED": "0",
        "GPUSIM_FINDINGS": "1",
    }

    def status(name: str) -> int:
        words = ["bash", "-e", "-c", steps[name]]
        return subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True).returncode

    assert status("Replay yesterday's findings") == 0, "there are none"
    assert status("Judge new programs") == 1
    assert [*(tmp_path / "findings").glob("*.txt")]
    assert int(ElementTree.parse(tmp_path / "junit.xml").getroot().get("failures", "0")) > 0
    assert (tmp_path / "gpusim.sarif").is_file()
    assert status("Replay yesterday's findings") == 1
