"""The table of what the checks ran: nothing that did not run is counted as passed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Checkout:
    """A folder that holds the script, and what tox environments left behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tools").mkdir()
        shutil.copy(ROOT / "tools" / "results.py", folder / "tools")

    def tested(self, device: str, *, tests: int = 5, failures: int = 0, skipped: int = 0) -> None:
        counts = f'tests="{tests}" failures="{failures}" errors="0" skipped="{skipped}"'
        self._leave(device, "tests.xml", f"<testsuites><testsuite {counts}/></testsuites>")

    def fuzzed(
        self, device: str, *, programs: int = 1200, findings: int = 0, on: str | None = None
    ) -> None:
        session = {
            "device": on or device,
            "programs": programs,
            "ops": 40 * programs,
            "findings": [{"file": "a.txt"}] * findings,
        }
        self._leave(device, "session.json", json.dumps(session))

    def results(self, *devices: str) -> tuple[int, list[str]]:
        """The exit status, and the lines that were printed."""
        done = subprocess.run(
            [sys.executable, "tools/results.py", *devices],
            cwd=self.folder,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout.splitlines()

    def _leave(self, device: str, name: str, text: str) -> None:
        folder = self.folder / ".tox" / device / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_all_is_well(checkout: Checkout) -> None:
    for device in ("vulkan", "gl"):
        checkout.tested(device, tests=7, skipped=2)
        checkout.fuzzed(device)
    status, lines = checkout.results("vulkan", "gl")
    assert status == 0
    assert [line.split() for line in lines[1:3]] == [
        ["vulkan", "5", "0", "2", "1200", "48000", "0", "passed"],
        ["gl", "5", "0", "2", "1200", "48000", "0", "passed"],
    ]
    assert lines[-1] == "12 passed, 0 failed, 4 skipped"


def test_a_device_that_did_not_run_is_named_and_fails(checkout: Checkout) -> None:
    checkout.tested("vulkan")
    checkout.fuzzed("vulkan")
    assert checkout.results("vulkan")[0] == 0
    status, lines = checkout.results("vulkan", "gl")
    assert status == 1
    assert lines[2].endswith("tests not run, session not run")
    assert lines[-1] == "6 passed, 2 failed, 0 skipped"


@pytest.mark.parametrize(("programs", "verdict"), [(999, 1), (1000, 0)])
def test_a_thousand_programs_are_enough(checkout: Checkout, programs: int, verdict: int) -> None:
    checkout.tested("gl")
    checkout.fuzzed("gl", programs=programs)
    assert checkout.results("gl")[0] == verdict


def test_a_session_on_another_device_does_not_count(checkout: Checkout) -> None:
    checkout.tested("gl")
    checkout.fuzzed("gl", on="vulkan")
    status, lines = checkout.results("gl")
    assert status == 1
    assert lines[1].endswith("session not run")


def test_a_finding_fails(checkout: Checkout) -> None:
    checkout.tested("gl")
    checkout.fuzzed("gl", findings=1)
    status, lines = checkout.results("gl")
    assert status == 1
    assert lines[1].endswith("mismatches found")


def test_a_failed_test_fails(checkout: Checkout) -> None:
    checkout.tested("gl", tests=5, failures=2)
    checkout.fuzzed("gl")
    status, lines = checkout.results("gl")
    assert status == 1
    assert lines[1].endswith("tests failed")
    assert lines[-1] == "4 passed, 2 failed, 0 skipped"


@pytest.mark.parametrize("name", ["units", "sessions"])
def test_units_have_no_session(checkout: Checkout, name: str) -> None:
    checkout.tested(name)
    status, lines = checkout.results(name)
    assert status == 0
    assert lines[-1] == "5 passed, 0 failed, 0 skipped"


def test_units_that_did_not_run_fail(checkout: Checkout) -> None:
    status, lines = checkout.results("units")
    assert status == 1
    assert lines[-1] == "0 passed, 1 failed, 0 skipped"


def test_without_a_device_it_says_how_to_call_it(checkout: Checkout) -> None:
    assert checkout.results()[0] == 2
