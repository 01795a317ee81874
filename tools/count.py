"""How much code there is: lines, files and the share of docstrings, package by package.

    python tools/count.py [--root DIR]

A code line holds a part of a statement; blank lines, comments and docstrings are no code lines.
Docstrings are those of modules, classes and functions, as Python means it; a text beneath a field
is code.  The share of docstrings is their lines divided by docstring and code lines together.  The
row of a package counts all files inside it; the row ``.`` counts those outside its inner packages.
"""

import argparse
import ast
import io
import sys
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("gpusim", "reference", "properties")
_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
_COLUMNS = "{:<28} {:>6} {:>12} {:>12}"
_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True, slots=True)
class Count:
    """What some files hold."""

    files: int = 0
    code_lines: int = 0
    docstring_lines: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(
            files=self.files + other.files,
            code_lines=self.code_lines + other.code_lines,
            docstring_lines=self.docstring_lines + other.docstring_lines,
        )

    @property
    def docstring_share(self) -> float:
        return self.docstring_lines / max(self.docstring_lines + self.code_lines, 1)


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, default=ROOT, metavar="DIR", help="another checkout")
    root = parser.parse_args(arguments).root
    print(_COLUMNS.format("package", "files", "code lines", "docstrings"))
    whole = Count()
    for package in PACKAGES:
        parts = count_package(root / package)
        total = sum(parts.values(), Count())
        whole += total
        _print_row(package, total)
        if len(parts) > 1:
            for name in sorted(parts):
                _print_row(f"  {name}", parts[name])
    _print_row("all", whole)
    return 0


def count_package(folder: Path) -> dict[str, Count]:
    """The counts of each package inside ``folder``, and ``.`` for its other files."""
    parts: dict[str, Count] = {}
    for path in sorted(folder.rglob("*.py")):
        inside = path.relative_to(folder).parts
        name = inside[0] if len(inside) > 1 else "."
        parts[name] = parts.get(name, Count()) + count_source(path.read_text(encoding="utf-8"))
    return parts


def count_source(source: str) -> Count:
    """What one file holds."""
    documented = _docstring_lines(ast.parse(source))
    code = _code_lines(source) - documented
    return Count(files=1, code_lines=len(code), docstring_lines=len(documented))


def _docstring_lines(tree: ast.Module) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            text = node.body[0]
            lines.update(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    return lines


def _code_lines(source: str) -> set[int]:
    """The lines with a token on them; a string of several lines is on all of its lines."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines


def _print_row(name: str, count: Count) -> None:
    share = f"{count.docstring_share:.1%}"
    print(_COLUMNS.format(name, count.files, f"{count.code_lines:,}", share))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
