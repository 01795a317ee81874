"""The command line as a person meets it: exit statuses, what is printed, and the JSON."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import gpusim
from gpusim.devices import SIMULATED
from gpusim.program import Program
from gpusim.runtime import PRESETS
from properties.cli import main
from properties.finding_file import FindingFile, write
from properties.model.case import NO_POLICY, Case, DeviceSpec, parse_device

PLANTED = Path(__file__).parents[1] / "session" / "planted.py"
ROOT = Path(gpusim.__file__).parents[1]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found by mistake must not lie about in the sources."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def finding(tmp_path: Path) -> Path:
    """A finding of the simulated device that no longer fails."""
    program = Program.parse("alloc a 8\nwrite a 1 0a0b\nread a 0 8 -> r0\nsync\n")
    device = parse_device(SIMULATED)
    case = Case(program=program, policy=PRESETS["pooled"], device=device, seed="0/1")
    path = tmp_path / "finding.txt"
    write(path, FindingFile(case=case))
    return path


def moved(finding: Path, device: str) -> None:
    """Make it a finding of another device."""
    text = finding.read_text(encoding="utf-8")
    finding.write_text(text.replace(f"device: {SIMULATED}", f"device: {device}"), encoding="utf-8")


def python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_help_loads_nothing_slow() -> None:
    script = (
        "import sys\nfrom properties.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('numpy', 'wgpu', 'rich', 'hypothesis') if name in sys.modules])"
    )
    done = python("-c", script)
    assert "exit status: 0 nothing found" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"gpusim {gpusim.__version__}\n"


def test_module_and_function_are_one_command() -> None:
    done = python("-m", "gpusim", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: gpusim")


def test_devices_are_listed_by_name(capsys: pytest.CaptureFixture[str], device_name: str) -> None:
    assert main(["devices"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines]
    assert device_name in names
    assert names[-1].partition(":")[0] == "dawn"
    assert "simulated" in names
    assert all(len(line.split()) > 1 for line in lines)


def test_dawn_is_listed_as_not_installed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wgpudawn", None)
    assert main(["devices"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.split(maxsplit=1) == ["dawn", "not installed: pip install 'gpusim[dawn]'"]


def test_listing_devices_prints_no_complaint_of_a_driver() -> None:
    done = python(
        "-c",
        "import os; os.environ.pop('XDG_RUNTIME_DIR', None)\n"
        "from properties.cli import main; main(['devices'])",
    )
    assert done.stderr == ""


def test_a_session_that_finds_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, device_name: str
) -> None:
    path = tmp_path / "session.json"
    words = ["--device", device_name, "--programs", "12", "--seed", "3", "--json", str(path)]
    assert main(["fuzz", *words]) == 0
    printed = capsys.readouterr().out
    first, last = printed.splitlines()
    assert first.startswith("nothing found in 12 programs")
    assert last.startswith(f"device {device_name} (command line), policy all (")
    session = json.loads(path.read_text(encoding="utf-8"))
    assert session["device"] == device_name
    assert session["policy"] == "all"
    assert session["seed"] == 3
    assert session["programs"] == 12
    assert session["ops"] == sum(part["ops"] for part in session["policies"].values()) > 100
    assert session["seconds"] > 0
    assert session["findings"] == []
    assert session["valid"]
    assert session["coverage"]["ops"]["write"]["driver"] > 0
    assert session["coverage"]["parts"]["pooled uniforms"].keys() >= {"reused", "exhausted"}


def test_a_session_that_finds_something(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    target = f"{PLANTED}:write_overtakes_batch"
    asked = {"device": "simulated", "target": target, "save": tmp_path, "findings": 1}
    asked |= {"json": tmp_path / "session.json", "policy": "lazy", "seed": 2}
    words = [word for name, value in asked.items() for word in (f"--{name}", str(value))]
    assert main(["fuzz", "--details", *words]) == 1
    printed = capsys.readouterr().out
    (found,) = json.loads((tmp_path / "session.json").read_text(encoding="utf-8"))["findings"]
    assert found["summary"].startswith("op ")
    assert found["program"] in printed
    assert found["shrink"]["candidates"] > len(found["shrink"]["passes"])
    assert found["shrink"]["passes"]["delete_ops"]["taken"] > 0
    assert f"shrunk: {found['shrink']['candidates']} candidates were judged" in printed
    for line in ("expected: from byte", "got:      from byte", f"gpusim replay {found['file']}"):
        assert line in printed
    assert main(["replay", found["file"], "--target", target]) == 1
    assert "expected: from byte" in capsys.readouterr().out


def test_a_finding_that_is_fixed_passes(
    capsys: pytest.CaptureFixture[str], finding: Path, device_name: str
) -> None:
    moved(finding, device_name)
    assert main(["replay", str(finding)]) == 0
    printed = capsys.readouterr().out
    assert f"target runtime on device {device_name}, policy pooled" in printed
    assert f"ran on {device_name}: " in printed
    assert "passes: all 4 ops show what they mean" in printed


def test_a_finding_replays_elsewhere_when_told_so(
    capsys: pytest.CaptureFixture[str], finding: Path
) -> None:
    moved(finding, "vulkan")
    assert main(["replay", str(finding), "--device", "simulated", "--policy", "eager"]) == 0
    printed = capsys.readouterr().out
    assert "target runtime on device simulated, policy eager" in printed
    assert "ran on simulated: a WebGPU device in pure Python" in printed


OVERTAKING = f"{ROOT / 'examples' / 'overtaking_write.py'}:Overtaking"
OVERTAKEN = "alloc a 4\ndispatch affine a 1,1 1x1x1\nwrite a 0 01010101\nread a 0 4 -> r0\n"


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A finding of a target that is not built in."""
    simulated = DeviceSpec(name="simulated")
    program = Program.parse(OVERTAKEN)
    case = Case(program=program, device=simulated, policy=NO_POLICY, target=OVERTAKING)
    path = tmp_path / "foreign.txt"
    write(path, FindingFile(case=case))
    return path


