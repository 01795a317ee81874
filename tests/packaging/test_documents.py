"""What the documents show is true: their Python runs, their commands and links exist."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gpusim import errors
from gpusim.devices import SIMULATED, open_device
from gpusim.kernels import BUILTIN, Kernel
from gpusim.program import Program
from gpusim.testing import Adapter, TargetFailed, check
from properties.finding_file import HEADERS, format_finding, parse_finding
from properties.fuzz.bugs import one_line
from properties.fuzz.check import judge_program
from properties.fuzz.coverage import coverage
from properties.fuzz.loading import load
from properties.fuzz.tally import PolicyTally, Tally
from properties.model.failure import FailureKind
from properties.oracles.goals import GOALS
from properties.targets.naive_target import NaiveTarget
from tools.api import PACKAGES

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
IMPORTED = re.compile(
    r"^(?:from|import) (gpusim[\w.]*|properties[\w.]*|reference[\w.]*)", re.MULTILINE
)
PUBLIC = {"gpusim", "gpusim.kernels", "gpusim.testing"}
"""The modules that list what is public."""
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


def test_the_architecture_names_what_is_there() -> None:
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("## Every")[0]
    folders = [ROOT / name for name in (*PACKAGES, "tools", "examples")]
    sources = [path for one in folders for ending in ("*.py", "*.*s") for path in one.rglob(ending)]
    places = {path: f"/{path.as_posix()}" for path in sources}
    for name in set(re.findall(r"`([\w/]+\.(?:py|js))`", text)):
        assert any(place.endswith(f"/{name}") for place in places.values()), name
    for name, file in set(re.findall(r"`(\w+)` (?:of|in) `([\w/]+\.py)`", text)):
        found = [path for path, place in places.items() if place.endswith(f"/{file}")]
        assert any(re.search(rf"\b{name}\b", path.read_text(encoding="utf-8")) for path in found), (
            f"{name} is not in {file}"
        )


@pytest.mark.parametrize("document", ["README.md", "docs/JUDGING.md"])
def test_the_documents_use_what_is_public(document: str) -> None:
    imported = set(IMPORTED.findall("\n".join(blocks(document, "python"))))
    assert imported
    assert imported <= PUBLIC


@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name
)
def test_the_examples_use_what_is_public(path: Path) -> None:
    imported = set(IMPORTED.findall(path.read_text(encoding="utf-8")))
    assert imported
    assert imported <= PUBLIC


@pytest.mark.parametrize("code", blocks("README.md", "python"))
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_python_of_the_readme_runs(code: str) -> None:
    # A name or an argument that is gone would raise.
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


def test_a_session_with_the_example_kernel_finds_nothing(tmp_path: Path) -> None:
    options = ["--device", SIMULATED, "--programs", "40", "--save", str(tmp_path)]
    printed = run_script("-m", "gpusim", "fuzz", "--kernels", "examples/own_kernel.py", *options)
    assert "nothing found in 40 programs" in printed


def the_found_bug() -> tuple[str, list[str]]:
    """The program that the README shows, and all that is said of it."""
    (shown,) = [text for text in blocks("README.md", "") if text.startswith("op 2 (write")]
    lines = shown.splitlines()
    (program,) = [line.partition("program: ")[2] for line in lines if "program: " in line]
    return "\n".join(program.split("; ")), lines


@pytest.fixture
def overtaking(device: Any) -> Adapter:
    """The runtime of the example."""
    adapter: Adapter = load("examples/overtaking_write.py:Overtaking")(device, BUILTIN)
    return adapter


def test_the_bug_of_the_readme_is_found_as_it_says(tmp_path: Path) -> None:
    _, said = the_found_bug()
    adapter = load("examples/overtaking_write.py:Overtaking")
    with pytest.raises(TargetFailed) as caught:
        check(adapter, device="simulated", examples=10, save=tmp_path)
    told = str(caught.value.finding).splitlines()
    assert told[:-1] == said[:-1]
    assert Path(said[-1].split()[3]).name == Path(told[-1].split()[3]).name


def test_without_the_mistake_there_is_no_bug(device: Any) -> None:
    text, _ = the_found_bug()
    assert judge_program(Program.parse(text), NaiveTarget(device), BUILTIN) is None


def test_the_finding_that_is_explained_is_that_of_the_example(overtaking: Adapter) -> None:
    (shown,) = [
        text for text in blocks("docs/FINDINGS.md", "") if text.startswith("gpusim finding")
    ]
    finding = parse_finding(shown)
    program, _ = the_found_bug()
    assert format_finding(finding) == shown
    assert str(finding.case.program) == program + "\n"
    assert finding.case.target == "examples/overtaking_write.py:Overtaking"
    failure = judge_program(finding.case.program, overtaking, BUILTIN)
    assert failure is not None
    assert finding.summary == one_line(failure)


def test_every_kind_of_failure_and_every_header_is_explained() -> None:
    text = (ROOT / "docs" / "FINDINGS.md").read_text(encoding="utf-8")
    explained = re.findall(r"^\| `([a-z ]+)` \|", text, re.MULTILINE)
    assert sorted(explained) == sorted([*FailureKind, *HEADERS])


def test_every_word_of_a_session_s_tables_is_in_the_glossary() -> None:
    tally = Tally(policies={"eager": PolicyTally(programs=1)}, events=Counter({("op", "write"): 1}))
    tally.reached.programs = 1
    tables = coverage(tally)
    text = (ROOT / "docs" / "GLOSSARY.md").read_text(encoding="utf-8")
    told = {*re.findall(r"`([^`]+)`", text), *re.findall(r"^\| ([a-z ]+) \|", text, re.MULTILINE)}
    told |= {name for name in vars(errors)} | {"alloc", "copy", "capture", "replay", "dispatch"}
    told |= {"dispatchindirect", *GOALS}
    words = {*tables}
    for table in tables.values():
        words.update(table, *table.values())
    assert words - told == set()


@pytest.fixture
def judging_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What the Python of the page on judging defines, with the example's runtime as its own."""
    shown: dict[str, Any] = {}
    for code in blocks("docs/JUDGING.md", "python"):
        exec(compile(code, "JUDGING.md", "exec"), shown)
    shown["MyRuntime"] = load("examples/overtaking_write.py:Overtaking")
    # What is found is written to a folder beside it.
    monkeypatch.chdir(tmp_path)
    return shown


def test_the_tests_of_the_judging_page_see(
    judging_page: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUSIM_DEVICE", SIMULATED)
    device = open_device(SIMULATED)
    with pytest.raises(TargetFailed, match="write a 0 01010101"):
        judging_page["test_a_write_waits_for_the_dispatch_before_it"](device)
    with pytest.raises(TargetFailed, match="replay: gpusim replay"):
        judging_page["test_my_runtime"]()
    judging_page["MyRuntime"] = NaiveTarget
    judging_page["test_a_write_waits_for_the_dispatch_before_it"](device)
    judging_page["test_my_runtime"]()


def test_the_adapters_of_the_judging_page_can_be_made(judging_page: dict[str, Any]) -> None:
    adapter = judging_page["MyStrictRuntime"](None, BUILTIN)
    assert isinstance(adapter, Adapter)
    assert adapter.capabilities.refuses


def test_the_commands_of_the_readme_are_those_of_the_script_and_of_ci() -> None:
    lines = [line for text in blocks("README.md", "") for line in text.splitlines()]
    fuzz, test = (line for line in lines if line.startswith("python3 "))
    usage = (ROOT / "tools" / "start.py").read_text(encoding="utf-8")
    assert fuzz in usage
    assert test in usage
    assert test in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
