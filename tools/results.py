"""The results of the checks, device by device: a table, and one closing line that counts.

    python tools/results.py units vulkan gl

It reads the files that the tox environments of those names left.  It fails unless every test
passed and, on each device, a session judged enough programs and found nothing.  What did not run
is named.
"""

import json
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LEAST_PROGRAMS = 1_000
"""Programs that a session must have judged on each device."""
WITHOUT_DEVICE = ("units", "sessions")
"""The environments without a device of their own, and so without a session to count."""
_TOX = Path(__file__).resolve().parent.parent / ".tox"
_COLUMNS = "{:<10} {:>7} {:>7} {:>8} {:>9} {:>9} {:>9}  {}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What ran in one environment: a device, or one of ``WITHOUT_DEVICE``."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    programs: int = 0
    ops: int = 0
    findings: int = 0

    @property
    def tests_ran(self) -> bool:
        """Whether any test ran and was not skipped."""
        return self.passed + self.failed > 0

    @property
    def sessions(self) -> int:
        """How many sessions the environment should run."""
        return int(self.name not in WITHOUT_DEVICE)

    @property
    def sessions_passed(self) -> int:
        """How many sessions judged enough programs and found nothing."""
        return int(self.programs >= LEAST_PROGRAMS and not self.findings) * self.sessions

    @property
    def problems(self) -> list[str]:
        """What is wrong, in words; empty if all is well."""
        found = {
            "tests not run": not self.tests_ran,
            "tests failed": self.failed > 0,
            "session not run": self.sessions > 0 and self.programs == 0,
            f"fewer than {LEAST_PROGRAMS} programs": 0 < self.programs < LEAST_PROGRAMS,
            "mismatches found": self.findings > 0,
        }
        return [problem for problem, holds in found.items() if holds]


def main(names: Sequence[str]) -> int:
    """Print the table.  Returns 0 if everything passed, 1 if not, and 2 without a name."""
    if not names:
        print(__doc__, file=sys.stderr)
        return 2
    results = [read(name, _TOX / name / "tmp") for name in names]
    print(_table(results))
    return int(any(result.problems for result in results))


def read(name: str, folder: Path) -> Result:
    """The result that an environment left in its ``folder``."""
    passed, failed, skipped = _tests(folder / "tests.xml")
    programs, ops, findings = _session(folder / "session.json", name)
    return Result(
        name=name,
        passed=passed,
        failed=failed,
        skipped=skipped,
        programs=programs,
        ops=ops,
        findings=findings,
    )


def _tests(path: Path) -> tuple[int, int, int]:
    """Tests passed, failed and skipped."""
    if not path.is_file():
        return 0, 0, 0
    suites = list(ElementTree.parse(path).iter("testsuite"))
    ran, failures, errors, skipped = (
        sum(int(suite.get(count, 0)) for suite in suites)
        for count in ("tests", "failures", "errors", "skipped")
    )
    failed = failures + errors
    return ran - failed - skipped, failed, skipped


def _session(path: Path, device: str) -> tuple[int, int, int]:
    """Programs, ops and findings; no programs if the session ran on another device."""
    if not path.is_file():
        return 0, 0, 0
    session = json.loads(path.read_text(encoding="utf-8"))
    if session["device"] != device:
        return 0, 0, 0
    return session["programs"], session["ops"], len(session["findings"])


def _table(results: Sequence[Result]) -> str:
    lines = [
        _COLUMNS.format(
            "device", "passed", "failed", "skipped", "programs", "ops", "findings", "verdict"
        )
    ]
    lines += [
        _COLUMNS.format(
            result.name,
            result.passed,
            result.failed,
            result.skipped,
            result.programs,
            result.ops,
            result.findings,
            ", ".join(result.problems) or "passed",
        )
        for result in results
    ]
    return "\n".join([*lines, _closing_line(results)])


def _closing_line(results: Sequence[Result]) -> str:
    """The totals; a session counts as a test, and an environment without tests as a failed one."""
    passed = sum(result.passed + result.sessions_passed for result in results)
    failed = sum(
        result.failed + result.sessions - result.sessions_passed + (not result.tests_ran)
        for result in results
    )
    skipped = sum(result.skipped for result in results)
    return f"{passed} passed, {failed} failed, {skipped} skipped"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
