"""JavaScript runtimes whose mistakes the device mostly hides, each beside a sound one.

    python -m pytest tests/layer/javascript/hidden_mistakes.py -k node

Ten mistakes need another order of events or a failed map, one a lost device, one no memory.
Without the adversary no session finds anything in any of them.  With it, a session finds each
mistake, and nothing in the sound runtimes.  They run in Chromium, or under Node on Dawn, so this
file belongs to the environments ``browser`` and ``javascript`` of tox; its name keeps it out of
the others.  Each finding is replayed, which must show it again.
"""

import json
import subprocess
from pathlib import Path

import pytest

from gpusim.testing import SessionResult, TargetFailed, fuzz, replay

FOLDER = Path(__file__).resolve().parent
RUNTIMES = FOLDER / "runtimes"
NAMES = sorted(path.stem for path in RUNTIMES.glob("*.js") if path.stem != "recording")
PROGRAMS = 100


def run(target: str, folder: Path, *, adversary: bool) -> SessionResult:
    """The session that judges a runtime."""
    return fuzz(
        target,
        programs=PROGRAMS,
        seed=1,
        findings=1,
        device="simulated",
        adversary=adversary,
        stall_seconds=20.0,
        shrink_seconds=2.0,
        save=folder,
    )


@pytest.mark.parametrize("to", ["bytes", "texels"])
@pytest.mark.parametrize(("side", "rules"), [("wrong", ["overtaking-write"]), ("mended", [])])
def test_sanitize_under_node(side: str, rules: list[str], to: str) -> None:
    command = ["node", str(FOLDER / "sanitized.mjs"), side, to]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    reports = json.loads(done.stdout.splitlines()[-1])
    assert [report["rule"] for report in reports] == rules
    assert all("sanitized.mjs:" in place["site"] for each in reports for place in each["places"])


@pytest.mark.parametrize("name", NAMES)
def test_a_mistake_shows_only_with_the_adversary(name: str, place: str, tmp_path: Path) -> None:
    target = place.format(name, "Wrong")
    assert not run(target, tmp_path, adversary=False).findings
    (finding,) = run(target, tmp_path, adversary=True).findings
    assert finding.path is not None
    with pytest.raises(TargetFailed):
        replay(finding.path, target)


@pytest.mark.parametrize("name", NAMES)
def test_the_sound_one_stays_clean(name: str, place: str, tmp_path: Path) -> None:
    assert not run(place.format(name, "Right"), tmp_path, adversary=True).findings
