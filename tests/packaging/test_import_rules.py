"""Who may import whom, read from the sources: the house in docs/ARCHITECTURE.md."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

VOCABULARY = (
    "gpusim.effects",
    "gpusim.errors",
    "gpusim.history",
    "gpusim.kernels",
    "gpusim.limits",
    "gpusim.ops",
    "gpusim.program",
    "gpusim.text",
    "gpusim.trace",
)
MAY_IMPORT = {
    **dict.fromkeys(VOCABULARY, ("numpy", *VOCABULARY)),
    # It finds the runtime late; another test holds that it loads nothing.
    "gpusim": (*VOCABULARY, "gpusim.runtime", "gpusim.devices"),
    "gpusim.__main__": ("properties.cli",),
    "gpusim.devices": ("wgpu", "gpusim.simulated", *VOCABULARY),
    "gpusim.runtime": ("numpy", "wgpu", "gpusim.runtime", *VOCABULARY),
    "gpusim.runtime.drivers.opening": ("gpusim.devices", "gpusim.runtime", *VOCABULARY),
    "gpusim.simulated": ("numpy", "wgpu", "gpusim.simulated", *VOCABULARY),
    "reference": ("numpy", "reference", *VOCABULARY),
    "properties": (
        "gpusim",
        "hypothesis",
        "matplotlib",
        "numpy",
        "properties",
        "pytest",
        "reference",
        "rich",
        "wgpu",
    ),
}
"""The longest entry that a module's name starts with holds for it."""


def sources() -> list[Path]:
    return [
        path
        for package in ("gpusim", "reference", "properties")
        for path in sorted((ROOT / package).rglob("*.py"))
    ]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere, late imports and those for types as well."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            # ``from gpusim import devices`` imports gpusim.devices, if that is a module.
            for alias in node.names:
                path = ROOT.joinpath(*str(node.module).split("."), alias.name)
                is_module = path.is_dir() or path.with_suffix(".py").is_file()
                yield f"{node.module}.{alias.name}" if is_module else str(node.module)


def within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def rule_for(module: str) -> tuple[str, ...]:
    # A package's entry covers what is inside it, but that of ``gpusim`` itself only itself.
    if module == "gpusim":
        return MAY_IMPORT["gpusim"]
    fitting = [name for name in MAY_IMPORT if name != "gpusim" and within(module, name)]
    assert fitting, f"{module} has no place in the house: give it one in MAY_IMPORT"
    return MAY_IMPORT[max(fitting, key=len)]


def offences(module: str, tree: ast.AST) -> list[str]:
    allowed = rule_for(module)
    return [
        name
        for name in imports(tree)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not any(within(name, prefix) for prefix in allowed)
    ]


def test_every_module_imports_only_what_it_may() -> None:
    trees = {module_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in sources()}
    assert trees.keys() >= {"gpusim", "gpusim.runtime.batch", "properties", "reference"}
    found = {module: offences(module, tree) for module, tree in trees.items()}
    assert {module: names for module, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("module", "line", "offence"),
    [
        ("gpusim.text", "import wgpu", "wgpu"),
        (
            "gpusim.runtime.batch",
            "from properties.model.target import Target",
            "properties.model.target",
        ),
        ("gpusim.runtime.batch", "from gpusim import devices", "gpusim.devices"),
        ("reference.memory", "import gpusim.runtime.policy", "gpusim.runtime.policy"),
        ("gpusim", "from properties import cli", "properties.cli"),
    ],
)
def test_the_rules_see_an_offence(module: str, line: str, offence: str) -> None:
    late = f"def late():\n    {line}\n"
    assert offences(module, ast.parse(late)) == [offence]
