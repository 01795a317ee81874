"""What importing the packages loads, and that they are these packages."""

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import gpusim
import properties
import reference
from gpusim import errors

ROOT = Path(__file__).resolve().parents[2]


def loaded_by(statement: str) -> set[str]:
    """The modules that a new process has loaded after ``statement``."""
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    asked = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(asked.stdout.split())


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        (
            "import gpusim",
            {"gpusim.wgsl", "wgpu", "gpusim.runtime", "gpusim.devices", "reference", "properties"},
        ),
        (
            "import gpusim.testing",
            {"gpusim.wgsl", "wgpu", "gpusim.runtime", "hypothesis", "rich", "reference"},
        ),
        (
            "import reference",
            {"gpusim.wgsl", "wgpu", "gpusim.runtime", "gpusim.devices", "properties"},
        ),
        ("import gpusim.runtime", {"gpusim.wgsl", "reference", "properties", "hypothesis", "rich"}),
        (
            "import gpusim.devices",
            {"gpusim.wgsl", "wgpu", "gpusim.runtime", "reference", "properties"},
        ),
        ("import properties.cli", {"gpusim.wgsl", "wgpu", "hypothesis", "pytest"}),
    ],
)
def test_an_import_is_light(statement: str, absent: set[str]) -> None:
    loaded = loaded_by(statement)
    assert statement.removeprefix("import ") in loaded
    assert loaded & absent == set()


def test_what_gpusim_finds_late_is_there() -> None:
    assert "gpusim.runtime" in loaded_by("import gpusim; gpusim.Runtime")


def test_gpusim_names_what_users_have_to_write() -> None:
    classes = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.GpusimError)
    }
    made = {"PRESETS", "Runtime", "Policy", "Uniforms", "Buffer", "Ticket", "Graph", "Stats"}
    written = {"Kernel", "Binding", "Scalar", "Kernels", "BUILTIN", "Limits", "Program"}
    layer = {"sanitize", "Sanitizer", "Report"}
    assert {*gpusim.__all__} == classes | made | written | layer | {"open_device", "adapters"}
    assert {*gpusim.__all__} <= {*dir(gpusim)}
    shown: dict[str, object] = {}
    exec("from gpusim import *", shown)
    assert {*gpusim.__all__} <= shown.keys()


@pytest.mark.parametrize("name", ["Simulator", "_LATER"])
def test_a_name_that_gpusim_has_not_is_an_attribute_error(name: str) -> None:
    with pytest.raises(AttributeError, match=name):
        getattr(gpusim, name)


def test_properties_and_reference_are_ours() -> None:
    # Both are general names, and PyPI has other packages that are called so.
    home = Path(gpusim.__file__).parent.parent
    for package in (properties, reference):
        assert package.__file__ is not None
        assert Path(package.__file__).parent.parent == home


def modules() -> list[str]:
    return [
        module.name
        for package in (gpusim, reference, properties)
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
        if not module.name.endswith("__main__")
    ]


def test_every_module_can_be_imported_and_has_its_public_names() -> None:
    public = [
        (module, name)
        for module in map(
            importlib.import_module, ["gpusim", "reference", "properties", *modules()]
        )
        for name in getattr(module, "__all__", ())
    ]
    assert (gpusim, "Runtime") in public
    assert [(module, name) for module, name in public if not hasattr(module, name)] == []