def test_a_finding_is_judged_on_the_target_that_it_names_and_no_other(
    capsys: pytest.CaptureFixture[str], foreign: Path
) -> None:
    command = ["gpusim", "replay", str(foreign), "--target", OVERTAKING]
    assert main(["replay", str(foreign)]) == 3
    assert shlex.join(command) in capsys.readouterr().err
    assert main(["replay", str(foreign), "--target", "runtime"]) == 2
    assert "the finding was made on" in capsys.readouterr().err
    for words in (command[1:], ["replay", str(foreign), "--trust"]):
        assert main(words) == 1
        printed = capsys.readouterr().out
        assert f"target {OVERTAKING} on device simulated\n" in printed
        assert "value: 1 of 4 bytes of r0 are wrong" in printed


@pytest.mark.parametrize("trusts", [False, True])
def test_kernels_that_a_file_names_are_not_loaded_unasked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, finding: Path, trusts: bool
) -> None:
    ran = tmp_path / "ran"
    module = tmp_path / "stranger.py"
    module.write_text(
        f"open({str(ran)!r}, 'w').close()\nfrom gpusim.kernels import BUILTIN\nKERNELS = BUILTIN\n",
        encoding="utf-8",
    )
    text = finding.read_text(encoding="utf-8")
    finding.write_text(text.replace("seed:", f"kernels: {module}\nseed:"), encoding="utf-8")
    assert main(["replay", str(finding)]) == 3
    assert f"gpusim replay {finding} --kernels {module}" in capsys.readouterr().err
    assert not ran.exists()
    assert main(["replay", str(finding), "--kernels", "another.py"]) == 2
    assert not ran.exists()
    words = ["--trust"] if trusts else ["--kernels", str(module)]
    assert main(["replay", str(finding), *words]) == 0
    assert ran.exists()


def test_a_file_of_version_1_is_judged_on_the_target_of_the_command_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    old = tmp_path / "old.txt"
    old.write_text(
        f"gpusim finding 1\ndevice: simulated\npolicy: eager\n\n{OVERTAKEN}", encoding="utf-8"
    )
    assert main(["replay", str(old)]) == 3
    assert main(["replay", str(old), "--trust"]) == 3
    assert "names no target that could be trusted" in capsys.readouterr().err
    assert main(["replay", str(old)]) == 3
    assert f"gpusim replay {old} --target runtime" in capsys.readouterr().err
    assert main(["replay", str(old), "--target", "runtime"]) == 0
    assert main(["replay", str(old), "--target", OVERTAKING]) == 1


