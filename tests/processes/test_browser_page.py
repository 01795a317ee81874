"""What goes wrong with a web page is told in words, before a browser is asked for it."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from properties.targets.browser import PageFailed, _answered


def test_a_page_that_is_no_file_is_named() -> None:
    command = [sys.executable, "-m", "properties.targets.browser", "no-such-page.html?x"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("cannot judge no-such-page.html?x because there is no file no-")


@pytest.mark.parametrize("answer", [None, 7, ["ok"]])
def test_an_answer_that_is_no_string_is_told(answer: Any) -> None:
    page: Any = SimpleNamespace(evaluate=lambda expression: answer)
    with pytest.raises(PageFailed, match=r"answer\('alloc' \.\.\.\) gave .*no promise of a string"):
        _answered(page, "alloc a 4\n")
