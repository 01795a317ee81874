"""Who may import whom, as docs/ARCHITECTURE.md says, read from the sources."""

import ast
import functools
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
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
    "gpusim": (*VOCABULARY, "gpusim.runtime", "gpusim.devices", "gpusim.layer"),
    # Only these two modules of gpusim import the judge.
    "gpusim.__main__": ("properties.cli",),
    "gpusim.testing": ("hypothesis", "properties", *VOCABULARY),
    "gpusim.devices": ("wgpu", "wgpudawn", "gpusim.simulated", *VOCABULARY),
    "gpusim.runtime": ("numpy", "wgpu", "gpusim.runtime", *VOCABULARY),
    "gpusim.runtime.drivers.package": ("wgpu", "wgpudawn", *VOCABULARY),
    "gpusim.runtime.drivers.opening": ("gpusim.devices", "gpusim.runtime", *VOCABULARY),
    # It knows neither our runtime nor the judge.
    "gpusim.layer": ("numpy", "wgpu", "gpusim.layer", "gpusim.trace"),
    "gpusim.kernels": ("numpy", "gpusim.wgsl", *VOCABULARY),
    # Shaders know no device.
    "gpusim.wgsl": ("numpy", "gpusim.wgsl"),
    "gpusim.simulated": ("numpy", "wgpu", "gpusim.simulated", "gpusim.wgsl", *VOCABULARY),
    "reference": ("numpy", "reference", *VOCABULARY),
    "properties": (
        "gpusim",
        "hypothesis",
        "matplotlib",
        "numpy",
        "properties",
        "pytest",
        "ray",
        "reference",
        "rich",
        "wgpu",
    ),
}
"""The longest entry that a module's name starts with holds for it."""

LAYERS = (
    ("model", "arguments", "asked", "document"),
    ("generate",),
    ("targets",),
    ("clients",),
    ("execute",),
    ("oracles",),
    ("finding_file", "shrink", "exhaustive", "machine", "explain"),
    ("mutants",),
    ("fuzz",),
    ("bench",),
    ("cli", "plugin"),
)
"""The parts of ``properties``, from the bottom: each imports its own and what stands below."""


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


def part_of(module: str) -> str:
    return module.split(".")[1]


def climbs(module: str, tree: ast.AST) -> list[str]:
    """What ``module`` of ``properties`` imports from its own layer or above, but for its part."""
    height = {part: level for level, parts in enumerate(LAYERS) for part in parts}
    return [
        name
        for name in imports(tree)
        if name.startswith("properties.")
        and part_of(name) != part_of(module)
        and height[part_of(name)] >= height[part_of(module)]
    ]


def circles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The modules that reach themselves, each with all that it reaches."""
    reached = {
        module: set(chain.from_iterable(map(functools.partial(reach, graph), graph[module])))
        for module in graph
    }
    return sorted(
        [module, *sorted(reached[module])] for module in graph if module in reached[module]
    )


def reach(graph: Mapping[str, Iterable[str]], start: str) -> set[str]:
    found, waiting = set(), [start]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting.extend(graph.get(module, ()))
    return found


def test_the_parts_of_properties_stand_in_layers() -> None:
    found = {
        module_name(path): ast.parse(path.read_text(encoding="utf-8"))
        for path in sources()
        if path.is_relative_to(ROOT / "properties") and path != ROOT / "properties" / "__init__.py"
    }
    assert {part_of(module) for module in found} == {part for parts in LAYERS for part in parts}
    climbing = {module: climbs(module, tree) for module, tree in found.items()}
    assert {module: names for module, names in climbing.items() if names} == {}


def test_a_climb_is_seen() -> None:
    tree = ast.parse("from properties.fuzz.engine import fuzz\nfrom properties.model import case")
    assert climbs("properties.oracles.judge", tree) == ["properties.fuzz.engine"]


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {
        module_name(path): [
            name
            for name in imports(ast.parse(path.read_text(encoding="utf-8")))
            if name != module_name(path)
        ]
        for path in sources()
    }
    assert circles(graph) == []


def test_a_circle_is_seen() -> None:
    assert circles({"a": ["b"], "b": ["c"], "c": ["b"]}) == [["b", "b", "c"], ["c", "b", "c"]]


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
        ("gpusim.runtime.batch", "from gpusim.testing import check", "gpusim.testing"),
        ("gpusim.testing", "import wgpu", "wgpu"),
    ],
)
def test_the_rules_see_an_offence(module: str, line: str, offence: str) -> None:
    late = f"def late():\n    {line}\n"
    assert offences(module, ast.parse(late)) == [offence]
