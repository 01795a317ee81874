"""The shape of the sources: how long things are, and what no text of the project says."""

import ast
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("gpusim", "reference", "properties", "tests", "tools", "examples", "benchmarks", "docs")
MOST_MODULE_LINES = 400
MOST_FUNCTION_LINES = 60

# A path from a root is somebody's own machine, but for what is where on all of them.
ABSOLUTE_PATH = re.compile(
    r"(?<![\w./:<~}-])/(?!usr|etc|dev|bin|proc|sys|tmp|nowhere)[a-z]+/[\w.]+"
)


def texts() -> list[Path]:
    inside = [
        path
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in {".html", ".js", ".md", ".mjs", ".py", ".toml", ".txt", ".wgsl"}
    ]
    outside = [path for path in sorted(ROOT.glob("[!.]*")) if path.is_file()]
    return [*outside, ROOT / ".ci" / "run", *inside]


def modules() -> list[Path]:
    return [path for path in texts() if path.suffix == ".py"]


def at_fault(paths: Iterable[Path], fault: Callable[[str], object]) -> dict[str, object]:
    """The faults of those texts that have any, by path."""
    found = {str(path.relative_to(ROOT)): fault(path.read_text(encoding="utf-8")) for path in paths}
    assert str(Path(__file__).relative_to(ROOT)) in found, "the texts are looked for elsewhere"
    return {path: fault for path, fault in found.items() if fault}


def too_many_lines(source: str) -> int:
    return max(0, len(source.splitlines()) - MOST_MODULE_LINES)


def long_functions(source: str) -> list[str]:
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MOST_FUNCTION_LINES
    ]


def test_every_module_is_short() -> None:
    assert at_fault(modules(), too_many_lines) == {}


def test_a_long_module_is_seen() -> None:
    assert too_many_lines("x = 1\n" * MOST_MODULE_LINES) == 0
    assert too_many_lines("x = 1\n" * (MOST_MODULE_LINES + 2)) == 2


def test_every_function_is_short() -> None:
    assert at_fault(modules(), long_functions) == {}


def test_a_long_function_is_seen() -> None:
    lines = ["    pass"] * MOST_FUNCTION_LINES
    assert long_functions("\n".join(["def short():", *lines[1:]])) == []
    assert long_functions("\n".join(["def long():", *lines])) == ["long"]


def test_every_module_opens_with_what_lives_in_it() -> None:
    assert at_fault(modules(), lambda source: not ast.get_docstring(ast.parse(source))) == {}


def test_no_text_names_a_place_on_one_machine() -> None:
    assert at_fault(texts(), ABSOLUTE_PATH.findall) == {}


@pytest.mark.parametrize("before", ["see ", "(", ""])
def test_a_place_on_one_machine_is_seen(before: str) -> None:
    assert ABSOLUTE_PATH.search("/".join([before, "srv", "private", "notes"]))


@pytest.mark.parametrize(
    "text", ["and/or/both", "https://example.org/a/b", "./a/b", "/usr/share/x"]
)
def test_other_slashes_are_no_such_place(text: str) -> None:
    assert not ABSOLUTE_PATH.search(text)
