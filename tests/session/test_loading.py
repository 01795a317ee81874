"""What is loaded out of a file is what the file says now."""

import os
from pathlib import Path

import pytest

from gpusim.errors import ProgramError
from properties.fuzz.loading import load


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


@pytest.mark.parametrize("source", ["VALUE = (\n", "import nothing_of_that_name\n", "OTHER = 1\n"])
def test_a_file_that_cannot_be_loaded_is_named(tmp_path: Path, source: str) -> None:
    path = tmp_path / "own.py"
    path.write_text(source, encoding="utf-8")
    with pytest.raises(ProgramError, match=r"cannot load VALUE from .*own\.py.* because"):
        load(f"{path}:VALUE")
