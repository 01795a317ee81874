"""With the adversary the judge finds what a device's own order mostly hides.

Nothing here says that it hides it: a real device settles maps as it likes.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from gpusim.devices import SIMULATED
from gpusim.testing import Adapter, TargetFailed, fuzz, replay
from properties.generate.cases import CaseSettings, case_for, draw_disturbance
from properties.model.case import NO_POLICY
from properties.model.failure import Failure
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import AdapterFactory
from tests.layer.hidden import PAIRS

PROGRAMS = 40
# A target that fails half way leaves maps under way, which settle after its event loop has closed.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@cache
def first_failure(target: type[Adapter], device: str, disturbed: bool) -> Failure | None:
    """What the judge finds in the first programs of a session."""
    factory = AdapterFactory(device, make_target=target)
    setting = CaseSettings(
        device=device,
        limits=factory.limits,
        schedulers=("early",),
        presets=("eager",),
        target="target",
        promises=factory.capabilities,
    )
    for number in range(PROGRAMS):
        case = replace(case_for(1, number, setting), policy=NO_POLICY)
        if disturbed:
            drawn = draw_disturbance(case.seed, factory.capabilities)
            case = replace(case, disturbance=drawn)
        failure = judge(case, factory, MEANING_ONLY).failure
        if failure is not None:
            return failure
    return None


@pytest.mark.parametrize("name", PAIRS)
def test_a_mistake_is_found_with_the_adversary(name: str, device_name: str) -> None:
    assert first_failure(PAIRS[name][1], device_name, disturbed=True) is not None


@pytest.mark.parametrize("name", PAIRS)
def test_a_sound_runtime_stays_clean(name: str, device_name: str) -> None:
    assert first_failure(PAIRS[name][0], device_name, disturbed=True) is None


def test_a_session_finds_one_and_its_file_replays(tmp_path: Path) -> None:
    place = Path(__file__).with_name("hidden.py")
    session = fuzz(
        f"{place}:FailedIsZeros",
        programs=20,
        seed=1,
        findings=1,
        device=SIMULATED,
        adversary=True,
        shrink_seconds=2.0,
        save=tmp_path,
    )
    (finding,) = session.findings
    assert finding.path is not None
    assert "disturbance: " in finding.path.read_text(encoding="utf-8")
    with pytest.raises(TargetFailed):
        replay(finding.path, PAIRS["failed_is_zeros"][1])
