"""What the documents show is true: their Python runs, their commands and links exist."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gpusim.kernels import BUILTIN, Kernel
from gpusim.program import Program
from properties.execute import run
from properties.fuzz.loading import load
from properties.model.case import Case, parse_device
from properties.model.target import Adapter
from properties.oracles.compare import compare
from properties.targets.factory import AdapterFactory, as_target
from properties.targets.naive_target import NaiveTarget
from reference import run as run_reference

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
FENCE = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return [content for name, content in FENCE.findall(text) if name == language]


def run_script(*words: str) -> str:
    """What a script of the repository prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    broken = [
        link
        for link in LINK.findall(path.read_text(encoding="utf-8"))
        if not (path.parent / link).exists()
    ]
    assert broken == []


@pytest.mark.parametrize("code", blocks("README.md", "python"))
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_python_of_the_readme_runs(code: str) -> None:
    exec(compile(code, "README.md", "exec"), {})


def test_the_kernel_of_the_readme_is_that_of_the_example() -> None:
    shown: dict[str, Any] = {}
    (code,) = [code for code in blocks("README.md", "python") if "KERNELS" in code]
    exec(compile(code, "README.md", "exec"), shown)
    kernel: Kernel = shown["SATURATE"]
    example: Kernel = load("examples/own_kernel.py:SATURATE")
    assert (kernel.name, kernel.buffers, kernel.scalars) == (
        example.name,
        example.buffers,
        example.scalars,
    )
    assert kernel.body.split() == example.body.split()


def test_the_example_drives_the_runtime() -> None:
    x = [0, 1, 2, 3]
    for n in range(1000):
        x = [(3 * word + n) % 2**32 for word in x]
    printed = run_script("examples/drive_the_runtime.py").split()
    *values, submits = [int(word.strip("[]")) for word in printed if word.strip("[]").isdecimal()]
    assert values == x
    assert submits < 20


def test_a_session_with_the_example_kernel_finds_nothing(device_name: str, tmp_path: Path) -> None:
    options = ["--device", device_name, "--programs", "40", "--save", str(tmp_path)]
    printed = run_script("-m", "gpusim", "fuzz", "--kernels", "examples/own_kernel.py", *options)
    assert "nothing found in 40 programs" in printed


def the_found_bug() -> tuple[str, str]:
    """The program that the README shows, and the verdict on it, in one line."""
    (shown,) = [text for text in blocks("README.md", "") if text.startswith("alloc")]
    program, _, verdict = shown.partition("\n\n")
    return program, " ".join(verdict.split())


@pytest.fixture
def overtaking(device: Any) -> Adapter:
    """The runtime of the example."""
    adapter: Adapter = load("examples/overtaking_write.py:judge")(device, BUILTIN)
    return adapter


def test_the_bug_of_the_readme_is_found_as_it_says(overtaking: Adapter) -> None:
    text, verdict = the_found_bug()
    program = Program.parse(text)
    expected = run_reference(program)
    mismatch = compare(
        program, expected, run(program, as_target(overtaking)), overtaking.capabilities
    )
    assert " ".join(str(mismatch).split()) == verdict


def test_without_the_mistake_there_is_no_bug(device: Any) -> None:
    text, _ = the_found_bug()
    program = Program.parse(text)
    target = as_target(NaiveTarget(device))
    shown = run(program, target)
    assert compare(program, run_reference(program), shown, target.capabilities) is None


def test_the_test_of_the_judging_page_sees(device: Any, overtaking: Adapter) -> None:
    shown: dict[str, Any] = {}
    for code in blocks("docs/JUDGING.md", "python"):
        exec(compile(code, "JUDGING.md", "exec"), shown)
    test = shown["test_a_write_waits_for_the_dispatch_before_it"]
    test(NaiveTarget(device))
    with pytest.raises(AssertionError):
        test(overtaking)


def test_the_judging_page_opens_what_it_shows(device_name: str) -> None:
    shown: dict[str, Any] = {}
    for code in blocks("docs/JUDGING.md", "python"):
        exec(compile(code, "JUDGING.md", "exec"), shown)
    factory = AdapterFactory(device_name, make_target=shown["judge"])
    opened = factory.open(Case(program=Program(()), device=parse_device(device_name)))
    assert type(opened.target) is shown["MyTarget"]
    for verb in ("alloc", "write", "dispatch", "copy", "read", "free", "flush", "sync", "close"):
        assert callable(getattr(opened.target, verb))


def test_the_commands_of_the_readme_are_those_of_the_script_and_of_ci() -> None:
    lines = [line for text in blocks("README.md", "") for line in text.splitlines()]
    fuzz, test = (line for line in lines if line.startswith("python3 "))
    usage = (ROOT / "tools" / "start.py").read_text(encoding="utf-8")
    assert fuzz in usage
    assert test in usage
    assert test in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
