"""Runs tests of wgpu-py on the simulated device: ``python -m tools.wgsl.suite CHECKOUT``.

``CHECKOUT`` is a checkout of wgpu-py, at the commit that ``wgpu_py_tests.txt`` names.  The tests
listed there must pass, unchanged, or it exits with 1.  Tests after a ``-`` are left out.
"""

import subprocess
import sys
from pathlib import Path

_LIST = Path(__file__).with_name("wgpu_py_tests.txt")


def listed() -> list[str]:
    """The node ids of the tests that must pass."""
    lines = _LIST.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and line[0] not in "#-"]


def failed(checkout: Path) -> list[str]:
    """The listed tests that do not pass in a checkout."""
    wanted = listed()
    files = sorted({name.partition("::")[0] for name in wanted})
    # -P: import the installed package, because the checkout's own has no native library.
    words = [sys.executable, "-P", "-m", "gpusim", "run", "-m", "pytest", "-q", "-rA", *files]
    done = subprocess.run(words, cwd=checkout, capture_output=True, text=True)
    passed = {
        line.removeprefix("PASSED ") for line in done.stdout.splitlines() if line[:7] == "PASSED "
    }
    return [name for name in wanted if name not in passed]


def main() -> int:
    """Run the tests, and say which of those listed do not pass."""
    if len(sys.argv) != 2:
        print("usage: python -m tools.wgsl.suite CHECKOUT", file=sys.stderr)
        return 2
    missing = failed(Path(sys.argv[1]))
    for name in missing:
        print(f"does not pass: {name}")
    print(f"{len(listed()) - len(missing)} of {len(listed())} listed tests pass")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
