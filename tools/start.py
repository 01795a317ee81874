"""From a fresh checkout to a running gpusim, in one command.

    python3 tools/start.py fuzz [arguments of gpusim fuzz]
    python3 tools/start.py test

``fuzz`` runs a fuzzing session on the best adapter of this machine; ``test``
runs every check on every adapter that the checks need.  Both first make a
virtual environment in ``.venv`` and look for software adapters: on Debian, as
root, missing ones are installed from Mesa; elsewhere they are named.

Only the standard library is used here, since nothing else is there yet.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - this runs before anything has checked it
    sys.exit(
        "cannot start gpusim because it needs Python 3.11 or newer and this is "
        + sys.version.split()[0]
        + " (probably another one is installed: python3.11 "
        + " ".join(sys.argv)
        + ")"
    )

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "gpusim-ready"
BACKENDS = {
    "vulkan": ("libvulkan1", "mesa-vulkan-drivers"),
    "gl": ("libegl1", "libegl-mesa0", "libgl1-mesa-dri"),
}
"""What Debian calls the software adapter of each backend."""
# One environment more than there are cores, because some tests only wait.
_AT_ONCE = str((os.cpu_count() or 1) + 1)
_TOX = ("-m", "tox", "run-parallel", "--parallel-no-spinner", "--parallel", _AT_ONCE)


def main(arguments: Sequence[str]) -> int:
    """Set everything up, then fuzz or test.  Returns the exit status of what ran."""
    match arguments:
        case ["fuzz", "--", *rest] | ["fuzz", *rest]:
            set_up()
            bounded = any(word.startswith(("--seconds", "--programs")) for word in rest)
            return _run("-m", "gpusim", "fuzz", *([] if bounded else ["--seconds", "30"]), *rest)
        case ["test"]:
            return _test(["sessions", "units", *_devices_to_test(set_up())])
    print(__doc__, file=sys.stderr)
    return 2


def _test(environments: Sequence[str]) -> int:
    for environment in environments:
        # What an earlier run left must not be counted again.
        shutil.rmtree(ROOT / ".tox" / environment / "tmp", ignore_errors=True)
    checks = _run(*_TOX, "-e", ",".join([*environments, "style"]), folder=ROOT)
    return _run("tools/results.py", *environments, folder=ROOT) or checks


def set_up() -> list[str]:
    """Make a virtual environment with gpusim, and provide adapters.  Returns their names."""
    wanted = _fingerprint()
    if not STAMP.is_file() or STAMP.read_text() != wanted:
        _make_environment()
        STAMP.write_text(wanted)
    return _provide_adapters()


def _fingerprint() -> str:
    """What decides the content of the virtual environment."""
    declared = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    return f"{sys.executable} {sys.version_info}\n{ROOT}\n{declared}\n"


def _make_environment() -> None:
    _provide_ensurepip()
    _say(f"making a virtual environment in {VENV.name} and installing gpusim into it")
    _must([sys.executable, "-m", "venv", "--clear", str(VENV)])
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # Python compiles the few modules that are imported, and not all that are installed.
    _must([*pip, "--no-compile", "--editable", f"{ROOT}[dev]"])


def _provide_ensurepip() -> None:
    """Install what ``venv`` needs if it is missing: Debian keeps it in a package of its own."""
    try:
        import ensurepip  # noqa: F401 - asked for its absence
    except ImportError:
        package = f"python3.{sys.version_info.minor}-venv"
        if not _can_install():
            sys.exit(
                "cannot make a virtual environment because this Python has no ensurepip "
                f"(probably the package {package} is missing: install it, then run this again)"
            )
        _install(package)


def _provide_adapters() -> list[str]:
    """Install a software adapter for each backend without one.  Returns all adapters' names."""
    found = _adapters()
    packages = [package for backend in _missing(found) for package in BACKENDS[backend]]
    if packages and _can_install():
        _install(*packages)
        found = _adapters()
    if missing := _missing(found):
        _say(
            f"no adapter for {' and '.join(missing)}; a graphics driver gives one, or Mesa's "
            f"software driver (on Debian: apt-get install {' '.join(packages)})"
        )
    return found


def _missing(found: Sequence[str]) -> list[str]:
    """The backends that this machine should have an adapter for, and has not."""
    return [name for name in BACKENDS if name not in found and sys.platform == "linux"]


def _devices_to_test(found: Sequence[str]) -> list[str]:
    """Every device there is; on Linux those of BACKENDS too, so that lacking one is a failure.

    Second adapters of a backend are left out.
    """
    return [name for name in found if ":" not in name] + _missing(found)


def _adapters() -> list[str]:
    """The names of the devices, found by a new process.

    A process loads its drivers once: if it found none, it finds none later.
    """
    program = "from gpusim.devices import adapters; print(*(each.name for each in adapters()))"
    asked = subprocess.run([PYTHON, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    return asked.stdout.split()


def _can_install() -> bool:
    return shutil.which("apt-get") is not None and hasattr(os, "geteuid") and os.geteuid() == 0


def _install(*packages: str) -> None:
    _say(f"installing {' '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _must(["apt-get", "-qq", "update"], environment)
    _must(["apt-get", "-qq", "install", "--yes", "--no-install-recommends", *packages], environment)


def _must(command: Sequence[str], environment: dict[str, str] | None = None) -> None:
    """Run a command in silence; if it fails, show what it said and stop."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        sys.exit(f"cannot go on because this failed: {' '.join(command)}")


def _run(*arguments: str, folder: Path | None = None) -> int:
    """Run the environment's Python in ``folder``, and show what it prints.  Returns its status."""
    return subprocess.run([PYTHON, *arguments], cwd=folder).returncode


def _say(text: str) -> None:
    print(f"gpusim: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
