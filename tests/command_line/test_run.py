"""``gpusim run``: a wgpu-py program meets the simulated device."""

import subprocess
import sys
from pathlib import Path

import pytest

from properties.cli import main

PROGRAM = """
import sys
import wgpu
import wgpu.utils
from wgpu.utils.compute import compute_with_buffers

SHADER = '''
@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> result: array<u32>;
@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) id: vec3u) { result[id.x] = source[id.x] * 2u; }
'''
out = compute_with_buffers({0: bytes([1, 0, 0, 0, 2, 0, 0, 0])}, {1: (2, "I")}, SHADER, n=2)
print(out[1].tolist(), wgpu.utils.get_default_device().adapter.info["device"], sys.argv[1:])
sys.exit(int(sys.argv[1]))
"""


@pytest.mark.parametrize("options", [(), ("--scheduler", "random", "--seed", "3")])
def test_a_program_runs_on_the_simulated_device(tmp_path: Path, options: tuple[str, ...]) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    for status in (0, 1):
        words = [sys.executable, "-m", "gpusim", "run", *options, str(script), str(status)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
        assert done.stdout == f"[2, 4] simulated ['{status}']\n", done.stderr
        assert done.returncode == status


MISUSES = [
    ("", "cannot run because no program is named"),
    ("nowhere.py", "cannot run nowhere.py because there is no such file"),
    ("--profile other cli.py", "cannot run because --profile=other is none of"),
    ("--scheduler other cli.py", "cannot schedule by 'other'"),
    ("--faults nonsense cli.py", "'nonsense' names no fault"),
]


@pytest.mark.parametrize(("words", "because"), MISUSES)
def test_misuse_is_refused(
    words: str,
    because: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cli.py").write_text("")
    assert main(["run", *words.split()]) == 2
    assert because in capsys.readouterr().err


RACY = """
import wgpu.utils
from wgpu.utils.compute import compute_with_buffers

SHADER = '''
@group(0) @binding(0) var<storage, read_write> result: array<i32>;
@compute @workgroup_size(1)
fn main(@builtin(global_invocation_id) id: vec3u) { result[id.x / 2u] = 7; }
'''
compute_with_buffers({}, {0: (4, "i")}, SHADER, n=4)
"""


@pytest.mark.parametrize(("index", "status", "count"), [("id.x / 2u", 1, 1), ("id.x", 0, 0)])
def test_mistakes_in_shaders_are_reported(
    tmp_path: Path, index: str, status: int, count: int
) -> None:
    script = tmp_path / "program.py"
    script.write_text(RACY.replace("id.x / 2u", index))
    words = [sys.executable, "-m", "gpusim", "run", "--check-shaders", str(script)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stderr
    assert done.stderr.count("race: result, word ") == count
    assert done.stderr.count(f"{script}:10") == count
    assert f"gpusim run: {count} report" in done.stderr


@pytest.mark.parametrize(("option", "count"), [("--check-arithmetic", 1), ("--check-shaders", 0)])
def test_arithmetic_is_looked_at_when_asked(tmp_path: Path, option: str, count: int) -> None:
    script = tmp_path / "program.py"
    script.write_text(RACY.replace("id.x / 2u] = 7", "id.x] = 7 / i32(id.x)"))
    words = [sys.executable, "-m", "gpusim", "run", option, str(script)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("arithmetic: a division by zero") == count
