"""What goes wrong with a web page is told in words, before a browser is asked for it."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import urlopen

import pytest

from properties.targets.browser import PageFailed, _address_of, _answered


def test_a_page_that_is_no_file_is_named() -> None:
    command = [sys.executable, "-m", "properties.targets.browser", "no-such-page.html?x"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("cannot judge no-such-page.html?x because there is no file no-")


def test_a_page_may_load_what_lies_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside.js").write_text("beside")
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "page.html").write_text("page")
    monkeypatch.chdir(tmp_path)
    with _address_of("a b/page.html?x") as address:
        assert address.endswith("/a%20b/page.html?x")
        assert urlopen(address).read() == b"page"
        assert urlopen(address.replace("a%20b/page.html?x", "beside.js")).read() == b"beside"


def test_a_page_outside_the_current_folder_is_served_from_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "page.html").write_text("page")
    monkeypatch.chdir(tmp_path / "elsewhere")
    with _address_of("../page.html") as address:
        assert urlopen(address).read() == b"page"


@pytest.mark.parametrize("answer", [None, 7, ["ok"]])
def test_an_answer_that_is_no_string_is_told(answer: Any) -> None:
    page: Any = SimpleNamespace(evaluate=lambda expression: answer)
    with pytest.raises(
        PageFailed, match=r"answer\('alloc' \.\.\.\) gave .*not a promise of a string"
    ):
        _answered(page, "alloc a 4\n")
