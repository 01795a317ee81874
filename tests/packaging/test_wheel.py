"""What is built and handed on, and that it works where nothing of the checkout is."""

import os
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


def run(*command: object, folder: Path | None = None) -> str:
    """What a command prints; it must succeed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel built from a copy of the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    checkout = copy_of_the_sources(folder)
    run(sys.executable, "-m", "pip", "wheel", *OPTIONS, "--wheel-dir", folder, checkout)
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


@pytest.fixture
def new_python(tmp_path: Path) -> Path:
    """The Python of a new environment that has what gpusim needs, and no gpusim."""
    folder = tmp_path / "environment"
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


def test_an_installed_wheel_works_in_an_empty_folder(
    wheel: zipfile.ZipFile, new_python: Path, tmp_path: Path
) -> None:
    install(new_python, wheel.filename)
    (tmp_path / "empty").mkdir()
    read, file = run(new_python, "-c", USE, folder=tmp_path / "empty").splitlines()
    assert read == "1 2 3 4"
    assert Path(file).is_relative_to(tmp_path / "environment")
    command = new_python.with_name("gpusim")
    assert "simulated" in run(command, "devices", folder=tmp_path / "empty")


def test_an_editable_install_works_in_the_folder_above_a_checkout(
    new_python: Path, tmp_path: Path
) -> None:
    # The folder of the checkout has the name of the package, and is none.
    checkout = copy_of_the_sources(tmp_path)
    install(new_python, "--editable", checkout)
    for folder in (tmp_path, checkout, tmp_path / "environment"):
        read, file = run(new_python, "-c", USE, folder=folder).splitlines()
        assert read == "1 2 3 4"
        assert Path(file).parent == checkout / "gpusim"


def test_the_wheel_holds_every_module_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    expected = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == expected


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_says_that_it_is_typed(wheel: zipfile.ZipFile, package: str) -> None:
    assert f"{package}/py.typed" in wheel.namelist()


def test_the_license_and_the_command_travel_along(wheel: zipfile.ZipFile) -> None:
    ends = {name.partition(".dist-info/")[2]: name for name in wheel.namelist()}
    assert "licenses/LICENSE" in ends
    assert "gpusim = properties.cli:main" in wheel.read(ends["entry_points.txt"]).decode()


@pytest.fixture(scope="module")
def bare(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment with the wheel; what it needs is found where it is now."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    options = ["--quiet", "--no-deps", "--no-index", str(wheel.filename)]
    python = ["--python", str(programs / "python")]
    subprocess.run([sys.executable, "-m", "pip", *python, "install", *options], check=True)
    (site,) = folder.rglob("site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return programs


def run_bare(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command in ``folder``, with nothing in its environment that leads to the checkout."""
    shutil.copy(ROOT / "examples" / "overtaking_write.py", folder)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(words, cwd=folder, env=kept, capture_output=True, text=True)


def test_the_installed_face_judges(bare: Path, tmp_path: Path) -> None:
    program = tmp_path / "judges.py"
    program.write_text(
        "import sys\n"
        "import gpusim, properties, reference\n"
        "from gpusim.testing import TargetFailed, check\n"
        "from overtaking_write import Overtaking\n"
        "for package in (gpusim, properties, reference):\n"
        "    assert package.__file__.startswith(sys.prefix), package.__file__\n"
        "check('runtime', device='simulated', programs=5)\n"
        "try:\n"
        "    check(Overtaking, device='simulated', programs=20)\n"
        "except TargetFailed as error:\n"
        "    print(error)\n",
        encoding="utf-8",
    )
    done = run_bare(str(bare / "python"), str(program), folder=tmp_path)
    assert done.stderr == ""
    assert "replay: gpusim replay findings" in done.stdout


def test_the_installed_command_judges(bare: Path, tmp_path: Path) -> None:
    options = ["--device", "simulated", "--programs", "20", "--findings", "1"]
    target = ["--target", "overtaking_write.py:Overtaking"]
    done = run_bare(str(bare / "gpusim"), "fuzz", *options, *target, folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    (finding,) = (tmp_path / "findings").iterdir()
    again = run_bare(str(bare / "gpusim"), "replay", str(finding), *target, folder=tmp_path)
    assert (again.returncode, again.stderr) == (1, "")
    assert "write a 0 01010101" in again.stdout
