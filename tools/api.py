"""Write docs/API.md and the list of files in docs/ARCHITECTURE.md, from the docstrings.

    python -m tools.api            # write both
    python -m tools.api --check    # say whether both are current

Names, signatures and docstrings are read from the sources; nothing is imported, so that the page
is the same on every machine.  A name is public if ``__all__`` of its module lists it.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from inspect import cleandoc
from itertools import groupby
from pathlib import Path
from textwrap import dedent, indent

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "API.md"
ARCHITECTURE = ROOT / "docs" / "ARCHITECTURE.md"
PACKAGES = ("gpusim", "reference", "properties")
MODULES = ("gpusim", "gpusim.testing", "gpusim.kernels")
_INTRODUCTION = """\
# The public interface

`python -m tools.api` writes this page from the docstrings. What it does not list may change at any
time.
"""
_FILES = """\
## Every file

`python -m tools.api` writes this section from the first sentence of each file.
"""
_MOST_COLUMNS = 100
_SECTIONS = ("Args:", "Raises:")
Definition = ast.ClassDef | ast.FunctionDef | ast.Assign | ast.AnnAssign


def main(words: Sequence[str]) -> int:
    """Write both pages, or with ``--check`` exit with 1 if one is not current."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    pages = {PAGE: page(), ARCHITECTURE: architecture()}
    if not parser.parse_args(words).check:
        for path, text in pages.items():
            path.write_text(text, encoding="utf-8")
        return 0
    old = [
        path.name
        for path, text in pages.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    if old:
        print(f"not current: {', '.join(old)} (write with python -m tools.api)", file=sys.stderr)
    return 1 if old else 0


def architecture() -> str:
    """docs/ARCHITECTURE.md, with the list of files as its last section."""
    written = ARCHITECTURE.read_text(encoding="utf-8").partition(_FILES)[0]
    lines = [written + _FILES]
    for package in PACKAGES:
        paths = [path for kind in ("*.py", "*.js") for path in (ROOT / package).rglob(kind)]
        paths.sort(key=lambda path: (path.parent, path.name))
        for folder, files in groupby(paths, key=lambda path: path.parent):
            items = [f"- `{file.name}`: {_first_sentence(file)}" for file in files]
            lines += [f"### {folder.relative_to(ROOT).as_posix()}\n", *items, ""]
    return "\n".join(lines)


def _first_sentence(path: Path) -> str:
    """The first paragraph of a file's docstring, or of the comment that a script begins with."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".js":
        comment = re.match(r"(?:// .*\n)+", text)
        docstring = comment.group().replace("// ", "") if comment else ""
        docstring = re.split(r"(?<=\.)\s", docstring)[0]
    else:
        docstring = ast.get_docstring(ast.parse(text)) or ""
    return " ".join(docstring.partition("\n\n")[0].replace("``", "`").split())


def page() -> str:
    """The whole of docs/API.md."""
    text = "\n".join([_INTRODUCTION, *(block for each in MODULES for block in _module(each))])
    return re.sub(r"\n{3,}", "\n\n", text)


def _module(module: str) -> Iterator[str]:
    tree = _tree(module)
    yield f"## {module}\n"
    yield _markdown(ast.get_docstring(tree) or "") + "\n"
    names = public_names(module)
    elsewhere = [name for name in names if module != "gpusim" and name in public_names("gpusim")]
    if elsewhere:
        links = ", ".join(f"[`{name}`](#{name.lower()})" for name in elsewhere)
        yield f"From `gpusim` as well: {links}.\n"
    for name in names:
        if name not in elsewhere:
            yield from _entry(name, definition(module, name))


def public_names(module: str) -> list[str]:
    """What ``__all__`` of ``module`` lists."""
    assigned = _find(_tree(module), "__all__")
    assert isinstance(assigned, ast.Assign)
    names: list[str] = ast.literal_eval(assigned.value)
    return names


def definition(module: str, name: str) -> tuple[Definition, str]:
    """The statement that defines ``name``, in any module, and the text below it.

    Raises:
        LookupError: ``name`` is neither defined nor imported in ``module``.
    """
    tree = _tree(module)
    found = _find(tree, name)
    if found is not None:
        return found, _text_below(tree.body, found)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            return definition(str(node.module), name)
    raise LookupError(f"cannot find {name} because {module} does not define it")


def _entry(name: str, found: tuple[Definition, str]) -> Iterator[str]:
    node, below = found
    yield f"### {name}\n"
    match node:
        case ast.ClassDef():
            yield from _class(node)
        case ast.FunctionDef():
            yield _code(_signature(node.name, node))
            yield _markdown(ast.get_docstring(node) or "") + "\n"
        case _:
            assert node.value is not None
            shown = f"{name} = {ast.unparse(node.value)}"
            if len(shown) <= _MOST_COLUMNS:
                yield _code(shown)
            yield _markdown(below) + "\n"


def _class(node: ast.ClassDef) -> Iterator[str]:
    methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
    init = next((each for each in methods if each.name == "__init__"), None)
    bases = [base for base in map(ast.unparse, node.bases) if base not in ("ABC", "Protocol")]
    docstring = ast.get_docstring(node) or ""
    head = f"class {node.name}" + (f"({', '.join(bases)})" if bases else "")
    if init is not None and "Args:" in docstring:
        # Only gpusim makes the objects of a class whose docstring does not tell the arguments.
        head += "\n\n" + _signature(node.name, init).removesuffix(" -> None")
    yield _code(head)
    yield _markdown(docstring) + "\n"
    fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
    for field in fields:
        if not ast.unparse(field.target).startswith("_"):
            yield _item(ast.unparse(field), _text_below(node.body, field))
    for method in methods:
        if not method.name.startswith("_"):
            is_property = "property" in map(ast.unparse, method.decorator_list)
            shown = f"{method.name}: {ast.unparse(method.returns)}" if method.returns else ""
            signature = shown if is_property else _line(method.name, method)
            yield _item(signature, ast.get_docstring(method) or "")
    yield ""


def _item(code: str, text: str) -> str:
    return f"- `{code}`" + (f"\n\n{indent(_markdown(text), '  ')}\n" if text else "")


def _signature(name: str, function: ast.FunctionDef) -> str:
    """``name`` with the parameters of ``function``, over several lines if one is too short."""
    line = _line(name, function)
    if len(line) <= _MOST_COLUMNS:
        return line
    each = "".join(f"    {part},\n" for part in _parameters(function))
    return f"{name}(\n{each}){_result(function)}"


def _line(name: str, function: ast.FunctionDef) -> str:
    return f"{name}({', '.join(_parameters(function))}){_result(function)}"


def _parameters(function: ast.FunctionDef) -> list[str]:
    """The text of each parameter but ``self`` and ``cls``, with blanks around its ``=``."""
    # Commas inside brackets do not separate parameters.
    parts = re.split(r", (?![^\[(]*[\])])", ast.unparse(function.args))
    spaced = [re.sub(r"^(\w+: [^=]+)=", r"\1 = ", part) for part in parts]
    return [part for part in spaced if part not in ("", "self", "cls")]


def _result(function: ast.FunctionDef) -> str:
    return f" -> {ast.unparse(function.returns)}" if function.returns else ""


def _code(text: str) -> str:
    return f"```python\n{text}\n```\n"


def _markdown(docstring: str) -> str:
    """A docstring as Markdown: code in single backquotes, each section a list."""
    paragraphs = cleandoc(docstring).replace("``", "`").split("\n\n")
    blocks = groupby(paragraphs, key=lambda paragraph: paragraph.startswith("    "))
    return "\n\n".join(
        f"```python\n{dedent(joined)}\n```" if is_code else joined
        for is_code, group in blocks
        for joined in ["\n\n".join(group if is_code else map(_paragraph, group))]
    )


def _paragraph(text: str) -> str:
    title, _, rest = text.partition("\n")
    if title not in _SECTIONS:
        return text
    items = re.split(r"\n(?=\S)", dedent(rest))
    lines = [re.sub(r"^([^:]+):", r"- `\1`:", re.sub(r"\s+", " ", item)) for item in items]
    return f"{title}\n\n" + "\n".join(lines)


@cache
def _tree(module: str) -> ast.Module:
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))


def _find(tree: ast.Module, name: str) -> Definition | None:
    for node in tree.body:
        match node:
            case ast.ClassDef() | ast.FunctionDef() if node.name == name:
                return node
            case ast.Assign(targets=[ast.Name(id=assigned)]) if assigned == name:
                return node
            case ast.AnnAssign(target=ast.Name(id=assigned)) if assigned == name:
                return node
    return None


def _text_below(body: Sequence[ast.stmt], node: ast.stmt) -> str:
    """The string that stands under a field or a constant; empty if none does."""
    after = body[body.index(node) + 1 :][:1]
    match after:
        case [ast.Expr(value=ast.Constant(value=str(text)))]:
            return text
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