def test_a_program_of_no_op_does_not_pass(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "empty.txt"
    case = Case(program=Program(()), device=DeviceSpec(name="simulated"))
    write(path, FindingFile(case=case))
    assert main(["replay", str(path)]) == 3
    printed = capsys.readouterr()
    assert "the program has no op" in printed.err
    assert printed.out == "", "it was run"


def test_a_program_beyond_the_promises_does_not_pass(
    capsys: pytest.CaptureFixture[str], foreign: Path
) -> None:
    text = foreign.read_text(encoding="utf-8")
    words = ["replay", str(foreign), "--target", OVERTAKING]
    foreign.write_text(f"{text}capture g -\nreplay g * -\n", encoding="utf-8")
    assert main(words) == 3
    printed = capsys.readouterr()
    assert "op 4, capture g -, asks for more than the target promises (" in printed.err
    assert "passes" not in printed.out
    foreign.write_text(f"{text}write a 4 00\n", encoding="utf-8")
    assert main(words) == 3
    assert "op 4, write a 4 00, asks for more than" in capsys.readouterr().err


def test_a_long_program_is_not_printed_whole(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "long.txt"
    program = Program.parse("alloc a 4\n" + "flush\n" * 199_999)
    write(path, FindingFile(case=Case(program=program, device=DeviceSpec(name="simulated"))))
    # A busy machine may need long for so many ops.
    assert main(["replay", str(path), "--stall", "600"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") < 80
    assert "and 199940 ops more" in printed


def test_a_device_that_cannot_be_read_is_named_by_its_line(
    capsys: pytest.CaptureFixture[str], finding: Path
) -> None:
    moved(finding, "vulcan x=1")
    assert main(["replay", str(finding)]) == 2
    assert "line 3 of the finding" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fuzz", "--device", "vulcan"], r"vulcan.*vulkan, metal, d3d12, gl, simulated"),
        (["fuzz", "--policy", "fast"], r"fast.*eager, lazy, pooled, cached.* or all"),
        (["fuzz", "--seconds", "soon"], r"soon.*no number of seconds"),
        (["fuzz", "--programs", "0"], r"at least 1"),
        (["fuzz", "--scheduler", "lazy"], r"late, early, random or all"),
        (["fuzz", "--kernels", "no_such_module"], r"cannot load KERNELS from 'no_such_module'"),
        (["fuzz", "--target", "fast"], r"runtime, naive"),
        (["fuzz", "--target", "no_such_module:x"], r"cannot load x from 'no_such_module'"),
        (["replay", "no-such-file"], r"no-such-file"),
        (["fuzz", "--json", "no-such-folder/x.json"], r"no-such-folder"),
        (["replay", "no-such-file", "--policy", "all"], r"eager, lazy, pooled, cached"),
    ],
)
def test_wrong_usage_is_named(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(words) == 2
    printed = capsys.readouterr()
    assert re.search(message, printed.err)
    assert "Traceback" not in printed.err


def test_where_no_finding_could_be_kept_nothing_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper"):
        assert main(["fuzz", "--device", "simulated", "--save", str(folder)]) == 2
        assert "file is no folder that can be written" in capsys.readouterr().err
    assert main(["fuzz", "--device", "simulated", "--programs", "5", "--save", str(tmp_path)]) == 0


def test_a_file_that_is_no_text_is_no_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(b"\xff\xfe\x00")
    assert main(["replay", str(tmp_path / "file")]) == 2
    assert "the file is not text" in capsys.readouterr().err


def test_a_target_that_raises_as_it_is_loaded_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.py").write_text("1/0\n", encoding="utf-8")
    assert main(["fuzz", "--target", f"{tmp_path / 'broken.py'}:judge"]) == 2
    assert "because it raised ZeroDivisionError: division by zero" in capsys.readouterr().err


def test_a_mistake_of_our_own_is_no_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gpusim.devices.adapters", lambda: 1 / 0)
    assert main(["devices"]) == 3
    assert "gpusim itself failed (please report it)" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["fuse"], ["fuzz", "--polcy", "all"], ["replay"]])
def test_words_that_are_no_command_are_wrong_usage(words: list[str]) -> None:
    assert main(words) == 2


def test_a_malformed_finding_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], finding: Path
) -> None:
    finding.write_text(finding.read_text(encoding="utf-8").replace("write a 1", "write a one"))
    assert main(["replay", str(finding)]) == 2
    assert "line 8" in capsys.readouterr().err


def test_what_could_not_run_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fuzz", "--device", "metal:7"]) == 3
    assert "apt-get install mesa-vulkan-drivers" in capsys.readouterr().err


def incrementing(folder: Path, by: int) -> Path:
    """A kernel whose WGSL adds 1 and whose NumPy adds ``by``."""
    path = folder / "own.py"
    path.write_text(
        "from gpusim import Binding, Kernel\n"
        "def meaning(arrays, scalars, groups):\n"
        "    reached = arrays[0][: groups * 64]\n"
        f"    reached += {by}\n"
        "KERNELS = [Kernel(name='increment', meaning=meaning,\n"
        "    buffers=(Binding(name='x', access='read_write'),),\n"
        "    body='if (i < arrayLength(&x)) { x[i] = x[i] + 1u; }')]\n",
        encoding="utf-8",
    )
    return path


def test_kernels_of_a_user_are_dispatched(tmp_path: Path) -> None:
    path = incrementing(tmp_path, by=1)
    assert main(["fuzz", "--device", "simulated", "--programs", "20", "--kernels", str(path)]) == 0


def test_a_kernel_of_a_user_that_means_something_else_is_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], device_name: str
) -> None:
    path = incrementing(tmp_path, by=2)
    words = ["--programs", "40", "--kernels", str(path), "--save", str(tmp_path), "--findings", "1"]
    assert main(["fuzz", "--device", device_name, *words]) == 1
    assert "kernel increment alone: its WGSL and its NumPy differ" in capsys.readouterr().out


def test_a_command_to_trust_hides_nothing(
    capsys: pytest.CaptureFixture[str], foreign: Path
) -> None:
    text = foreign.read_text(encoding="utf-8")
    foreign.write_text(text.replace(OVERTAKING, "exec:evil \x1b[8m hidden"), encoding="utf-8")
    assert main(["replay", str(foreign)]) == 2
    assert "characters that cannot be seen" in capsys.readouterr().err
