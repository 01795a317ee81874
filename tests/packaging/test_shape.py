"""The shape of the sources: how long things are, and what no text of the project says."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("gpusim", "reference", "properties", "tests", "tools", "examples", "benchmarks", "docs")
MOST_MODULE_LINES = 400
MOST_FUNCTION_LINES = 60

# A path from a root is somebody's own machine, but for what is where on all of them.
ABSOLUTE_PATH = re.compile(r"(?<![\w./:<~-])/(?!usr|etc|dev|bin|proc|sys|tmp|nowhere)[a-z]+/[\w.]+")


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


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def long_functions(source: str) -> list[str]:
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MOST_FUNCTION_LINES
    ]


@pytest.mark.parametrize("path", modules(), ids=name)
def test_a_module_is_short(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= MOST_MODULE_LINES
    assert long_functions(source) == []


def test_a_long_function_is_seen() -> None:
    lines = ["    pass"] * MOST_FUNCTION_LINES
    assert long_functions("\n".join(["def short():", *lines[1:]])) == []
    assert long_functions("\n".join(["def long():", *lines])) == ["long"]


@pytest.mark.parametrize("path", modules(), ids=name)
def test_a_module_opens_with_what_lives_in_it(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", texts(), ids=name)
def test_no_text_names_a_place_on_one_machine(path: Path) -> None:
    assert ABSOLUTE_PATH.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("before", ["see ", "(", ""])
def test_a_place_on_one_machine_is_seen(before: str) -> None:
    assert ABSOLUTE_PATH.search("/".join([before, "srv", "private", "notes"]))


@pytest.mark.parametrize(
    "text", ["and/or/both", "https://example.org/a/b", "./a/b", "/usr/share/x"]
)
def test_other_slashes_are_no_such_place(text: str) -> None:
    assert not ABSOLUTE_PATH.search(text)
