"""Every finding of the past, replayed, on its own device where that is a simulated one."""

from pathlib import Path

import pytest

from properties import finding_file
from properties.oracles.judge import judge
from properties.targets.factory import RuntimeFactory

_FINDINGS = sorted(Path(__file__).parent.glob("findings/*.txt"))


@pytest.mark.parametrize("path", _FINDINGS, ids=lambda path: path.stem)
def test_a_finding_of_the_past_passes(path: Path, device_name: str) -> None:
    case = finding_file.read(path).case
    device = case.device.name if case.device.is_simulated else device_name
    verdict = judge(case, RuntimeFactory(device))
    assert verdict.failure is None, verdict.failure
