"""``gpusim sanitize``: what it prints, and how it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import wgpu

import gpusim
from gpusim.devices import SIMULATED, open_device

ROOT = Path(gpusim.__file__).parents[1]
SCRIPT = """\
import sys

import gpusim
from tests.layer.mistakes.overtaking_write import program

program(gpusim.open_device(sys.argv[1]), mended="mended" in sys.argv)
print("the program has ended")
"""
UTILITIES = """\
import wgpu.utils
from wgpu.utils.compute import compute_with_buffers

device = wgpu.utils.get_default_device()
assert isinstance(device, wgpu.GPUDevice)
assert hasattr(type(device), "_watch")
SHADER = \"\"\"
@group(0) @binding(0) var<storage, read> x: array<i32>;
@group(0) @binding(1) var<storage, read_write> y: array<i32>;
@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) at: vec3<u32>) { y[at.x] = 2 * x[at.x]; }
\"\"\"
print(compute_with_buffers({0: (1).to_bytes(4, "little")}, {1: (1, "i")}, SHADER)[1].tolist())
"""
SUITE = """\
import pytest
import wgpu

import gpusim
from tests.layer.mistakes.destroyed_buffer import program


def test_that_passes():
    device = gpusim.open_device({device!r})
    with pytest.raises(wgpu.GPUValidationError):
        program(device, mended=False)
"""


def sanitize(*words: object, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gpusim", "sanitize", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=folder
    )


def test_wgpus_utilities_are_watched(tmp_path: Path, device_name: str) -> None:
    if device_name == SIMULATED:  # The default device is an adapter's.
        return
    path = tmp_path / "utilities.py"
    path.write_text(UTILITIES, encoding="utf-8")
    done = sanitize(path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[2]\n"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


def test_a_script_with_a_mistake(script: Path, device_name: str) -> None:
    done = sanitize(script, device_name)
    assert done.returncode == 1, done.stderr
    assert done.stdout == "the program has ended\n"
    assert "[overtaking-write]" in done.stderr
    assert "gpusim sanitize: 1 report\n" in done.stderr


def test_json_is_one_line_a_report(script: Path) -> None:
    done = sanitize("--json", script, SIMULATED)
    said, line = done.stdout.splitlines()
    report = json.loads(line)
    assert said == "the program has ended"
    assert report["rule"] == "overtaking-write"
    assert len(report["places"]) == 4
    assert report["times"] == 1


def test_the_mended_script(script: Path) -> None:
    done = sanitize(script, SIMULATED, "mended")
    assert done.returncode == 0, done.stderr
    assert "gpusim sanitize: 0 reports\n" in done.stderr


def test_a_module_that_captures_its_output(tmp_path: Path) -> None:
    suite = tmp_path / "test_suite.py"
    suite.write_text(SUITE.format(device=SIMULATED), encoding="utf-8")
    # From another folder, pytest would look at all that stands beside this one's parents.
    done = sanitize("-m", "pytest", "-q", "-p", "no:cacheprovider", suite, folder=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "1 passed" in done.stdout
    assert "[wrong-submit]" in done.stderr


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("raise ValueError('oh')", 3, "ValueError: oh"),
        ("raise SystemExit(4)", 3, "0 reports"),
        ("raise SystemExit(0)", 0, "0 reports"),
    ],
)
def test_how_a_program_without_mistakes_ends(
    tmp_path: Path, text: str, status: int, said: str
) -> None:
    path = tmp_path / "script.py"
    path.write_text(text, encoding="utf-8")
    done = sanitize(path)
    assert done.returncode == status, done.stderr
    assert said in done.stderr


@pytest.mark.parametrize("words", [(), ("nowhere.py",), ("-m",)])
def test_wrong_usage(words: tuple[str, ...]) -> None:
    done = sanitize(*words)
    assert done.returncode == 2
    assert "gpusim: cannot sanitize" in done.stderr


def test_by_hand(device_name: str, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.layer.mistakes.used_commands import program

    device = open_device(device_name)
    with (
        gpusim.sanitize(device) as sanitizer,
        pytest.raises(wgpu.GPUValidationError, match="cannot submit"),
    ):
        program(device, mended=False)
    assert [report.rule for report in sanitizer.reports] == ["wrong-submit"]
    assert "is submitted a second time" in capsys.readouterr().err
    with pytest.raises(ValueError, match="watched already"):
        gpusim.sanitize(device)
    with pytest.raises(TypeError, match="no device"):
        gpusim.sanitize(device.adapter)
