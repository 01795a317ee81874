"""Targets and kernels are loaded as their file is now, and an error says why one cannot be."""

import os
import sys
from pathlib import Path

import pytest

from gpusim.errors import NoDevice, ProgramError
from gpusim.kernels import BUILTIN
from gpusim.program import Program
from properties.fuzz.engine import fuzz
from properties.fuzz.loading import load, load_kernels, load_target
from properties.fuzz.settings import Settings
from properties.model.case import Case, DeviceSpec
from properties.oracles.judge import judge


def test_a_file_that_was_changed_at_once_is_loaded_anew(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text("VALUE = 1\n", encoding="utf-8")
    before = path.stat()
    assert load(f"{path}:VALUE") == 1
    path.write_text("VALUE = 2\n", encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert load(f"{path}:VALUE") == 2


def test_a_file_that_was_not_changed_is_loaded_once(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text("VALUE = object()\n", encoding="utf-8")
    assert load(f"{path}:VALUE") is load(f"{path}:VALUE")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("VALUE = (\n", r"line 1 of .*own\.py is no Python: '\(' was never closed"),
        ("class A(:\n", r"line 1 of .*own\.py is no Python: .*\(probably a slip in 'class A\(:'\)"),
        ("import nothing_of_that_name\n", "it imports 'nothing_of_that_name', which is not there"),
        ("VALEU = 1\n", r"it has no 'VALUE' \(probably 'VALEU' is meant\)"),
        ("OTHER = 1\n", r"it has no 'VALUE' \(probably it must be defined there"),
        ("x = 1\n{}['a']\n", r"it raised KeyError: 'a'[\s\S]*own\.py\", line 2"),
    ],
)
def test_a_file_that_cannot_be_loaded_says_why(tmp_path: Path, source: str, words: str) -> None:
    path = tmp_path / "own.py"
    path.write_text(source, encoding="utf-8")
    with pytest.raises(ProgramError, match=rf"cannot load VALUE from .*own\.py' because {words}"):
        load(f"{path}:VALUE")


def test_a_mistake_in_a_class_body_shows_its_line(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    line = "    capabilities = Capabilities(write_size_bytes=0)"
    path.write_text(
        f"from gpusim.testing import Capabilities\nclass VALUE:\n{line}\n", encoding="utf-8"
    )
    with pytest.raises(ProgramError) as caught:
        load(f"{path}:VALUE")
    told = str(caught.value)
    assert f'own.py", line 3, in VALUE\n{line}' in told
    assert told.partition("\n")[0].count("(probably") == 1
    assert "loading.py" not in told


def test_a_path_that_is_misspelled_is_told_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_target.py").write_text("judge = 1\n", encoding="utf-8")
    with pytest.raises(ProgramError, match=r"no file .*\(probably 'my_target\.py' is meant\)"):
        load(f"{tmp_path / 'my_tagret.py'}:judge")
    (tmp_path / "astcmp.py").touch()
    with pytest.raises(ProgramError, match=r"no file .*\(probably a misspelled path\)"):
        load(f"{tmp_path / 'batched.py'}:judge")
    with pytest.raises(ProgramError, match="there is no folder "):
        load(f"{tmp_path / 'no' / 'my_target.py'}:judge")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProgramError, match=r"no module 'my_target' \(probably my_target\.py:judge"):
        load("my_target:judge")


def test_a_file_finds_the_modules_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside_the_file.py").write_text("VALUE = 5\n", encoding="utf-8")
    path = tmp_path / "own.py"
    path.write_text("from beside_the_file import VALUE\n", encoding="utf-8")
    before = list(sys.path)
    assert load(f"{path}:VALUE") == 5
    assert sys.path == before


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("judge = 3\n", "it is 3, which cannot be called with a device and kernels"),
        ("def judge(device): ...\n", "too many positional arguments"),
        ("def judge(device, kernels, policy): ...\n", "missing a required argument: 'policy'"),
        ("class judge: ...\n", "too many positional arguments"),
    ],
)
def test_what_makes_no_targets_is_refused_before_anything_runs(
    tmp_path: Path, source: str, words: str
) -> None:
    path = tmp_path / "own.py"
    path.write_text(source, encoding="utf-8")
    with pytest.raises(ProgramError, match=rf"cannot judge .*own\.py:judge because .*{words}"):
        load_target(f"{path}:judge")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("KERNELS = []\n", "its list is empty"),
        ("KERNELS = 3\n", r"3 is no list \(probably KERNELS = \[\.\.\.\] is meant"),
        ("KERNELS = [3]\n", "3 is no Kernel"),
        ("from gpusim.kernels import BUILTIN\nKERNELS = BUILTIN['affine']\n", "is no list"),
    ],
)
def test_kernels_that_are_none_are_refused(tmp_path: Path, source: str, words: str) -> None:
    path = tmp_path / "own.py"
    path.write_text(source, encoding="utf-8")
    with pytest.raises(ProgramError, match=f"cannot take kernels from .* because .*{words}"):
        load_kernels(str(path))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def judge(device, kernels):\n    return {}['a']\n", "making it raised KeyError: 'a'"),
        ("def judge(device, kernels):\n    return 3\n", "3 because it has no method perform"),
    ],
)
def test_a_target_that_cannot_be_made_says_why(tmp_path: Path, source: str, words: str) -> None:
    path = tmp_path / "own.py"
    path.write_text(source, encoding="utf-8")
    asked = Settings(device="simulated", target=f"{path}:judge", programs=1, save=tmp_path)
    with pytest.raises(NoDevice, match=rf"(?s)cannot judge .*{words}.*Traceback"):
        fuzz(asked, lambda _: None)


def test_a_target_that_can_be_made_but_once_has_crashed(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(
        "from properties.targets.naive_target import NaiveTarget\nmade = []\n"
        "def judge(device, kernels):\n    made.append(1)\n"
        "    if len(made) > 3: raise RuntimeError('no more of them')\n"
        "    return NaiveTarget(device, kernels)\n",
        encoding="utf-8",
    )
    factory = load_target(f"{path}:judge")("simulated", BUILTIN)
    case = Case(
        program=Program.parse("alloc a 4\nread a 0 4 -> r"), device=DeviceSpec(name="simulated")
    )
    assert [judge(case, factory).failure for _ in range(2)] == [None, None]
    failure = judge(case, factory).failure
    assert failure is not None
    assert failure.signature == ("crash", "RuntimeError")
    assert "no more of them" in failure.details
