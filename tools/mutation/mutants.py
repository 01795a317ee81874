"""Mutants of a source file: mutmut's operators, applied one at a time to the whole module.

mutmut itself mutates the bodies of plain functions only, since it keeps every
mutant of a file side by side in one module.  Here a mutant is the whole source
with one place changed, so that properties, dataclasses and constants have
mutants as well.  Nothing here runs one.
"""

import difflib
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import libcst as cst
from libcst.metadata import MetadataWrapper, ParentNodeProvider, PositionProvider
from mutmut.mutation.mutators import mutation_operators

from tools.mutation.mutant import ROOT, Mutant

PARTS: dict[str, tuple[str, ...]] = {
    "runtime": ("gpusim/runtime",),
    "reference": ("reference",),
    "checkers": ("properties/oracles", "properties/execute.py"),
}
"""What is mutated, by the name under which the results are shown."""
_LEFT_OUT = (
    # It writes documentation, and judges nothing.
    "properties/oracles/laws/catalogue.py",
    # It speaks to wgpu-native, and so never runs on the simulated device.
    "gpusim/runtime/drivers/native.py",
)
_NO_CODE = (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom, cst.TypeAlias)
_STATEMENTS = (cst.BaseSmallStatement, cst.BaseCompoundStatement)
_PLACED = (cst.BaseExpression, *_STATEMENTS)
"""The nodes with lines of their own; every change lies in one of these."""
_NEVER_MUTATED_CALLS = ("len", "isinstance")
"""mutmut's own exceptions: without an argument these only raise."""
_ASSERTING = "strict"
"""An argument of ``zip`` that only asserts something; like an assertion, it is not mutated."""
_OF_CONSTANTS = ("number", "name")
"""The operators outside functions: others would change the type of a constant or a default."""


def population(part: str) -> list[Mutant]:
    """Every mutant of a part, by module, operator and place."""
    return [mutant for path in _paths(part) for mutant in _by_operator(mutants_of(path))]


def mutants_of(path: str) -> list[Mutant]:
    """Every mutant of the file at ``path``, from the root of the project."""
    return [mutant for mutant, _ in _changes(path)]


def source_of(mutant: Mutant) -> str:
    """The whole mutated source."""
    module = _parsed(mutant.path).module
    for other, (node, changed) in _changes(mutant.path):
        if other == mutant:
            mutated: Any = module.deep_replace(node, changed)
            return str(mutated.code)
    raise ValueError(f"cannot make {mutant.name} because its file makes no such mutant any more")


def digest_of(mutant: Mutant) -> str:
    """The identity of a mutant, which stays the same while its file is unchanged."""
    return hashlib.sha256(f"{mutant.path}\n{source_of(mutant)}".encode()).hexdigest()[:16]


def change_of(mutant: Mutant) -> str:
    """The lines that differ: a diff without its context and indentation."""
    before = (ROOT / mutant.path).read_text(encoding="utf-8").splitlines()
    lines = difflib.unified_diff(before, source_of(mutant).splitlines(), n=0, lineterm="")
    changed = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    return "\n".join(f"{line[0]} {line[1:].strip()}" for line in changed)


def files_in(entries: Iterable[str]) -> list[Path]:
    """The Python files that entries such as those of ``PARTS`` name: a file, or all in a folder."""
    places = (ROOT / entry for entry in entries)
    found = (sorted(place.rglob("*.py")) if place.is_dir() else [place] for place in places)
    return [path for paths in found for path in paths]


def _paths(part: str) -> list[str]:
    names = [path.relative_to(ROOT).as_posix() for path in files_in(PARTS[part])]
    return [name for name in names if name not in _LEFT_OUT]


def _by_operator(mutants: list[Mutant]) -> list[Mutant]:
    return sorted(mutants, key=lambda mutant: mutant.operator)


@cache
def _parsed(path: str) -> MetadataWrapper:
    return MetadataWrapper(cst.parse_module((ROOT / path).read_text(encoding="utf-8")))


@cache
def _changes(path: str) -> list[tuple[Mutant, tuple[cst.CSTNode, cst.CSTNode]]]:
    """The mutants of a file, each with the node that it changes and what that becomes."""
    wrapper = _parsed(path)
    visitor = _Visitor(path)
    wrapper.visit(visitor)
    return visitor.changes


class _Visitor(cst.CSTVisitor):
    """Collects the mutants of one file."""

    METADATA_DEPENDENCIES = (PositionProvider, ParentNodeProvider)

    def __init__(self, path: str) -> None:
        super().__init__()
        self.changes: list[tuple[Mutant, tuple[cst.CSTNode, cst.CSTNode]]] = []
        self._path = path
        self._made: dict[str, int] = {}

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, _NO_CODE) or _is_never_mutated(node):
            return False
        around = list(self._around(node))
        for operator, changed in _mutations(node):
            if _in_function(around) or operator in _OF_CONSTANTS:
                self._add(node, around, operator, changed)
        return True

    def _add(
        self, node: cst.CSTNode, around: list[cst.CSTNode], operator: str, changed: cst.CSTNode
    ) -> None:
        number = self._made[operator] = self._made.get(operator, 0) + 1
        statement, expression = _first(around, _STATEMENTS), _first([node, *around], _PLACED)
        mutant = Mutant(
            path=self._path,
            operator=operator,
            number=number,
            function=".".join(_names(around)) or "-",
            first_line=self.get_metadata(PositionProvider, statement or expression).start.line,
            last_line=self.get_metadata(PositionProvider, expression).end.line,
        )
        self.changes.append((mutant, (node, changed)))

    def _around(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The nodes around the node, the innermost first."""
        outer: Any = self.get_metadata(ParentNodeProvider, node, None)
        while outer is not None:
            yield outer
            outer = self.get_metadata(ParentNodeProvider, outer, None)


def _mutations(node: cst.CSTNode) -> Iterator[tuple[str, cst.CSTNode]]:
    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            for changed in operator(node):
                if _asserts_as(node) == _asserts_as(changed):
                    yield operator.__name__.removeprefix("operator_"), changed


def _asserts_as(node: cst.CSTNode) -> str | None:
    """The value of the argument ``strict`` if ``node`` is a call that has it; None otherwise."""
    for arg in node.args if isinstance(node, cst.Call) else ():
        if arg.keyword is not None and arg.keyword.value == _ASSERTING:
            return str(getattr(arg.value, "value", None))
    return None


def _is_never_mutated(node: cst.CSTNode) -> bool:
    if isinstance(node, cst.Arg):
        return node.keyword is not None and node.keyword.value == _ASSERTING
    if not isinstance(node, cst.Call) or not isinstance(node.func, cst.Name):
        return False
    return node.func.value in _NEVER_MUTATED_CALLS


def _in_function(around: list[cst.CSTNode]) -> bool:
    return any(isinstance(outer, cst.FunctionDef) for outer in around)


def _first(nodes: list[cst.CSTNode], kinds: Any) -> Any:
    return next((node for node in nodes if isinstance(node, kinds)), None)


def _names(around: list[cst.CSTNode]) -> list[str]:
    named = [n for n in around if isinstance(n, cst.FunctionDef | cst.ClassDef)]
    return [n.name.value for n in reversed(named)]
