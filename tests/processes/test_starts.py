"""A worker begins with the modules and the environment of its session."""

import subprocess
import sys
from pathlib import Path

import pytest

import properties
from gpusim.errors import NoDevice
from properties.fuzz.protocol import setup_of
from properties.fuzz.settings import Settings
from properties.fuzz.supervisor import Supervisor

TELLING = """
import os
import properties

def make(device, kernels):
    raise RuntimeError(os.environ["TOLD"] + " " + properties.__file__)
"""
SESSION = """
import sys

sys.path[0] = {root!r}
from properties.cli import main

sys.exit(main({words!r}))
"""


def test_each_worker_has_the_environment_of_its_session_as_it_is_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "telling.py").write_text(TELLING)
    setup = setup_of(Settings(device="simulated", target=f"{tmp_path / 'telling.py'}:make"))
    for told in ("first", "second"):
        monkeypatch.setenv("TOLD", told)
        with (
            Supervisor(setup) as supervisor,
            pytest.raises(NoDevice, match=f"{told} {properties.__file__}"),
        ):
            supervisor.start()


def test_a_folder_of_the_same_name_where_a_session_begins_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "properties").mkdir()
    (tmp_path / "properties" / "__init__.py").write_text("raise RuntimeError('another one')")
    words = ["fuzz", "--device", "simulated", "--programs", "9", "--quiet"]
    root = str(Path(properties.__file__).parents[1])
    command = [sys.executable, "-c", SESSION.format(root=root, words=words)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
