"""The built wheel: what it holds, and that it works without the checkout."""

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gpusim", "reference", "properties")
OPTIONS = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index")
USE = """
import gpusim
with gpusim.Runtime("simulated") as runtime:
    x = runtime.alloc(4)
    runtime.write(x, bytes([1, 2, 3, 4]))
    print(*runtime.read(x).result())
    runtime.free(x)
print(gpusim.__file__)
"""
JUDGE = """
import sys
import gpusim, properties, reference
from gpusim.testing import TargetFailed, check
from overtaking_write import Overtaking
for package in (gpusim, properties, reference):
    assert package.__file__.startswith(sys.prefix), package.__file__
check("runtime", device="simulated", examples=5)
try:
    check(Overtaking, device="simulated", examples=20)
except TargetFailed as error:
    print(error)
"""


def copy_of_the_sources(folder: Path) -> Path:
    """A checkout in ``folder``, called gpusim as a clone is, so that nothing is left in ours."""
    checkout = folder / "gpusim"
    checkout.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, checkout / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    return checkout


def run(*command: object, folder: Path | None = None, status: int = 0) -> str:
    """What a command prints; it must end with ``status``."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel built from a copy of the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    checkout = copy_of_the_sources(folder)
    run(sys.executable, "-m", "pip", "wheel", *OPTIONS, "--wheel-dir", folder, checkout)
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def new_python(folder: Path) -> Path:
    """The Python of a new environment in ``folder`` that has what gpusim needs, and no gpusim."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    place = Path(
        run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    )
    # A folder that a .pth file names is looked through last, and its own .pth files are not read.
    (place / "needed.pth").write_text(sysconfig.get_path("purelib"))
    return python


def install(python: Path, *what: object) -> None:
    """Install into the environment of ``python``, whatever else is in sight, with no network."""
    run(python, "-m", "pip", "install", *OPTIONS, "--ignore-installed", *what)


@pytest.fixture(scope="module")
def installed(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel."""
    python = new_python(tmp_path_factory.mktemp("environment"))
    install(python, wheel.filename)
    return python


def test_an_installed_wheel_works_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    read, file = run(installed, "-c", USE, folder=tmp_path).splitlines()
    assert read == "1 2 3 4"
    assert Path(file).is_relative_to(installed.parents[1])
    assert "simulated" in run(installed.with_name("gpusim"), "devices", folder=tmp_path)


def test_an_editable_install_works_in_the_folder_above_a_checkout(tmp_path: Path) -> None:
    # The folder of the checkout has the name of the package, and is none.
    checkout = copy_of_the_sources(tmp_path)
    python = new_python(tmp_path / "environment")
    install(python, "--editable", checkout)
    for folder in (tmp_path, checkout, tmp_path / "environment"):
        read, file = run(python, "-c", USE, folder=folder).splitlines()
        assert read == "1 2 3 4"
        assert Path(file).parent == checkout / "gpusim"


def test_the_wheel_holds_every_module_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    expected = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in (".py", ".js") or path.name == "py.typed"
    }
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == expected


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_says_that_it_is_typed(wheel: zipfile.ZipFile, package: str) -> None:
    assert f"{package}/py.typed" in wheel.namelist()


def test_the_license_and_the_command_travel_along(wheel: zipfile.ZipFile) -> None:
    ends = {name.partition(".dist-info/")[2]: name for name in wheel.namelist()}
    assert "licenses/LICENSE" in ends
    assert "gpusim = properties.cli:main" in wheel.read(ends["entry_points.txt"]).decode()


def test_the_installed_judge_works_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "overtaking_write.py", tmp_path)
    (tmp_path / "judges.py").write_text(JUDGE, encoding="utf-8")
    assert "replay: gpusim replay findings" in run(installed, "judges.py", folder=tmp_path)
    (finding,) = (tmp_path / "findings").iterdir()
    command, target = installed.with_name("gpusim"), "overtaking_write.py:Overtaking"
    words = [command, "replay", finding, "--target", target]
    assert "write a 0 01010101" in run(*words, folder=tmp_path, status=1)
    words = [command, "fuzz", "--device", "simulated", "--target", target, "--programs", "20"]
    assert "replay: gpusim replay findings" in run(*words, folder=tmp_path, status=1)
