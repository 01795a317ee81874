"""The pytest plugin: what it loads, its options, and the runtime that it gives a test."""

import subprocess
import sys
from pathlib import Path

import pytest

from properties.asked import ASKED

pytest_plugins = ["pytester"]

_HEAVY = ("numpy", "wgpu", "rich", "gpusim", "properties.fuzz")
_USES = """
import pytest
from gpusim.testing import check

@pytest.mark.parametrize("n", [0, 1])
def test_runtime(gpusim_runtime, n):
    x = gpusim_runtime.alloc(4)
    gpusim_runtime.write(x, b"abcd")
    assert gpusim_runtime.read(x).result() == b"abcd"
    assert gpusim_runtime.policy.name == "pooled"

def test_checks(tmp_path):
    check("runtime", examples=2, save=tmp_path)
    check("naive", examples=2, save=tmp_path)
"""


def test_it_loads_nothing_until_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "test_empty.py").write_text("")
    program = (
        "import sys, pytest\n"
        "pytest.main(['--co', '-q', '-p', 'no:cacheprovider'])\n"
        f"print([name for name in {_HEAVY} if name in sys.modules])\n"
        "print('properties.plugin' in sys.modules)\n"
    )
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["[]", "True"]


def test_options_reach_runtimes_and_checks(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(_USES)
    done = pytester.runpytest_inprocess(
        "--gpusim-device=simulated", "--gpusim-policy=pooled", "--gpusim-scheduler=random"
    )
    done.assert_outcomes(passed=3)
    done.stdout.fnmatch_lines(["gpusim: device simulated, policy pooled, scheduler random"])
    assert not ASKED


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--gpusim-device=toaster"], "cannot take --gpusim-device=toaster because it is none of"),
        (["--gpusim-policy=hasty"], "cannot take --gpusim-policy=hasty because it is none of"),
        (["--gpusim-policy=all"], "because the runtime of a test has only one"),
        (
            ["--gpusim-device=gl", "--gpusim-scheduler=late"],
            "because only the simulated device has a scheduler, and this is gl",
        ),
    ],
)
def test_an_option_that_means_nothing_is_refused(
    pytester: pytest.Pytester, words: list[str], reason: str
) -> None:
    done = pytester.runpytest_inprocess(*words)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert reason in done.stderr.str()
    assert not ASKED
