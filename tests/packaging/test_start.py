"""``tools/start.py``: what it installs, what it names as missing, and what it runs."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def start() -> ModuleType:
    """The script as a module, anew for each test."""
    spec = importlib.util.spec_from_file_location("start", ROOT / "tools" / "start.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Machine:
    """A machine of the test's making, seen through the script's own questions."""

    def __init__(
        self, start: ModuleType, patch: pytest.MonkeyPatch, *adapters: str, root: bool = True
    ) -> None:
        self.start = start
        self.adapters = list(adapters)
        self.ran: list[tuple[str, ...]] = []
        self.installed: list[str] = []
        self.results = 0
        patch.setattr(start, "_adapters", lambda: self.adapters)
        patch.setattr(start, "_can_install", lambda: root)
        patch.setattr(start, "_install", self._install)
        patch.setattr(start, "_run", self._run)
        patch.setattr(start, "_make_environment", lambda: None)
        patch.setattr(start.sys, "platform", "linux")

    def _install(self, *packages: str) -> None:
        self.installed += packages
        backends = self.start.BACKENDS.items()
        self.adapters += [name for name, needed in backends if set(needed) <= {*packages}]

    def _run(self, *arguments: str, folder: Path | None = None) -> int:
        self.ran.append(arguments)
        return self.results if arguments[0] == "tools/results.py" else 0


@pytest.fixture(autouse=True)
def ready(start: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A virtual environment that is there already."""
    monkeypatch.setattr(start, "ROOT", tmp_path)
    monkeypatch.setattr(start, "STAMP", tmp_path / "ready")
    (tmp_path / "pyproject.toml").write_text("")


def test_what_is_missing_is_installed(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(start, monkeypatch)
    assert start.main(["fuzz"]) == 0
    assert machine.installed == [*start.BACKENDS["vulkan"], *start.BACKENDS["gl"]]
    assert machine.ran == [("-m", "gpusim", "fuzz", "--seconds", "30")]


def test_what_is_there_is_not(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(start, monkeypatch, "vulkan")
    start.main(["fuzz"])
    assert machine.installed == [*start.BACKENDS["gl"]]


def test_elsewhere_it_is_named_and_the_session_runs(
    start: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine(start, monkeypatch, "gl", root=False)
    assert start.main(["fuzz"]) == 0
    said = capsys.readouterr().out
    assert machine.installed == []
    assert "no adapter for vulkan;" in said
    assert "mesa-vulkan-drivers" in said
    assert "libegl1" not in said
    assert machine.ran


@pytest.mark.parametrize(
    "bound", [["--seconds", "5"], ["--programs", "7"], ["--seconds=5"], ["--programs=7"]]
)
def test_a_bound_of_the_caller_replaces_ours(
    start: Any, monkeypatch: pytest.MonkeyPatch, bound: list[str]
) -> None:
    machine = Machine(start, monkeypatch, "vulkan", "gl")
    start.main(["fuzz", *bound, "--device", "gl"])
    start.main(["fuzz", "--", *bound, "--device", "gl"])
    assert machine.ran == [("-m", "gpusim", "fuzz", *bound, "--device", "gl")] * 2


def test_every_device_is_tested_and_then_counted(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(start, monkeypatch, "vulkan", "vulkan:1", "gl", "simulated")
    assert start.main(["test"]) == 0
    assert machine.ran == [
        (*start._TOX, "-e", "sessions,units,vulkan,gl,simulated,style"),
        ("tools/results.py", "sessions", "units", "vulkan", "gl", "simulated"),
    ]


def test_a_device_that_cannot_be_had_is_tested_all_the_same(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its environment fails, and the table names it: it is never left out in silence.
    machine = Machine(start, monkeypatch, "gl", root=False)
    start.main(["test"])
    assert machine.ran[-1] == ("tools/results.py", "sessions", "units", "gl", "vulkan")


def test_what_an_earlier_run_left_is_not_counted(
    start: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    left = tmp_path / ".tox" / "gl" / "tmp" / "session.json"
    left.parent.mkdir(parents=True)
    left.write_text("{}")
    Machine(start, monkeypatch, "vulkan", "gl")
    start.main(["test"])
    assert not left.exists()


def test_the_tests_fail_where_the_table_does(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(start, monkeypatch, "vulkan", "gl")
    machine.results = 1
    assert start.main(["test"]) == 1


def test_the_environment_is_made_once(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(start, monkeypatch, "vulkan", "gl")
    made: list[None] = []
    monkeypatch.setattr(start, "_make_environment", lambda: made.append(None))
    start.set_up()
    start.set_up()
    assert len(made) == 1
    (start.ROOT / "pyproject.toml").write_text("dependencies = []")
    start.set_up()
    assert len(made) == 2


@pytest.mark.parametrize("arguments", [[], ["lint"], ["test", "-e", "style"]])
def test_other_words_are_wrong_usage(start: Any, arguments: list[str]) -> None:
    assert start.main(arguments) == 2


def test_an_old_python_is_refused_in_words(tmp_path: Path) -> None:
    pretend = (
        "import sys, runpy\n"
        "sys.version_info = (3, 10, 4)\n"
        f"runpy.run_path({str(ROOT / 'tools' / 'start.py')!r}, run_name='__main__')\n"
    )
    asked = subprocess.run([sys.executable, "-c", pretend], capture_output=True, text=True)
    assert asked.returncode == 1
    assert "needs Python 3.11 or newer" in asked.stderr
    assert "Traceback" not in asked.stderr
