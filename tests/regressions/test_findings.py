"""Every finding of the past, replayed, on its own device where that is a simulated one."""

from pathlib import Path

import pytest

from gpusim.kernels import BUILTIN
from properties import finding_file
from properties.oracles.laws import check
from properties.session.devices import is_simulated
from properties.session.drawn import judge_drawn
from properties.session.subject import RuntimeSubject

_FINDINGS = sorted(Path(__file__).parent.glob("findings/*.txt"))


@pytest.mark.parametrize("path", _FINDINGS, ids=lambda path: path.stem)
def test_a_finding_of_the_past_passes(path: Path, device_name: str) -> None:
    case = finding_file.read(path).case
    device = case.device if is_simulated(case.device) else device_name
    verdict = judge_drawn(case, RuntimeSubject(device, BUILTIN), BUILTIN, laws=check)
    assert verdict.failure is None, verdict.failure


def test_there_are_findings_to_replay() -> None:
    assert _FINDINGS
